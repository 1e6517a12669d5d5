//! TLS and proxies.

use super::{Handler, Server, client, fixture, ok, read_request, serve};
use crate::{Reason, Request, Url};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn acceptor(asks_for_certificate: bool) -> TlsAcceptor {
    let read = |name| std::fs::read(fixture(name)).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&read("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

/// A server with TLS that answers `secure`.
async fn secure_server(asks_for_certificate: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = acceptor(asks_for_certificate);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(socket) = acceptor.accept(socket).await else { return };
                let handler: Handler = Arc::new(|_| ok("secure"));
                serve(socket, handler, Arc::default()).await;
            });
        }
    });
    address
}

async fn ask(config: &str, address: &str) -> Result<String, crate::Error> {
    let request = Request::get(Url::parse(address).unwrap());
    let response = client(config).send(request).await?;
    Ok(String::from_utf8(response.body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate() {
    let port = secure_server(false).await.port();
    let by_name = format!("https://localhost:{port}/");
    let by_address = format!("https://127.0.0.1:{port}/");
    let ca = fixture("ca.pem");
    let with_ca = format!("tls_config: {{ca_file: {ca}}}");
    assert_eq!(ask(&with_ca, &by_name).await.unwrap(), "secure");
    assert_eq!(ask(&with_ca, &by_address).await.unwrap(), "secure");
    let inline = std::fs::read_to_string(&ca).unwrap().replace('\n', "\n    ");
    assert_eq!(
        ask(&format!("tls_config:\n  ca: |\n    {inline}"), &by_name).await.unwrap(),
        "secure"
    );
    assert_eq!(ask("tls_config: {insecure_skip_verify: true}", &by_name).await.unwrap(), "secure");
    let named = format!("tls_config: {{ca_file: {ca}, server_name: server.test}}");
    assert_eq!(ask(&named, &by_address).await.unwrap(), "secure");
    let refused = [
        "{}".to_owned(),
        format!("tls_config: {{ca_file: {ca}, server_name: other.test}}"),
        format!(
            "tls_config: {{ca_file: {ca}, cert_file: {ca}, key_file: {}}}",
            fixture("client.key")
        ),
        "tls_config: {ca: nonsense}".to_owned(),
    ];
    for config in refused {
        let error = ask(&config, &by_name).await.unwrap_err();
        assert_eq!(error.reason, Reason::Tls, "{config}: {error}");
    }
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let address = format!("https://localhost:{}/", secure_server(true).await.port());
    let ca = fixture("ca.pem");
    let (cert, key) = (fixture("client.pem"), fixture("client.key"));
    let with = format!("tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}}}");
    assert_eq!(ask(&with, &address).await.unwrap(), "secure");
    ask(&format!("tls_config: {{ca_file: {ca}}}"), &address).await.unwrap_err();
}

/// A proxy that opens tunnels, and what it was asked for.
async fn tunnel_proxy() -> (SocketAddr, Arc<Mutex<Vec<super::Seen>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen: Arc<Mutex<Vec<super::Seen>>> = Arc::default();
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let request = read_request(&mut socket).await.unwrap();
            let target = request.line.split(' ').nth(1).unwrap().replace("localhost", "127.0.0.1");
            kept.lock().unwrap().push(request);
            let Ok(mut behind) = TcpStream::connect(target).await else {
                socket.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap();
                continue;
            };
            socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut socket, &mut behind).await;
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn a_proxy_forwards_and_tunnels() {
    let forwarding = Server::start(|_| ok("forwarded")).await;
    let config = format!("proxy_url: http://ann:pw@{}", forwarding.address);
    assert_eq!(ask(&config, "http://target.test:9100/metrics").await.unwrap(), "forwarded");
    let seen = &forwarding.seen()[0];
    assert_eq!(seen.line, "GET http://target.test:9100/metrics HTTP/1.1");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic YW5uOnB3"));

    let (proxy, seen) = tunnel_proxy().await;
    let port = secure_server(false).await.port();
    let address = format!("https://localhost:{port}/");
    let config = format!(
        "{{proxy_url: 'http://{proxy}', proxy_connect_header: {{X-Key: [k3y]}}, tls_config: {{ca_file: {}}}}}",
        fixture("ca.pem")
    );
    assert_eq!(ask(&config, &address).await.unwrap(), "secure");
    let first = seen.lock().unwrap()[0].clone();
    assert_eq!(first.line, format!("CONNECT localhost:{port} HTTP/1.1"));
    assert_eq!(first.header("x-key"), Some("k3y"));
    let error = ask(&config, "https://localhost:1/").await.unwrap_err();
    assert_eq!(error.reason, Reason::Proxy);
    assert!(error.message.ends_with("it answered `HTTP/1.1 502 Bad Gateway`"), "{error}");
}
