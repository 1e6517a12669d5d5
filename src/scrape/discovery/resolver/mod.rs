//! Asks DNS servers for records that the system's own resolver has no call for: SRV, MX and NS.
//!
//! Lives here: the servers and search domains of `/etc/resolv.conf` (`settings`), questions and answers as
//! bytes (`message`), and asking: over UDP, and over TCP where an answer does not fit.
//! Not here: what a record means (`dns`).
//! Invariants: every wait is bounded; an answer is read only if it is to the question that was asked;
//! names are followed through their compression for a bounded number of steps.

mod message;
mod settings;

pub(crate) use message::{Record, RecordKind};

use message::{Answer, Question};
use platform::{OsRandom, Random};
use settings::Settings;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const SETTINGS_FILE: &str = "/etc/resolv.conf";
const SETTINGS_MAX: usize = 64 << 10;
const TIMEOUT: Duration = Duration::from_secs(5);
/// What one datagram may have; larger answers come over TCP.
const DATAGRAM_MAX: usize = 4096;

/// Why a name has no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("can't read {SETTINGS_FILE}: {0}")]
    Settings(String),
    #[error("{SETTINGS_FILE} names no server")]
    NoServer,
    #[error("{0:?} is not a name that DNS can be asked for")]
    Name(String),
    #[error("{server} did not answer within 5s")]
    Timeout { server: SocketAddr },
    #[error("{server} can't be asked: {message}")]
    Socket { server: SocketAddr, message: String },
    #[error("{server} answered {name} with {what}")]
    Refused { server: SocketAddr, name: String, what: String },
}

/// The records of a name, which may be completed by the search domains. A name that does not exist has
/// none.
pub(crate) async fn lookup(name: &str, kind: RecordKind) -> Result<Vec<Record>, ResolveError> {
    let text = platform::read_outside_text(Path::new(SETTINGS_FILE), SETTINGS_MAX)
        .map_err(|error| ResolveError::Settings(error.to_string()))?;
    lookup_with(&Settings::parse(&text), name, kind).await
}

async fn lookup_with(
    settings: &Settings,
    name: &str,
    kind: RecordKind,
) -> Result<Vec<Record>, ResolveError> {
    if settings.servers.is_empty() {
        return Err(ResolveError::NoServer);
    }
    let mut failure = None;
    for candidate in settings.candidates(name) {
        match ask_all(&settings.servers, &candidate, kind).await {
            Ok(records) if !records.is_empty() => return Ok(records),
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(Vec::new()), Err)
}

/// The first server that answers.
async fn ask_all(
    servers: &[SocketAddr],
    name: &str,
    kind: RecordKind,
) -> Result<Vec<Record>, ResolveError> {
    let mut failure = ResolveError::NoServer;
    for server in servers {
        let asked = tokio::time::timeout(TIMEOUT, ask(*server, name, kind)).await;
        match asked.unwrap_or(Err(ResolveError::Timeout { server: *server })) {
            Ok(records) => return Ok(records),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn ask(
    server: SocketAddr,
    name: &str,
    kind: RecordKind,
) -> Result<Vec<Record>, ResolveError> {
    let question = Question { id: OsRandom.next_u64() as u16, name, kind };
    let bytes = question.encode().ok_or_else(|| ResolveError::Name(name.to_owned()))?;
    let socket =
        |error: std::io::Error| ResolveError::Socket { server, message: error.to_string() };
    let answer = match over_udp(server, &bytes, &question).await.map_err(socket)? {
        Answer::Cut => over_tcp(server, &bytes, &question).await.map_err(socket)?,
        answer => answer,
    };
    let refused = |what: String| ResolveError::Refused { server, name: name.to_owned(), what };
    match answer {
        Answer::Records(records) => Ok(records),
        Answer::NoSuchName => Ok(Vec::new()),
        Answer::Refused(code) => Err(refused(format!("the code {code}"))),
        Answer::Cut | Answer::Other => Err(refused("what is no answer".to_owned())),
    }
}

/// Answers of somebody else are not read: they may be forged.
async fn over_udp(
    server: SocketAddr,
    bytes: &[u8],
    question: &Question<'_>,
) -> std::io::Result<Answer> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut datagram = vec![0; DATAGRAM_MAX];
    loop {
        let length = socket.recv(&mut datagram).await?;
        match question.read(&datagram[..length]) {
            Answer::Other => {}
            answer => return Ok(answer),
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    bytes: &[u8],
    question: &Question<'_>,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let length = (bytes.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(question.read(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says over UDP that the answer does not fit, and gives it over TCP.
    #[tokio::test]
    async fn answers_that_do_not_fit_come_over_tcp() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let datagrams = UdpSocket::bind(address).await.unwrap();
        let server = tokio::spawn(async move {
            let mut question = vec![0; 512];
            let (length, from) = datagrams.recv_from(&mut question).await.unwrap();
            let mut cut = question[..length].to_vec();
            cut[2] = 0x82;
            datagrams.send_to(&cut, from).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await.unwrap();
            answer[2] = 0x81;
            answer[7] = 1;
            // The name of the question, A, IN, a minute, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 7]);
            let length = (answer.len() as u16).to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).await.unwrap();
        });
        let text = "search example.org\noptions ndots:2\n";
        let settings = Settings { servers: vec![address], ..Settings::parse(text) };
        let records = lookup_with(&settings, "db", RecordKind::A).await.unwrap();
        assert_eq!(records, [Record::Address([10, 0, 0, 7].into())]);
        server.await.unwrap();
    }
}
