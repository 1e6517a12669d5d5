//! The entry spans of a piece: those with which work enters a service, which screens of transactions
//! show by the time of their end and their duration.
//!
//! Invariant: whether a span is an entry depends on nothing but the span, so entries of a piece are the
//! same before and after merges.

use crate::tree::ROOT;

/// As OTLP numbers kinds and statuses.
const SERVER: u8 = 2;
const CONSUMER: u8 = 5;
const ERROR: u8 = 2;

const SECOND_NS: u64 = 1_000_000_000;

/// What durations of entries are counted in: an eighth of a second.
pub const EIGHTH_NS: u64 = SECOND_NS / 8;

/// The spans of kind server or consumer, and those that name no parent, in the order of their rows.
///
/// Times are rounded down, so that thousands take little room: the columns of spans have them exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// They rise.
    pub rows: Vec<u32>,
    /// The second since 1970 in which each ended.
    pub ends_s: Vec<u64>,
    /// The duration of each in eighths of a second, times two; and one more where its status is an error.
    pub lengths: Vec<u32>,
}

/// The columns of spans that say which are entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryColumns<'c> {
    pub(crate) kinds: &'c [u8],
    /// The row of each span's parent, or `ROOT`.
    pub(crate) parents: &'c [u32],
    pub(crate) statuses: &'c [u8],
    pub(crate) starts: &'c [u64],
}

impl Entries {
    /// `duration` answers that of a row.
    pub(crate) fn of(columns: EntryColumns<'_>, duration: impl Fn(usize) -> u64) -> Self {
        let mut entries = Self::default();
        for (row, kind) in columns.kinds.iter().enumerate() {
            if matches!(*kind, SERVER | CONSUMER) || columns.parents[row] == ROOT {
                let duration = duration(row);
                let end = columns.starts[row].saturating_add(duration);
                // The longest takes 68 years.
                let eighths = (duration / EIGHTH_NS).min(u64::from(u32::MAX / 2)) as u32;
                entries.rows.push(row as u32);
                entries.ends_s.push(end / SECOND_NS);
                entries.lengths.push(eighths * 2 + u32::from(columns.statuses[row] == ERROR));
            }
        }
        entries
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The duration of an entry in eighths of a second.
    #[inline]
    pub fn eighths(&self, entry: usize) -> u32 {
        self.lengths[entry] / 2
    }

    #[inline]
    pub fn is_error(&self, entry: usize) -> bool {
        self.lengths[entry] % 2 == 1
    }

    pub(crate) fn memory(&self) -> usize {
        self.len() * (size_of::<u32>() * 2 + size_of::<u64>())
    }
}
