//! `global`: what holds for all jobs that do not say otherwise.

use super::ScrapeProtocol;
use super::warnings::{Place, Warning};
use model::{Labels, LabelsBuilder};
use yaml::{Duration, Error, Fields, Node, Size};

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Global {
    pub scrape_interval: Duration,
    pub scrape_timeout: Duration,
    pub evaluation_interval: Duration,
    pub rule_query_offset: Duration,
    pub external_labels: Labels,
    pub(crate) protocols: Option<Vec<ScrapeProtocol>>,
    pub(crate) limits: Limits,
    pub(crate) legacy_names: bool,
    pub(crate) escaping: Option<String>,
    pub(crate) native_histograms: bool,
    pub(crate) convert_classic: bool,
    pub(crate) classic_too: bool,
    pub(crate) extra_metrics: bool,
}

/// What a job may be limited to; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) body_size: u64,
    pub(crate) samples: usize,
    pub(crate) targets: usize,
    pub(crate) labels: usize,
    pub(crate) label_name_length: usize,
    pub(crate) label_value_length: usize,
    pub(crate) dropped_targets: usize,
}

impl Limits {
    /// A job's limit of 0 is that of all jobs.
    pub(crate) fn read(fields: &mut Fields<'_>, global: Self) -> Result<Self, Error> {
        let mut limit = |name, of_all: usize| -> Result<usize, Error> {
            Ok(fields.optional(name)?.filter(|limit| *limit != 0).unwrap_or(of_all))
        };
        let (samples, targets) =
            (limit("sample_limit", global.samples)?, limit("target_limit", global.targets)?);
        let labels = limit("label_limit", global.labels)?;
        let label_name_length = limit("label_name_length_limit", global.label_name_length)?;
        let label_value_length = limit("label_value_length_limit", global.label_value_length)?;
        let dropped_targets = limit("keep_dropped_targets", global.dropped_targets)?;
        let body_size: Size = fields.or_default("body_size_limit")?;
        let body_size = if body_size.bytes == 0 { global.body_size } else { body_size.bytes };
        Ok(Self {
            body_size,
            samples,
            targets,
            labels,
            label_name_length,
            label_value_length,
            dropped_targets,
        })
    }
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: INTERVAL,
            scrape_timeout: TIMEOUT,
            evaluation_interval: INTERVAL,
            rule_query_offset: Duration::default(),
            external_labels: Labels::empty(),
            protocols: None,
            limits: Limits::default(),
            legacy_names: false,
            escaping: None,
            native_histograms: false,
            convert_classic: false,
            classic_too: false,
            extra_metrics: false,
        }
    }
}

