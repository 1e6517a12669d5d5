//! Addresses of HTTP and HTTPS.

use crate::{Error, Reason};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use yaml::{FromNode, Node};

const LENGTH_MAX: usize = 16 << 10;

/// `http://user:password@host:port/path?query`. A password is never shown.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    is_https: bool,
    /// Name and password, decoded.
    user: Option<(String, Option<String>)>,
    /// Without brackets.
    host: String,
    port: Option<u16>,
    /// With its slash, and with the query.
    path: String,
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse(text.trim()).map_err(|message| {
            Error::new(
                Reason::Configuration,
                format!("this is not an address of a server: {message}: write it like http://host:9090/path"),
            )
        })
    }

    pub fn is_https(&self) -> bool {
        self.is_https
    }

    pub fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// A name or an address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// As the `Host` header has it.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    pub fn path_and_query(&self) -> &str {
        &self.path
    }

    /// Name and password that stand in the address.
    pub fn user(&self) -> Option<(&str, &str)> {
        let (name, password) = self.user.as_ref()?;
        Some((name, password.as_deref().unwrap_or_default()))
    }

    /// The same server, another path.
    #[must_use]
    pub fn with_path(&self, path_and_query: &str) -> Self {
        let mut path = encoded(path_and_query);
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        Self { path, ..self.clone() }
    }

    /// The address with this path behind its own, as a base address is meant.
    #[must_use]
    pub fn joined(&self, path: &str) -> Self {
        let base = self.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        self.with_path(&format!("{base}/{}", path.trim_start_matches('/')))
    }

    /// Where a `Location` header leads from here.
    pub fn redirected(&self, location: &str) -> Result<Self, Error> {
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme()));
        }
        if location.contains("://") {
            return Self::parse(location);
        }
        if location.starts_with('/') {
            return Ok(Self { user: None, ..self.with_path(location) });
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok(Self { user: None, ..self.with_path(&format!("{folder}/{location}")) })
    }

    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        self.is_https == other.is_https
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.port() == other.port()
    }
}

fn bracketed(host: &str) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        match &self.user {
            Some((name, Some(_))) => write!(f, "{name}:xxxxx@")?,
            Some((name, None)) => write!(f, "{name}@")?,
            None => {}
        }
        write!(f, "{}{}", self.authority(), self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromNode for Url {
    fn from_node(node: &Node) -> Result<Self, yaml::Error> {
        let text: String = node.read()?;
        let url = Self::parse(&text).map_err(|error| node.error(error.message))?;
        if matches!(url.user, Some((_, Some(_)))) {
            node.show_as(url.to_string());
        }
        Ok(url)
    }
}

fn parse(text: &str) -> Result<Url, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("it is longer than {LENGTH_MAX} bytes"));
    }
    let (scheme, rest) = text.split_once("://").ok_or("it has no http:// or https://")?;
    let is_https = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        other => return Err(format!("unsupported scheme \"{other}\"")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let user = user.map(|user| match user.split_once(':') {
        Some((name, password)) => (decoded(name), Some(decoded(password))),
        None => (decoded(user), None),
    });
    let (host, port) = host_and_port(host)?;
    let mut path = encoded(path);
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    Ok(Url { is_https, user, host, port, path })
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
            host.parse::<Ipv6Addr>().map_err(|_| format!("[{host}] is no IPv6 address"))?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = port.ok_or("what follows the bracket is no port")?;
    let is_host =
        |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:".contains(c) || !c.is_ascii();
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(format!("`{host}` is not the name of a host"));
    }
    let port = match port {
        "" => None,
        port => Some(port.parse().map_err(|_| format!("`{port}` is not a port"))?),
    };
    Ok((host.to_owned(), port))
}

/// What must not stand in a request line is written as `%XX`; what is encoded already stays.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            0x21 | 0x23..=0x3B | 0x3D | 0x3F..=0x5B | 0x5D | 0x5F | 0x61..=0x7A | 0x7E => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(value) => {
                out.push(value);
                rest = &after[2..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The address of a host that is written as one.
pub(crate) fn literal_address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}
