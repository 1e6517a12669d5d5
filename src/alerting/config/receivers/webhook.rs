//! `webhook_configs`

use super::super::fields::secret_url;
use super::super::{Global, SecretSource};
use outbound::HttpConfig;
use yaml::{Duration, Error, Fields};

#[derive(Clone, Debug)]
pub struct WebhookConfig {
    pub http: HttpConfig,
    pub url: SecretSource,
    /// Alerts beyond this many are left out. 0: none are.
    pub max_alerts: usize,
    /// 0: until the next look at the group.
    pub timeout_ms: i64,
}

impl WebhookConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let url = secret_url(fields, "url", "url_file")?;
        Ok(Self {
            url: url.ok_or_else(|| fields.error("one of url or url_file must be configured"))?,
            http: fields.or("http_config", global.http.clone())?,
            max_alerts: fields.or_default("max_alerts")?,
            timeout_ms: fields.or("timeout", Duration { ms: 0 })?.ms,
        })
    }
}
