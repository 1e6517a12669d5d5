//! The metrics and events of the catalog.

use crate::CatalogError;
use observe::{Counter, Event, Fields, Gauge, Level, Metric};

pub(crate) static WRITES: Counter =
    Counter::new("mirador_catalog_writes_total", "Batches written to the catalog.");
pub(crate) static WRITE_ERRORS: Counter =
    Counter::new("mirador_catalog_write_errors_total", "Batches that could not be written.");
pub(crate) static BYTES: Gauge =
    Gauge::new("mirador_catalog_bytes", "Size of the catalog on disk.");
pub(crate) static DEGRADED: Gauge = Gauge::new(
    "mirador_catalog_degraded",
    "1 after the catalog was restored from an export, until an administrator acknowledges it.",
);
pub(crate) static RECOVERIES: Counter = Counter::new(
    "mirador_catalog_recoveries_total",
    "Times a damaged catalog was opened without loss: sled's log replayed, the content moved to a new store, or put together from exports and journal.",
);
pub(crate) static EXPORTS: Counter =
    Counter::new("mirador_catalog_exports_total", "Exports of the catalog written.");
pub(crate) static EXPORT_ERRORS: Counter = Counter::new(
    "mirador_catalog_export_errors_total",
    "Exports of the catalog that could not be written, or be read when they were needed.",
);
pub(crate) static PASSWORD_CHECKS: Counter = Counter::new(
    "mirador_catalog_password_checks_total",
    "Passwords checked with argon2id because they were not in the cache.",
);

/// Every metric of the catalog, for the server's registry.
pub static METRICS: &[&dyn Metric] = &[
    &WRITES,
    &WRITE_ERRORS,
    &BYTES,
    &DEGRADED,
    &RECOVERIES,
    &EXPORTS,
    &EXPORT_ERRORS,
    &PASSWORD_CHECKS,
];

/// Defines an event that carries an error and its place.
macro_rules! error_event {
    ($(#[$doc:meta])* $name:ident, $level:ident, $message:literal, $counter:expr) => {
        $(#[$doc])*
        pub(crate) struct $name<'a> {
            pub(crate) place: &'a str,
            pub(crate) error: &'a CatalogError,
        }

        impl Event for $name<'_> {
            const LEVEL: Level = Level::$level;
            const MESSAGE: &'static str = $message;

            fn fields(&self, fields: &mut Fields<'_>) {
                fields.text("place", self.place);
                fields.error(self.error);
            }

            fn count(&self) {
                $counter.increment();
            }
        }
    };
}

error_event!(SnapshotQuarantined, Warn, "catalog opened without its damaged snapshot", RECOVERIES);
error_event!(ExportFailed, Error, "catalog export can't be written", EXPORT_ERRORS);
error_event!(ExportUnreadable, Error, "catalog export can't be read", EXPORT_ERRORS);
error_event!(JournalFailed, Error, "catalog journal can't be written", WRITE_ERRORS);
error_event!(WriteFailed, Error, "catalog write failed, further writes are refused", WRITE_ERRORS);

/// A crash came between journal and store, or the store went back in time.
pub(crate) struct Redone {
    pub(crate) changes: usize,
    pub(crate) sequence: u64,
}

impl Event for Redone {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str =
        "catalog took changes from its journal that its store did not have";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.integer("changes", self.changes as u64);
        fields.integer("sequence", self.sequence);
    }

    fn count(&self) {
        RECOVERIES.increment();
    }
}

pub(crate) struct Recovered<'a> {
    pub(crate) reason: &'a str,
    pub(crate) from: &'a str,
    pub(crate) sequence: u64,
}

impl Event for Recovered<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str =
        "catalog was damaged and put together again from an export and its journal, without loss";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("from", self.from);
        fields.integer("sequence", self.sequence);
        fields.text("reason", self.reason);
    }

    fn count(&self) {
        RECOVERIES.increment();
    }
}

/// The store is good, so nothing is lost, and an export follows.
pub(crate) struct JournalDamaged<'a> {
    pub(crate) reason: &'a str,
}

impl Event for JournalDamaged<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str =
        "catalog journal is damaged, the catalog goes on with its store and exports it again";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("reason", self.reason);
    }
}

pub(crate) struct Rebuilt<'a> {
    pub(crate) place: &'a str,
}

impl Event for Rebuilt<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str =
        "catalog could not be written, its content was moved to a new store without loss";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("place", self.place);
    }

    fn count(&self) {
        RECOVERIES.increment();
    }
}

pub(crate) struct Restored<'a> {
    pub(crate) reason: &'a str,
    pub(crate) export: &'a str,
}

impl Event for Restored<'_> {
    const LEVEL: Level = Level::Error;
    const MESSAGE: &'static str = "catalog was damaged and restored from an export";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.text("export", self.export);
        fields.text("reason", self.reason);
    }
}

pub(crate) struct TooLarge {
    pub(crate) bytes: u64,
}

impl Event for TooLarge {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "catalog is larger than expected";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.integer("bytes", self.bytes);
    }
}
