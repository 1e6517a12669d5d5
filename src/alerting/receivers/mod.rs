//! How each kind of integration is told: what is sent, and what its answer means.
//!
//! A kind makes requests of a notification and judges answers, both without a connection, so that
//! tests see exactly what would be sent. Mail speaks its own protocol (`smtp`).
//!
//! Lives here: what kinds have in common. A file for each: `webhook`, `slack`, `pagerduty`,
//! `opsgenie`, `telegram`, `discord`, `teams`.

mod chat;
mod opsgenie;
mod pagerduty;
mod sender;
mod slack;
mod telegram;
mod webhook;

pub use sender::Sender;

use crate::config::{SecretSource, Settings};
use crate::notify::{NoticeData, TemplateError, Templates};
use outbound::HttpConfig;
use platform::read_outside_text;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a notification was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// Another attempt may succeed.
    pub retry: bool,
    /// Without secrets.
    pub message: String,
}

impl SendError {
    pub fn again(message: impl Into<String>) -> Self {
        Self { retry: true, message: message.into() }
    }

    pub fn for_good(message: impl Into<String>) -> Self {
        Self { retry: false, message: message.into() }
    }
}

impl From<TemplateError> for SendError {
    fn from(error: TemplateError) -> Self {
        Self::for_good(error.to_string())
    }
}

/// A request to be made.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) method: &'static str,
    /// May be a secret: it is never shown.
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// 0: as long as there is time.
    pub(crate) timeout_ms: i64,
    pub(crate) judge: Judge,
}

impl Sending {
    fn post_json(url: String, body: &serde_json::Value, judge: Judge) -> Self {
        Self {
            method: "POST",
            url,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
            timeout_ms: 0,
            judge,
        }
    }
}

/// What an answer means: its status and the beginning of its body.
pub(crate) type Judge = fn(u16, &[u8]) -> Result<(), SendError>;

/// What a kind may use beside its settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means<'a> {
    pub(crate) templates: &'a Templates,
    pub(crate) data: &'a Arc<NoticeData>,
    pub(crate) now_ms: i64,
    /// Where relative paths of secrets begin.
    pub(crate) folder: &'a Path,
}

impl Means<'_> {
    pub(crate) fn text(&self, template: &str) -> Result<String, SendError> {
        Ok(self.templates.text(template, self.data, self.now_ms)?)
    }

    pub(crate) fn html(&self, template: &str) -> Result<String, SendError> {
        Ok(self.templates.html(template, self.data, self.now_ms)?)
    }

    /// A secret as it is now.
    pub(crate) fn secret(&self, source: &SecretSource) -> Result<String, SendError> {
        match source {
            SecretSource::Text(text) => Ok(text.reveal().to_owned()),
            SecretSource::File(path) => self.file(path),
        }
    }

    pub(crate) fn file(&self, path: &str) -> Result<String, SendError> {
        const SECRET_MAX: usize = 64 << 10;
        let path: PathBuf = self.folder.join(path);
        let text = read_outside_text(&path, SECRET_MAX).map_err(|error| {
            // Somebody may be about to write it.
            SendError::again(format!("can't read {}: {error}", path.display()))
        })?;
        Ok(text.trim().to_owned())
    }
}

/// The requests that tell an integration; `None` where it speaks no HTTP.
pub(crate) fn requests(
    settings: &Settings,
    means: &Means<'_>,
) -> Option<Result<Vec<Sending>, SendError>> {
    let one = |made: Result<Sending, SendError>| made.map(|sending| vec![sending]);
    Some(match settings {
        Settings::Webhook(config) => one(webhook::request(config, means)),
        Settings::Slack(config) => one(slack::request(config, means)),
        Settings::PagerDuty(config) => one(pagerduty::request(config, means)),
        Settings::OpsGenie(config) => opsgenie::requests(config, means),
        Settings::Telegram(config) => one(telegram::request(config, means)),
        Settings::Discord(config) => one(chat::discord(config, means)),
        Settings::MsTeams(config) => one(chat::teams(config, means)),
        Settings::MsTeamsV2(config) => one(chat::teams_v2(config, means)),
        Settings::Email(_) => return None,
    })
}

/// How an integration is reached over HTTP.
pub(crate) fn http(settings: &Settings) -> Option<&HttpConfig> {
    Some(match settings {
        Settings::Webhook(config) => &config.http,
        Settings::Slack(config) => &config.http,
        Settings::PagerDuty(config) => &config.http,
        Settings::OpsGenie(config) => &config.http,
        Settings::Telegram(config) => &config.http,
        Settings::Discord(config) => &config.http,
        Settings::MsTeams(config) => &config.http,
        Settings::MsTeamsV2(config) => &config.http,
        Settings::Email(_) => return None,
    })
}

/// A success is 2xx; a server that fails (5xx) may do better later, as may one that answers a status
/// of `again`.
fn judge_status(status: u16, body: &[u8], again: &[u16]) -> Result<(), SendError> {
    if status / 100 == 2 {
        return Ok(());
    }
    /// What is shown of an answer.
    const SHOWN: usize = 300;
    let shown = body.get(..body.len().min(SHOWN)).unwrap_or_default();
    let shown = String::from_utf8_lossy(shown);
    let message = match shown.trim() {
        "" => format!("unexpected status code {status}"),
        words => format!("unexpected status code {status}: {words}"),
    };
    let retry = status / 100 == 5 || again.contains(&status);
    Err(SendError { retry, message })
}

/// The statuses that say: too much at once.
fn judge_with_limit(status: u16, body: &[u8]) -> Result<(), SendError> {
    judge_status(status, body, &[429])
}

/// At most so many characters, the last of which says that more was cut off.
fn truncated(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The name of a group for services that take no long ones: SHA-256 of its key, in hex.
fn hashed(group_key: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(group_key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests;
