//! What the sources read, and how they ask.

use crate::finding::Found;
use crate::neighbours::{self, Near};
use crate::question::{Question, Window};
use crate::{Source, changes, metrics, patterns, spans};
use log_store::LogStore;
use metric_store::MetricStore;
use model::ErrorKind;
use platform::Clock;
use promql::{QueryValue, TenantMetrics, TenantSeries};
use query::{Budget, CancelFlag, Control, Holding, HoldingLimits, RegexBudget};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use trace_store::TraceStore;

/// The stores of the server and how queries over them are bounded.
#[derive(Clone)]
pub struct Stores {
    pub clock: Arc<dyn Clock>,
    /// The memory that all queries share.
    pub memory: Arc<Budget>,
    pub metrics: MetricStore,
    pub logs: LogStore,
    pub traces: TraceStore,
    pub promql: promql::EngineOptions,
    pub traceql: traceql::EngineOptions,
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stores")
    }
}

/// Why a source has no findings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExplainError {
    pub kind: ErrorKind,
    pub message: String,
}

impl ExplainError {
    pub(crate) fn of(kind: ErrorKind, error: &impl fmt::Display) -> Self {
        Self { kind, message: error.to_string() }
    }
}

/// One question on its way through the sources.
#[derive(Debug)]
pub struct Asking {
    pub(crate) stores: Stores,
    pub(crate) question: Question,
    pub(crate) cancel: CancelFlag,
    near: OnceLock<Near>,
}

impl Asking {
    /// Raising the flag ends the work.
    pub fn new(stores: Stores, question: Question, cancel: CancelFlag) -> Self {
        Self { stores, question, cancel, near: OnceLock::new() }
    }

    pub fn question(&self) -> &Question {
        &self.question
    }

    /// What one source finds.
    pub fn find(&self, source: Source) -> Result<Found, ExplainError> {
        match source {
            Source::Changes => changes::find(self),
            Source::Spans => spans::find(self),
            Source::Patterns => patterns::find(self),
            Source::Metrics => metrics::find(self),
        }
    }

    /// Services and how many calls lie between.
    pub(crate) fn near(&self) -> &Near {
        self.near.get_or_init(|| neighbours::near(self))
    }

    /// From the beginning of the baseline to the end of the selection.
    pub(crate) fn whole(&self) -> Window {
        let Question { selection, baseline, .. } = &self.question;
        Window { start_ms: baseline.start_ms, end_ms: selection.end_ms }
    }

    pub(crate) fn control(&self) -> Control<'_> {
        let timeout = Duration::from_millis(self.stores.promql.timeout_ms.unsigned_abs());
        Control::new(&*self.stores.clock, Some(timeout), self.cancel.clone())
    }

    /// Memory for what a source lists.
    pub(crate) fn holding(&self) -> Holding {
        let limits = HoldingLimits {
            samples: usize::MAX,
            bytes: self.stores.promql.memory_max,
            bytes_setting: "promql.max_memory",
            bytes_advice: "a shorter selection",
        };
        Holding::new(limits, Some(&self.stores.memory)).until(self.cancel.clone())
    }

    /// The value of an expression over a window.
    pub(crate) fn promql(
        &self,
        query: &str,
        (window, step_ms): (Window, i64),
    ) -> Result<QueryValue, ExplainError> {
        let stores = &self.stores;
        let tenant = &self.question.tenant;
        let metrics = TenantMetrics { store: &stores.metrics, tenant, filters: Vec::new() };
        // Spans are looked at themselves, not by the series that they give.
        let storage = TenantSeries { metrics, spans: None };
        let request = promql::Request {
            cancel: self.cancel.clone(),
            memory: Some(Arc::clone(&stores.memory)),
            ..promql::Request::range(query, window.start_ms, window.end_ms, step_ms)
        };
        let engine = promql::Engine::new(stores.promql.clone());
        let result = engine.run(&storage, &*stores.clock, &request);
        result.map(|result| result.value).map_err(|error| ExplainError::of(error.kind(), &error))
    }

    pub(crate) fn traceql(&self) -> traceql::Engine {
        traceql::Engine::new(self.stores.traceql.clone())
    }

    pub(crate) fn trace_request(&self, window: Window) -> traceql::Request<'_> {
        let (start_ns, end_ns) = window.nanos();
        traceql::Request {
            tenant: &self.question.tenant,
            start_ns,
            end_ns,
            cancel: self.cancel.clone(),
            memory: Some(Arc::clone(&self.stores.memory)),
            regexes: RegexBudget::default(),
        }
    }

    /// The series that a TraceQL query of metrics gives.
    pub(crate) fn trace_series(
        &self,
        query: &str,
        window: Window,
        times: traceql::MetricTimes,
    ) -> Result<Vec<traceql::Series>, ExplainError> {
        let parsed =
            traceql::parse(query).map_err(|error| ExplainError::of(ErrorKind::Invalid, &error))?;
        let wanted = traceql::Metrics { times, exemplars: 0 };
        let request = self.trace_request(window);
        let answer = self.traceql().metrics(
            &self.stores.traces,
            &*self.stores.clock,
            &request,
            &parsed,
            &wanted,
        );
        answer.map(|answer| answer.value).map_err(|error| ExplainError::of(error.kind(), &error))
    }
}

/// A text as a literal of PromQL, LogQL and TraceQL.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A regular expression of PromQL and LogQL that matches one of the texts, as a literal.
pub(crate) fn one_of<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut all = String::new();
    for text in texts {
        if !all.is_empty() {
            all.push('|');
        }
        for c in text.chars() {
            if c.is_ascii_punctuation() && c != '_' && c != '/' {
                all.push('\\');
            }
            all.push(c);
        }
    }
    quoted(&all)
}
