//! The forms of pages that a job asks its targets for.

use crate::page::PageFormat;
use wire::TextFormat;
use yaml::{Error, FromNode, Node};

/// What `scrape_protocols` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrapeProtocol {
    PrometheusProto,
    OpenMetricsText1,
    OpenMetricsText0,
    PrometheusText1,
    PrometheusText0,
}

use ScrapeProtocol::{
    OpenMetricsText0, OpenMetricsText1, PrometheusProto, PrometheusText0, PrometheusText1,
};

impl ScrapeProtocol {
    const ALL: [Self; 5] =
        [OpenMetricsText0, OpenMetricsText1, PrometheusProto, PrometheusText0, PrometheusText1];

    /// What is asked for by default.
    pub(crate) const TEXT_FIRST: [Self; 4] =
        [OpenMetricsText1, OpenMetricsText0, PrometheusText1, PrometheusText0];

    /// What is asked for where native histograms are wanted, which no text has.
    pub(crate) const PROTO_FIRST: [Self; 5] =
        [PrometheusProto, OpenMetricsText1, OpenMetricsText0, PrometheusText1, PrometheusText0];

    pub fn name(self) -> &'static str {
        match self {
            PrometheusProto => "PrometheusProto",
            OpenMetricsText1 => "OpenMetricsText1.0.0",
            OpenMetricsText0 => "OpenMetricsText0.0.1",
            PrometheusText1 => "PrometheusText1.0.0",
            PrometheusText0 => "PrometheusText0.0.4",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            OpenMetricsText1 => "application/openmetrics-text;version=1.0.0",
            OpenMetricsText0 => "application/openmetrics-text;version=0.0.1",
            PrometheusText1 => "text/plain;version=1.0.0",
            PrometheusText0 => "text/plain;version=0.0.4",
        }
    }

    /// Only the newer versions let a client say how names are escaped.
    fn knows_escaping(self) -> bool {
        matches!(self, PrometheusProto | OpenMetricsText1 | PrometheusText1)
    }

    pub(crate) fn format(self) -> PageFormat {
        match self {
            PrometheusProto => PageFormat::Families,
            OpenMetricsText0 | OpenMetricsText1 => PageFormat::Text(TextFormat::OpenMetrics),
            PrometheusText0 | PrometheusText1 => PageFormat::Text(TextFormat::Prometheus),
        }
    }
}

impl FromNode for ScrapeProtocol {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text: String = node.read()?;
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|one| one.name()).collect();
            node.error(format!("unknown scrape protocol {text}, supported: {}", names.join(" ")))
        })
    }
}

/// The `Accept` header, as Prometheus 3.16 writes it: each with a weight below the one before.
pub(crate) fn accept_header(protocols: &[ScrapeProtocol], escaping: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    for protocol in protocols {
        let escaping = match protocol.knows_escaping() {
            true => format!(";escaping={escaping}"),
            false => String::new(),
        };
        parts.push(format!("{}{escaping};q=0.{weight}", protocol.media_type()));
        weight -= 1;
    }
    parts.push(format!("*/*;q=0.{weight}"));
    parts.join(",")
}

/// The form of a page by its `Content-Type`; `None` where it names none that is known.
pub(crate) fn format_of(content_type: &str) -> Option<PageFormat> {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or("").to_ascii_lowercase();
    match media_type.as_str() {
        "application/openmetrics-text" => Some(OpenMetricsText1.format()),
        "text/plain" => Some(PrometheusText0.format()),
        "application/vnd.google.protobuf" => {
            let said = |key: &str, value: &str| {
                let mut pairs = content_type.split(';').filter_map(|part| part.split_once('='));
                pairs.all(|(name, found)| name.trim() != key || found.trim() == value)
            };
            let is_family = said("proto", "io.prometheus.client.MetricFamily");
            (is_family && said("encoding", "delimited")).then(|| PrometheusProto.format())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_prometheus() {
        assert_eq!(
            accept_header(&ScrapeProtocol::TEXT_FIRST, "allow-utf-8"),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert!(accept_header(&[PrometheusProto], "dots").starts_with(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;escaping=dots;q=0.6,*/*;q=0.5"
        ));
    }

    #[test]
    fn content_types_name_formats() {
        for (text, format) in [
            ("text/plain; version=0.0.4; charset=utf-8", Some(PrometheusText0)),
            ("Application/OpenMetrics-Text; version=1.0.0", Some(OpenMetricsText1)),
            (PrometheusProto.media_type(), Some(PrometheusProto)),
            ("application/vnd.google.protobuf; proto=other", None),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(format_of(text), format.map(ScrapeProtocol::format), "{text}");
        }
    }
}
