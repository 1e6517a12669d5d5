//! What differs between a selection and its baseline, ranked: the evidence behind "why?". Step 8.
//!
//! Lives here: the question ([`Question`]), findings with their scores and formulas ([`Finding`],
//! `score`), and one file for each source: `spans` (attributes of spans), `metrics` (distributions of
//! values), `patterns` (kinds of log lines), `changes` (versions, restarts, alerts), with `neighbours` (which
//! services are near) under them, and `stores` (what they read, and one question on its way: [`Asking`]).
//! Not here: HTTP, JSON, storing, models that are trained.
//! Invariants: every finding says by which formula it was ranked and from which figures; each source looks
//! at a bounded number of things and says so in [`Found::left_out`]; a source that fails does not hide what
//! the others found.

mod changes;
mod finding;
mod metrics;
mod neighbours;
mod patterns;
mod question;
mod score;
mod spans;
mod stores;

pub use finding::{Figures, Finding, Found, Kind, RuledOut, rank};
pub use question::{BadQuestion, Question, Window};
pub use stores::{Asking, ExplainError, Stores};

/// Where findings come from, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Changes,
    Spans,
    Patterns,
    Metrics,
}

impl Source {
    pub const ALL: [Self; 4] = [Self::Changes, Self::Spans, Self::Patterns, Self::Metrics];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Spans => "spans",
            Self::Patterns => "patterns",
            Self::Metrics => "metrics",
        }
    }
}