impl Global {
    pub(crate) fn read(
        node: Option<&Node>,
        place: &Place,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, Error> {
        let Some(node) = node.filter(|node| !node.is_null()) else { return Ok(Self::default()) };
        let mut fields = node.fields("global section")?;
        let scrape_interval = given(&mut fields, "scrape_interval")?.unwrap_or(INTERVAL);
        let timeout = given(&mut fields, "scrape_timeout")?;
        if timeout.is_some_and(|timeout| timeout > scrape_interval) {
            return Err(node.error("global scrape timeout greater than scrape interval"));
        }
        let global = Self {
            scrape_interval,
            scrape_timeout: timeout.unwrap_or(TIMEOUT.min(scrape_interval)),
            evaluation_interval: given(&mut fields, "evaluation_interval")?.unwrap_or(INTERVAL),
            rule_query_offset: fields.or_default("rule_query_offset")?,
            external_labels: external_labels(fields.take("external_labels"), place, warnings)?,
            protocols: read_protocols(&mut fields)?,
            limits: Limits::read(&mut fields, Limits::default())?,
            legacy_names: is_legacy(&mut fields)?.unwrap_or(false),
            escaping: read_escaping(&mut fields)?,
            native_histograms: fields.or("scrape_native_histograms", false)?,
            convert_classic: fields.or("convert_classic_histograms_to_nhcb", false)?,
            classic_too: fields.or("always_scrape_classic_histograms", false)?,
            extra_metrics: fields.or("extra_scrape_metrics", false)?,
        };
        for (name, instead) in [
            ("query_log_file", "queries are not logged into a file"),
            ("scrape_failure_log_file", "/api/v1/targets tells of failures"),
        ] {
            if let Some(node) = fields.take(name).filter(|node| !node.is_null()) {
                warnings.push(place.warning(node, format!("{name} has no effect: {instead}")));
            }
        }
        fields.end()?;
        Ok(global)
    }
}

/// 0 is as if it was not there.
pub(crate) fn given(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> Result<Option<Duration>, Error> {
    Ok(fields.optional::<Duration>(name)?.filter(|duration| duration.ms != 0))
}

pub(crate) fn read_protocols(
    fields: &mut Fields<'_>,
) -> Result<Option<Vec<ScrapeProtocol>>, Error> {
    let Some(node) = fields.take("scrape_protocols").filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let protocols: Vec<ScrapeProtocol> = node.read()?;
    if protocols.is_empty() {
        return Err(node.error("scrape_protocols cannot be empty"));
    }
    for (index, protocol) in protocols.iter().enumerate() {
        if protocols[..index].contains(protocol) {
            let message = format!("duplicated protocol in scrape_protocols: {}", protocol.name());
            return Err(node.error(message));
        }
    }
    Ok(Some(protocols))
}

pub(crate) fn is_legacy(fields: &mut Fields<'_>) -> Result<Option<bool>, Error> {
    let Some(node) = fields.take("metric_name_validation_scheme") else { return Ok(None) };
    match node.text().unwrap_or_default() {
        "" => Ok(None),
        "legacy" => Ok(Some(true)),
        "utf8" => Ok(Some(false)),
        other => {
            let message =
                format!("unknown metric name validation scheme {other:?}: utf8 or legacy");
            Err(node.error(message))
        }
    }
}

const ESCAPING: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

pub(crate) fn read_escaping(fields: &mut Fields<'_>) -> Result<Option<String>, Error> {
    let Some(node) = fields.take("metric_name_escaping_scheme") else { return Ok(None) };
    let text = node.text().unwrap_or_default();
    match text {
        "" => Ok(None),
        text if ESCAPING.contains(&text) => Ok(Some(text.to_owned())),
        text => {
            let message =
                format!("unknown metric name escaping scheme {text:?}: {}", ESCAPING.join(", "));
            Err(node.error(message))
        }
    }
}

fn external_labels(
    node: Option<&Node>,
    place: &Place,
    warnings: &mut Vec<Warning>,
) -> Result<Labels, Error> {
    let mut labels = LabelsBuilder::new();
    let Some(node) = node else { return Ok(Labels::empty()) };
    for (name, value) in node.entries()? {
        if name.is_empty() || name.len() > model::LABEL_LENGTH_MAX {
            return Err(value.error(format!("{name:?} is not a valid label name")));
        }
        let text: String = value.read()?;
        let expanded = expand(&text, |variable| {
            let found = std::env::var(variable).unwrap_or_default();
            if found.is_empty() {
                let message = format!(
                    "external label {name:?} uses the environment variable {variable}, which is empty"
                );
                warnings.push(place.warning(value, message));
            }
            found
        });
        labels.set(name, &expanded);
    }
    Ok(labels.build())
}

/// `$NAME` and `${NAME}` as the environment has them; `$$` is `$`.
fn expand(text: &str, mut variable: impl FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) =
            rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
        {
            out.push_str(&variable(name));
            rest = after;
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            match end {
                0 => out.push('$'),
                end => out.push_str(&variable(&rest[..end])),
            }
            rest = &rest[end..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let variable = |name: &str| format!("<{name}>");
        for (text, expected) in [
            ("plain", "plain"),
            ("a$HOME/b", "a<HOME>/b"),
            ("${A}${B}", "<A><B>"),
            ("$$x 5$", "$x 5$"),
            ("${open", "${open"),
        ] {
            assert_eq!(expand(text, variable), expected, "{text}");
        }
    }
}
