//! Proxies: which request goes through one, and the tunnel that one opens.

use crate::connect::Socket;
use crate::url::literal_address;
use crate::{Cidr, Error, ProxyConfig, Reason, Url};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Hosts that are reached without the proxy: `example.com`, `.example.com`, `10.0.0.0/8`,
/// `10.1.2.3:8080`, `*`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoProxy(Vec<String>);

impl NoProxy {
    pub(crate) fn parse(text: &str) -> Self {
        let entries = text.split(',').map(|entry| entry.trim().to_ascii_lowercase());
        Self(entries.filter(|entry| !entry.is_empty()).collect())
    }

    fn names(&self, url: &Url) -> bool {
        let host = url.host().trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|entry| entry_names(entry, &host, url.port()))
    }
}

fn entry_names(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let (Ok(network), Some(address)) = (Cidr::parse(entry), literal_address(host)) {
        return network.contains(address);
    }
    let (name, has_port) = match entry.rsplit_once(':') {
        Some((name, digits))
            if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) =>
        {
            (name, digits.parse() == Ok(port))
        }
        _ => (entry, true),
    };
    let name = name.strip_prefix("*.").unwrap_or(name);
    let (domain, is_only_below) = match name.strip_prefix('.') {
        Some(domain) => (domain, true),
        None => (name, false),
    };
    let is_below = host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    has_port && (is_below || (!is_only_below && host == domain))
}

impl ProxyConfig {
    /// The proxy for an address; `None` where it is reached directly.
    pub(crate) fn of(&self, url: &Url) -> Result<Option<Url>, Error> {
        if !self.from_environment {
            return Ok(self.url.clone().filter(|_| !self.no_proxy.names(url)));
        }
        let variable = |name: &str| {
            let lower = name.to_ascii_lowercase();
            [name, &lower].into_iter().find_map(|name| std::env::var(name).ok())
        };
        let is_local = url.host() == "localhost"
            || literal_address(url.host()).is_some_and(|address| address.is_loopback());
        let no_proxy = NoProxy::parse(&variable("NO_PROXY").unwrap_or_default());
        if is_local || no_proxy.names(url) {
            return Ok(None);
        }
        let name = if url.is_https() { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let Some(text) = variable(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let text = if text.contains("://") { text } else { format!("http://{text}") };
        Url::parse(&text).map(Some).map_err(|error| {
            Error::new(Reason::Configuration, format!("the variable {name}: {}", error.message))
        })
    }
}

/// `Proxy-Authorization` for a proxy whose address has a name and password.
pub(crate) fn authorization(proxy: &Url) -> Option<String> {
    let (name, password) = proxy.user()?;
    Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
}

/// The longest answer of a proxy that is read.
const HEAD_MAX: usize = 16 << 10;

/// Asks the proxy at the other end of the socket for a tunnel.
pub(crate) async fn open_tunnel(
    socket: &mut dyn Socket,
    proxy: &Url,
    target: &str,
    config: &ProxyConfig,
) -> Result<(), Error> {
    let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(value) = authorization(proxy) {
        head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    for (name, value) in &config.connect_headers {
        head.push_str(&format!("{name}: {}\r\n", value.reveal()));
    }
    head.push_str("\r\n");
    let failed = |what: String| {
        Error::new(Reason::Proxy, format!("the proxy {proxy} opens no way to {target}: {what}"))
    };
    socket.write_all(head.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
    let answer = read_head(socket).await.map_err(|error| failed(error.to_string()))?;
    let line = answer.lines().next().unwrap_or_default();
    let status = line.split(' ').nth(1).unwrap_or_default();
    match status.starts_with('2') && line.starts_with("HTTP/1.") {
        true => Ok(()),
        false => Err(failed(format!("it answered `{line}`"))),
    }
}

/// Byte by byte, so that nothing behind the head is taken: it belongs to the tunnel.
async fn read_head(socket: &mut dyn Socket) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_MAX {
            return Err(std::io::Error::other("its answer is too long"));
        }
        head.push(socket.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
