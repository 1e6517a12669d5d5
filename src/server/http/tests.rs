//! A protocol with listeners of its own and a route that upgrades, over real sockets: whatever it is
//! sent it sends back, and `bye` when it is told to stop.

use super::connection::Connections;
use super::listener::{ListenError, ListenPlan, Listeners};
use crate::app::{self, App};
use crate::config::{AuthMode, Config};
use crate::routes;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use platform::{Clock, RealClock};
use protocols::{
    Accepted, Access, Body, Call, Handler, Listener, Native, Protocol, Route, Stop, Stopper,
    Transport, bind, handler, reply,
};
use query::Pool;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

const PATIENCE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

struct Echo;

static ROUTES: &[Route<Handler<Echo>>] = &[Route {
    methods: &[Method::GET],
    path: "/echo",
    access: Access::Tenant(Scope::Read),
    body: Body::None,
    needs_stores: false,
    handler: handler!(upgrade),
    refuse: reply::refuse,
    about: "Echoes",
}];

async fn upgrade(_: Arc<Echo>, call: Call) -> Response {
    match call.upgrade {
        Some(upgrade) => upgrade.accept("echo", echo),
        None => reply::text(StatusCode::UPGRADE_REQUIRED, "this speaks echo"),
    }
}

async fn echo(accepted: Accepted) {
    let Accepted { mut socket, stop, .. } = accepted;
    let mut piece = [0; 64];
    loop {
        let reply: &[u8] = tokio::select! {
            () = stop.requested() => b"bye",
            read = socket.read(&mut piece) => match read {
                Ok(length @ 1..) => &piece[..length],
                _ => return,
            },
        };
        let is_last = reply == b"bye";
        if socket.write_all(reply).await.is_err() || socket.flush().await.is_err() || is_last {
            return;
        }
    }
}

async fn echo_datagrams(socket: Arc<UdpSocket>, stop: Stop) {
    let mut datagram = [0; 64];
    loop {
        tokio::select! {
            () = stop.requested() => return,
            received = socket.recv_from(&mut datagram) => if let Ok((length, peer)) = received {
                let _ = socket.send_to(&datagram[..length], peer).await;
            },
        }
    }
}

/// Serves its connections until it is made to end.
async fn ignore(accepted: Accepted) {
    let _held = accepted;
    std::future::pending().await
}

fn listener(setting: &'static str, transport: Transport) -> Listener {
    Listener { setting, address: ":0".to_owned(), transport }
}

fn tcp(setting: &'static str) -> Listener {
    listener(setting, Transport::Tcp(Arc::new(|accepted| Box::pin(echo(accepted)))))
}

fn tls(setting: &'static str) -> Listener {
    listener(setting, Transport::Tls(Arc::new(|accepted| Box::pin(echo(accepted)))))
}

fn protocol(listeners: Vec<Listener>) -> Protocol {
    Protocol { routes: bind(&Arc::new(Echo), ROUTES), listeners, ..Protocol::new("echo") }
}

/// A server without stores that serves the protocol beside its own routes.
struct TestServer {
    stopper: Stopper,
    http: SocketAddr,
    /// A further address of HTTP.
    native: Option<SocketAddr>,
    listeners: BTreeMap<&'static str, SocketAddr>,
    serving: tokio::task::JoinHandle<bool>,
}

impl TestServer {
    async fn start(listeners: Vec<Listener>, adjust: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(protocol(listeners), adjust).await
    }

    async fn start_with(protocol: Protocol, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen.address = "127.0.0.1:0".to_owned();
        config.listen.also.clear();
        adjust(&mut config);
        let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
        let (services, _) = app::protocols(&config, &clock, Arc::new(Pool::without_threads()));
        let protocols = vec![protocol];
        let mut sockets = Listeners::bind(&config, &protocols).await.unwrap();
        let own = std::mem::take(&mut sockets.of_protocols);
        let listeners = own.addresses().into_iter().map(|(name, address)| (name, address.unwrap()));
        let listeners = listeners.collect();
        let (limits, http) = (config.limits.clone(), sockets.addresses()[0]);
        let native = sockets.addresses().get(1).copied();
        let connections = Arc::new(Connections::new(&limits, Arc::clone(&clock)));
        let app = App::new(config, clock, (services, protocols), sockets.addresses());
        let router = routes::router(&Arc::new(app));
        let (stopper, stop) = Stopper::new();
        own.serve(&connections, &stop);
        let serving = tokio::spawn(async move {
            sockets.serve(router, &limits, connections, stop, PATIENCE).await
        });
        Self { stopper, http, native, listeners, serving }
    }

    async fn connect(&self, setting: &str) -> TcpStream {
        TcpStream::connect(self.listeners[setting]).await.unwrap()
    }

