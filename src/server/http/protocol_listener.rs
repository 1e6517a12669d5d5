//! The protocols' own listeners: bound at start, so that an address that is taken is an error there,
//! and served once the stores are open, until told to stop.

use super::connection::{Connections, Purpose};
use super::listener::{ACCEPT_ERRORS, AlsoTaken, ListenError, accept_loop};
use super::tls::Tls;
use observe::{Notice, emit};
use protocols::{Accepted, Listener, ServeConnection, ServeDatagrams, Socket, Stop, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// A listener that may be bound.
#[derive(Clone)]
pub(super) struct Planned {
    setting: &'static str,
    address: SocketAddr,
    source: Source,
    /// Whether the server goes on without it when the address is taken.
    is_optional: bool,
}

#[derive(Clone)]
enum Source {
    Connections(ServeConnection, Option<TlsAcceptor>),
    Datagrams(ServeDatagrams),
}

impl Planned {
    pub(super) fn new(
        listener: &Listener,
        address: SocketAddr,
        tls: Option<&Tls>,
    ) -> Result<Self, ListenError> {
        let source = match &listener.transport {
            Transport::Tcp(serve) => Source::Connections(Arc::clone(serve), None),
            Transport::Tls(serve) => {
                let tls = tls.ok_or(ListenError::NoCertificate)?;
                Source::Connections(Arc::clone(serve), Some(tls.plain.clone()))
            }
            Transport::Udp(serve) => Source::Datagrams(Arc::clone(serve)),
        };
        Ok(Self { setting: listener.setting, address, source, is_optional: false })
    }

    pub(super) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    async fn bind(self) -> Result<Bound, ListenError> {
        let Self { setting, address, source, .. } = self;
        let bound = match source {
            Source::Connections(serve, tls) => TcpListener::bind(address).await.map(|socket| {
                let tcp = Tcp { setting, serve, tls };
                Bound::Tcp(socket, tcp)
            }),
            Source::Datagrams(serve) => {
                UdpSocket::bind(address).await.map(|socket| Bound::Udp(setting, socket, serve))
            }
        };
        bound.map_err(|source| ListenError::Taken { setting, address, source })
    }
}

enum Bound {
    Tcp(TcpListener, Tcp),
    Udp(&'static str, UdpSocket, ServeDatagrams),
}

/// What is done with the connections of one listener.
struct Tcp {
    setting: &'static str,
    serve: ServeConnection,
    tls: Option<TlsAcceptor>,
}

/// Sockets that are bound but not yet served.
#[derive(Default)]
pub(crate) struct Listeners(Vec<Bound>);

impl Listeners {
    pub(super) async fn bind(planned: Vec<Planned>) -> Result<Self, ListenError> {
        let mut bound = Vec::new();
        for one in planned {
            let is_optional = one.is_optional;
            match one.bind().await {
                Ok(one) => bound.push(one),
                Err(ListenError::Taken { address, source, .. }) if is_optional => {
                    emit(&AlsoTaken { address, error: &source });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(bound))
    }

    /// The settings with the addresses that came of them.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, io::Result<SocketAddr>)> {
        let address = |bound: &Bound| match bound {
            Bound::Tcp(socket, tcp) => (tcp.setting, socket.local_addr()),
            Bound::Udp(setting, socket, _) => (*setting, socket.local_addr()),
        };
        self.0.iter().map(address).collect()
    }

    /// Begins to serve, in tasks that end soon after `stop` is requested, or when it is enforced.
    pub(crate) fn serve(self, connections: &Arc<Connections>, stop: &Stop) {
        for (setting, address) in self.addresses() {
            let address =
                address.map_or_else(|_| "an unknown address".to_owned(), |a| a.to_string());
            Notice::info("a protocol listens", &[("setting", &setting), ("address", &address)]);
        }
        for bound in self.0 {
            match bound {
                Bound::Tcp(socket, tcp) => {
                    tokio::spawn(tcp.accept(socket, Arc::clone(connections), stop.clone()));
                }
                Bound::Udp(_, socket, serve) => {
                    let work = serve(Arc::new(socket), stop.clone());
                    tokio::spawn(stop.clone().enforced_on(work));
                }
            }
        }
    }
}

impl Tcp {
    async fn accept(self, socket: TcpListener, connections: Arc<Connections>, stop: Stop) {
        let (tcp, handshake) = (Arc::new(self), connections.patience.headers);
        let of_connection = stop.clone();
        let serve = move |stream: TcpStream, peer, guard, state: Arc<_>| {
            let (tcp, stop) = (Arc::clone(&tcp), of_connection.clone());
            async move {
                // Such a connection is never idle for the server, which can't see its requests.
                let _held = (guard, super::connection_state::ConnectionState::busy(&state, false));
                let encrypted = tokio::time::timeout(handshake, tcp.encrypted(stream));
                let Ok(Ok(socket)) = encrypted.await else { return ACCEPT_ERRORS.increment() };
                let accepted = Accepted { socket, peer: Some(peer), stop: stop.clone() };
                stop.enforced_on((tcp.serve)(accepted)).await;
            }
        };
        accept_loop(socket, Purpose::Protocol, connections, stop, serve).await;
    }

    async fn encrypted(&self, stream: TcpStream) -> io::Result<Box<dyn Socket>> {
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.accept(stream).await?)),
        }
    }
}
