//! All objects of a set, one after the other.

use crate::alertmanager_config::{self, Alerting};
use crate::outcome::{Outcome, Verdict};
use crate::secrets::References;
use crate::{Object, Objects, pod_monitor, probe, rule, scrape_config, service_monitor};
use yaml::{Error, Node};

/// Names and sections of scrape configurations.
pub(crate) type Jobs = Vec<(String, Node)>;

/// How objects are understood.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of objects that name none.
    pub namespace: String,
    /// Whether routes of an AlertmanagerConfig concern alerts of its own namespace only, as the Operator
    /// has it.
    pub binds_alerts_to_namespace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: "default".to_owned(), binds_alerts_to_namespace: true }
    }
}

/// What a set of objects stands for.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// Sections of `scrape_configs`, by the names of their jobs.
    pub jobs: Vec<(String, Node)>,
    /// Files of rules, by `namespace/name` of their objects.
    pub rules: Vec<(String, Node)>,
    /// What is added to the configuration of the Alertmanager.
    alerting: Vec<Alerting>,
    pub outcomes: Vec<Outcome>,
}

/// Makes sections of every object that the Operator knows.
pub fn derive(objects: &Objects, options: &Options) -> Derived {
    let mut derived = Derived::default();
    for object in
        objects.iter().filter(|object| object.api_version.starts_with("monitoring.coreos.com/"))
    {
        let namespace = match object.namespace.as_str() {
            "" => &options.namespace,
            namespace => namespace,
        };
        let references = References { objects, namespace };
        let mut warnings = Vec::new();
        let became = derived.add(object, references, options, &mut warnings);
        let verdict = match became {
            Ok(Some(became)) => Verdict::Became(became),
            Ok(None) => continue,
            Err(error) => Verdict::Refused(format!("{}: {error}", object.file)),
        };
        derived.outcomes.push(Outcome { warnings, ..Outcome::new(object, verdict) });
    }
    derived
}

impl Derived {
    /// The names of what the object became; `None` for an object that says nothing by itself.
    fn add(
        &mut self,
        object: &Object,
        references: References<'_>,
        options: &Options,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Vec<String>>, Error> {
        let jobs = match object.kind.as_str() {
            "ServiceMonitor" => service_monitor::jobs(object, references)?,
            "PodMonitor" => pod_monitor::jobs(object, references)?,
            "Probe" => probe::jobs(object, references)?,
            "ScrapeConfig" => scrape_config::jobs(object, references)?,
            "PrometheusRule" => {
                let (file, groups) = rule::file(object)?;
                self.rules.push((path(object, references), file));
                return Ok(Some(groups));
            }
            "AlertmanagerConfig" => {
                let alerting = alertmanager_config::read(object, references, options, warnings)?;
                let names = alerting.receiver_names.clone();
                self.alerting.push(alerting);
                return Ok(Some(names));
            }
            _ => return Ok(None),
        };
        let names = jobs.iter().map(|(name, _)| name.clone()).collect();
        self.jobs.extend(jobs);
        Ok(Some(names))
    }

    /// The configuration of the Alertmanager with what the objects add to it; `None` where there is
    /// neither.
    pub fn alerting(&self, base: Option<&Node>) -> Result<Option<Node>, Error> {
        if self.alerting.is_empty() {
            return Ok(base.cloned());
        }
        alertmanager_config::combined(&self.alerting, base).map(Some)
    }
}

/// `namespace/name`.
pub(crate) fn path(object: &Object, references: References<'_>) -> String {
    format!("{}/{}", references.namespace, object.name)
}
