//! An alert, between what finds it and what tells people of it.

use crate::Labels;

/// A condition that holds or held for one set of labels. Alerts with equal labels are the same alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// With `alertname`, without what only says where the value came from.
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at_ms: i64,
    /// When it ended, or will count as ended unless it is told again.
    pub ends_at_ms: i64,
    /// Where a person sees what raised it.
    pub generator_url: String,
}
