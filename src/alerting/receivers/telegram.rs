//! Telegram's bots.

use super::{Means, SendError, Sending, judge_with_limit, truncated};
use crate::config::{ChatId, TelegramConfig};
use serde_json::json;

/// What Telegram takes of a message.
const MESSAGE_MAX: usize = 4_096;

pub(super) fn request(config: &TelegramConfig, means: &Means<'_>) -> Result<Sending, SendError> {
    let token = means.secret(&config.bot_token)?;
    let url = format!("{}/bot{token}/sendMessage", config.api_url.trim_end_matches('/'));
    let text = match config.parse_mode.as_str() {
        "HTML" => means.html(&config.message)?,
        _ => means.text(&config.message)?,
    };
    let chat_id = match &config.chat_id {
        ChatId::Number(id) => *id,
        ChatId::File(path) => {
            let text = means.file(path)?;
            let wrong = |_| SendError::again(format!("{path} does not hold the id of a chat"));
            text.parse().map_err(wrong)?
        }
    };
    let mut body = json!({
        "chat_id": chat_id,
        "text": truncated(text, MESSAGE_MAX),
        "disable_notification": config.disable_notifications,
        "disable_web_page_preview": true,
    });
    if !config.parse_mode.is_empty() {
        body["parse_mode"] = config.parse_mode.clone().into();
    }
    if config.message_thread_id != 0 {
        body["message_thread_id"] = config.message_thread_id.into();
    }
    Ok(Sending::post_json(url, &body, judge_with_limit))
}
