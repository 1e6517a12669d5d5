//! How a caller proves who it is.
//!
//! Credentials are a bearer token, or a user name with a password; a token may also stand where a
//! client only knows passwords, or Elasticsearch's API keys.

use super::Peer;
use crate::app::App;
use crate::config::AuthMode;
use crate::control::Operator;
use crate::stores::Stores;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use catalog::{CatalogError, TOKEN_PREFIX};
use protocols::{Principal, Refusal};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What the `Authorization` header holds.
enum Credentials {
    Token(String),
    Password { user: String, password: String },
}

pub(super) async fn identify(app: &App, parts: &Parts) -> Result<Principal, Refusal> {
    if parts.extensions.get::<Operator>().is_some() {
        return Ok(Principal::operator());
    }
    if app.config.auth.mode == AuthMode::Off {
        return Ok(Principal::anybody());
    }
    let stores = Arc::clone(app.stores().ok_or(Refusal::Starting)?);
    match credentials(&parts.headers) {
        None => Err(Refusal::Missing),
        Some(Credentials::Token(token)) => by_token(app, &stores, &token),
        Some(Credentials::Password { password, .. }) if password.starts_with(TOKEN_PREFIX) => {
            by_token(app, &stores, &password)
        }
        Some(Credentials::Password { user, password }) => {
            match stores.access.users.recognise(&user, &password) {
                Some(known) => Ok(Principal::granted("user", known)),
                None => by_password(app, stores, address(parts), user, password).await,
            }
        }
    }
}

/// Requests without an address share one.
fn address(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<Peer>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

fn by_token(app: &App, stores: &Stores, token: &str) -> Result<Principal, Refusal> {
    let found = stores.access.tokens.verify(token, app.clock.wall_ms()).ok_or(Refusal::Wrong)?;
    Ok(Principal::granted("token", found))
}

/// Checking a password the first time takes tens of milliseconds on purpose: off the async threads, and
/// not for those who guess.
async fn by_password(
    app: &App,
    stores: Arc<Stores>,
    address: IpAddr,
    user: String,
    password: String,
) -> Result<Principal, Refusal> {
    let clock = Arc::clone(&app.clock);
    let attempt = app.attempts.begin(address, &user, clock.wall_ms())?;
    // The attempt lasts as long as the check, also when the caller goes away.
    let verify = move || {
        let found = stores.access.users.verify(&user, &password)?;
        attempt.end(found.is_some(), clock.wall_ms());
        Ok::<_, CatalogError>(found)
    };
    let found = tokio::task::spawn_blocking(verify).await.map_err(|_| Refusal::Wrong)??;
    Ok(Principal::granted("user", found.ok_or(Refusal::Wrong)?))
}

fn credentials(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Token(rest.to_owned()));
    }
    // Elasticsearch's clients write an API key like a name with a password: `id:key`.
    let is_pair = ["basic", "apikey"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !is_pair {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(header: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        match credentials(&headers)? {
            Credentials::Token(token) => Some((String::new(), token)),
            Credentials::Password { user, password } => Some((user, password)),
        }
    }

    #[test]
    fn every_scheme_is_read() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(read("Bearer mir_x"), pair("", "mir_x"));
        let encoded = BASE64.encode("agent:mir_x");
        assert_eq!(read(&format!("Basic {encoded}")), pair("agent", "mir_x"));
        assert_eq!(read(&format!("ApiKey {encoded}")), pair("agent", "mir_x"));
        for nonsense in ["Digest x", "Basic !", "ApiKey", "Basic bm9uZQ=="] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
