//! Discord and Microsoft Teams, each with a webhook of its own.

use super::{Means, SendError, Sending, judge_with_limit, truncated};
use crate::config::{DiscordConfig, MsTeamsConfig, MsTeamsV2Config};
use serde_json::{Value, json};

/// What Discord takes of each part.
const CONTENT_MAX: usize = 2_000;
const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 2_048;
const RED: u32 = 0x99_2d_22;
const GREEN: u32 = 0x2e_cc_71;

pub(super) fn discord(config: &DiscordConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let color = if means.data.is_firing() { RED } else { GREEN };
    let mut body = json!({
        "content": truncated(means.text(&config.content)?, CONTENT_MAX),
        "embeds": [{
            "title": truncated(means.text(&config.title)?, TITLE_MAX),
            "description": truncated(means.text(&config.message)?, DESCRIPTION_MAX),
            "color": color,
        }],
    });
    let more = [("username", &config.username), ("avatar_url", &config.avatar_url)];
    for (name, template) in more {
        let text = means.text(template)?;
        if !text.is_empty() {
            body[name] = text.into();
        }
    }
    Ok(Sending::post_json(means.secret(&config.webhook_url)?, &body, judge_with_limit))
}

/// A connector of Teams, which takes a `MessageCard`.
pub(super) fn teams(config: &MsTeamsConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let color = if means.data.is_firing() { "8C1A1A" } else { "2DC72D" };
    let body = json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "title": means.text(&config.title)?,
        "summary": means.text(&config.summary)?,
        "text": means.text(&config.text)?,
        "themeColor": color,
    });
    Ok(Sending::post_json(means.secret(&config.webhook_url)?, &body, judge_teams))
}

/// A workflow of Teams, which takes an adaptive card.
pub(super) fn teams_v2(config: &MsTeamsV2Config, means: &Means<'_>) -> Result<Sending, SendError> {
    let color = if means.data.is_firing() { "attention" } else { "good" };
    let title = json!({
        "type": "TextBlock",
        "text": means.text(&config.title)?,
        "weight": "Bolder",
        "size": "Medium",
        "wrap": true,
        "style": "heading",
        "color": color,
    });
    let text = json!({ "type": "TextBlock", "text": means.text(&config.text)?, "wrap": true });
    let body = json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": Value::Null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [title, text],
                "msteams": { "width": "full" },
            },
        }],
    });
    Ok(Sending::post_json(means.secret(&config.webhook_url)?, &body, judge_teams))
}

/// Connectors answer 200 also where Teams told them to wait.
fn judge_teams(status: u16, body: &[u8]) -> Result<(), SendError> {
    judge_with_limit(status, body)?;
    let text = String::from_utf8_lossy(body);
    match text.contains("HTTP error 429") {
        true => Err(SendError::again("Teams asks to wait (429)")),
        false => Ok(()),
    }
}
