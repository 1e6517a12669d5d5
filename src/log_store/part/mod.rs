//! Parts of logs: `docs/formats/logs-part.md` draws the pages.
//!
//! Rows are in order of stream and time, streams in order of their labels. A row group holds up to
//! 131,072 lines of as many streams as fit, so that small streams share one.

mod group;
mod index;
mod letters;
mod reader;
mod times;
mod writer;

pub(crate) use group::{FieldPlace, GroupHead, Run};
pub(crate) use index::{Caches, GroupInfo, PartIndex};
pub(crate) use letters::GroupBits;
pub(crate) use reader::{Group, LogPart};
pub(crate) use times::{RunRows, Times};
pub(crate) use writer::PartBuilder;

/// The version of what the pages hold.
pub(crate) const PART_SCHEMA: u16 = 1;

/// The most lines of a row group.
const GROUP_ROWS: usize = 128 << 10;

/// The kinds of pages. The numbers stand in files: never reuse one.
mod page {
    /// Templates, and where the columns of lines are.
    pub(super) const LINES: u16 = 1;
    /// Columns of lines: texts, texts of digits, packed numbers, identifiers.
    pub(super) const COLUMNS: [u16; 4] = [2, 11, 3, 12];
    pub(super) const TIMES: u16 = 4;
    /// A field of a row group.
    pub(super) const FIELD: u16 = 5;
    /// The fields that few lines of a row group have.
    pub(super) const RARE_FIELDS: u16 = 6;
    /// What a row group holds and where.
    pub(super) const GROUP: u16 = 7;
    /// The labels of streams.
    pub(super) const STREAMS: u16 = 8;
    /// The row groups of the part, and which fields the index of identifiers covers.
    pub(super) const OVERVIEW: u16 = 9;
    /// The index of identifiers; its key is the first hash.
    pub(super) const IDS: u16 = 10;
    /// The index of letters.
    pub(super) const LETTERS: u16 = 13;
}
