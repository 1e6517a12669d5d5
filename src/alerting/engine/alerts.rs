//! All alerts of a tenant, by their fingerprints.

use super::ALERTS_MAX;
use crate::alert::{Fingerprint, KeptAlert};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Alerts(BTreeMap<Fingerprint, KeptAlert>);

impl Alerts {
    /// Answers the alert as it is kept; `None` where there is no room for another one.
    pub(super) fn put(&mut self, alert: KeptAlert, now_ms: i64) -> Option<KeptAlert> {
        let fingerprint = alert.fingerprint;
        let kept = match self.0.get(&fingerprint) {
            Some(known) if alert.overlaps(known) => known.clone().merged(alert, now_ms),
            None if self.0.len() >= ALERTS_MAX => return None,
            _ => alert,
        };
        self.0.insert(fingerprint, kept.clone());
        Some(kept)
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<&KeptAlert> {
        self.0.get(&fingerprint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KeptAlert> {
        self.0.values()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops what has ended and is in no group any more.
    pub(super) fn clean(&mut self, now_ms: i64, is_needed: impl Fn(&KeptAlert) -> bool) {
        self.0.retain(|_, alert| !alert.is_resolved(now_ms) || is_needed(alert));
    }
}
