//! How a connection is made: resolve, check, connect, through a proxy or not, with TLS or not.

use crate::proxy::{authorization, open_tunnel};
use crate::resolve::Resolve;
use crate::tls::Tls;
use crate::url::literal_address;
use crate::{Error, HttpConfig, ProxyConfig, Reach, Reason, SystemResolver, TlsConfig, Url};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use observe::CounterFamily;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tower::Service;

pub(crate) static CONNECTIONS: CounterFamily = CounterFamily::new(
    "mirador_outbound_connections_total",
    "Connections that the server opened, by what became of them.",
    &["result"],
);

/// A host may have several addresses; an address that does not answer leaves time for the next.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection, whatever it goes through.
pub trait Socket: AsyncRead + AsyncWrite + Debug + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Debug + Send + Unpin> Socket for T {}

/// What all connections of one client share.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) reach: Reach,
    pub(crate) proxy: ProxyConfig,
    pub(crate) tls: Tls,
    pub(crate) resolver: Arc<dyn Resolve>,
}

impl Connecting {
    pub(crate) fn new(config: &HttpConfig, reach: Reach, resolver: Arc<dyn Resolve>) -> Self {
        let tls = Tls::new(&config.tls, config.enable_http2);
        Self { reach, proxy: config.proxy.clone(), tls, resolver }
    }

    async fn open(&self, url: &Url) -> Result<Stream, Error> {
        let Some(proxy) = self.proxy.of(url)? else {
            let socket = self.socket(url.host(), url.port()).await?;
            return match url.is_https() {
                true => self.encrypted(Box::new(socket), url.host()).await,
                false => Ok(Stream::new(Box::new(socket))),
            };
        };
        let socket = self.socket(proxy.host(), proxy.port()).await.map_err(|error| Error {
            message: format!("the proxy {proxy}: {}", error.message),
            ..error
        })?;
        let mut socket: Box<dyn Socket> = match proxy.is_https() {
            true => {
                encrypt(Box::new(socket), &Tls::new(&TlsConfig::default(), false), proxy.host())
                    .await?
                    .0
            }
            false => Box::new(socket),
        };
        if !url.is_https() {
            return Ok(Stream { is_proxied: true, ..Stream::new(socket) });
        }
        let target = format!("{}:{}", host_in_authority(url.host()), url.port());
        open_tunnel(&mut *socket, &proxy, &target, &self.proxy).await?;
        self.encrypted(socket, url.host()).await
    }

    async fn socket(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        connect(host, port, &self.reach, &*self.resolver).await
    }

    async fn encrypted(&self, socket: Box<dyn Socket>, host: &str) -> Result<Stream, Error> {
        let (socket, is_http2) = encrypt(socket, &self.tls, host).await?;
        Ok(Stream { is_http2, ..Stream::new(socket) })
    }

    /// `Proxy-Authorization` of a request that a proxy forwards, rather than tunnels.
    pub(crate) fn proxy_authorization(&self, url: &Url) -> Result<Option<String>, Error> {
        if url.is_https() {
            return Ok(None);
        }
        Ok(self.proxy.of(url)?.as_ref().and_then(authorization))
    }
}

