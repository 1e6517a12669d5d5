//! Groups, rules and alerts as the API shows them.

use crate::definition::{GroupKey, Rule};
use model::Labels;
use std::sync::Arc;

/// In the order in which the worst is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// The rule has not been evaluated yet.
    Unknown,
    Inactive,
    Pending,
    Firing,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// How the last evaluation of a rule ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Unknown,
    Good,
    Bad,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "ok",
            Self::Bad => "err",
        }
    }
}

#[derive(Clone, Debug)]
pub struct GroupView {
    pub key: GroupKey,
    pub interval_ms: i64,
    pub limit: usize,
    /// Nanoseconds since 1970; `None` before the first evaluation.
    pub evaluated_at_ns: Option<i64>,
    pub took_seconds: f64,
    pub rules: Vec<RuleView>,
}

#[derive(Clone, Debug)]
pub struct RuleView {
    pub rule: Arc<Rule>,
    pub health: Health,
    pub last_error: Option<String>,
    pub evaluated_at_ns: Option<i64>,
    pub took_seconds: f64,
    /// Of alerting rules.
    pub alerting: Option<AlertingView>,
}

#[derive(Clone, Debug)]
pub struct AlertingView {
    pub state: AlertState,
    /// Pending and firing ones, in the order of their labels.
    pub alerts: Vec<AlertView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    pub state: AlertState,
    pub labels: Labels,
    pub annotations: Labels,
    pub value: f64,
    pub active_at_ms: i64,
    pub keep_firing_since_ms: Option<i64>,
}
