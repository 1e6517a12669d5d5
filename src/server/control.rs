//! The operator's own door: a Unix socket in the data folder. Whoever may write there is the
//! operator and needs no token; the command line manages tokens and users of a running server
//! through it.

use crate::http::Peer;
use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tower::Service;

pub(crate) const SOCKET_FILE: &str = "control.sock";

/// Marks requests that came through the socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator;

/// Binds the socket, readable and writable by the owner alone. The data folder's lock is held, so
/// a socket that is there already belongs to nobody.
#[expect(clippy::disallowed_methods, reason = "a socket is no file of the stores")]
pub(crate) fn bind(folder: &Path) -> io::Result<UnixListener> {
    let path = folder.join(SOCKET_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves the whole router to the operator; ends when its task is dropped.
pub(crate) async fn serve(listener: UnixListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                let mut request: Request = request.map(axum::body::Body::new);
                request.extensions_mut().insert(Operator);
                request.extensions_mut().insert(Peer(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))));
                router.clone().call(request)
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new());
            // An error here is the client's: it went away.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A name as it may stand in a path.
pub(crate) fn encoded(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// What a running server answered.
#[derive(Debug)]
pub(crate) struct ControlReply {
    pub status: u16,
    pub body: String,
}

/// Asks the server that runs on this data folder. `None` when none does.
pub(crate) fn ask(
    folder: &Path,
    method: &str,
    path: &str,
    body: &str,
) -> io::Result<Option<ControlReply>> {
    ask_as(folder, model::TenantId::default_tenant().as_str(), (method, path), body)
}

/// The same about a tenant.
pub(crate) fn ask_as(
    folder: &Path,
    tenant: &str,
    (method, path): (&str, &str),
    body: &str,
) -> io::Result<Option<ControlReply>> {
    let mut stream = match UnixStream::connect(folder.join(SOCKET_FILE)) {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: control\r\nconnection: close\r\nx-scope-orgid: {tenant}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse_reply(&text).map(Some)
}

fn parse_reply(text: &str) -> io::Result<ControlReply> {
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "the server's answer is not HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(strange)?;
    Ok(ControlReply { status, body: body.to_owned() })
}
