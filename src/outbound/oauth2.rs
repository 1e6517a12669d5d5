//! Tokens of OAuth 2.0, by client credentials.

use crate::auth::{basic_header, read_source};
use crate::{Client, Error, HttpConfig, OAuth2, Reach, Reason, Request, Response};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is replaced this long before it ends.
const MARGIN: Duration = Duration::from_secs(10);
/// Of a token that does not say how long it holds.
const LIFETIME: Duration = Duration::from_secs(300);
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Asks for a token when there is none that still holds.
#[derive(Debug)]
pub(crate) struct Tokens {
    config: OAuth2,
    client: Client,
    current: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    header: yaml::Secret,
    ends: Instant,
}

impl Tokens {
    pub(crate) fn new(config: &OAuth2, reach: Reach) -> Result<Self, Error> {
        let http = HttpConfig {
            tls: config.tls.clone(),
            proxy: config.proxy.clone(),
            follow_redirects: false,
            ..HttpConfig::default()
        };
        let client = Client::new(&http, reach)?;
        Ok(Self { config: config.clone(), client, current: Mutex::new(None) })
    }

    /// `Bearer TOKEN`. Those who come while one is being fetched wait for it.
    pub(crate) async fn header(&self) -> Result<String, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.ends > Instant::now()) {
            return Ok(token.header.reveal().to_owned());
        }
        let token = self.fetch().await?;
        let header = token.header.reveal().to_owned();
        *current = Some(token);
        Ok(header)
    }

    async fn fetch(&self) -> Result<Token, Error> {
        let secret = read_source(&self.config.client_secret).await?;
        let mut answer = self.ask(secret.reveal(), true).await?;
        if !answer.is_success() {
            // Some servers want the secret in the form instead of in a header.
            answer = self.ask(secret.reveal(), false).await?;
        }
        let failed = |why: String| {
            let message = format!("no token from {}: {why}", self.config.token_url);
            Error::new(Reason::Authorization, message)
        };
        if !answer.is_success() {
            return Err(failed(format!("status {}: {}", answer.status, answer.excerpt())));
        }
        token_of(&answer.body).ok_or_else(|| failed("the answer holds no access_token".to_owned()))
    }

    async fn ask(&self, secret: &str, in_header: bool) -> Result<Response, Error> {
        let config = &self.config;
        let mut form = BTreeMap::from([("grant_type", "client_credentials")]);
        let scopes = config.scopes.join(" ");
        if !scopes.is_empty() {
            form.insert("scope", &scopes);
        }
        if !in_header {
            form.insert("client_id", &config.client_id);
            form.insert("client_secret", secret);
        }
        form.extend(
            config.endpoint_params.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        );
        let pairs: Vec<_> = form
            .iter()
            .map(|(key, value)| format!("{}={}", escaped(key), escaped(value)))
            .collect();
        let content_type = "application/x-www-form-urlencoded";
        let mut request = Request::post(config.token_url.clone(), content_type, pairs.join("&"));
        if in_header {
            let header = basic_header(&escaped(&config.client_id), &escaped(secret));
            request = request.header("Authorization", &header);
        }
        // The client of tokens has no tokens of its own: the future is of a known size, but boxed to
        // say so.
        Box::pin(self.client.send(request)).await
    }
}

fn token_of(body: &[u8]) -> Option<Token> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let token = answer.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
    let kind = answer.get("token_type").and_then(|kind| kind.as_str()).unwrap_or_default();
    let kind = match kind.to_ascii_lowercase().as_str() {
        "" | "bearer" => "Bearer",
        _ => kind,
    };
    let seconds = answer
        .get("expires_in")
        .and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    let lifetime = seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(LIFETIME)
        .min(LIFETIME_MAX);
    let ends = Instant::now() + lifetime.saturating_sub(MARGIN);
    Some(Token { header: format!("{kind} {token}").into(), ends })
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
