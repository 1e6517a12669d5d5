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
    /// Whether routes of an AlertmanagerConfig concern alerts of its own namespace only, as the Operator
    /// has it.
    pub binds_alerts_to_namespace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { binds_alerts_to_namespace: true }
    }
}

/// A section of a configuration.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Whose it is: the place of its object among the outcomes.
    pub of: usize,
    /// Of a job; for rules, `namespace/name` of their object.
    pub name: String,
    pub node: Node,
}

/// What a set of objects stands for.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// One for each object, in their order.
    pub outcomes: Vec<Outcome>,
    /// Sections of `scrape_configs`.
    pub jobs: Vec<Piece>,
    /// Files of rules.
    pub rules: Vec<Piece>,
    /// What is added to the configuration of the Alertmanager.
    alerting: Vec<(usize, Alerting)>,
}

/// The kinds that make no section by themselves and are not without use, by the beginning of their
/// `apiVersion`.
const DISCOVERED: [(&str, &[&str]); 3] = [
    ("v1", &["Endpoints", "Namespace", "Node", "Pod", "Service"]),
    ("discovery.k8s.io/", &["EndpointSlice"]),
    ("networking.k8s.io/", &["Ingress"]),
];

/// Makes sections of every object that the Operator knows, and says what became of each object.
pub fn derive(objects: &Objects, options: &Options) -> Derived {
    let mut derived = Derived::default();
    for object in objects.iter() {
        let references = References { objects, namespace: &object.namespace };
        let mut warnings = Vec::new();
        let verdict = match derived.add(object, references, options, &mut warnings) {
            Ok(Some(became)) => Verdict::Became(became),
            Ok(None) => without_section(object),
            Err(error) => Verdict::Refused(format!("{}: {error}", object.file)),
        };
        derived.outcomes.push(Outcome { warnings, ..Outcome::new(object, verdict) });
    }
    derived
}

fn without_section(object: &Object) -> Verdict {
    let is_of = |(versions, kinds): &(&str, &[&str])| {
        let is_version = match versions.ends_with('/') {
            true => object.api_version.starts_with(versions),
            false => object.api_version == *versions,
        };
        is_version && kinds.contains(&object.kind.as_str())
    };
    match object.kind.as_str() {
        "Secret" | "ConfigMap" if object.api_version == "v1" => Verdict::Values,
        _ if DISCOVERED.iter().any(is_of) => Verdict::Discovered,
        _ => Verdict::Unused,
    }
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
        if !object.api_version.starts_with("monitoring.coreos.com/") {
            return Ok(None);
        }
        let of = self.outcomes.len();
        let jobs = match object.kind.as_str() {
            "ServiceMonitor" => service_monitor::jobs(object, references)?,
            "PodMonitor" => pod_monitor::jobs(object, references)?,
            "Probe" => probe::jobs(object, references)?,
            "ScrapeConfig" => scrape_config::jobs(object, references)?,
            "PrometheusRule" => {
                let (node, groups) = rule::file(object)?;
                self.rules.push(Piece { of, name: path(object, references), node });
                return Ok(Some(groups));
            }
            "AlertmanagerConfig" => {
                let alerting = alertmanager_config::read(object, references, options, warnings)?;
                let names = alerting.receiver_names.clone();
                self.alerting.push((of, alerting));
                return Ok(Some(names));
            }
            _ => return Ok(None),
        };
        let names = jobs.iter().map(|(name, _)| name.clone()).collect();
        self.jobs.extend(jobs.into_iter().map(|(name, node)| Piece { of, name, node }));
        Ok(Some(names))
    }

    /// An object can't be used after all: whoever reads its sections has found why. They are gone.
    pub fn refuse(&mut self, of: usize, why: &str) {
        self.jobs.retain(|piece| piece.of != of);
        self.rules.retain(|piece| piece.of != of);
        self.alerting.retain(|(owner, _)| *owner != of);
        if let Some(outcome) = self.outcomes.get_mut(of) {
            outcome.verdict = Verdict::Refused(format!("{}: {why}", outcome.file));
        }
    }

    /// Whose routes and receivers there are, by their places among the outcomes.
    pub fn alerting_objects(&self) -> Vec<usize> {
        self.alerting.iter().map(|(of, _)| *of).collect()
    }

    /// The configuration of the Alertmanager with what these objects add to it; `None` where there is
    /// neither.
    pub fn alerting(&self, base: Option<&Node>, objects: &[usize]) -> Result<Option<Node>, Error> {
        let added = self.alerting.iter().filter(|(of, _)| objects.contains(of));
        let added: Vec<&Alerting> = added.map(|(_, alerting)| alerting).collect();
        if added.is_empty() {
            return Ok(base.cloned());
        }
        alertmanager_config::combined(&added, base).map(Some)
    }
}

/// `namespace/name`.
pub(crate) fn path(object: &Object, references: References<'_>) -> String {
    format!("{}/{}", references.namespace, object.name)
}
