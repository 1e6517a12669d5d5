//! Limits of lines, and what is added to them. The names and most numbers are Loki's, so that what an
//! operator knows from there holds here.

use super::level::LevelFields;
use crate::section;
use crate::settings::{ByteSize, HumanDuration};
use engine::{HeadMemory, TenantLimit};
use log_store::StoreSettings;
use logql::{EngineOptions, Limits};
use platform::threads::Helpers;
use std::time::Duration;

section! {
    /// Logs, whatever protocol they come through: limits, and what is added to lines. The names are
    /// those of Loki's `limits_config`.
    LogsSettings as "logs" {
        /// The labels of which the first that a stream has becomes its `service_name`, where it has
        /// none; a stream without any of them gets `unknown_service`. Empty: streams stay as they are.
        discover_service_name: Vec<String> = [
            "service",
            "app",
            "application",
            "app_name",
            "name",
            "app_kubernetes_io_name",
            "container",
            "container_name",
            "k8s_container_name",
            "component",
            "workload",
            "job",
            "k8s_job_name",
        ]
        .map(str::to_owned)
        .to_vec(),
        /// Add the level of each line as the field `detected_level`.
        discover_log_levels: bool = true,
        /// The labels, fields, and keys in lines of JSON or logfmt that name a level; upper and lower
        /// case are the same.
        log_level_fields: Vec<String> = [
            "level",
            "severity",
            "severity_text",
            "SeverityText",
            "lvl",
            "log.level",
            "log_level",
        ]
        .map(str::to_owned)
        .to_vec(),
        /// Which fields of documents and records (Elasticsearch, JSON lines, Fluentd) become labels of
        /// their streams, dots in their names underscores. All others are fields of their lines.
        stream_fields: Vec<String> = [
            "service.name",
            "data_stream.dataset",
            "data_stream.namespace",
            "host.name",
            "kubernetes.namespace",
            "kubernetes.namespace_name",
            "kubernetes.pod.name",
            "kubernetes.pod_name",
            "kubernetes.container.name",
            "kubernetes.container_name",
            "container_name",
            "cluster",
            "namespace",
            "pod",
            "container",
            "app",
            "job",
        ]
        .map(str::to_owned)
        .to_vec(),
        /// The longest line.
        max_line_size: ByteSize = ByteSize::mib(1),
        /// Cut longer lines, and say in the field `truncated_from` how long they were, rather than
        /// refuse them.
        max_line_size_truncate: bool = false,
        /// Labels that a stream may have. Loki's default is 15; this is enough for all attributes that
        /// OTLP makes labels of.
        max_label_names_per_series: usize = 30,
        /// The longest name of a label.
        max_label_name_length: ByteSize = ByteSize(1_024),
        /// The longest value of a label.
        max_label_value_length: ByteSize = ByteSize(2_048),
        /// What the names and values of one line's fields (structured metadata) may take together.
        max_structured_metadata_size: ByteSize = ByteSize::kib(64),
        /// How many fields one line may have.
        max_structured_metadata_entries_count: usize = 128,
        /// How far in the future a line may lie, because the clocks of senders differ.
        creation_grace_period: HumanDuration = HumanDuration::from_secs(600),
        /// Streams that a tenant may write to between two flushes; batches with further ones are
        /// refused by name of this limit.
        max_streams: u64 = 1_000_000,
        /// Store the server's own log lines (`service_name="mirador"`, in the default tenant).
        store_own_lines: bool = true,
        /// Memory for what queries decoded.
        cache_size: ByteSize = ByteSize::mib(32),
        /// The longest that a query may run.
        query_timeout: HumanDuration = HumanDuration::from_secs(60),
        /// The memory that one query may hold.
        max_memory: ByteSize = ByteSize::mib(1_024),
        /// Series of one answer.
        max_query_series: usize = 500,
        /// Lines of one answer.
        max_entries_limit_per_query: usize = 5_000,
        /// The longest time from the start to the end of a query; `"0s"`: any.
        max_query_length: HumanDuration = HumanDuration::from_secs(721 * 3_600),
        /// Clients that may follow a tenant's new lines at the same time.
        max_concurrent_tail_requests: usize = 10,
        /// How long a client may follow new lines before it has to ask again.
        tail_max_duration: HumanDuration = HumanDuration::from_secs(3_600),
    }
}

/// What holds for logs, whatever protocol they come through.
#[derive(Clone, Debug)]
pub struct LogOptions {
    pub(super) service_names: Vec<String>,
    /// `None`: levels are not looked for.
    pub(super) levels: Option<LevelFields>,
    pub(crate) stream_fields: Vec<String>,
    pub(super) line_max: usize,
    pub(super) truncate: bool,
    pub(super) labels_max: usize,
    pub(super) label_name_max: usize,
    pub(super) label_value_max: usize,
    pub(super) fields_size_max: usize,
    pub(super) fields_max: usize,
    pub(super) future_grace_ms: i64,
    /// Clients that may follow a tenant at the same time, and for how long.
    pub(crate) tails_max: usize,
    pub(crate) tail_max: Duration,
}

impl LogsSettings {
    /// How the store is opened.
    pub fn store_settings(
        &self,
        tenants: TenantLimit,
        head_memory: HeadMemory,
        head_size: u64,
    ) -> StoreSettings {
        StoreSettings {
            cache_bytes: self.cache_size.length(),
            tenants,
            head_memory,
            streams_max: self.max_streams,
            // Half as much again as a flush begins at: one head is written while the next one fills.
            crowded_bytes: head_size.saturating_add(head_size / 2),
            streams_setting: "logs.max_streams",
        }
    }

    /// How queries are evaluated.
    pub fn engine_options(&self, helpers: Helpers) -> EngineOptions {
        let whole = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
        let limits = Limits {
            series_max: self.max_query_series,
            entries_max: self.max_entries_limit_per_query,
            length_max_ns: whole(self.max_query_length.0.as_nanos()),
            timeout_ms: whole(self.query_timeout.0.as_millis()),
            memory_max: self.max_memory.length(),
            ..Limits::default()
        };
        EngineOptions { limits, helpers }
    }

    pub fn options(&self) -> LogOptions {
        let grace = self.creation_grace_period.0.as_millis();
        LogOptions {
            service_names: self.discover_service_name.clone(),
            levels: self.discover_log_levels.then(|| LevelFields::new(&self.log_level_fields)),
            stream_fields: self.stream_fields.clone(),
            line_max: self.max_line_size.length(),
            truncate: self.max_line_size_truncate,
            labels_max: self.max_label_names_per_series,
            label_name_max: self.max_label_name_length.length(),
            label_value_max: self.max_label_value_length.length(),
            fields_size_max: self.max_structured_metadata_size.length(),
            fields_max: self.max_structured_metadata_entries_count,
            future_grace_ms: i64::try_from(grace).unwrap_or(i64::MAX),
            tails_max: self.max_concurrent_tail_requests,
            tail_max: self.tail_max_duration.0,
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        LogsSettings::default().options()
    }
}