    /// Sends a request that asks to speak echo; answers the head of the answer.
    async fn ask_for_upgrade(&self) -> (TcpStream, String) {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let request =
            "GET /echo HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(socket.read_u8()).await.unwrap());
        }
        (socket, String::from_utf8(head).unwrap())
    }

    async fn http_status(&self) -> u16 {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        socket.write_all(b"GET /version HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within(socket.read_to_string(&mut answer)).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Stops, as the server does when everything ends by itself.
    async fn stop(self) {
        self.stopper.request();
        assert!(self.stopper.ended(PATIENCE).await, "everything ends when it is asked to");
        assert!(self.serving.await.unwrap(), "no request was in flight");
    }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it is answered")
}

async fn echoes(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) {
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = vec![0; text.len()];
    within(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), text);
}

async fn rest(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut rest = Vec::new();
    // A connection that is dropped ends with an error or without one.
    let _ = within(socket.read_to_end(&mut rest)).await;
    String::from_utf8(rest).unwrap()
}

#[tokio::test]
async fn connections_are_served_and_told_to_stop() {
    let server = TestServer::start(vec![tcp("echo.a"), tcp("echo.b")], |_| {}).await;
    let (mut a, mut b) = (server.connect("echo.a").await, server.connect("echo.b").await);
    echoes(&mut a, "one").await;
    echoes(&mut b, "two").await;
    echoes(&mut a, "three").await;
    let address = server.listeners["echo.a"];
    server.stop().await;
    assert_eq!(rest(&mut a).await, "bye");
    assert_eq!(rest(&mut b).await, "bye");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn datagrams_are_served_until_the_server_stops() {
    let serve = Transport::Udp(Arc::new(|socket, stop| Box::pin(echo_datagrams(socket, stop))));
    let server = TestServer::start(vec![listener("echo.udp", serve)], |_| {}).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.listeners["echo.udp"]).await.unwrap();
    let mut datagram = [0; 64];
    // Datagrams may get lost, even here.
    let answered = async {
        loop {
            socket.send(b"one").await.unwrap();
            if let Ok(received) = tokio::time::timeout(SHORT, socket.recv(&mut datagram)).await {
                return received.unwrap();
            }
        }
    };
    let length = within(answered).await;
    assert_eq!(&datagram[..length], b"one");
    server.stop().await;
}

/// Trusts one certificate. The fixture signs for itself, which the usual verifier does not accept.
#[derive(Debug)]
struct ThisCertificate {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ThisCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(*end_entity, self.expected);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

#[tokio::test]
async fn connections_are_encrypted_where_the_protocol_says_so() {
    let with_certificate = |config: &mut Config| {
        config.tls.cert_file = fixture("tls.crt");
        config.tls.key_file = fixture("tls.key");
    };
    let listeners = vec![tls("echo.tls"), tcp("echo.plain")];
    let server = TestServer::start(listeners, with_certificate).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let expected = CertificateDer::from_pem_file(fixture("tls.crt")).unwrap();
    let verifier = ThisCertificate { expected, provider: Arc::clone(&provider) };
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = server.connect("echo.tls").await;
    let mut encrypted = within(connector.connect(name, stream)).await.unwrap();
    echoes(&mut encrypted, "secret").await;
    echoes(&mut server.connect("echo.plain").await, "open").await;
    let mut wrong = server.connect("echo.tls").await;
    wrong.write_all(b"this is not how TLS begins").await.unwrap();
    assert!(!rest(&mut wrong).await.contains("not how"), "nothing is echoed in the open");
    server.stop().await;
    assert_eq!(rest(&mut encrypted).await, "bye");
}

#[tokio::test]
async fn what_cannot_be_listened_on_is_an_error_that_names_the_setting() {
    let config = Config::default();
    let planned = |listener| {
        let error = ListenPlan::new(&config, &[protocol(vec![listener])]).err().unwrap();
        let source = std::error::Error::source(&error).unwrap().to_string();
        (error.to_string(), source)
    };
    let (error, source) = planned(tls("echo.tls"));
    assert_eq!(error, "echo.tls can't be used");
    assert!(source.contains("tls.cert_file"), "{source}");
    let (_, source) = planned(Listener { address: "nowhere".to_owned(), ..tcp("echo.a") });
    assert!(source.contains("is not an address"), "{source}");
    let (_, source) = planned(Listener { address: "0.0.0.0:0".to_owned(), ..tcp("echo.a") });
    assert!(source.contains("authentication is off"), "{source}");

    let server = TestServer::start(vec![tcp("echo.a")], |_| {}).await;
    let mut config = Config::default();
    config.listen.address = "127.0.0.1:0".to_owned();
    config.listen.also.clear();
    let taken = Listener { address: server.listeners["echo.a"].to_string(), ..tcp("echo.b") };
    match Listeners::bind(&config, &[protocol(vec![taken])]).await {
        Err(ListenError::Taken { setting, .. }) => assert_eq!(setting, "echo.b"),
        other => panic!("{other:?}"),
    }
    server.stop().await;
}

/// The protocol with a port of HTTP, under a prefix, and a listener that no setting switches on.
fn native(http: u16, listener: Listener) -> Protocol {
    let native = Native { http: vec![(http, "/-")], listeners: vec![listener] };
    Protocol { native, ..protocol(Vec::new()) }
}

#[tokio::test]
async fn ports_of_other_systems_are_served_where_that_is_switched_on() {
    let mut config = Config::default();
    config.listen.address = "127.0.0.1:0".to_owned();
    config.listen.also.clear();
    let off = Listeners::bind(&config, &[native(0, tcp("echo.a"))]).await.unwrap();
    assert_eq!((off.addresses().len(), off.of_protocols.addresses().len()), (1, 0));
    config.listen.compat = true;
    let on = Listeners::bind(&config, &[native(0, tcp("echo.a"))]).await.unwrap();
    assert_eq!((on.addresses().len(), on.of_protocols.addresses().len()), (2, 1));
    // What is taken is left out.
    let port = on.addresses()[1].port();
    let taken = on.of_protocols.addresses()[0].1.as_ref().unwrap().to_string();
    let again = native(port, Listener { address: taken, ..tcp("echo.a") });
    let without = Listeners::bind(&config, &[again]).await.unwrap();
    assert_eq!((without.addresses().len(), without.of_protocols.addresses().len()), (1, 0));
}

#[tokio::test]
async fn requests_at_a_port_of_another_system_are_answered_under_its_prefix() {
    let compat = |config: &mut Config| config.listen.compat = true;
    let server = TestServer::start_with(native(0, tcp("echo.a")), compat).await;
    let ask = async |address: SocketAddr, path: &str| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        rest(&mut socket).await
    };
    // `/-/flush` is there, for another method.
    let flush = ask(server.native.unwrap(), "/flush?x=1").await;
    assert!(flush.starts_with("HTTP/1.1 405 "), "{flush}");
    assert!(ask(server.http, "/flush?x=1").await.starts_with("HTTP/1.1 404 "));
    server.stop().await;
}

