//! The lines of a head: blocks in order of stream and time, and the table of their streams.
//!
//! A block never changes, so a reader holds it without a lock. Small batches are merged into larger
//! blocks as they come, each line a few times at most.

use crate::rows::Rows;
use crate::streams::StreamTable;
use model::{Labels, TimeRange};
use std::sync::Arc;

/// Lines of a head, in order of stream and time. Streams are numbers in the head's table.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: Rows,
    pub(crate) time: TimeRange,
}

/// A block of this size is not merged with further ones.
const BLOCK_BYTES: usize = 512 << 10;

/// A block has no more rows times fields, unless it is one row: a reader of all fields holds a code for
/// each.
const BLOCK_CELLS: usize = 4 << 20;

impl Block {
    /// The rows as blocks in order of stream and time.
    pub(crate) fn of(rows: &Rows) -> Vec<Arc<Self>> {
        let block = |rows: Rows| rows.time().map(|time| Arc::new(Self { rows, time }));
        rows.ordered().split(BLOCK_CELLS).into_iter().filter_map(block).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) streams: StreamTable,
    pub(crate) blocks: Vec<Arc<Block>>,
    pub(crate) rows: u64,
    row_bytes: usize,
}

impl Head {
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.row_bytes + self.streams.bytes()
    }

    /// Adds rows that name streams by their place in `labels`; afterwards they name them by their
    /// numbers in the head, which are answered.
    pub(crate) fn push(&mut self, labels: &[Labels], rows: &mut Rows) -> Vec<u32> {
        let numbers: Vec<u32> = labels.iter().map(|labels| self.streams.number(labels)).collect();
        rows.streams.iter_mut().for_each(|stream| *stream = numbers[*stream as usize]);
        self.rows += rows.len() as u64;
        self.row_bytes += rows.bytes();
        for block in Block::of(rows) {
            self.blocks.push(block);
            self.merge_small();
        }
        numbers
    }

    /// Merges the newest two blocks while the newest is not much smaller than the one before it: so a
    /// line is copied once for each doubling.
    fn merge_small(&mut self) {
        while let [.., before, last] = &self.blocks[..] {
            let (older, newer) = (before.rows.bytes(), last.rows.bytes());
            // Names that both have count twice.
            let cells = (before.rows.len() + last.rows.len())
                * (before.rows.names.len() + last.rows.names.len());
            if older + newer > BLOCK_BYTES || older / 2 > newer || cells > BLOCK_CELLS {
                break;
            }
            let rows = before.rows.merged(&last.rows);
            let time = before.time.union(last.time);
            self.blocks.truncate(self.blocks.len() - 2);
            self.blocks.push(Arc::new(Block { rows, time }));
        }
    }
}
