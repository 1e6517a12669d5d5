//! What a query may use, and its limits.

use platform::threads::Helpers;

/// What the parser accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// Functions and modifiers that Prometheus has behind a flag.
    pub experimental_functions: bool,
}

impl ParseOptions {
    pub fn everything() -> Self {
        Self { experimental_functions: true }
    }
}

/// How queries are evaluated. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub parse: ParseOptions,
    /// Drop names at the end rather than in every operation.
    pub delayed_name_removal: bool,
    /// Counters begin where their start timestamps say.
    pub start_timestamps: bool,
    /// Tell counters by their `__type__` label rather than by their name's ending.
    pub type_and_unit_labels: bool,
    /// How old a sample may be and still stand for now.
    pub lookback_ms: i64,
    /// The step of subqueries that name none.
    pub subquery_step_ms: i64,
    /// How many samples a query may hold at once.
    pub samples_max: usize,
    /// How many bytes a query's columns may take at once, with or without samples in them.
    pub memory_max: usize,
    pub timeout_ms: i64,
    /// Threads that take over parts of large selections.
    pub helpers: Helpers,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            parse: ParseOptions::default(),
            delayed_name_removal: false,
            start_timestamps: false,
            type_and_unit_labels: false,
            lookback_ms: 5 * 60_000,
            subquery_step_ms: 60_000,
            samples_max: 50_000_000,
            memory_max: 1 << 30,
            timeout_ms: 2 * 60_000,
            helpers: Helpers::none(),
        }
    }
}
