//! `slack_configs`

use super::super::fields::{secret, secret_url, url};
use super::super::{Global, SecretSource};
use outbound::HttpConfig;
use yaml::{Duration, Error, Fields, FromNode, Node};

/// Texts are templates.
#[derive(Clone, Debug)]
pub struct SlackConfig {
    pub http: HttpConfig,
    pub api_url: SecretSource,
    /// Sent as a bearer token.
    pub app_token: Option<SecretSource>,
    pub channel: String,
    pub username: String,
    pub color: String,
    pub title: String,
    pub title_link: String,
    pub pretext: String,
    pub text: String,
    pub message_text: String,
    pub fields: Vec<SlackField>,
    pub short_fields: bool,
    pub footer: String,
    pub fallback: String,
    pub callback_id: String,
    pub icon_emoji: String,
    pub icon_url: String,
    pub image_url: String,
    pub thumb_url: String,
    pub link_names: bool,
    pub mrkdwn_in: Vec<String>,
    pub actions: Vec<SlackAction>,
    pub timeout_ms: i64,
}

impl SlackConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let mut text = |name: &'static str, default: &str| fields.or(name, default.to_owned());
        let (username, color, title, title_link) = (
            text("username", "{{ template \"slack.default.username\" . }}")?,
            text("color", "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}")?,
            text("title", "{{ template \"slack.default.title\" . }}")?,
            text("title_link", "{{ template \"slack.default.titlelink\" . }}")?,
        );
        let (icon_emoji, icon_url, pretext, body) = (
            text("icon_emoji", "{{ template \"slack.default.iconemoji\" . }}")?,
            text("icon_url", "{{ template \"slack.default.iconurl\" . }}")?,
            text("pretext", "{{ template \"slack.default.pretext\" . }}")?,
            text("text", "{{ template \"slack.default.text\" . }}")?,
        );
        let (fallback, callback_id, footer) = (
            text("fallback", "{{ template \"slack.default.fallback\" . }}")?,
            text("callback_id", "{{ template \"slack.default.callbackid\" . }}")?,
            text("footer", "{{ template \"slack.default.footer\" . }}")?,
        );
        let (api_url, app_token) = address(fields, global)?;
        let updates: bool = fields.or_default("update_message")?;
        let edits: bool = fields.or_default("edit_messages")?;
        if updates || edits {
            return Err(fields.error(
                "messages that were sent can't be changed yet: set `update_message` to false",
            ));
        }
        let more = [fields.or_default::<String>("image_url")?, fields.or_default("thumb_url")?];
        let [image_url, thumb_url] = more;
        Ok(Self {
            http: fields.or("http_config", global.http.clone())?,
            api_url,
            app_token,
            channel: fields.or_default("channel")?,
            username,
            color,
            title,
            title_link,
            pretext,
            text: body,
            message_text: fields.or_default("message_text")?,
            fields: fields.or_default("fields")?,
            short_fields: fields.or_default("short_fields")?,
            footer,
            fallback,
            callback_id,
            icon_emoji,
            icon_url,
            image_url,
            thumb_url,
            link_names: fields.or_default("link_names")?,
            mrkdwn_in: fields
                .or("mrkdwn_in", ["fallback", "pretext", "text"].map(str::to_owned).to_vec())?,
            actions: fields.or_default("actions")?,
            timeout_ms: fields.or("timeout", Duration { ms: 0 })?.ms,
        })
    }
}

/// Where messages are posted, and the token of an app.
fn address(
    fields: &mut Fields<'_>,
    global: &Global,
) -> Result<(SecretSource, Option<SecretSource>), Error> {
    let own = secret_url(fields, "api_url", "api_url_file")?;
    let token = secret(fields, "app_token", "app_token_file")?;
    let app_url = url(fields, "app_url")?;
    if own.is_some() && token.is_some() {
        return Err(fields.error("at most one of api_url & app_token must be configured"));
    }
    let token = match own {
        Some(_) => None,
        None => token.or_else(|| global.slack_app_token.clone()),
    };
    if let Some(token) = token {
        let url = app_url.unwrap_or_else(|| global.slack_app_url.clone());
        return Ok((SecretSource::Text(url.into()), Some(token)));
    }
    let url = own.or_else(|| global.slack_api_url.clone());
    let missing = "no global Slack API URL set either inline or in a file";
    Ok((url.ok_or_else(|| fields.error(missing))?, None))
}

#[derive(Clone, Debug)]
pub struct SlackField {
    pub title: String,
    pub value: String,
    pub short: Option<bool>,
}

impl FromNode for SlackField {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("field of a Slack message")?;
        let (title, value): (String, String) =
            (fields.or_default("title")?, fields.or_default("value")?);
        let field = Self { title, value, short: fields.optional("short")? };
        fields.end()?;
        match (field.title.is_empty(), field.value.is_empty()) {
            (true, _) => Err(node.error("missing title in Slack field configuration")),
            (_, true) => Err(node.error("missing value in Slack field configuration")),
            _ => Ok(field),
        }
    }
}

#[derive(Clone, Debug)]
pub struct SlackAction {
    pub kind: String,
    pub text: String,
    pub url: String,
    pub style: String,
    pub name: String,
    pub value: String,
    pub confirm: Option<SlackConfirm>,
}

impl FromNode for SlackAction {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("Slack action")?;
        let mut action = Self {
            kind: fields.or_default("type")?,
            text: fields.or_default("text")?,
            url: fields.or_default("url")?,
            style: fields.or_default("style")?,
            name: fields.or_default("name")?,
            value: fields.or_default("value")?,
            confirm: fields.optional("confirm")?,
        };
        fields.end()?;
        if action.kind.is_empty() {
            return Err(node.error("missing type in Slack action configuration"));
        }
        if action.text.is_empty() {
            return Err(node.error("missing text in Slack action configuration"));
        }
        match (action.url.is_empty(), action.name.is_empty()) {
            // A link has no action to take.
            (false, _) => {
                (action.name, action.value, action.confirm) = (String::new(), String::new(), None);
            }
            (true, false) => {}
            (true, true) => {
                return Err(node.error("missing name or url in Slack action configuration"));
            }
        }
        Ok(action)
    }
}

#[derive(Clone, Debug)]
pub struct SlackConfirm {
    pub text: String,
    pub title: String,
    pub ok_text: String,
    pub dismiss_text: String,
}

impl FromNode for SlackConfirm {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("Slack confirmation")?;
        let confirm = Self {
            text: fields.or_default("text")?,
            title: fields.or_default("title")?,
            ok_text: fields.or_default("ok_text")?,
            dismiss_text: fields.or_default("dismiss_text")?,
        };
        fields.end()?;
        if confirm.text.is_empty() {
            return Err(node.error("missing text in Slack confirmation configuration"));
        }
        Ok(confirm)
    }
}