#[tokio::test]
async fn a_route_takes_its_connection_over() {
    let impatient = |config: &mut Config| config.limits.idle_timeout = "300ms".parse().unwrap();
    let server = TestServer::start(Vec::new(), impatient).await;
    let (mut socket, head) = server.ask_for_upgrade().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_lowercase().contains("upgrade: echo"), "{head}");
    // Bytes of a request line would be escaped.
    echoes(&mut socket, "GET /\"<>\" HTTP/1.1\r\n").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    echoes(&mut socket, "still here").await;
    server.stop().await;
    assert_eq!(rest(&mut socket).await, "bye");
}

#[tokio::test]
async fn an_upgrade_is_admitted_like_any_request() {
    let protected = |config: &mut Config| config.auth.mode = AuthMode::On;
    let server = TestServer::start(Vec::new(), protected).await;
    let (_, head) = server.ask_for_upgrade().await;
    // Without stores there are no tokens yet.
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[tokio::test]
async fn connections_of_protocols_leave_half_of_the_places_to_http() {
    let four = |config: &mut Config| config.limits.connections = 4;
    let server = TestServer::start(vec![tcp("echo.a")], four).await;
    let (mut first, mut second) = (server.connect("echo.a").await, server.connect("echo.a").await);
    echoes(&mut first, "1").await;
    echoes(&mut second, "2").await;
    let mut third = server.connect("echo.a").await;
    third.write_all(b"3").await.unwrap();
    let mut answer = [0; 1];
    let waited = tokio::time::timeout(SHORT, third.read_exact(&mut answer)).await;
    assert!(waited.is_err(), "there is no place for a third");
    assert_eq!(server.http_status().await, 200);
    drop(first);
    within(third.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"3");
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_place() {
    let two = |config: &mut Config| config.limits.connections = 2;
    let server = TestServer::start(Vec::new(), two).await;
    let (mut first, head) = server.ask_for_upgrade().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let (mut second, head) = server.ask_for_upgrade().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // Both places are taken; what a third is answered comes from the reserve, and is no echo.
    assert_eq!(server.http_status().await, 200);
    let (_, head) = server.ask_for_upgrade().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    echoes(&mut first, "1").await;
    echoes(&mut second, "2").await;
    drop(first);
    tokio::time::timeout(PATIENCE, async {
        while !server.ask_for_upgrade().await.1.starts_with("HTTP/1.1 101 ") {}
    })
    .await
    .expect("there is a place again");
}

#[tokio::test]
async fn a_connection_that_does_not_end_by_itself_is_dropped() {
    let serve = Transport::Tcp(Arc::new(|accepted| Box::pin(ignore(accepted))));
    let server = TestServer::start(vec![listener("echo.a", serve)], |_| {}).await;
    let mut socket = server.connect("echo.a").await;
    // Until it is accepted, it is the kernel's.
    tokio::time::sleep(SHORT).await;
    server.stopper.request();
    assert!(!server.stopper.ended(SHORT).await);
    server.stopper.enforce();
    assert!(server.stopper.ended(PATIENCE).await);
    assert_eq!(rest(&mut socket).await, "");
}
