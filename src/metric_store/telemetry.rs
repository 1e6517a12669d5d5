//! What this crate counts.

use observe::{Counter, Metric};

pub(crate) static SERIES_CREATED: Counter = Counter::new(
    "mirador_metrics_series_created_total",
    "Series that were not in memory when a sample came.",
);
pub(crate) static SERIES_REFUSED: Counter = Counter::new(
    "mirador_metrics_series_refused_total",
    "Times a new series was refused because its tenant has as many as it may.",
);
pub(crate) static SAMPLES_APPLIED: Counter =
    Counter::new("mirador_metrics_samples_total", "Samples that were applied to a head.");
pub(crate) static DELETES: Counter = Counter::new(
    "mirador_metrics_deletes_total",
    "Deletes of samples that were asked for and recorded.",
);

/// For the server's registry.
pub static METRICS: &[&dyn Metric] =
    &[&SERIES_CREATED, &SERIES_REFUSED, &SAMPLES_APPLIED, &DELETES];
