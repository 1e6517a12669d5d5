//! Selectors as they are evaluated: their times are resolved.

use crate::storage::SampleDetail;
use crate::types::Edges;
use model::{MatchOp, Matcher};
use query::Position;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Arc<[Matcher]>,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    pub(crate) edges: Edges,
    pub(crate) position: Position,
    /// What is needed of its samples.
    pub(crate) detail: SampleDetail,
}

impl Selector {
    pub(crate) fn of_matchers(matchers: Vec<Matcher>, position: Position) -> Self {
        Self {
            matchers: matchers.into(),
            offset_ms: 0,
            at_ms: None,
            edges: Edges::Plain,
            position,
            detail: SampleDetail::default(),
        }
    }

    /// The moment that a step looks at.
    #[inline]
    pub(crate) fn moment(&self, step_ms: i64) -> i64 {
        self.at_ms.unwrap_or(step_ms) - self.offset_ms
    }

    pub(crate) fn shift(&self) -> Shift {
        Shift { offset_ms: self.offset_ms, at_ms: self.at_ms }
    }

    /// Whether every series it selects has the same name.
    pub(crate) fn has_one_name(&self) -> bool {
        let exact = MatchOp::Equal;
        self.matchers.iter().any(|matcher| matcher.is_metric_name() && matcher.op == exact)
    }
}

/// How the time that a selector looks at differs from that of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

/// What a selector answers instead of its samples' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleTime {
    Taken,
    /// As `Taken`, but histograms stay what they are.
    TakenOfFloats,
    Started,
}
