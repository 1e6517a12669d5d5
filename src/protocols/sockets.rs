//! What a protocol brings that is no request and answer of HTTP: listeners of its own, and
//! connections that a route takes over (websockets).
//!
//! Not here: binding, TLS, limits (server). The server binds a protocol's listeners at start,
//! accepts from them once the stores are open, counts their connections in `limits.connections`, and
//! stops them. It checks no credentials on them, because it doesn't know the protocol: the protocol
//! says which tenant the data is for, and how long a silent connection may stay open.

use crate::stop::Stop;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UdpSocket;

/// A stream of bytes in both directions.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection that a protocol serves by itself. It should end soon after `stop` is requested.
pub struct Accepted {
    pub socket: Box<dyn Socket>,
    pub peer: Option<SocketAddr>,
    pub stop: Stop,
}

pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
pub type ServeConnection = Arc<dyn Fn(Accepted) -> Work + Send + Sync>;
pub type ServeDatagrams = Arc<dyn Fn(Arc<UdpSocket>, Stop) -> Work + Send + Sync>;

/// A listener of a protocol. One that is switched off is not in [`Protocol`](crate::Protocol).
#[derive(Clone, Debug)]
pub struct Listener {
    /// The setting that holds the address (`syslog.tcp_address`), for messages.
    pub setting: &'static str,
    /// `"127.0.0.1:514"`; `":514"` takes the host of the server's main address.
    pub address: String,
    pub transport: Transport,
}

/// What comes in at a listener, and who serves it.
#[derive(Clone)]
pub enum Transport {
    /// Connections without encryption.
    Tcp(ServeConnection),
    /// Connections encrypted with the server's certificate; it must have one.
    Tls(ServeConnection),
    /// Datagrams. The function receives them all, until `stop` is requested.
    Udp(ServeDatagrams),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            Self::Tls(_) => "Tls",
            Self::Udp(_) => "Udp",
        })
    }
}

/// The connection of a request, as the server puts it into the request's extensions so that a
/// handler can take it over.
#[derive(Clone, Debug)]
pub struct Session {
    pub stop: Stop,
    /// Dropped when the connection ends, which frees its place among the server's connections.
    pub place: Arc<dyn Any + Send + Sync>,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accepted({:?})", self.peer)
    }
}

/// A request's connection, to be taken over by its handler.
#[derive(Debug)]
pub struct Upgrade {
    pub(crate) on: OnUpgrade,
    pub(crate) session: Session,
    pub(crate) peer: Option<SocketAddr>,
}

impl Upgrade {
    /// Answers that the connection speaks `protocol` from now on (`websocket`) and has `serve` do so,
    /// as soon as the answer is sent. The handler may add headers to the answer.
    pub fn accept<F>(
        self,
        protocol: &'static str,
        serve: impl FnOnce(Accepted) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { on, session, peer } = self;
        tokio::spawn(async move {
            let Session { stop, place } = session;
            let work = async {
                // An error means that the client went away before it saw the answer.
                if let Ok(upgraded) = on.await {
                    let socket = Box::new(TokioIo::new(upgraded));
                    serve(Accepted { socket, peer, stop: stop.clone() }).await;
                }
            };
            stop.clone().enforced_on(work).await;
            drop(place);
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
        response
    }
}
