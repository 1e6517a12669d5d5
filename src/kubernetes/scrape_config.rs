//! ScrapeConfigs: nearly a scrape configuration of Prometheus, in the spelling of Kubernetes.

use crate::derive::{Jobs, path};
use crate::monitor::limits;
use crate::secrets::References;
use crate::section::{Relabel, Section, relabelings, static_group};
use crate::{Object, http};
use std::collections::BTreeMap;
use yaml::{Error, Fields, Node};

const FIELDS: &[(&str, &str)] = &[
    ("metricsPath", "metrics_path"),
    ("scrapeInterval", "scrape_interval"),
    ("scrapeTimeout", "scrape_timeout"),
    ("params", "params"),
    ("honorLabels", "honor_labels"),
    ("honorTimestamps", "honor_timestamps"),
    ("trackTimestampsStaleness", "track_timestamps_staleness"),
    ("enableCompression", "enable_compression"),
    ("nameValidationScheme", "metric_name_validation_scheme"),
    ("nameEscapingScheme", "metric_name_escaping_scheme"),
];

pub(crate) fn jobs(object: &Object, references: References<'_>) -> Result<Jobs, Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("ScrapeConfig")?;
    let name = format!("scrapeConfig/{}", path(object, references));
    let mut job = Section::new(&spec);
    job.text("job_name", &name).copy(&mut fields, FIELDS);
    if let Some(scheme) = fields.optional::<String>("scheme")? {
        job.text("scheme", &scheme.to_lowercase());
    }
    http::add(&mut job, &mut fields, references)?;
    let mut job = job.followed_by(limits(&mut fields, &spec));
    let relabel = Relabel { at: &spec };
    let mut rules = vec![relabel.copy("job", "__tmp_prometheus_job_name")];
    if let Some(name) = fields.optional::<String>("jobName")?.filter(|name| !name.is_empty()) {
        rules.push(relabel.set("job", &name));
    }
    if let Some(node) = fields.take("relabelings") {
        rules.extend(relabelings(node)?);
    }
    job.set("relabel_configs", Node::list(rules, &spec));
    if let Some(node) = fields.take("metricRelabelings") {
        job.set("metric_relabel_configs", Node::list(relabelings(node)?, node));
    }
    add_discoveries(&mut job, &mut fields, references)?;
    fields.take("scrapeClass");
    fields.end()?;
    Ok(vec![(name, job.build())])
}

fn add_discoveries(
    job: &mut Section,
    fields: &mut Fields<'_>,
    references: References<'_>,
) -> Result<(), Error> {
    if let Some(node) = fields.take("staticConfigs").filter(|it| !it.is_null()) {
        let groups = node.items()?.iter().map(group).collect::<Result<_, _>>()?;
        job.set("static_configs", Node::list(groups, node));
    }
    if let Some(node) = fields.take("httpSDConfigs").filter(|it| !it.is_null()) {
        let read = |node: &Node| http_discovery(node, references);
        let configs = node.items()?.iter().map(read).collect::<Result<_, _>>()?;
        job.set("http_sd_configs", Node::list(configs, node));
    }
    if let Some(node) = fields.take("dnsSDConfigs").filter(|it| !it.is_null()) {
        let configs = node.items()?.iter().map(dns_discovery).collect::<Result<_, _>>()?;
        job.set("dns_sd_configs", Node::list(configs, node));
    }
    if let Some(node) = fields.take("kubernetesSDConfigs").filter(|it| !it.is_null()) {
        let read = |node: &Node| kubernetes_discovery(node, references);
        let configs = node.items()?.iter().map(read).collect::<Result<_, _>>()?;
        job.set("kubernetes_sd_configs", Node::list(configs, node));
    }
    if let Some(node) = fields.take("fileSDConfigs").filter(|it| !it.is_null()) {
        return Err(node.error("`fileSDConfigs` names files of the server: use httpSDConfigs"));
    }
    Ok(())
}

fn group(node: &Node) -> Result<Node, Error> {
    let mut fields = node.fields("staticConfig")?;
    let targets: Vec<String> = fields.or_default("targets")?;
    let labels: BTreeMap<String, String> = fields.or_default("labels")?;
    fields.end()?;
    Ok(static_group(node, &targets, &labels))
}

fn http_discovery(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("httpSDConfig")?;
    let mut config = Section::new(node);
    config.copy(&mut fields, &[("url", "url"), ("refreshInterval", "refresh_interval")]);
    http::add(&mut config, &mut fields, references)?;
    fields.end()?;
    Ok(config.build())
}

fn dns_discovery(node: &Node) -> Result<Node, Error> {
    let mut fields = node.fields("dnsSDConfig")?;
    let mut config = Section::new(node);
    let names = [
        ("names", "names"),
        ("refreshInterval", "refresh_interval"),
        ("type", "type"),
        ("port", "port"),
    ];
    config.copy(&mut fields, &names);
    fields.end()?;
    Ok(config.build())
}

fn kubernetes_discovery(node: &Node, references: References<'_>) -> Result<Node, Error> {
    let mut fields = node.fields("kubernetesSDConfig")?;
    let mut config = Section::new(node);
    let role: String = fields.required("role")?;
    config.text("role", &role.to_lowercase());
    config.copy(
        &mut fields,
        &[
            ("apiServer", "api_server"),
            ("selectors", "selectors"),
            ("attachMetadata", "attach_metadata"),
        ],
    );
    if let Some(namespaces) = fields.take("namespaces").filter(|it| !it.is_null()) {
        let mut of_names = Section::new(namespaces);
        let mut fields = namespaces.fields("namespaces")?;
        of_names.copy(&mut fields, &[("names", "names"), ("ownNamespace", "own_namespace")]);
        fields.end()?;
        config.set("namespaces", of_names.build());
    }
    http::add(&mut config, &mut fields, references)?;
    fields.end()?;
    Ok(config.build())
}
