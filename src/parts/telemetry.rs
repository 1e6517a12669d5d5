//! The metrics and events of parts and manifests.

use crate::PartError;
use model::{Signal, TenantId, Ulid};
use observe::{Counter, CounterFamily, Event, Fields, Level, Metric};

pub(crate) static PARTS_WRITTEN: Counter =
    Counter::new("mirador_parts_written_total", "Part files finished, by flushes and merges.");
pub(crate) static BYTES_WRITTEN: Counter =
    Counter::new("mirador_parts_written_bytes_total", "Bytes of part files finished.");
pub(crate) static PARTS_DELETED: CounterFamily = CounterFamily::new(
    "mirador_parts_deleted_total",
    "Part files deleted: dropped by a merge or retention, or orphaned by a crash.",
    &["reason"],
);
pub(crate) static PARTS_QUARANTINED: Counter = Counter::new(
    "mirador_parts_quarantined_total",
    "Parts quarantined because their file is damaged or missing.",
);
pub(crate) static PAGES_CORRUPT: Counter = Counter::new(
    "mirador_parts_corrupt_pages_total",
    "Pages that did not match their checksum when they were read.",
);
pub(crate) static COMMITS: Counter =
    Counter::new("mirador_manifest_commits_total", "Manifest generations published.");
pub(crate) static CONFLICTS: Counter = Counter::new(
    "mirador_manifest_conflicts_total",
    "Commits refused because another writer had published first.",
);
pub(crate) static FALLBACKS: Counter = Counter::new(
    "mirador_manifest_fallbacks_total",
    "Manifest generations skipped because they could not be read.",
);
pub(crate) static GARBAGE_ERRORS: Counter = Counter::new(
    "mirador_parts_garbage_errors_total",
    "Files that should have been deleted and could not be; tried again later.",
);

/// Every metric of this crate, for the server's registry.
pub static METRICS: &[&dyn Metric] = &[
    &PARTS_WRITTEN,
    &BYTES_WRITTEN,
    &PARTS_DELETED,
    &PARTS_QUARANTINED,
    &PAGES_CORRUPT,
    &COMMITS,
    &CONFLICTS,
    &FALLBACKS,
    &GARBAGE_ERRORS,
];

pub(crate) struct FellBack<'a> {
    pub(crate) key: &'a str,
    pub(crate) error: &'a PartError,
}

impl Event for FellBack<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "manifest generation can't be read; the one before is used";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("key", self.key);
        fields.error(self.error);
    }

    fn count(&self) {
        FALLBACKS.increment();
    }
}

pub(crate) struct Quarantined<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) signal: Signal,
    pub(crate) part: Ulid,
    pub(crate) reason: &'a str,
}

impl Event for Quarantined<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "part quarantined; answers about its time carry a warning";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("tenant", self.tenant);
        fields.text("signal", self.signal);
        fields.text("part", self.part);
        fields.text("reason", self.reason);
    }

    fn count(&self) {
        PARTS_QUARANTINED.increment();
    }
}

/// It is unknown whether the file was written; the next commit finds out.
pub(crate) struct CommitUncertain<'a> {
    pub(crate) key: &'a str,
    pub(crate) error: &'a std::io::Error,
}

impl Event for CommitUncertain<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "manifest could not be written";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("key", self.key);
        fields.error(self.error);
    }
}

pub(crate) struct GarbageStays<'a> {
    pub(crate) key: &'a str,
    pub(crate) error: &'a std::io::Error,
}

impl Event for GarbageStays<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "file can't be deleted; it is tried again later";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("key", self.key);
        fields.error(self.error);
    }

    fn count(&self) {
        GARBAGE_ERRORS.increment();
    }
}
