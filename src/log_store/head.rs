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

    /// Adds rows that name streams by their place in `labels`.
    pub(crate) fn push(&mut self, labels: &[Labels], rows: &mut Rows) {
        let numbers: Vec<u32> = labels.iter().map(|labels| self.streams.number(labels)).collect();
        rows.streams.iter_mut().for_each(|stream| *stream = numbers[*stream as usize]);
        let Some(time) = rows.time() else { return };
        self.rows += rows.len() as u64;
        self.row_bytes += rows.bytes();
        self.blocks.push(Arc::new(Block { rows: rows.ordered(), time }));
        self.merge_small();
    }

    /// Merges the newest two blocks while the newest is not much smaller than the one before it: so a
    /// line is copied once for each doubling.
    fn merge_small(&mut self) {
        while let [.., before, last] = &self.blocks[..] {
            let (older, newer) = (before.rows.bytes(), last.rows.bytes());
            if older + newer > BLOCK_BYTES || older / 2 > newer {
                break;
            }
            let rows = before.rows.merged(&last.rows);
            let time = before.time.union(last.time);
            self.blocks.truncate(self.blocks.len() - 2);
            self.blocks.push(Arc::new(Block { rows, time }));
        }
    }
}
