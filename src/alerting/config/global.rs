//! `global`: what receivers have in common.

use super::SecretSource;
use super::fields::{secret, secret_url, url};
use outbound::{HttpConfig, TlsConfig};
use yaml::{Duration, Error, Fields, FromNode, Node};

/// `host:port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl FromNode for HostPort {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text: String = node.read()?;
        let wrong = || node.error(format!("{text:?} is not an address: write host:port"));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: port.parse().map_err(|_| wrong())? })
    }
}

#[derive(Clone, Debug)]
pub struct Global {
    /// An alert whose end nobody told counts as ended when it was not told again for this long.
    pub resolve_timeout_ms: i64,
    pub http: HttpConfig,
    pub smtp: Smtp,
    pub slack_api_url: Option<SecretSource>,
    /// The token of a Slack app, which posts to `slack_api_url` or to Slack's own address.
    pub slack_app_token: Option<SecretSource>,
    pub slack_app_url: String,
    pub pagerduty_url: String,
    pub opsgenie_api_url: String,
    pub opsgenie_api_key: Option<SecretSource>,
    pub telegram_api_url: String,
    pub telegram_bot_token: Option<SecretSource>,
}

/// `smtp_*`
#[derive(Clone, Debug)]
pub struct Smtp {
    pub from: String,
    pub hello: String,
    pub smarthost: Option<HostPort>,
    pub auth_username: String,
    pub auth_password: Option<SecretSource>,
    pub auth_secret: Option<SecretSource>,
    pub auth_identity: String,
    pub require_tls: bool,
    pub force_implicit_tls: Option<bool>,
    pub tls: TlsConfig,
}

impl Smtp {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        Ok(Self {
            from: fields.or_default("smtp_from")?,
            hello: fields.or("smtp_hello", "localhost".to_owned())?,
            smarthost: fields.optional("smtp_smarthost")?,
            auth_username: fields.or_default("smtp_auth_username")?,
            auth_password: secret(fields, "smtp_auth_password", "smtp_auth_password_file")?,
            auth_secret: secret(fields, "smtp_auth_secret", "smtp_auth_secret_file")?,
            auth_identity: fields.or_default("smtp_auth_identity")?,
            require_tls: fields.or("smtp_require_tls", true)?,
            force_implicit_tls: fields.optional("smtp_force_implicit_tls")?,
            tls: fields.or_default("smtp_tls_config")?,
        })
    }
}

impl Default for Global {
    fn default() -> Self {
        // Every field has a default, so that nothing can be wrong with none.
        let empty = Node::parse("").and_then(|node| Self::from_node(&node));
        empty.expect("no field of `global` is needed")
    }
}

/// Fields of kinds of receivers that are not supported yet. They do no harm where no receiver needs them.
const OF_OTHERS: [&str; 16] = [
    "jira_api_url",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
    "rocketchat_api_url",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "victorops_api_key",
    "victorops_api_key_file",
    "victorops_api_url",
    "webex_api_url",
    "wechat_api_corp_id",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_url",
];

impl FromNode for Global {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("global section")?;
        let or_own = |url: Option<String>, own: &str| url.unwrap_or_else(|| own.to_owned());
        let global = Self {
            resolve_timeout_ms: fields.or("resolve_timeout", Duration::from_secs(300))?.ms,
            http: fields.or_default("http_config")?,
            smtp: Smtp::read(&mut fields)?,
            slack_api_url: secret_url(&mut fields, "slack_api_url", "slack_api_url_file")?,
            slack_app_token: secret(&mut fields, "slack_app_token", "slack_app_token_file")?,
            slack_app_url: or_own(
                url(&mut fields, "slack_app_url")?,
                "https://slack.com/api/chat.postMessage",
            ),
            pagerduty_url: or_own(
                url(&mut fields, "pagerduty_url")?,
                "https://events.pagerduty.com/v2/enqueue",
            ),
            opsgenie_api_url: or_own(
                url(&mut fields, "opsgenie_api_url")?,
                "https://api.opsgenie.com/",
            ),
            opsgenie_api_key: secret(&mut fields, "opsgenie_api_key", "opsgenie_api_key_file")?,
            telegram_api_url: or_own(
                url(&mut fields, "telegram_api_url")?,
                "https://api.telegram.org",
            ),
            telegram_bot_token: secret(
                &mut fields,
                "telegram_bot_token",
                "telegram_bot_token_file",
            )?,
        };
        for name in OF_OTHERS {
            if let Some(value) = fields.take(name) {
                // Read as secrets, so that they are not shown.
                let _: yaml::Secret = value.read()?;
            }
        }
        fields.end()?;
        Ok(global)
    }
}
