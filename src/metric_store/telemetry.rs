//! The metrics of this crate.

use observe::{Counter, Gauge, Metric};

pub(crate) static SERIES_CREATED: Counter = Counter::new(
    "mirador_metrics_series_created_total",
    "Series that were not in memory when a sample arrived.",
);
pub(crate) static SERIES_REFUSED: Counter = Counter::new(
    "mirador_metrics_series_refused_total",
    "Times a new series was refused because its tenant had reached its limit.",
);
pub(crate) static SAMPLES_APPLIED: Counter =
    Counter::new("mirador_metrics_samples_total", "Samples that were applied to a head.");
pub(crate) static DELETES: Counter = Counter::new(
    "mirador_metrics_deletes_total",
    "Deletes of samples that were requested and recorded.",
);

pub(crate) static HEAD_BYTES: Gauge = Gauge::new(
    "mirador_metrics_head_bytes",
    "Memory of the heads of all tenants, with the labels of their series and the indexes over them.",
);

/// Every metric of this crate, for the server's registry.
pub static METRICS: &[&dyn Metric] =
    &[&SERIES_CREATED, &SERIES_REFUSED, &SAMPLES_APPLIED, &DELETES, &HEAD_BYTES];
