//! Slack: a message with one attachment, to a webhook of Slack or by the token of an app.

use super::{Means, SendError, Sending, judge_with_limit, truncated};
use crate::config::{SlackAction, SlackConfig, SlackField};
use serde_json::{Map, Value, json};

/// What Slack shows of a title.
const TITLE_MAX: usize = 1_024;

pub(super) fn request(config: &SlackConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let url = means.secret(&config.api_url)?;
    let mut sending = Sending::post_json(url, &message(config, means)?, judge);
    sending.timeout_ms = config.timeout_ms;
    if let Some(token) = &config.app_token {
        sending.headers.push(("authorization", format!("Bearer {}", means.secret(token)?)));
    }
    Ok(sending)
}

fn message(config: &SlackConfig, means: &Means<'_>) -> Result<Value, SendError> {
    let mut message = Map::new();
    set(&mut message, "channel", means.text(&config.channel)?);
    set(&mut message, "username", means.text(&config.username)?);
    set(&mut message, "icon_emoji", means.text(&config.icon_emoji)?);
    set(&mut message, "icon_url", means.text(&config.icon_url)?);
    set(&mut message, "text", means.text(&config.message_text)?);
    if config.link_names {
        message.insert("link_names".to_owned(), true.into());
    }
    message.insert("attachments".to_owned(), json!([attachment(config, means)?]));
    Ok(message.into())
}

/// What is empty is left out.
fn set(map: &mut Map<String, Value>, name: &str, text: String) {
    if !text.is_empty() {
        map.insert(name.to_owned(), text.into());
    }
}

fn attachment(config: &SlackConfig, means: &Means<'_>) -> Result<Value, SendError> {
    let mut attachment = Map::new();
    let texts = [
        ("title_link", &config.title_link),
        ("pretext", &config.pretext),
        ("text", &config.text),
        ("fallback", &config.fallback),
        ("callback_id", &config.callback_id),
        ("image_url", &config.image_url),
        ("thumb_url", &config.thumb_url),
        ("footer", &config.footer),
        ("color", &config.color),
    ];
    for (name, template) in texts {
        set(&mut attachment, name, means.text(template)?);
    }
    set(&mut attachment, "title", truncated(means.text(&config.title)?, TITLE_MAX));
    let fields = config.fields.iter().map(|one| field(one, config, means));
    let fields = fields.collect::<Result<Vec<Value>, _>>()?;
    let actions = config.actions.iter().map(|one| action(one, means));
    let actions = actions.collect::<Result<Vec<Value>, _>>()?;
    for (name, list) in [("fields", fields), ("actions", actions)] {
        if !list.is_empty() {
            attachment.insert(name.to_owned(), list.into());
        }
    }
    attachment.insert("mrkdwn_in".to_owned(), json!(config.mrkdwn_in));
    Ok(attachment.into())
}

fn field(field: &SlackField, config: &SlackConfig, means: &Means<'_>) -> Result<Value, SendError> {
    Ok(json!({
        "title": means.text(&field.title)?,
        "value": means.text(&field.value)?,
        "short": field.short.unwrap_or(config.short_fields),
    }))
}

fn action(action: &SlackAction, means: &Means<'_>) -> Result<Value, SendError> {
    let mut made = Map::new();
    let texts = [
        ("type", &action.kind),
        ("text", &action.text),
        ("url", &action.url),
        ("style", &action.style),
        ("name", &action.name),
        ("value", &action.value),
    ];
    for (name, template) in texts {
        set(&mut made, name, means.text(template)?);
    }
    if let Some(confirm) = &action.confirm {
        let mut asked = Map::new();
        let texts = [
            ("text", &confirm.text),
            ("title", &confirm.title),
            ("ok_text", &confirm.ok_text),
            ("dismiss_text", &confirm.dismiss_text),
        ];
        for (name, template) in texts {
            set(&mut asked, name, means.text(template)?);
        }
        made.insert("confirm".to_owned(), asked.into());
    }
    Ok(made.into())
}

/// Slack's API answers 200 with `{"ok": false}` for what it refuses; its webhooks answer `ok`.
fn judge(status: u16, body: &[u8]) -> Result<(), SendError> {
    judge_with_limit(status, body)?;
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
    match answer.get("ok").and_then(Value::as_bool) {
        Some(false) => {
            let why = answer.get("error").and_then(Value::as_str).unwrap_or("unknown");
            let again = ["rate_limited", "ratelimited", "service_unavailable", "internal_error"];
            let message = format!("error response from Slack: {why}");
            Err(SendError { retry: again.contains(&why), message })
        }
        _ => Ok(()),
    }
}
