//! `opsgenie_configs`

use super::super::fields::{secret, url};
use super::super::{Global, SecretSource};
use outbound::HttpConfig;
use std::collections::BTreeMap;
use yaml::{Error, Fields, FromNode, Node};

/// Texts are templates.
#[derive(Clone, Debug)]
pub struct OpsGenieConfig {
    pub http: HttpConfig,
    pub api_key: SecretSource,
    /// Ends with a slash.
    pub api_url: String,
    pub message: String,
    pub description: String,
    pub source: String,
    pub details: BTreeMap<String, String>,
    pub entity: String,
    pub responders: Vec<Responder>,
    pub actions: String,
    pub tags: String,
    pub note: String,
    pub priority: String,
    /// Message and description of an alert that is open are changed as well.
    pub update_alerts: bool,
}

impl OpsGenieConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let key = secret(fields, "api_key", "api_key_file")?;
        let key = key.or_else(|| global.opsgenie_api_key.clone()).ok_or_else(|| {
            fields.error("no global OpsGenie API Key set either inline or in a file")
        })?;
        let mut api_url =
            url(fields, "api_url")?.unwrap_or_else(|| global.opsgenie_api_url.clone());
        if !api_url.ends_with('/') {
            api_url.push('/');
        }
        let template = |name: &str| format!("{{{{ template \"opsgenie.default.{name}\" . }}}}");
        Ok(Self {
            http: fields.or("http_config", global.http.clone())?,
            api_key: key,
            api_url,
            message: fields.or("message", template("message"))?,
            description: fields.or("description", template("description"))?,
            source: fields.or("source", template("source"))?,
            details: fields.or_default("details")?,
            entity: fields.or_default("entity")?,
            responders: fields.or_default("responders")?,
            actions: fields.or_default("actions")?,
            tags: fields.or_default("tags")?,
            note: fields.or_default("note")?,
            priority: fields.or_default("priority")?,
            update_alerts: fields.or_default("update_alerts")?,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Responder {
    pub id: String,
    pub name: String,
    pub username: String,
    pub kind: String,
}

impl FromNode for Responder {
    fn from_node(node: &Node) -> Result<Self, Error> {
        const KINDS: [&str; 5] = ["team", "teams", "user", "escalation", "schedule"];
        let mut fields = node.fields("OpsGenie responder")?;
        let mut responder = Self {
            id: fields.or_default("id")?,
            name: fields.or_default("name")?,
            username: fields.or_default("username")?,
            kind: fields.or_default("type")?,
        };
        fields.end()?;
        if [&responder.id, &responder.name, &responder.username].iter().all(|one| one.is_empty()) {
            return Err(node.error(
                "an OpsGenie responder has to have at least one of id, username or name specified",
            ));
        }
        if !responder.kind.contains("{{") {
            responder.kind = responder.kind.to_lowercase();
            if !KINDS.contains(&responder.kind.as_str()) {
                let (kind, known) = (&responder.kind, KINDS.join(", "));
                return Err(node.error(format!(
                    "the type {kind:?} of an OpsGenie responder is not one of {known}"
                )));
            }
        }
        Ok(responder)
    }
}
