//! What is sent where, and how: a section of `remote_write` with what `global` adds to it.

use model::Labels;
use outbound::{HttpConfig, Url};
use relabel::Rules;
use std::time::Duration;
use wire::WriteVersion;

/// A server that samples are sent on to.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// By which metrics, log lines and its position know it.
    pub name: String,
    pub url: Url,
    pub version: WriteVersion,
    /// For one request.
    pub timeout: Duration,
    /// Sent with every request.
    pub headers: Vec<(String, String)>,
    /// Added to every series that lacks them, before it is relabeled.
    pub external_labels: Labels,
    pub relabel: Rules,
    pub send_exemplars: bool,
    pub send_native_histograms: bool,
    pub queue: QueueSettings,
    pub metadata: MetadataSettings,
    pub http: HttpConfig,
}

/// `queue_config`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueSettings {
    /// Samples that wait in one shard.
    pub capacity: usize,
    pub shards_min: usize,
    pub shards_max: usize,
    pub samples_per_send: usize,
    /// How long samples wait for others of the same request.
    pub send_deadline: Duration,
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    pub retry_on_429: bool,
    /// Older samples are not sent.
    pub sample_age_max: Option<Duration>,
}

/// `metadata_config`, which concerns version 1: version 2 has metadata with its series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetadataSettings {
    pub send: bool,
    pub interval: Duration,
    pub per_send: usize,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            shards_min: 1,
            shards_max: 50,
            samples_per_send: 2_000,
            send_deadline: Duration::from_secs(5),
            backoff_min: Duration::from_millis(30),
            backoff_max: Duration::from_secs(5),
            retry_on_429: false,
            sample_age_max: None,
        }
    }
}

impl Default for MetadataSettings {
    fn default() -> Self {
        Self { send: true, interval: Duration::from_secs(60), per_send: 2_000 }
    }
}
