//! Probes: addresses that a prober (the blackbox exporter) is asked about.

use crate::derive::{Jobs, path};
use crate::monitor::{discovery, limits};
use crate::secrets::References;
use crate::section::{Relabel, Section, relabelings, static_group};
use crate::selector::{self, Namespaces};
use crate::{Object, http};
use std::collections::BTreeMap;
use yaml::{Error, Node};

pub(crate) fn jobs(object: &Object, references: References<'_>) -> Result<Jobs, Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("Probe")?;
    let own = path(object, references);
    let name = format!("probe/{own}");
    let mut job = Section::new(&spec);
    job.text("job_name", &name);
    job.copy(
        &mut fields,
        &[
            ("interval", "scrape_interval"),
            ("scrapeTimeout", "scrape_timeout"),
            ("honorLabels", "honor_labels"),
        ],
    );
    let prober = prober(&fields.required::<Node>("prober")?, &mut job)?;
    add_params(&mut fields, &mut job, &spec)?;
    http::add(&mut job, &mut fields, references)?;
    let mut job = job.followed_by(limits(&mut fields, &spec));
    let relabel = Relabel { at: &spec };
    let mut rules = vec![relabel.copy("job", "__tmp_prometheus_job_name")];
    if let Some(name) = fields.optional::<String>("jobName")?.filter(|name| !name.is_empty()) {
        rules.push(relabel.set("job", &name));
    }
    let targets = fields.required::<Node>("targets")?;
    add_targets(&targets, references, &mut job, &mut rules)?;
    rules.push(relabel.copy("__param_target", "instance"));
    rules.push(relabel.set("__address__", &prober));
    rules.extend(user_relabelings(&targets)?);
    job.set("relabel_configs", Node::list(rules, &spec));
    if let Some(node) = fields.take("metricRelabelings") {
        job.set("metric_relabel_configs", Node::list(relabelings(node)?, node));
    }
    fields.end()?;
    Ok(vec![(name, job.build())])
}

/// Where the prober is: its address; path and scheme go into the job.
fn prober(node: &Node, job: &mut Section) -> Result<String, Error> {
    let mut fields = node.fields("prober")?;
    let url: String = fields.required("url")?;
    let path: String = fields.or("path", "/probe".to_owned())?;
    job.text("metrics_path", &path);
    if let Some(scheme) = fields.optional::<String>("scheme")? {
        job.text("scheme", &scheme.to_lowercase());
    }
    job.copy(
        &mut fields,
        &[
            ("proxyUrl", "proxy_url"),
            ("noProxy", "no_proxy"),
            ("proxyFromEnvironment", "proxy_from_environment"),
        ],
    );
    fields.end()?;
    Ok(url)
}

/// The module of the prober, and parameters beside it.
fn add_params(fields: &mut yaml::Fields<'_>, job: &mut Section, spec: &Node) -> Result<(), Error> {
    let module: String = fields.or_default("module")?;
    let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in fields.or_default::<Vec<Node>>("params")? {
        let mut fields = node.fields("parameter")?;
        params.insert(fields.required("name")?, fields.or_default("values")?);
        fields.end()?;
    }
    if !module.is_empty() {
        params.insert("module".to_owned(), vec![module]);
    }
    if !params.is_empty() {
        let mut section = Section::new(spec);
        params.iter().for_each(|(name, values)| {
            section.texts(name, values);
        });
        job.set("params", section.build());
    }
    Ok(())
}

fn add_targets(
    targets: &Node,
    references: References<'_>,
    job: &mut Section,
    rules: &mut Vec<Node>,
) -> Result<(), Error> {
    let mut fields = targets.fields("targets")?;
    let (fixed, ingress) = (fields.take("staticConfig"), fields.take("ingress"));
    fields.end()?;
    let relabel = Relabel { at: targets };
    match (fixed.filter(|it| !it.is_null()), ingress.filter(|it| !it.is_null())) {
        (Some(fixed), _) => {
            let mut fields = fixed.fields("staticConfig")?;
            let mut labels: BTreeMap<String, String> = fields.or_default("labels")?;
            labels.entry("namespace".to_owned()).or_insert_with(|| references.namespace.to_owned());
            let addresses: Vec<String> = fields.or_default("static")?;
            fields.take("relabelingConfigs");
            fields.end()?;
            let group = static_group(fixed, &addresses, &labels);
            job.set("static_configs", Node::list(vec![group], fixed));
            rules.push(relabel.copy("__address__", "__param_target"));
        }
        (None, Some(ingress)) => {
            let mut fields = ingress.fields("ingress")?;
            let namespaces =
                Namespaces::read(fields.take("namespaceSelector"), references.namespace)?;
            if let Some(selector) = fields.take("selector").filter(|it| !it.is_null()) {
                rules.extend(selector::rules(selector, "ingress")?);
            }
            fields.take("relabelingConfigs");
            fields.end()?;
            job.set("kubernetes_sd_configs", discovery("ingress", &namespaces, None, ingress));
            rules.push(ingress_address(ingress));
            rules.push(relabel.copy("__meta_kubernetes_namespace", "namespace"));
            rules.push(relabel.copy("__meta_kubernetes_ingress_name", "ingress"));
        }
        (None, None) => return Err(targets.error("a Probe has `staticConfig` or `ingress`")),
    }
    Ok(())
}

/// The address that an ingress serves, as the parameter of the prober.
fn ingress_address(at: &Node) -> Node {
    let mut section = Section::new(at);
    let sources =
        ["__meta_kubernetes_ingress_scheme", "__address__", "__meta_kubernetes_ingress_path"];
    section.texts("source_labels", &sources).text("separator", ";");
    section.text("regex", "(.+);(.+);(.+)").text("replacement", "${1}://${2}${3}");
    section.text("target_label", "__param_target");
    section.build()
}

fn user_relabelings(targets: &Node) -> Result<Vec<Node>, Error> {
    let mut rules = Vec::new();
    for (_, node) in targets.entries()?.into_iter().filter(|(_, node)| !node.is_null()) {
        let entries = node.entries()?.into_iter();
        for (_, node) in entries.filter(|(name, _)| *name == "relabelingConfigs") {
            rules.extend(relabelings(node)?);
        }
    }
    Ok(rules)
}
