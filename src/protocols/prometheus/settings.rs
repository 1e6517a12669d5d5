//! Settings of the Prometheus API, and the limits of metrics, which hold for all protocols.

use crate::section;
use crate::services::MetricOptions;
use crate::settings::{ByteSize, HumanDuration, SizeLimit};
use promql::EngineOptions;
use std::path::PathBuf;
use wire::LabelLimits;

section! {
    /// Prometheus' protocols: limits on what is written, and how its API answers.
    PrometheusSettings as "prometheus" {
        /// A configuration file of Prometheus: its targets are scraped, into the tenant `default`. It is
        /// read again at SIGHUP and at `POST /-/reload`. Empty: nothing is scraped.
        config_file: PathBuf = PathBuf::new(),
        /// How much of the write-ahead log is kept for each server of `remote_write` that has not taken it
        /// yet: a share of the disk, or a size. Beyond it, the oldest samples are given up for that
        /// server, which is logged and counted.
        remote_write_backlog: SizeLimit = SizeLimit::Percent(10),
        /// How many labels one series may have.
        labels_max: usize = 100,
        /// The longest name of a label.
        label_name_size: ByteSize = ByteSize(1_024),
        /// The longest value of a label.
        label_value_size: ByteSize = ByteSize::kib(16),
        /// How far in the future a sample may lie, because the clocks of senders differ.
        future_grace: HumanDuration = HumanDuration::from_secs(600),
        /// Remote read sends its stream in frames of about this size.
        read_frame_size: ByteSize = ByteSize::mib(1),
        /// Answer also with the series that spans give, named as Tempo names them:
        /// `traces_spanmetrics_…` and `traces_service_graph_…`. They are made when they are asked for.
        span_metrics: bool = true,
        /// Let `/api/v1/admin/tsdb` delete series and take snapshots.
        admin_api: bool = false,
        /// The sites whose pages may query from browsers, as browsers send them in `Origin`:
        /// `["https://grafana.example"]`. `["*"]` lets every site read what the browser can reach.
        cors_origins: Vec<String> = Vec::new(),
    }
}

impl PrometheusSettings {
    /// The options of metrics that all protocols share: these settings, and those of PromQL.
    pub fn metric_options(&self, engine: EngineOptions) -> MetricOptions {
        let future_grace = self.future_grace.0.as_millis();
        MetricOptions {
            engine,
            labels: LabelLimits {
                count_max: self.labels_max,
                name_length_max: self.label_name_size.length(),
                value_length_max: self.label_value_size.length(),
            },
            future_grace_ms: i64::try_from(future_grace).unwrap_or(i64::MAX),
        }
    }
}
