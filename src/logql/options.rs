//! The limits of a query, with Loki's defaults.

use platform::threads::Helpers;

/// What a query may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of an answer (`max_query_series`).
    pub series_max: usize,
    /// Lines of an answer (`max_entries_limit_per_query`).
    pub entries_max: usize,
    /// From start to end, in nanoseconds (`max_query_length`); 0: any.
    pub length_max_ns: i64,
    /// Steps of a range query.
    pub steps_max: usize,
    /// Matchers of one selector (`max_streams_matchers_per_query`).
    pub matchers_max: usize,
    pub timeout_ms: i64,
    /// How many bytes a query may hold at once.
    pub memory_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series_max: 500,
            entries_max: 5_000,
            length_max_ns: 721 * 3_600 * 1_000_000_000,
            steps_max: 11_000,
            matchers_max: 1_000,
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
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { limits: Limits::default(), helpers: Helpers::none() }
    }
}
