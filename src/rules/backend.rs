//! Who answers the queries of rules and stores what they give.

use crate::language::Language;
use model::{ErrorKind, Labels, SampleValue, TenantId};
use query::CancelFlag;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// An expression at one time.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub tenant: &'a TenantId,
    pub language: Language,
    pub query: &'a str,
    pub time_ms: i64,
    /// The time that a TraceQL expression is about, which ends at `time_ms`.
    pub window_ms: i64,
    /// How old a sample may be and still stand for now; `None`: as always.
    pub lookback_ms: Option<i64>,
    pub cancel: CancelFlag,
}

/// One element of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: SampleValue,
}

/// A sample to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct OutSample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: SampleValue,
}

/// Why a rule has no result, or why it was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluateError {
    pub kind: ErrorKind,
    pub message: String,
}

impl EvaluateError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Answers queries on the thread that asks, which is one of the query pool's.
pub trait Evaluate {
    fn instant(&self, question: &Question<'_>) -> Result<Vec<Sample>, EvaluateError>;

    /// A flag that ends what takes longer than a query may.
    fn deadline(&self) -> CancelFlag;

    /// What a clock shows, to measure durations.
    fn now(&self) -> Duration;
}

/// What is done with queries on a query thread.
pub type Work = Box<dyn FnOnce(&dyn Evaluate) + Send>;

pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), EvaluateError>> + Send + 'a>>;

pub trait Backend: Debug + Send + Sync {
    /// Runs work when it is the tenant's turn, and returns after it. Dropping the future gives the place
    /// in the queue back.
    fn run<'a>(&'a self, tenant: &'a TenantId, work: Work) -> Answer<'a>;

    /// Stores samples; they are visible to queries when it returns.
    fn write<'a>(&'a self, tenant: &'a TenantId, samples: Vec<OutSample>) -> Answer<'a>;

    /// Nanoseconds since 1970 on the wall clock.
    fn wall_ns(&self) -> i64;
}
