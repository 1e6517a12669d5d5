//! The metrics of this crate.

use observe::{Counter, Gauge, Metric};

pub(crate) static LINES_APPLIED: Counter =
    Counter::new("mirador_logs_lines_total", "Lines that were applied to a head.");
pub(crate) static HEAD_BYTES: Gauge = Gauge::new(
    "mirador_logs_head_bytes",
    "Memory of the heads of all tenants, with the labels of their streams.",
);

/// Every metric of this crate, for the server's registry.
pub static METRICS: &[&dyn Metric] = &[&LINES_APPLIED, &HEAD_BYTES];
