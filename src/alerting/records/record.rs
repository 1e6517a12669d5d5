//! Records as JSON.

use crate::alert::Fingerprint;
use crate::engine::{IntegrationId, LogEntry, LogKey, Silence};
use crate::matchers::{matcher_text, parse_matcher};
use model::TenantId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    Silence(TenantId, Silence),
    Told(TenantId, LogKey, LogEntry),
}

/// Of records with one key only the newest counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKey {
    Silence(TenantId, String),
    Told(TenantId, LogKey),
}

impl Record {
    pub(super) fn key(&self) -> RecordKey {
        match self {
            Self::Silence(tenant, silence) => {
                RecordKey::Silence(tenant.clone(), silence.id.clone())
            }
            Self::Told(tenant, key, _) => RecordKey::Told(tenant.clone(), key.clone()),
        }
    }

    pub(super) fn ends_ms(&self) -> i64 {
        match self {
            Self::Silence(_, silence) => silence.forgotten_at_ms(),
            Self::Told(_, _, entry) => entry.expires_ms,
        }
    }

    pub(super) fn to_json(&self) -> String {
        match self {
            Self::Silence(tenant, silence) => json!({
                "tenant": tenant.as_str(),
                "silence": silence.id,
                "matchers": silence.matchers.iter().map(matcher_text).collect::<Vec<_>>(),
                "starts": silence.starts_at_ms,
                "ends": silence.ends_at_ms,
                "updated": silence.updated_at_ms,
                "by": silence.created_by,
                "comment": silence.comment,
                "annotations": silence.annotations,
            }),
            Self::Told(tenant, key, entry) => json!({
                "tenant": tenant.as_str(),
                "group": key.group_key,
                "receiver": key.integration.receiver,
                "kind": key.integration.kind,
                "index": key.integration.index,
                "told": entry.at_ms,
                "firing": texts(&entry.firing),
                "resolved": texts(&entry.resolved),
                "expires": entry.expires_ms,
            }),
        }
        .to_string()
    }

    /// `None` for what no version of this program wrote.
    pub(super) fn from_json(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        let number = |name: &str| value.get(name)?.as_i64();
        let tenant = TenantId::new(&text("tenant")?).ok()?;
        if let Some(id) = text("silence") {
            let matchers = value.get("matchers")?.as_array()?.iter();
            let matchers = matchers.map(|one| parse_matcher(one.as_str()?).ok());
            let silence = Silence {
                id,
                matchers: matchers.collect::<Option<_>>()?,
                starts_at_ms: number("starts")?,
                ends_at_ms: number("ends")?,
                updated_at_ms: number("updated")?,
                created_by: text("by")?,
                comment: text("comment")?,
                annotations: serde_json::from_value(value.get("annotations")?.clone()).ok()?,
            };
            return Some(Self::Silence(tenant, silence));
        }
        let kind = text("kind")?;
        let kind = crate::config::KIND_NAMES.into_iter().find(|known| *known == kind)?;
        let integration = IntegrationId {
            receiver: text("receiver")?,
            kind,
            index: usize::try_from(number("index")?).ok()?,
        };
        let entry = LogEntry {
            at_ms: number("told")?,
            firing: fingerprints(value.get("firing")?)?,
            resolved: fingerprints(value.get("resolved")?)?,
            expires_ms: number("expires")?,
        };
        Some(Self::Told(tenant, LogKey { group_key: text("group")?, integration }, entry))
    }
}

fn texts(fingerprints: &BTreeSet<Fingerprint>) -> Vec<String> {
    fingerprints.iter().map(ToString::to_string).collect()
}

fn fingerprints(list: &Value) -> Option<BTreeSet<Fingerprint>> {
    let one = |text: &Value| Some(Fingerprint(u64::from_str_radix(text.as_str()?, 16).ok()?));
    list.as_array()?.iter().map(one).collect()
}
