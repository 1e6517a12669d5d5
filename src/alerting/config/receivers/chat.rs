//! `discord_configs`, `telegram_configs`, `msteams_configs`, `msteamsv2_configs`

use super::super::fields::{secret, secret_url, url};
use super::super::{Global, SecretSource};
use outbound::HttpConfig;
use yaml::{Error, Fields};

/// `webhook_url` or `webhook_url_file`, one of which must be there.
fn webhook(fields: &mut Fields<'_>) -> Result<SecretSource, Error> {
    let found = secret_url(fields, "webhook_url", "webhook_url_file")?;
    let missing = "one of webhook_url or webhook_url_file must be configured";
    found.ok_or_else(|| fields.error(missing))
}

fn template(name: &str) -> String {
    format!("{{{{ template \"{name}\" . }}}}")
}

/// Texts are templates.
#[derive(Clone, Debug)]
pub struct DiscordConfig {
    pub http: HttpConfig,
    pub webhook_url: SecretSource,
    pub content: String,
    pub title: String,
    pub message: String,
    pub username: String,
    pub avatar_url: String,
}

impl DiscordConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        Ok(Self {
            webhook_url: webhook(fields)?,
            http: fields.or("http_config", global.http.clone())?,
            content: fields.or_default("content")?,
            title: fields.or("title", template("discord.default.title"))?,
            message: fields.or("message", template("discord.default.message"))?,
            username: fields.or_default("username")?,
            avatar_url: fields.or_default("avatar_url")?,
        })
    }
}

#[derive(Clone, Debug)]
pub struct MsTeamsConfig {
    pub http: HttpConfig,
    pub webhook_url: SecretSource,
    pub title: String,
    pub summary: String,
    pub text: String,
}

impl MsTeamsConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        Ok(Self {
            webhook_url: webhook(fields)?,
            http: fields.or("http_config", global.http.clone())?,
            title: fields.or("title", template("msteams.default.title"))?,
            summary: fields.or("summary", template("msteams.default.summary"))?,
            text: fields.or("text", template("msteams.default.text"))?,
        })
    }
}

#[derive(Clone, Debug)]
pub struct MsTeamsV2Config {
    pub http: HttpConfig,
    pub webhook_url: SecretSource,
    pub title: String,
    pub text: String,
}

impl MsTeamsV2Config {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        Ok(Self {
            webhook_url: webhook(fields)?,
            http: fields.or("http_config", global.http.clone())?,
            title: fields.or("title", template("msteamsv2.default.title"))?,
            text: fields.or("text", template("msteamsv2.default.text"))?,
        })
    }
}

#[derive(Clone, Debug)]
pub struct TelegramConfig {
    pub http: HttpConfig,
    pub api_url: String,
    pub bot_token: SecretSource,
    /// Read from the file where there is one.
    pub chat_id: ChatId,
    pub message_thread_id: i64,
    pub message: String,
    pub disable_notifications: bool,
    pub parse_mode: String,
}

#[derive(Clone, Debug)]
pub enum ChatId {
    Number(i64),
    File(String),
}

impl TelegramConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let token = secret(fields, "bot_token", "bot_token_file")?;
        let token = token.or_else(|| global.telegram_bot_token.clone());
        let missing = "missing bot_token or bot_token_file on telegram_config";
        let bot_token = token.ok_or_else(|| fields.error(missing))?;
        let (number, file): (i64, String) =
            (fields.or_default("chat_id")?, fields.or_default("chat_id_file")?);
        let chat_id = match (number, file.is_empty()) {
            (0, true) => return Err(fields.error("missing chat_id on telegram_config")),
            (0, false) => ChatId::File(file),
            (number, true) => ChatId::Number(number),
            (_, false) => {
                let text = "at most one of chat_id & chat_id_file must be configured";
                return Err(fields.error(text));
            }
        };
        let parse_mode = fields.or("parse_mode", "HTML".to_owned())?;
        if !matches!(parse_mode.as_str(), "" | "Markdown" | "MarkdownV2" | "HTML") {
            return Err(fields.error(
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or \
                 empty string",
            ));
        }
        Ok(Self {
            http: fields.or("http_config", global.http.clone())?,
            api_url: url(fields, "api_url")?.unwrap_or_else(|| global.telegram_api_url.clone()),
            bot_token,
            chat_id,
            message_thread_id: fields.or_default("message_thread_id")?,
            message: fields.or("message", template("telegram.default.message"))?,
            disable_notifications: fields.or_default("disable_notifications")?,
            parse_mode,
        })
    }
}
