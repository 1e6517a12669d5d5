//! The metrics of this crate.

use observe::{Counter, Gauge, Metric};

pub(crate) static SPANS_APPLIED: Counter =
    Counter::new("mirador_traces_spans_total", "Spans that were applied to a head.");
pub(crate) static HEAD_BYTES: Gauge =
    Gauge::new("mirador_traces_head_bytes", "Memory of the heads of all tenants.");

/// Every metric of this crate, for the server's registry.
pub static METRICS: &[&dyn Metric] = &[&SPANS_APPLIED, &HEAD_BYTES];
