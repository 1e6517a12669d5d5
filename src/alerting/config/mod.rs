//! `alertmanager.yml`, as Alertmanager 0.34 reads it.
//!
//! Lives here: the file as a whole and the checks between its parts. `global`: what receivers have in
//! common; `routes`: the tree; `inhibit_rules`; `time_intervals`; `receivers`: a file for each kind;
//! `fields`: what several of them read alike.
//! Not here: what any of it does.
//! Invariants: a field that nobody knows is refused with its line; every name that a route uses is
//! defined; secrets are printed as `<secret>`.

mod fields;
mod global;
mod inhibit_rules;
mod receivers;
mod routes;
mod time_intervals;

pub use fields::SecretSource;
pub use global::{Global, HostPort};
pub use inhibit_rules::InhibitRule;
use receivers::read_all as read_receivers;
pub use receivers::*;

use crate::intervals::TimeInterval;
use crate::routing::Routes;
use std::collections::{BTreeMap, BTreeSet};
use yaml::{Error, Node};

/// A file that has been read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub global: Global,
    pub routes: Routes,
    pub receivers: Vec<Receiver>,
    pub inhibit_rules: Vec<InhibitRule>,
    pub intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// Paths, with `*` and `?` in their last part.
    pub templates: Vec<String>,
    /// The file again, without secrets.
    pub text: String,
}

impl Config {
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::of_node(&Node::parse(text)?)
    }

    /// The same of a file that has been parsed.
    pub fn of_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("configuration of Alertmanager")?;
        let global: Global = fields.or_default("global")?;
        let route = fields.take("route").filter(|route| !route.is_null());
        let receivers = fields.take("receivers");
        let receivers = read_receivers(receivers, &global)?;
        let inhibit_rules: Vec<InhibitRule> = fields.or_default("inhibit_rules")?;
        let templates: Vec<String> = fields.or_default("templates")?;
        let old_intervals = fields.take("mute_time_intervals");
        let intervals = time_intervals::read_all(old_intervals, fields.take("time_intervals"))?;
        let no_route = fields.error("no route provided in config");
        fields.end()?;
        let routes = routes::read(route.ok_or(no_route)?, &names(&receivers), &intervals)?;
        let text = node.to_text();
        Ok(Self { global, routes, receivers, inhibit_rules, intervals, templates, text })
    }

    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    /// What holds where there is no file: alerts are kept and shown, and nobody is told.
    pub fn without_file() -> Self {
        Self {
            global: Global::default(),
            routes: Routes::to_nobody(),
            receivers: vec![Receiver::without_integrations(Routes::NOBODY)],
            inhibit_rules: Vec::new(),
            intervals: BTreeMap::new(),
            templates: Vec::new(),
            text: String::new(),
        }
    }
}

fn names(receivers: &[Receiver]) -> BTreeSet<&str> {
    receivers.iter().map(|receiver| receiver.name.as_str()).collect()
}

#[cfg(test)]
mod tests;
