//! Sockets of HTTP: binding them, accepting from them, serving what comes in until told to stop.

use super::connection::{CONNECTIONS_OPEN, ConnectionGuard, Connections, Purpose};
use super::connection_state::{AnswerBody, ConnectionState, WatchedSocket};
use super::protocol_listener::{self, Planned};
use super::request_line::LenientSocket;
use super::tls::{self, Certificate, Tls, TlsError};
use crate::config::{Config, LimitSettings};
use axum::Router;
use axum::extract::Request;
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{HeaderValue, header::CONNECTION};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use observe::{Counter, Event, Fields, Level, Metric, emit};
use protocols::{FromReserve, Listener, Protocol, Session, Stop};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

static CONNECTIONS: Counter =
    Counter::new("mirador_http_connections_total", "Connections that were accepted.");
pub(super) static ACCEPT_ERRORS: Counter = Counter::new(
    "mirador_http_accept_errors_total",
    "Connections that could not be accepted or whose TLS handshake failed.",
);
pub(crate) static METRICS: &[&dyn Metric] = &[&CONNECTIONS_OPEN, &CONNECTIONS, &ACCEPT_ERRORS];

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address:?} is not an address: write \"127.0.0.1:9640\" or \":4317\"")]
    Address { address: String },
    #[error(
        "{address} is reachable from other machines and authentication is off: set auth.mode = \
         \"on\" and create a token with `mirador token create`, or start with --insecure-listen"
    )]
    Unprotected { address: SocketAddr },
    #[error(
        "can't listen on {address}: is another server running there? choose another with --listen"
    )]
    Bind { address: SocketAddr, source: io::Error },
    #[error("can't listen on {address}, which {setting} says")]
    Taken { setting: &'static str, address: SocketAddr, source: io::Error },
    #[error("{setting} can't be used")]
    Setting { setting: &'static str, source: Box<ListenError> },
    #[error("this needs a certificate: set tls.cert_file and tls.key_file")]
    NoCertificate,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

pub(super) struct AlsoTaken<'a> {
    pub(super) address: SocketAddr,
    pub(super) error: &'a io::Error,
}

impl Event for AlsoTaken<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "can't listen on a further address, going on without it";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("address", self.address);
        fields.error(self.error);
    }
}

/// Sockets that are bound but not yet served.
pub struct Listeners {
    sockets: Vec<HttpSocket>,
    tls: Option<TlsAcceptor>,
    /// The certificate that is shown, if there is one.
    pub(crate) certificate: Option<Certificate>,
    /// The protocols' own, to be served once the stores are open.
    pub(crate) of_protocols: protocol_listener::Listeners,
}

/// A socket of HTTP, and what is put before the paths of its requests.
struct HttpSocket {
    socket: TcpListener,
    prefix: &'static str,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listeners({:?})", self.addresses())
    }
}

/// The addresses and the encryption that the settings name, checked as far as that goes without
/// opening a socket.
pub(crate) struct ListenPlan {
    main: SocketAddr,
    also: Vec<(SocketAddr, &'static str)>,
    of_protocols: Vec<Planned>,
    tls: Option<Tls>,
}

impl ListenPlan {
    pub(crate) fn new(config: &Config, protocols: &[Protocol]) -> Result<Self, ListenError> {
        let tls = tls::acceptors(&config.tls)?;
        let main = resolve(&config.listen.address, None)?;
        protected(config, main)?;
        let usable = |text: &str| {
            let address = resolve(text, Some(main))?;
            protected(config, address).map(|()| address)
        };
        let also = config.listen.also.iter().map(|text| usable(text).map(|address| (address, "")));
        let mut also = also.collect::<Result<Vec<_>, _>>()?;
        let plan = |listener: &Listener| {
            let failed = |source| ListenError::Setting {
                setting: listener.setting,
                source: Box::new(source),
            };
            let address = usable(&listener.address).map_err(failed)?;
            Planned::new(listener, address, tls.as_ref()).map_err(failed)
        };
        let listeners = protocols.iter().flat_map(|protocol| &protocol.listeners);
        let mut of_protocols = listeners.map(plan).collect::<Result<Vec<_>, _>>()?;
        if config.listen.compat {
            for native in protocols.iter().map(|protocol| &protocol.native) {
                let port = |(port, prefix)| (SocketAddr::new(main.ip(), port), prefix);
                also.extend(native.http.iter().copied().map(port));
                for listener in &native.listeners {
                    of_protocols.push(plan(listener)?.optional());
                }
            }
        }
        Ok(Self { main, also, of_protocols, tls })
    }
}

impl Listeners {
    /// The main address must be free, and those that settings of protocols name; of the further
    /// ones, as many as are.
    pub async fn bind(config: &Config, protocols: &[Protocol]) -> Result<Self, ListenError> {
        let ListenPlan { main, also, of_protocols, tls } = ListenPlan::new(config, protocols)?;
        let bind = |address| async move {
            TcpListener::bind(address).await.map_err(|source| (address, source))
        };
        let socket =
            bind(main).await.map_err(|(address, source)| ListenError::Bind { address, source })?;
        let mut sockets = vec![HttpSocket { socket, prefix: "" }];
        for (address, prefix) in also {
            match bind(address).await {
                Ok(socket) => sockets.push(HttpSocket { socket, prefix }),
                Err((address, error)) => emit(&AlsoTaken { address, error: &error }),
            }
        }
        let of_protocols = protocol_listener::Listeners::bind(of_protocols).await?;
        let (tls, certificate) = tls.map(|tls| (tls.http, tls.certificate)).unzip();
        Ok(Self { sockets, tls, certificate, of_protocols })
    }

