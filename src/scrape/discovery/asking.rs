//! What the discoveries that ask HTTP servers have in common.

use super::DiscoveryError;
use outbound::{Client, HttpConfig, Reach, Request, Response, Url};
use serde::de::DeserializeOwned;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Lists of all pods of a large cluster are this large.
const ANSWER_MAX: usize = 256 << 20;

pub(super) fn client(config: &HttpConfig) -> Result<Client, DiscoveryError> {
    Client::new(config, Reach::Anywhere).map_err(|error| DiscoveryError(error.to_string()))
}

pub(super) fn url(text: &str) -> Result<Url, DiscoveryError> {
    Url::parse(text).map_err(|error| DiscoveryError(format!("{text}: {error}")))
}

pub(super) async fn get(client: &Client, request: Request) -> Result<Response, DiscoveryError> {
    let shown = request.url.to_string();
    let request = request.timeout(TIMEOUT).answer_max(ANSWER_MAX);
    let response =
        client.send(request).await.map_err(|error| DiscoveryError(format!("{shown}: {error}")))?;
    if response.status != 200 {
        let (status, excerpt) = (response.status, response.excerpt());
        return Err(DiscoveryError(format!("{shown} answered with status {status}: {excerpt}")));
    }
    Ok(response)
}

pub(super) async fn get_json<T: DeserializeOwned>(
    client: &Client,
    request: Request,
) -> Result<T, DiscoveryError> {
    let shown = request.url.to_string();
    let response = get(client, request).await?;
    serde_json::from_slice(&response.body)
        .map_err(|error| DiscoveryError(format!("{shown} answered with unexpected JSON: {error}")))
}

/// A name as a part of a label's name: what is no letter, digit or underscore becomes one.
pub(super) fn label_part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(plain).collect()
}

/// A value in a query.
pub(super) fn query_value(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `host:port`, with brackets around an address of IPv6.
pub(super) fn host_port(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
