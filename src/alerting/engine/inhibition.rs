//! Alerts that mute others while they fire.

use crate::alert::{Fingerprint, KeptAlert};
use crate::config::InhibitRule;
use model::{LabelChoice, Labels, matches_all};
use std::collections::{BTreeMap, BTreeSet};

/// Rules, and the alerts that may mute by each, by the labels that must be equal.
#[derive(Debug)]
pub(super) struct Inhibition(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    rule: InhibitRule,
    equal: LabelChoice,
    sources: BTreeMap<Vec<u8>, BTreeSet<Fingerprint>>,
}

impl Rule {
    fn key(&self, labels: &Labels) -> Vec<u8> {
        let mut key = Vec::new();
        labels.write_key(&self.equal, &mut key);
        key
    }
}

impl Inhibition {
    pub(super) fn new(rules: &[InhibitRule]) -> Self {
        let with_sources = |rule: &InhibitRule| Rule {
            rule: rule.clone(),
            equal: LabelChoice::only(rule.equal.iter().cloned()),
            sources: BTreeMap::new(),
        };
        Self(rules.iter().map(with_sources).collect())
    }

    pub(super) fn see(&mut self, alert: &KeptAlert) {
        for rule in &mut self.0 {
            if matches_all(&rule.rule.source, &alert.alert.labels) {
                let key = rule.key(&alert.alert.labels);
                rule.sources.entry(key).or_default().insert(alert.fingerprint);
            }
        }
    }

    /// The first alert that mutes one with these labels. `firing` answers the labels of an alert that
    /// fires. An alert that meets both sides of a rule is not muted by others that do: they would mute
    /// each other.
    pub(super) fn muted_by<'a>(
        &self,
        labels: &Labels,
        firing: impl Fn(Fingerprint) -> Option<&'a Labels>,
    ) -> Option<Fingerprint> {
        self.0.iter().find_map(|rule| {
            if !matches_all(&rule.rule.target, labels) {
                return None;
            }
            let is_source = matches_all(&rule.rule.source, labels);
            let mutes = |fingerprint: &&Fingerprint| {
                firing(**fingerprint)
                    .is_some_and(|source| !(is_source && matches_all(&rule.rule.target, source)))
            };
            rule.sources.get(&rule.key(labels))?.iter().find(mutes).copied()
        })
    }

    pub(super) fn clean(&mut self, is_kept: impl Fn(Fingerprint) -> bool) {
        for rule in &mut self.0 {
            rule.sources.retain(|_, sources| {
                sources.retain(|fingerprint| is_kept(*fingerprint));
                !sources.is_empty()
            });
        }
    }
}
