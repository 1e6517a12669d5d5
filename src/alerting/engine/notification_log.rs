//! Who was told what, and when.
//!
//! An entry is kept as long as it can keep somebody from being told twice: two repeat intervals, five
//! days at most.

use super::IntegrationId;
use crate::alert::Fingerprint;
use std::collections::{BTreeMap, BTreeSet};

/// The longest that silences and notifications are remembered.
pub(super) const KEPT_MS: i64 = 120 * 3_600_000;

/// A group, and an integration of its receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogKey {
    pub group_key: String,
    pub integration: IntegrationId,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    pub at_ms: i64,
    pub firing: BTreeSet<Fingerprint>,
    pub resolved: BTreeSet<Fingerprint>,
    pub expires_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub struct NotificationLog(BTreeMap<LogKey, LogEntry>);

impl NotificationLog {
    pub fn put(&mut self, key: LogKey, entry: LogEntry) {
        self.0.insert(key, entry);
    }

    pub fn get(&self, key: &LogKey) -> Option<&LogEntry> {
        self.0.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&LogKey, &LogEntry)> {
        self.0.iter()
    }

    pub fn clean(&mut self, now_ms: i64) {
        self.0.retain(|_, entry| entry.expires_ms > now_ms);
    }
}
