//! The names that requests may call this server by, in `Host` or in HTTP/2's authority.
//!
//! A page can point a name of its own at 127.0.0.1 and then talk to a server there as if that were its
//! own site ("DNS rebinding"). Only the name that the browser sends tells such a page apart. Where
//! callers prove who they are, the page lacks the credentials, and nothing is checked. Where authentication is
//! off, names are checked if the server listens on loopback only, or if the operator listed names; a server
//! that was told to listen publicly is called by names that nobody here knows (of a Kubernetes service, of
//! a proxy).
//! Always accepted are addresses and names that no page can have, because nobody can register them:
//! those without a dot, those below `localhost`, and those by which containers call their host.

use crate::config::{AuthMode, Config};
use crate::control::Operator;
use axum::http::header;
use axum::http::request::Parts;
use protocols::Refusal;
use std::net::{IpAddr, SocketAddr};

/// Characters of a name that a refusal shows.
const SHOWN_MAX: usize = 200;

/// `None`: every name is accepted.
#[derive(Debug)]
pub(crate) struct HostNames(Option<Vec<String>>);

impl HostNames {
    pub(crate) fn new(config: &Config, addresses: &[SocketAddr]) -> Self {
        let is_local = addresses.iter().all(|address| address.ip().is_loopback());
        let listed = &config.listen.host_names;
        if config.auth.mode == AuthMode::On || (!is_local && listed.is_empty()) {
            return Self(None);
        }
        let mut names: Vec<String> = listed.iter().map(|name| plain(name)).collect();
        names.push(plain(&config.listen.address));
        Self(Some(names))
    }

    pub(crate) fn check(&self, parts: &Parts) -> Result<(), Refusal> {
        let Some(names) = &self.0 else { return Ok(()) };
        if parts.extensions.get::<Operator>().is_some() {
            return Ok(());
        }
        let of_http2 = parts.uri.authority().map(|authority| authority.as_str());
        let of_http1 = parts.headers.get(header::HOST).map(|host| host.to_str().unwrap_or(""));
        // A browser always sends a name.
        let refused = [of_http1, of_http2].into_iter().flatten().find(|host| !accepts(names, host));
        match refused {
            None => Ok(()),
            Some(host) => {
                Err(Refusal::Host { host: host.chars().take(SHOWN_MAX).collect::<String>() })
            }
        }
    }
}

/// The ends of names that nobody can register.
const RESERVED: [&str; 3] = [".localhost", ".docker.internal", ".containers.internal"];

fn accepts(names: &[String], host: &str) -> bool {
    let name = plain(host);
    let is_label = !name.is_empty() && !name.contains('.');
    name.parse::<IpAddr>().is_ok()
        || is_label
        || RESERVED.iter().any(|end| name.ends_with(end))
        || names.contains(&name)
}

/// Without a port, the brackets of an IPv6 address, and the dot that may end a name; in lower case.
fn plain(host: &str) -> String {
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn admits(adjust: impl FnOnce(&mut Config), address: &str, host: &str) -> bool {
        let mut config = Config::default();
        adjust(&mut config);
        let names = HostNames::new(&config, &[address.parse().unwrap()]);
        let request = Request::builder().header("host", host).body(()).unwrap();
        names.check(&request.into_parts().0).is_ok()
    }

    #[test]
    fn a_local_server_is_only_called_by_its_names() {
        let local = "127.0.0.1:9640";
        for host in [
            "localhost:9640",
            "LOCALHOST",
            "m.localhost:1",
            "127.0.0.1:9640",
            "[::1]:9640",
            "10.0.0.1",
            "mirador:9640",
            "host.docker.internal:9640",
        ] {
            assert!(admits(|_| {}, local, host), "{host}");
        }
        for host in ["evil.example:9640", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!admits(|_| {}, local, host), "{host}");
        }
        let listed = |config: &mut Config| config.listen.host_names = vec!["M.example".to_owned()];
        assert!(admits(listed, local, "m.example:443"));
        assert!(!admits(listed, local, "n.example"));
    }

    #[test]
    fn a_public_server_checks_names_once_some_are_listed() {
        let public = "0.0.0.0:9640";
        let host = "mirador.monitoring.svc:9640";
        assert!(admits(|_| {}, public, host));
        let listed = |config: &mut Config| config.listen.host_names = vec!["m.example".to_owned()];
        assert!(!admits(listed, public, host));
        let with_tokens = |config: &mut Config| config.auth.mode = AuthMode::On;
        assert!(admits(with_tokens, "127.0.0.1:9640", host), "a page has no credentials");
    }
}
