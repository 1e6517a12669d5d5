//! The server's own telemetry: metrics, typed events, log lines. Step 0.
//!
//! Lives here: counters, gauges and histograms that are declared as statics beside the code they
//! count; the registry that renders them; events, each of which is one log line and its counters.
//! Not here: who serves `/metrics` (server), the process's own figures (platform reads them).
//! Invariants: counting never allocates and never locks (labelled families lock once for each new
//! label set); a log line is one line whatever is in its fields.
//!
//! Read first: [`Counter`], [`Registry`], [`Event`].

mod event;
mod log;
mod metric;
mod registry;
mod seldom;
mod text;

pub use event::{Event, Field, Fields, Level, Notice, emit, with_causes};
pub use log::{KeptLine, LogFormat, LogSettings, init_log, keep_lines, take_lines};
pub use metric::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, LATENCY_SECONDS, Metric, MetricKind,
    Point, PointValue,
};
pub use registry::{Registry, TextFormat};
pub use seldom::Seldom;
