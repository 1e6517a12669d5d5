//! Parts of traces: `docs/formats/traces-part.md` draws the pages.
//!
//! Lives here: `writer` (row groups, one after the other), `group` (what a row group records of itself),
//! `fixed` (the columns that every span has), `attributes` (the columns of attributes), `rollup` and
//! `entries` (what is recorded so that usual questions read no columns), `index` (the overview, and the
//! caches), `reader`, `load` (whole spans).
//! Traces are in the order of their start, the spans of a trace in tree order. A row group holds whole
//! traces. Whatever is in a dictionary is in that of a row group.

mod attributes;
mod counts;
mod entries;
mod fixed;
mod group;
mod index;
mod load;
mod measures;
mod reader;
mod rollup;
mod rows;
mod writer;

pub(crate) use fixed::TraceList;
pub(crate) use index::Caches;
pub(crate) use load::Loaded;
pub(crate) use reader::{Group, TracePart};
pub use rollup::{Rollup, RollupCount, RollupKey, duration_size};
pub(crate) use rows::GroupRows;
pub(crate) use writer::PartBuilder;

/// The version of what the pages hold.
pub(crate) const PART_SCHEMA: u16 = 1;

/// The kinds of pages. The numbers stand in files: never reuse one.
pub(crate) mod page {
    /// What a row group holds and where.
    pub(super) const GROUP: u16 = 1;
    /// The columns that every span has, in this order.
    pub(super) const FIXED: [u16; FIXED_COUNT] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    pub(super) const FIXED_COUNT: usize = 12;
    /// Places among [`FIXED`].
    pub(super) const TRACES: usize = 0;
    pub(super) const SPAN_IDS: usize = 1;
    pub(super) const TREE: usize = 2;
    pub(super) const STARTS: usize = 3;
    pub(super) const LENGTHS: usize = 4;
    pub(super) const NAMES: usize = 5;
    pub(super) const KINDS: usize = 6;
    pub(super) const STATUSES: usize = 7;
    /// Resources, then scopes.
    pub(super) const ENTITIES: usize = 8;
    /// Events, then links.
    pub(super) const CHILDREN: usize = 10;
    /// Columns of attributes.
    pub(super) const COLUMNS: u16 = 14;
    /// The index of trace ids; its key is the first hash.
    pub(super) const IDS: u16 = 15;
    /// The row groups of the part.
    pub(super) const OVERVIEW: u16 = 16;
    /// The traces of which there were spans elsewhere when the part was written.
    pub(super) const FRAGMENTS: u16 = 17;
    /// Counts of the spans of a row group by slots of one width.
    pub(super) const ROLLUP: u16 = 18;
    /// How often and how long spans of each name worked, and services called each other.
    pub(crate) const SPAN_MEASURES: u16 = 19;
    pub(crate) const EDGE_MEASURES: u16 = 20;
    /// The entry spans of a row group.
    pub(super) const ENTRIES: u16 = 21;
}
