//! The origin of a part's rows, which its footer records.

use crate::Age;
use model::{Day, TimeRange, Ulid, WalPosition};
use parts::PartSummary;

/// What all parts of one flush have in common.
#[derive(Clone, Copy, Debug)]
pub struct FlushOrigin {
    /// The day of the part that takes rows without a time.
    pub today: Day,
    pub covered: WalPosition,
    pub tombstones_applied: u64,
}

impl FlushOrigin {
    /// The origin of the part of one day.
    pub fn of_day(&self, day: Day) -> PartOrigin {
        PartOrigin {
            day,
            level: 0,
            age: Age::at(self.covered),
            covered: self.covered,
            sources: Vec::new(),
            tombstones_applied: self.tombstones_applied,
        }
    }
}

/// The origin of a part's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOrigin {
    pub day: Day,
    pub level: u8,
    pub age: Age,
    pub covered: WalPosition,
    /// The parts from which it was merged; none for a flush.
    pub sources: Vec<Ulid>,
    /// The manifest generation up to which deletes have been applied to the rows.
    pub tombstones_applied: u64,
}

impl PartOrigin {
    /// The summary of a part with these rows; `schema` is the version of what its pages hold.
    pub fn summary(self, schema: u16, time: TimeRange, rows: u64, series: u64) -> PartSummary {
        PartSummary {
            schema,
            level: self.level,
            day: self.day,
            time,
            rows,
            series,
            tombstones_applied: self.tombstones_applied,
            covered: self.covered,
            sources: self.sources,
            bounds: self.age.encode(),
            engine: Vec::new(),
        }
    }
}
