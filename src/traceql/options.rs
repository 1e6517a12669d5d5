//! The limits of a query, with Tempo's defaults.

use platform::threads::Helpers;

/// What a query may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Traces of an answer (`max_result_limit`).
    pub traces_max: usize,
    /// Spans of each set of an answer.
    pub spans_max: usize,
    /// From start to end of a search, in nanoseconds (`max_duration`); 0: any.
    pub search_length_max_ns: i64,
    /// The same of metrics (`query_frontend.metrics.max_duration`); 0: any.
    pub metrics_length_max_ns: i64,
    /// Steps of a range of metrics.
    pub steps_max: usize,
    /// Series of an answer (`max_response_series`).
    pub series_max: usize,
    /// Values of a tag, and names of tags.
    pub values_max: usize,
    pub timeout_ms: i64,
    /// How many bytes a query may hold at once.
    pub memory_max: usize,
}

const HOUR_NS: i64 = 3_600 * 1_000_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            traces_max: 262_144,
            spans_max: 100,
            search_length_max_ns: 168 * HOUR_NS,
            metrics_length_max_ns: 24 * HOUR_NS,
            steps_max: 10_000,
            series_max: 1_000,
            values_max: 10_000,
            timeout_ms: 60_000,
            memory_max: 1 << 30,
        }
    }
}

/// How queries are evaluated.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub limits: Limits,
    /// Threads that take over parts of large selections.
    pub helpers: Helpers,
    /// A search looks at so many spans of a piece before the others, the newest: of what many traces
    /// answer these are enough.
    pub first_spans: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), helpers: Helpers::none(), first_spans: 4_096 }
    }
}
