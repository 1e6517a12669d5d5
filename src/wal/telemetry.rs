//! The metrics and events of the write-ahead log.

use model::WalPosition;
use observe::{
    Counter, CounterFamily, Event, Fields, Gauge, Histogram, LATENCY_SECONDS, Level, Metric,
};

pub(crate) static BATCHES: Counter =
    Counter::new("mirador_wal_batches_total", "Batches that the write-ahead log acknowledged.");
pub(crate) static PAYLOAD_BYTES: Counter = Counter::new(
    "mirador_wal_payload_bytes_total",
    "Bytes of the batches given to the write-ahead log, before packing.",
);
pub(crate) static WRITTEN_BYTES: Counter = Counter::new(
    "mirador_wal_written_bytes_total",
    "Bytes that the write-ahead log wrote for batches, after packing.",
);
pub(crate) static REFUSED: CounterFamily = CounterFamily::new(
    "mirador_wal_refused_total",
    "Batches that the write-ahead log answered with an error, by kind.",
    &["kind"],
);
pub(crate) static SYNCS: Counter =
    Counter::new("mirador_wal_syncs_total", "Syncs of segment files that succeeded.");
pub(crate) static SYNC_SECONDS: Histogram = Histogram::new(
    "mirador_wal_sync_seconds",
    "How long a sync of a segment file took.",
    LATENCY_SECONDS,
);
pub(crate) static QUEUE_BYTES: Gauge =
    Gauge::new("mirador_wal_queue_bytes", "Bytes of batches that wait for the write-ahead log.");
pub(crate) static FAILURES: Counter = Counter::new(
    "mirador_wal_failures_total",
    "Writes, syncs and creations of segment files that failed.",
);
pub(crate) static HEALTHY: Gauge = Gauge::new(
    "mirador_wal_healthy",
    "1 while the write-ahead log takes batches, 0 after a failure.",
);
pub(crate) static TORN_TAILS: Counter = Counter::new(
    "mirador_wal_torn_tails_total",
    "Segments that ended in an incomplete write, found at replay.",
);
pub(crate) static CORRUPT_RANGES: Counter = Counter::new(
    "mirador_wal_corrupt_ranges_total",
    "Damaged ranges of the write-ahead log, found at replay.",
);
pub(crate) static CORRUPT_BYTES: Counter = Counter::new(
    "mirador_wal_corrupt_bytes_total",
    "Bytes in the corrupt ranges of the write-ahead log.",
);
pub(crate) static GAPS: Counter = Counter::new(
    "mirador_wal_gaps_total",
    "Places of the write-ahead log at which a segment is missing, found at start.",
);
pub(crate) static REPLAYED: Counter =
    Counter::new("mirador_wal_replayed_batches_total", "Batches replayed at start.");
pub(crate) static UNCLEAN_STOPS: Counter = Counter::new(
    "mirador_wal_unclean_stops_total",
    "Starts that found a write-ahead log without an orderly stop.",
);
pub(crate) static SEGMENTS: Gauge =
    Gauge::new("mirador_wal_segments", "Segment files of the write-ahead log.");
pub(crate) static SIZE_BYTES: Gauge =
    Gauge::new("mirador_wal_size_bytes", "Bytes in the segment files of the write-ahead log.");

/// Every metric of the write-ahead log, for the registry.
pub const METRICS: &[&dyn Metric] = &[
    &BATCHES,
    &PAYLOAD_BYTES,
    &WRITTEN_BYTES,
    &REFUSED,
    &SYNCS,
    &SYNC_SECONDS,
    &QUEUE_BYTES,
    &FAILURES,
    &HEALTHY,
    &TORN_TAILS,
    &CORRUPT_RANGES,
    &CORRUPT_BYTES,
    &GAPS,
    &REPLAYED,
    &UNCLEAN_STOPS,
    &SEGMENTS,
    &SIZE_BYTES,
];

/// A crash or a failure interrupted a write. No acknowledged batch is in it.
pub(crate) struct TornTail {
    pub(crate) position: WalPosition,
    pub(crate) bytes: u64,
}

impl Event for TornTail {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "write-ahead log segment ends in an incomplete write";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("position", self.position);
        fields.integer("bytes", self.bytes);
    }

    fn count(&self) {
        TORN_TAILS.increment();
    }
}

/// One or more segments are not there, although nothing says that they were deleted.
pub(crate) struct Missing {
    pub(crate) from: WalPosition,
    pub(crate) end: WalPosition,
}

impl Event for Missing {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "a segment of the write-ahead log is missing, and the batches in it: \
        if it can be restored from a copy, stop the server, put it back, and start again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("from", self.from);
        fields.text("end", self.end);
    }

    fn count(&self) {
        GAPS.increment();
    }
}

/// A range between valid frames, or a whole segment, is damaged.
pub(crate) struct Corruption {
    pub(crate) position: WalPosition,
    pub(crate) bytes: u64,
}

impl Event for Corruption {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "write-ahead log is corrupt, batches may be missing";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("position", self.position);
        fields.integer("bytes", self.bytes);
    }

    fn count(&self) {
        CORRUPT_RANGES.increment();
        CORRUPT_BYTES.add(self.bytes);
    }
}

/// The write-ahead log refuses batches. Reported once, even if many tries to begin a new segment
/// fail.
pub(crate) struct LogFailed<'a> {
    pub(crate) reason: &'a str,
    pub(crate) refused: usize,
}

impl Event for LogFailed<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str =
        "write-ahead log failed, batches are refused until a new segment is open";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("reason", self.reason);
        fields.integer("batches_refused", self.refused as u64);
    }
}

pub(crate) struct LogRecovered {
    pub(crate) segment: u64,
    pub(crate) after_seconds: f64,
}

impl Event for LogRecovered {
    const LEVEL: Level = Level::Info;
    const MESSAGE: &'static str = "write-ahead log takes batches again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("segment", format_args!("{:016x}", self.segment));
        fields.number("after_seconds", self.after_seconds);
    }
}

pub(crate) struct UncleanStop {
    pub(crate) segment: u64,
}

impl Event for UncleanStop {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "last stop was not clean, the write-ahead log is replayed";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("segment", format_args!("{:016x}", self.segment));
    }

    fn count(&self) {
        UNCLEAN_STOPS.increment();
    }
}
