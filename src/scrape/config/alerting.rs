//! `alerting`: which Alertmanagers alerts are sent to, and how they are rewritten before. Only read here.

use super::job::http_config;
use super::warnings::{Place, Warning};
use crate::discovery::{Discovery, check_static, read_discoveries};
use outbound::HttpConfig;
use relabel::Rules;
use yaml::{Duration, Error, Node};

#[derive(Clone, Debug, Default)]
pub struct Alerting {
    pub alert_relabel: Rules,
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// A group of Alertmanagers.
#[derive(Clone, Debug)]
pub struct AlertmanagerConfig {
    pub scheme: String,
    pub path_prefix: String,
    pub timeout: Duration,
    pub discoveries: Vec<Discovery>,
    /// Of the addresses that are discovered.
    pub relabel: Rules,
    /// Of alerts, for these Alertmanagers alone.
    pub alert_relabel: Rules,
    pub http: HttpConfig,
}

const TIMEOUT: Duration = Duration::from_secs(10);

impl Alerting {
    pub(crate) fn read(
        node: Option<&Node>,
        place: &Place,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let Some(node) = node else { return Ok(Self::default()) };
        let mut fields = node.fields("alerting section")?;
        let alert_relabel = fields.or_default("alert_relabel_configs")?;
        let mut alertmanagers = Vec::new();
        if let Some(list) = fields.take("alertmanagers") {
            for node in list.items()? {
                alertmanagers.push(AlertmanagerConfig::read(node, place, warnings)?);
            }
        }
        fields.end()?;
        Ok(Self { alert_relabel, alertmanagers })
    }
}

impl AlertmanagerConfig {
    fn read(node: &Node, place: &Place, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let mut fields = node.fields("alertmanager_config")?;
        let relabel: Rules = fields.or_default("relabel_configs")?;
        let discoveries = read_discoveries(&mut fields, place, warnings)?;
        if relabel.is_empty() {
            check_static(&discoveries)?;
        }
        let version: String = fields.or("api_version", "v2".to_owned())?;
        if version != "v2" {
            let message =
                format!("expected Alertmanager api version to be one of [v2] but got {version}");
            return Err(node.error(message));
        }
        if let Some(node) = fields.take("sigv4") {
            warnings.push(place.warning(node, "sigv4 has no effect yet: requests are not signed"));
        }
        let config = Self {
            scheme: fields.or("scheme", "http".to_owned())?,
            path_prefix: fields.or_default("path_prefix")?,
            timeout: fields.or("timeout", TIMEOUT)?,
            discoveries,
            relabel,
            alert_relabel: fields.or_default("alert_relabel_configs")?,
            http: http_config(&mut fields, place)?,
        };
        fields.end()?;
        Ok(config)
    }
}