    /// The main address first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|one| one.socket.local_addr().ok()).collect()
    }

    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` is requested, then lets requests in flight end within `grace`. Answers
    /// whether all of them did.
    pub(crate) async fn serve(
        self,
        router: Router,
        limits: &LimitSettings,
        connections: Arc<Connections>,
        stop: Stop,
        grace: Duration,
    ) -> bool {
        let graceful = Arc::new(GracefulShutdown::new());
        let (builder, tls) = (builder(limits), self.tls);
        let server =
            Arc::new(Server { builder, router, tls, connections: Arc::clone(&connections), stop });
        let mut loops = JoinSet::new();
        for HttpSocket { socket, prefix } in self.sockets {
            let (served, graceful) = (Arc::clone(&server), Arc::clone(&graceful));
            let serve = move |stream, peer, guard, state| {
                let (server, watcher) = (Arc::clone(&served), graceful.watcher());
                let arrived = Arrived { peer, prefix };
                async move { server.handshake(stream, arrived, guard, state, watcher).await }
            };
            let (connections, stop) = (Arc::clone(&connections), server.stop.clone());
            loops.spawn(accept_loop(socket, Purpose::Http, connections, stop, serve));
        }
        drop(server);
        while loops.join_next().await.is_some() {}
        let graceful = Arc::into_inner(graceful).expect("the accept loops have ended");
        tokio::time::timeout(grace, graceful.shutdown()).await.is_ok()
    }
}

struct Server {
    builder: Builder<TokioExecutor>,
    router: Router,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
    stop: Stop,
}

fn builder(limits: &LimitSettings) -> Builder<TokioExecutor> {
    let header_size = limits.header_size.length();
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own header timeout also runs between requests; ours (connection.rs) does not.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder.http1().max_buf_size(header_size.max(8_192)).max_headers(200);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(header_size).unwrap_or(u32::MAX))
        .max_concurrent_streams(256)
        .max_pending_accept_reset_streams(32)
        // What a client may send before it is read, and what may wait to be sent: for each stream,
        // and for each connection.
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Has `serve` serve each connection in a task of its own, until `stop` is requested.
pub(super) async fn accept_loop<F>(
    socket: TcpListener,
    purpose: Purpose,
    connections: Arc<Connections>,
    stop: Stop,
    serve: impl Fn(TcpStream, SocketAddr, ConnectionGuard, Arc<ConnectionState>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // A place is taken only after accepting, because making room closes an idle connection.
                let place = tokio::select! {
                    () = stop.requested() => return,
                    place = connections.place(purpose) => place,
                };
                CONNECTIONS.increment();
                let (guard, state) = connections.enter(place);
                // Answers are small and whole; waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, peer, guard, state));
            }
            // Out of descriptors, most likely: give the others time to end.
            Err(_) => {
                ACCEPT_ERRORS.increment();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Where a connection comes from, and what is put before the paths of its requests.
#[derive(Clone, Copy)]
struct Arrived {
    peer: SocketAddr,
    prefix: &'static str,
}

/// Puts a prefix before a request's path.
fn put_before(prefix: &str, request: &mut Request) {
    if prefix.is_empty() {
        return;
    }
    let mut parts = request.uri().clone().into_parts();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    let longer = format!("{prefix}{path}").parse();
    // `*`, which an OPTIONS request may have in the place of a path, stays as it is.
    if let Ok(longer) = longer {
        parts.path_and_query = Some(longer);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

type Watcher = hyper_util::server::graceful::Watcher;

impl Server {
    async fn handshake(
        &self,
        stream: TcpStream,
        arrived: Arrived,
        guard: ConnectionGuard,
        state: Arc<ConnectionState>,
        watcher: Watcher,
    ) {
        let Some(tls) = &self.tls else {
            return self.serve(stream, arrived, guard, state, watcher).await;
        };
        let patience = self.connections.patience_at(&guard.place).headers;
        match tokio::time::timeout(patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, arrived, guard, state, watcher).await,
            _ => ACCEPT_ERRORS.increment(),
        }
    }

    async fn serve<S>(
        &self,
        socket: S,
        Arrived { peer, prefix }: Arrived,
        guard: ConnectionGuard,
        state: Arc<ConnectionState>,
        watcher: Watcher,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watched = WatchedSocket { socket, state: Arc::clone(&state) };
        let lenient = LenientSocket::new(watched, Arc::clone(&state));
        let router = self.router.clone();
        let patience = self.connections.patience_at(&guard.place);
        let is_reserve = guard.place.is_reserve;
        let (guard, stop) = (Arc::new(guard), self.stop.clone());
        let of_request = Arc::clone(&state);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let busy = Arc::new(of_request.busy(!request.body().is_end_stream()));
            // A handler that takes the connection over holds its place, and keeps it from being idle.
            let session = request.extensions().get::<OnUpgrade>().map(|_| {
                let place = Arc::new((Arc::clone(&busy), Arc::clone(&guard)));
                Session { stop: stop.clone(), place }
            });
            let mut router = router.clone();
            async move {
                let mut request: Request = request.map(axum::body::Body::new);
                put_before(prefix, &mut request);
                request.extensions_mut().insert(Peer(peer));
                if is_reserve {
                    request.extensions_mut().insert(FromReserve);
                }
                if let Some(session) = session {
                    request.extensions_mut().insert(session);
                }
                let reply = router.call(request).await?;
                let mut reply = match reply.body().is_end_stream() {
                    true => reply,
                    false => reply.map(|body| axum::body::Body::new(AnswerBody::new(body, busy))),
                };
                if is_reserve {
                    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(reply)
            }
        });
        let connection =
            self.builder.serve_connection_with_upgrades(TokioIo::new(lenient), service);
        let connection = watcher.watch(connection.into_owned());
        tokio::select! {
            // An error here is the client's: it went away or broke the protocol.
            _ = connection => {}
            () = state.expired(patience) => {}
        }
    }
}

/// Who is on the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

fn protected(config: &Config, address: SocketAddr) -> Result<(), ListenError> {
    let open = config.auth.mode == crate::config::AuthMode::Off && !config.listen.insecure;
    if open && !address.ip().is_loopback() {
        return Err(ListenError::Unprotected { address });
    }
    Ok(())
}

/// `":4317"` takes the host of the main address.
fn resolve(text: &str, main: Option<SocketAddr>) -> Result<SocketAddr, ListenError> {
    let bad = || ListenError::Address { address: text.to_owned() };
    if let (Some(port), Some(main)) = (text.strip_prefix(':'), main) {
        return Ok(SocketAddr::new(main.ip(), port.parse().map_err(|_| bad())?));
    }
    text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        let main = resolve("127.0.0.1:9640", None).unwrap();
        assert_eq!(resolve(":4317", Some(main)).unwrap().to_string(), "127.0.0.1:4317");
        assert_eq!(resolve("[::1]:1", None).unwrap().to_string(), "[::1]:1");
        for bad in ["", "9640", "127.0.0.1", ":x", "127.0.0.1:99999"] {
            assert!(resolve(bad, Some(main)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_open_address_needs_protection() {
        let mut config = Config::default();
        let open: SocketAddr = "0.0.0.0:9640".parse().unwrap();
        assert!(protected(&config, "127.0.0.1:1".parse().unwrap()).is_ok());
        assert!(protected(&config, open).is_err());
        config.listen.insecure = true;
        assert!(protected(&config, open).is_ok());
    }
}
