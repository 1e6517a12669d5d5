//! What a rule file says, read and checked.

use crate::language::Language;
use model::TenantId;
use std::collections::BTreeMap;

/// Where a group comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Rule files of the operator.
    Files,
    /// The API of Mimir or of Loki, whose groups are kept in the catalog.
    Api(Language),
}

/// What tells groups apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    pub tenant: TenantId,
    pub origin: Origin,
    /// The path of the file, or the namespace.
    pub file: String,
    pub name: String,
}

/// Rules that are evaluated one after the other, at one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: String,
    /// 0: that of the configuration.
    pub interval_ms: i64,
    /// How far before its time slot a rule looks. `None`: as the configuration says.
    pub query_offset_ms: Option<i64>,
    /// Series or alerts that one rule may give; 0: any number.
    pub limit: usize,
    /// Evaluate at multiples of the interval, without the offset that spreads groups.
    pub align: bool,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub kind: RuleKind,
    pub language: Language,
    /// As it is evaluated.
    pub query: String,
    /// As the language prints it.
    pub shown: String,
    /// Of the rule and its group; an empty value removes a label.
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    Record {
        name: String,
    },
    Alert {
        name: String,
        /// How long the condition must hold before the alert fires.
        hold_ms: i64,
        /// How long it fires on after the condition has ended.
        keep_firing_ms: i64,
        annotations: BTreeMap<String, String>,
    },
}

impl Rule {
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Record { name } | RuleKind::Alert { name, .. } => name,
        }
    }

    pub fn is_alert(&self) -> bool {
        matches!(self.kind, RuleKind::Alert { .. })
    }
}
