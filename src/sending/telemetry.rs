//! The metrics and events of sending on.

use crate::item::Tally;
use observe::{
    CounterFamily, Event, Fields, GaugeFamily, Histogram, LATENCY_SECONDS, Level, Metric,
};

pub(crate) static SENT: CounterFamily = CounterFamily::new(
    "mirador_remote_write_sent_total",
    "What other servers have taken, by destination and kind.",
    &["destination", "kind"],
);
pub(crate) static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_remote_write_refused_total",
    "What other servers refused for good, by destination and kind.",
    &["destination", "kind"],
);
pub(crate) static DROPPED: CounterFamily = CounterFamily::new(
    "mirador_remote_write_dropped_total",
    "What was not sent, by destination and reason: relabeled, exemplars_off, native_histograms_off, \
     too_old, series_unknown (its definition was given up), unreadable (batches).",
    &["destination", "reason"],
);
pub(crate) static RETRIED: CounterFamily = CounterFamily::new(
    "mirador_remote_write_retried_total",
    "Samples whose request failed and is sent again, by destination.",
    &["destination"],
);
pub(crate) static SENT_BYTES: CounterFamily = CounterFamily::new(
    "mirador_remote_write_sent_bytes_total",
    "Compressed bytes of requests, those that failed as well, by destination.",
    &["destination"],
);
pub(crate) static LOST_BYTES: CounterFamily = CounterFamily::new(
    "mirador_remote_write_given_up_bytes_total",
    "Bytes of the write-ahead log that could not be kept or read until a destination had taken what is \
     in them, by destination.",
    &["destination"],
);
pub(crate) static REQUEST_SECONDS: Histogram = Histogram::new(
    "mirador_remote_write_request_seconds",
    "How long requests to other servers took.",
    LATENCY_SECONDS,
);
pub(crate) static PENDING: GaugeFamily = GaugeFamily::new(
    "mirador_remote_write_pending",
    "Samples that were read from the write-ahead log and are not taken yet, by destination.",
    &["destination"],
);
pub(crate) static BEHIND_BYTES: GaugeFamily = GaugeFamily::new(
    "mirador_remote_write_behind_bytes",
    "Bytes of the write-ahead log that a destination has not taken yet.",
    &["destination"],
);
pub(crate) static SHARDS: GaugeFamily = GaugeFamily::new(
    "mirador_remote_write_shards",
    "How many requests a destination is sent at once.",
    &["destination"],
);
pub(crate) static HIGHEST_SENT: GaugeFamily = GaugeFamily::new(
    "mirador_remote_write_highest_sent_timestamp_seconds",
    "The latest time of a sample that a destination has taken.",
    &["destination"],
);

/// The metrics of this crate.
pub static METRICS: &[&dyn Metric] = &[
    &SENT,
    &REFUSED,
    &DROPPED,
    &RETRIED,
    &SENT_BYTES,
    &LOST_BYTES,
    &REQUEST_SECONDS,
    &PENDING,
    &BEHIND_BYTES,
    &SHARDS,
    &HIGHEST_SENT,
];

pub(crate) fn add(family: &CounterFamily, destination: &str, tally: Tally) {
    for (kind, count) in tally.by_kind().into_iter().filter(|(_, count)| *count > 0) {
        family.add(&[destination, kind], count);
    }
}

/// Part of the write-ahead log can't be sent any more.
pub(crate) struct GivenUp<'a> {
    pub(crate) destination: &'a str,
    pub(crate) bytes: u64,
}

impl Event for GivenUp<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "samples were given up that a destination of remote_write had not \
        taken: its backlog was larger than prometheus.remote_write_backlog allows, the disk was nearly \
        full, or the write-ahead log is damaged";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("destination", self.destination);
        fields.integer("bytes_at_most", self.bytes);
    }

    fn count(&self) {
        LOST_BYTES.add(&[self.destination], self.bytes);
    }
}
