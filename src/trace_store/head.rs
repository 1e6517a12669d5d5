//! The spans of a head: blocks of whole traces, and the newest spans in the order of their arrival.
//!
//! A block never changes, so a reader holds it without a lock. A trace whose spans arrive over a longer
//! time is in several blocks.

use crate::block::{Block, BlockBuilder};
use crate::spans::{Remap, Spans};
use std::sync::{Arc, OnceLock};

/// The newest spans become a block when there are so many.
const BLOCK_ROWS: usize = 16 << 10;
/// The same by their bytes.
const BLOCK_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(crate) struct Head {
    blocks: Vec<Arc<Block>>,
    newest: Spans,
    /// The newest spans as a block, once somebody has asked for it.
    newest_block: OnceLock<Arc<Block>>,
    pub(crate) rows: u64,
    block_bytes: usize,
}

impl Head {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of_readers = self.newest_block.get().map_or(0, |block| block.bytes());
        self.block_bytes + self.newest.bytes() + of_readers
    }

    pub(crate) fn push(&mut self, spans: &Spans) {
        let mut remap = Remap::new(spans);
        self.newest_block.take();
        for row in 0..spans.len() {
            remap.copy(spans, &mut self.newest, row);
        }
        self.rows += spans.len() as u64;
        if self.newest.len() >= BLOCK_ROWS || self.newest.bytes() >= BLOCK_BYTES {
            let block = BlockBuilder::ordered(&[&self.newest]);
            self.newest = Spans::default();
            self.block_bytes += block.bytes();
            self.blocks.push(Arc::new(block));
        }
    }

    /// All spans as blocks, the newest last.
    pub(crate) fn blocks(&self) -> Vec<Arc<Block>> {
        let mut blocks = self.blocks.clone();
        if !self.newest.is_empty() {
            let newest = || Arc::new(BlockBuilder::ordered(&[&self.newest]));
            blocks.push(Arc::clone(self.newest_block.get_or_init(newest)));
        }
        blocks
    }

    /// All spans, in no order.
    pub(crate) fn spans(&self) -> Vec<&Spans> {
        let of_blocks = self.blocks.iter().map(|block| &block.spans);
        of_blocks.chain([&self.newest]).collect()
    }
}
