//! How OTLP metrics become Prometheus metrics, and OTLP logs lines of streams.

use crate::section;
use crate::settings::HumanDuration;
use serde::{Deserialize, Serialize};

/// How OpenTelemetry's names become Prometheus' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum TranslationStrategy {
    UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    NoTranslation,
}

impl TranslationStrategy {
    /// Whether anything but letters, digits and `_` is replaced.
    pub(crate) fn escapes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes
        )
    }

    /// Whether units and kinds are added to names.
    pub(crate) fn adds_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }
}

section! {
    /// OTLP: how metrics become Prometheus metrics (names and meanings follow Prometheus' own `otlp`
    /// section), and logs lines of streams.
    OtlpSettings as "otlp" {
        /// `"UnderscoreEscapingWithSuffixes"`, `"UnderscoreEscapingWithoutSuffixes"`,
        /// `"NoUTF8EscapingWithSuffixes"` or `"NoTranslation"`.
        translation_strategy: TranslationStrategy =
            TranslationStrategy::UnderscoreEscapingWithSuffixes,
        /// Resource attributes that become labels of every series.
        promote_resource_attributes: Vec<String> = [
            "deployment.environment.name",
            "deployment.environment",
            "k8s.cluster.name",
            "k8s.namespace.name",
            "k8s.pod.name",
            "k8s.container.name",
        ]
        .map(str::to_owned)
        .to_vec(),
        /// Turn all resource attributes into labels, except those that are ignored.
        promote_all_resource_attributes: bool = false,
        /// Resource attributes that never become labels, when all others do.
        ignore_resource_attributes: Vec<String> = Vec::new(),
        /// `target_info` keeps `service.name`, `service.namespace` and `service.instance.id` beside
        /// `job` and `instance`.
        keep_identifying_resource_attributes: bool = false,
        /// Histograms with explicit bounds become native histograms with custom buckets.
        convert_histograms_to_nhcb: bool = false,
        /// Name, version and attributes of the scope become `otel_scope_…` labels.
        promote_scope_metadata: bool = false,
        /// Delta points are added up. The sum of a series without points for this long starts again at 0.
        delta_expiry: HumanDuration = HumanDuration::from_secs(300),
        /// Resource attributes that become labels of the streams of logs, dots in their names
        /// underscores; the list is Loki's. All other attributes are fields of their lines.
        log_stream_attributes: Vec<String> = [
            "service.name",
            "service.namespace",
            "service.instance.id",
            "deployment.environment",
            "deployment.environment.name",
            "cloud.region",
            "cloud.availability_zone",
            "k8s.cluster.name",
            "k8s.namespace.name",
            "k8s.pod.name",
            "k8s.container.name",
            "container.name",
            "k8s.replicaset.name",
            "k8s.deployment.name",
            "k8s.statefulset.name",
            "k8s.daemonset.name",
            "k8s.cronjob.name",
            "k8s.job.name",
        ]
        .map(str::to_owned)
        .to_vec(),
        /// The sites whose pages may send metrics, logs and traces from browsers to the paths of OTLP over HTTP, as
        /// browsers send them in `Origin`: `["https://shop.example"]`. `["*"]`: every site.
        cors_origins: Vec<String> = Vec::new(),
        /// Series whose deltas are added up at the same time; more are rejected.
        delta_series_max: usize = 100_000,
    }
}