fn host_in_authority(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Connects to a host, to one of the addresses that it may have.
async fn connect(
    host: &str,
    port: u16,
    reach: &Reach,
    resolver: &dyn Resolve,
) -> Result<TcpStream, Error> {
    let addresses = addresses(host, resolver).await?;
    let mut failure = None;
    for (index, address) in addresses.iter().enumerate() {
        reach.check(host, *address)?;
        let is_last = index + 1 == addresses.len();
        match connect_to(SocketAddr::new(*address, port), is_last).await {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = Some((*address, error)),
        }
    }
    let (address, error) =
        failure.unwrap_or_else(|| (IpAddr::from([0, 0, 0, 0]), io::ErrorKind::NotFound.into()));
    let place = match literal_address(host) {
        Some(_) => format!("{}:{port}", host_in_authority(host)),
        None => format!("{host}:{port} ({address})"),
    };
    Err(Error::new(Reason::Connect, format!("can't connect to {place}: {}", in_words(&error))))
}

async fn addresses(host: &str, resolver: &dyn Resolve) -> Result<Vec<IpAddr>, Error> {
    if let Some(address) = literal_address(host) {
        return Ok(vec![address]);
    }
    let unknown =
        |why: String| Error::new(Reason::Resolve, format!("the name {host} has no address: {why}"));
    let found = resolver.resolve(host).await.map_err(|error| unknown(error.to_string()))?;
    if found.is_empty() { Err(unknown("the answer is empty".to_owned())) } else { Ok(found) }
}

async fn connect_to(address: SocketAddr, is_last: bool) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(address);
    let socket = if is_last {
        connecting.await?
    } else {
        tokio::time::timeout(ADDRESS_TIMEOUT, connecting).await.map_err(io::Error::from)??
    };
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        _ => error.to_string(),
    }
}

/// TLS on an open connection; whether both sides chose HTTP/2.
async fn encrypt(
    socket: Box<dyn Socket>,
    tls: &Tls,
    host: &str,
) -> Result<(Box<dyn Socket>, bool), Error> {
    let config = tls.client_config().await?;
    let name = tls.server_name(host)?;
    let failed = |error: io::Error| {
        Error::new(Reason::Tls, format!("the TLS handshake with {host} failed: {error}"))
    };
    let stream = TlsConnector::from(config).connect(name, socket).await.map_err(failed)?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Box::new(stream), is_http2))
}

/// A plain connection, for protocols other than HTTP.
pub async fn connect_stream(
    host: &str,
    port: u16,
    reach: &Reach,
    timeout: Duration,
) -> Result<TcpStream, Error> {
    let connecting = connect(host, port, reach, &SystemResolver);
    tokio::time::timeout(timeout, connecting).await.map_err(|_| {
        let message = format!("no connection to {host}:{port} within {timeout:?}");
        Error::new(Reason::Timeout, message)
    })?
}

/// TLS on a connection that began without.
pub async fn start_tls(
    socket: Box<dyn Socket>,
    config: &TlsConfig,
    host: &str,
) -> Result<Box<dyn Socket>, Error> {
    Ok(encrypt(socket, &Tls::new(config, false), host).await?.0)
}

/// Makes connections for the pool of hyper's client.
#[derive(Clone, Debug)]
pub(crate) struct Connector(pub(crate) Arc<Connecting>);

/// The scheme under which the pool knows a socket of the machine; its authority is the path in hex.
pub(crate) const UNIX_SCHEME: &str = "unix";

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = Arc::clone(&self.0);
        Box::pin(async move {
            let result = match uri.scheme_str() {
                Some(UNIX_SCHEME) => open_unix(uri.host().unwrap_or_default()).await,
                _ => connecting.open(&Url::parse(&uri.to_string())?).await,
            };
            let word = result.as_ref().map_or_else(|error| error.reason.name(), |_| "opened");
            CONNECTIONS.add(&[word], 1);
            result
        })
    }
}

pub(crate) fn hex(path: &[u8]) -> String {
    path.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn open_unix(hex: &str) -> Result<Stream, Error> {
    let bytes: Option<Vec<u8>> = (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(hex.get(index * 2..index * 2 + 2)?, 16).ok())
        .collect();
    let path = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(PathBuf::from);
    let path = path.unwrap_or_default();
    let socket = UnixStream::connect(&path).await.map_err(|error| {
        let message =
            format!("can't connect to the socket {}: {}", path.display(), in_words(&error));
        Error::new(Reason::Connect, message)
    })?;
    Ok(Stream::new(Box::new(socket)))
}

/// A connection as hyper's client has it.
#[derive(Debug)]
pub(crate) struct Stream {
    io: TokioIo<Box<dyn Socket>>,
    is_http2: bool,
    is_proxied: bool,
}

impl Stream {
    fn new(socket: Box<dyn Socket>) -> Self {
        Self { io: TokioIo::new(socket), is_http2: false, is_proxied: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
