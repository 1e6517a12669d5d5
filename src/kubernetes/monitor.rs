//! What ServiceMonitors and PodMonitors share: the fields of an endpoint and the limits of a job.

use crate::http;
use crate::secrets::References;
use crate::section::{Port, Section, relabelings};
use crate::selector::Namespaces;
use yaml::{Error, Fields, Node};

/// Names of the object's fields, and what Prometheus calls them.
const ENDPOINT: &[(&str, &str)] = &[
    ("path", "metrics_path"),
    ("params", "params"),
    ("interval", "scrape_interval"),
    ("scrapeTimeout", "scrape_timeout"),
    ("honorLabels", "honor_labels"),
    ("honorTimestamps", "honor_timestamps"),
    ("trackTimestampsStaleness", "track_timestamps_staleness"),
];

const JOB: &[(&str, &str)] = &[
    ("sampleLimit", "sample_limit"),
    ("targetLimit", "target_limit"),
    ("labelLimit", "label_limit"),
    ("labelNameLengthLimit", "label_name_length_limit"),
    ("labelValueLengthLimit", "label_value_length_limit"),
    ("keepDroppedTargets", "keep_dropped_targets"),
    ("bodySizeLimit", "body_size_limit"),
    ("scrapeProtocols", "scrape_protocols"),
    ("fallbackScrapeProtocol", "fallback_scrape_protocol"),
    ("scrapeNativeHistograms", "scrape_native_histograms"),
    ("scrapeClassicHistograms", "always_scrape_classic_histograms"),
    ("nativeHistogramBucketLimit", "native_histogram_bucket_limit"),
    ("nativeHistogramMinBucketFactor", "native_histogram_min_bucket_factor"),
    ("convertClassicHistogramsToNHCB", "convert_classic_histograms_to_nhcb"),
];

/// An endpoint of a monitor, with its relabelings kept apart: they follow the Operator's own.
pub(crate) struct Endpoint {
    pub(crate) section: Section,
    pub(crate) port: Option<Port>,
    pub(crate) target_port: Option<Port>,
    pub(crate) filters_running: bool,
    pub(crate) relabelings: Vec<Node>,
    pub(crate) metric_relabelings: Vec<Node>,
}

impl Endpoint {
    /// Reads one endpoint; `number_field` is a port by its number, where the kind has that.
    pub(crate) fn read(
        node: &Node,
        references: References<'_>,
        number_field: Option<&'static str>,
    ) -> Result<Self, Error> {
        let mut fields = node.fields("endpoint")?;
        let mut section = Section::new(node);
        section.copy(&mut fields, ENDPOINT);
        if let Some(scheme) = fields.optional::<String>("scheme")? {
            section.text("scheme", &scheme.to_lowercase());
        }
        http::add(&mut section, &mut fields, references)?;
        let named: Option<String> = fields.optional("port")?;
        let number = number_field.map(|name| fields.optional::<u16>(name)).transpose()?.flatten();
        let port = named.filter(|name| !name.is_empty()).map(Port::Name);
        let relabeled = |node: Option<&Node>| node.map_or(Ok(Vec::new()), relabelings);
        let endpoint = Self {
            section,
            port: port.or(number.map(Port::Number)),
            target_port: fields.optional("targetPort")?,
            filters_running: fields.or("filterRunning", true)?,
            relabelings: relabeled(fields.take("relabelings"))?,
            metric_relabelings: relabeled(fields.take("metricRelabelings"))?,
        };
        fields.end()?;
        Ok(endpoint)
    }

    /// The name that the label `endpoint` has.
    pub(crate) fn label(&self) -> Option<String> {
        match self.port.as_ref().or(self.target_port.as_ref())? {
            Port::Name(name) => Some(name.clone()),
            Port::Number(number) => Some(number.to_string()),
        }
    }

    /// The whole job.
    pub(crate) fn job(mut self, name: &str, mut rules: Vec<Node>, at: &Node) -> Node {
        let mut job = Section::new(at);
        job.text("job_name", name);
        rules.append(&mut self.relabelings);
        self.section.set("relabel_configs", Node::list(rules, at));
        if !self.metric_relabelings.is_empty() {
            self.section.set("metric_relabel_configs", Node::list(self.metric_relabelings, at));
        }
        job.followed_by(self.section).build()
    }
}

/// Limits of the object hold for each of its jobs.
pub(crate) fn limits(fields: &mut Fields<'_>, at: &Node) -> Section {
    let mut section = Section::new(at);
    section.copy(fields, JOB);
    section
}

/// The discovery of a monitor.
pub(crate) fn discovery(
    role: &str,
    namespaces: &Namespaces,
    attaches_node: Option<&Node>,
    at: &Node,
) -> Node {
    let mut config = Section::new(at);
    config.text("role", role);
    if let Namespaces::Named(names) = namespaces {
        let mut of_names = Section::new(at);
        of_names.texts("names", names);
        config.set("namespaces", of_names.build());
    }
    if let Some(node) = attaches_node.filter(|node| !node.is_null()) {
        config.set("attach_metadata", node.clone());
    }
    Node::list(vec![config.build()], at)
}
