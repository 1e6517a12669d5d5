//! `email_configs`

use super::super::fields::secret;
use super::super::{Global, HostPort, SecretSource};
use outbound::TlsConfig;
use std::collections::BTreeMap;
use yaml::{Duration, Error, Fields};

/// Texts are templates; `html` is escaped.
#[derive(Clone, Debug)]
pub struct EmailConfig {
    pub to: String,
    pub from: String,
    pub hello: String,
    pub smarthost: HostPort,
    pub auth_username: String,
    pub auth_password: Option<SecretSource>,
    /// Of CRAM-MD5.
    pub auth_secret: Option<SecretSource>,
    pub auth_identity: String,
    /// By their canonical names: `Reply-To`.
    pub headers: BTreeMap<String, String>,
    pub html: String,
    pub text: String,
    pub require_tls: bool,
    /// TLS from the first byte on. Where nothing is said: on port 465.
    pub implicit_tls: Option<bool>,
    pub tls: TlsConfig,
    /// Whether notifications of one group make one thread in the reader's mailbox.
    pub threads: bool,
    pub timeout_ms: i64,
}

impl EmailConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let smtp = &global.smtp;
        let to: String = fields.or_default("to")?;
        if to.is_empty() {
            return Err(fields.error("missing to address in email config"));
        }
        let smarthost = fields.optional("smarthost")?.or_else(|| smtp.smarthost.clone());
        let smarthost = smarthost.ok_or_else(|| fields.error("no global SMTP smarthost set"))?;
        let from = fields.or("from", smtp.from.clone())?;
        if from.is_empty() {
            return Err(fields.error("no global SMTP from set"));
        }
        let password = secret(fields, "auth_password", "auth_password_file")?;
        let cram = secret(fields, "auth_secret", "auth_secret_file")?;
        let headers = headers(fields)?;
        let html = "{{ template \"email.default.html\" . }}".to_owned();
        Ok(Self {
            to,
            from,
            hello: fields.or("hello", smtp.hello.clone())?,
            smarthost,
            auth_username: fields.or("auth_username", smtp.auth_username.clone())?,
            auth_password: password.or_else(|| smtp.auth_password.clone()),
            auth_secret: cram.or_else(|| smtp.auth_secret.clone()),
            auth_identity: fields.or("auth_identity", smtp.auth_identity.clone())?,
            headers,
            html: fields.or("html", html)?,
            text: fields.or_default("text")?,
            require_tls: fields.or("require_tls", smtp.require_tls)?,
            implicit_tls: fields.optional("force_implicit_tls")?.or(smtp.force_implicit_tls),
            tls: fields.or("tls_config", smtp.tls.clone())?,
            threads: threads(fields)?,
            timeout_ms: fields.or("timeout", Duration { ms: 0 })?.ms,
        })
    }
}

fn threads(fields: &mut Fields<'_>) -> Result<bool, Error> {
    let Some(node) = fields.take("threading") else { return Ok(false) };
    let mut inner = node.fields("threading section")?;
    let enabled = inner.or_default("enabled")?;
    // Alertmanager begins a new thread each day, or never: a thread of the group is what both have.
    let _: String = inner.or_default("thread_by_date")?;
    inner.end()?;
    Ok(enabled)
}

/// Names of headers are the same in any case.
fn headers(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>, Error> {
    let given: BTreeMap<String, String> = fields.or_default("headers")?;
    let mut found = BTreeMap::new();
    for (name, text) in given {
        let name = canonical(&name);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(fields.error(format!("{name:?} is no name of a header")));
        }
        if found.contains_key(&name) {
            return Err(fields.error(format!("duplicate header {name:?} in email config")));
        }
        found.insert(name, text);
    }
    Ok(found)
}

/// `reply-to` as `Reply-To`.
fn canonical(name: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first
            .into_iter()
            .chain(letters.map(|letter| letter.to_ascii_lowercase()))
            .collect::<String>()
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}
