//! `pagerduty_configs`

use super::super::fields::{secret, url};
use super::super::{Global, SecretSource};
use outbound::HttpConfig;
use std::collections::BTreeMap;
use yaml::{Duration, Error, Fields, FromNode, Node};

/// Texts are templates.
#[derive(Clone, Debug)]
pub struct PagerDutyConfig {
    pub http: HttpConfig,
    /// Of the older API; only one of both is used.
    pub service_key: Option<SecretSource>,
    pub routing_key: Option<SecretSource>,
    pub url: String,
    pub client: String,
    pub client_url: String,
    pub description: String,
    pub details: BTreeMap<String, String>,
    pub images: Vec<PagerDutyImage>,
    pub links: Vec<PagerDutyLink>,
    pub source: String,
    pub severity: String,
    pub class: String,
    pub component: String,
    pub group: String,
    pub timeout_ms: i64,
}

/// What is told of a group where the file says nothing else.
const DETAILS: [(&str, &str); 4] = [
    ("firing", "{{ template \"pagerduty.default.instances\" .Alerts.Firing }}"),
    ("resolved", "{{ template \"pagerduty.default.instances\" .Alerts.Resolved }}"),
    ("num_firing", "{{ .Alerts.Firing | len }}"),
    ("num_resolved", "{{ .Alerts.Resolved | len }}"),
];

impl PagerDutyConfig {
    pub(super) fn read(fields: &mut Fields<'_>, global: &Global) -> Result<Self, Error> {
        let routing_key = secret(fields, "routing_key", "routing_key_file")?;
        let service_key = secret(fields, "service_key", "service_key_file")?;
        if routing_key.is_none() && service_key.is_none() {
            return Err(fields.error("missing service or routing key in PagerDuty config"));
        }
        let client: String =
            fields.or("client", "{{ template \"pagerduty.default.client\" . }}".to_owned())?;
        let mut details: BTreeMap<String, String> = fields.or_default("details")?;
        for (name, text) in DETAILS {
            details.entry(name.to_owned()).or_insert_with(|| text.to_owned());
        }
        Ok(Self {
            http: fields.or("http_config", global.http.clone())?,
            url: url(fields, "url")?.unwrap_or_else(|| global.pagerduty_url.clone()),
            client_url: fields
                .or("client_url", "{{ template \"pagerduty.default.clientURL\" . }}".to_owned())?,
            description: fields.or(
                "description",
                "{{ template \"pagerduty.default.description\" .}}".to_owned(),
            )?,
            source: fields.or("source", client.clone())?,
            images: fields.or_default("images")?,
            links: fields.or_default("links")?,
            severity: fields.or("severity", "error".to_owned())?,
            class: fields.or_default("class")?,
            component: fields.or_default("component")?,
            group: fields.or_default("group")?,
            timeout_ms: fields.or("timeout", Duration { ms: 0 })?.ms,
            service_key,
            routing_key,
            client,
            details,
        })
    }
}

#[derive(Clone, Debug)]
pub struct PagerDutyImage {
    pub src: String,
    pub alt: String,
    pub href: String,
}

impl FromNode for PagerDutyImage {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("PagerDuty image")?;
        let image = Self {
            src: fields.or_default("src")?,
            alt: fields.or_default("alt")?,
            href: fields.or_default("href")?,
        };
        fields.end()?;
        Ok(image)
    }
}

#[derive(Clone, Debug)]
pub struct PagerDutyLink {
    pub href: String,
    pub text: String,
}

impl FromNode for PagerDutyLink {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("PagerDuty link")?;
        let link = Self { href: fields.or_default("href")?, text: fields.or_default("text")? };
        fields.end()?;
        Ok(link)
    }
}
