//! The list of all instruments.

use crate::metric::Metric;
use crate::text;
use std::fmt;

/// The text formats of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl TextFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Built once at start-up from each crate's `METRICS`, read by `/metrics` and by the server's own
/// collection.
#[derive(Default)]
pub struct Registry {
    metrics: Vec<&'static dyn Metric>,
}

impl Registry {
    /// Adds a crate's instruments. Two instruments of the same name are a bug.
    pub fn add(&mut self, metrics: &[&'static dyn Metric]) {
        for metric in metrics {
            assert!(
                self.metrics.iter().all(|known| known.name() != metric.name()),
                "metric {} is declared twice",
                metric.name()
            );
            self.metrics.push(*metric);
        }
        self.metrics.sort_by_key(|metric| metric.name());
    }

    pub fn metrics(&self) -> &[&'static dyn Metric] {
        &self.metrics
    }

    pub fn render(&self, format: TextFormat) -> String {
        text::render(&self.metrics, format)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} metrics)", self.metrics.len())
    }
}
