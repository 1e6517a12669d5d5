//! Objects of Kubernetes as configuration: what the Prometheus Operator makes of ServiceMonitors,
//! PodMonitors, Probes, ScrapeConfigs, PrometheusRules and AlertmanagerConfigs. Step 8.
//!
//! ```text
//! let objects = Objects::read_folder("objects/", "default")?;
//! let derived = derive(&objects, &Options::default());
//! // derived.jobs, derived.rules, derived.alerting(…): nodes as `scrape`, `rules`, `alerting` read them
//! derived.refuse(of, "why"); // what such a reader finds is told of the object
//! ```
//!
//! Each object becomes sections of the configuration files of Prometheus and Alertmanager, as nodes that
//! keep the lines of the object: an error that a reader of such a section finds names the line of the
//! object's file.
//!
//! Lives here: objects and their files (`object`), references to secrets (`secrets`), labels that select
//! (`selector`), how sections are built (`section`), one file for each kind of object, what became of each
//! object (`outcome`).
//! Not here: what the sections do (scrape, rules, alerting), the cluster's API.
//! Invariants: an object that can't be used changes nothing for the others, and says why; no object reads
//! a file of the machine; a value of a Secret prints as `<secret>`.

mod alertmanager_config;
mod derive;
mod http;
mod monitor;
mod object;
mod outcome;
mod pod_monitor;
mod probe;
mod rule;
mod scrape_config;
mod secrets;
mod section;
mod selector;
mod service_monitor;

#[cfg(test)]
mod tests;

pub use derive::{Derived, Options, Piece, derive};
pub use object::{FolderError, Object, Objects};
pub use outcome::{Outcome, Verdict};
