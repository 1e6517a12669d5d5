//! Values of a series in the order of time, in small blocks from one arena.
//!
//! Most series of a server never change: the leading run of equal values takes no block at all.
//! Blocks are one cache line, so a series of few samples wastes little; all go back at once when
//! the head is dropped.

use std::ops::Range;

const BLOCK: usize = 8;
const NO_BLOCK: u32 = u32::MAX;
/// Blocks are allocated in slabs: growing never copies, and a small head stays small.
const SLAB_BLOCKS: usize = 4_096;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) len: u32,
    /// How many values in front are `constant`.
    constant_len: u32,
    constant: u64,
    first_block: u32,
    last_block: u32,
}

impl Run {
    pub(crate) const EMPTY: Self =
        Self { len: 0, constant_len: 0, constant: 0, first_block: NO_BLOCK, last_block: NO_BLOCK };
}

#[derive(Debug, Default)]
pub(crate) struct ValueArena {
    slabs: Vec<Slab>,
    blocks: u32,
}

#[derive(Debug)]
struct Slab {
    values: Box<[[u64; BLOCK]]>,
    next: Box<[u32]>,
}

impl ValueArena {
    pub(crate) fn push(&mut self, run: &mut Run, value: u64) {
        if run.len == run.constant_len && (run.len == 0 || run.constant == value) {
            run.constant = value;
            run.constant_len += 1;
            run.len += 1;
            return;
        }
        let place = (run.len - run.constant_len) as usize % BLOCK;
        if place == 0 {
            self.add_block(run);
        }
        self.block_mut(run.last_block)[place] = value;
        run.len += 1;
    }

    fn add_block(&mut self, run: &mut Run) {
        let block = self.blocks;
        if block as usize == self.slabs.len() * SLAB_BLOCKS {
            self.slabs.push(Slab {
                values: vec![[0; BLOCK]; SLAB_BLOCKS].into(),
                next: vec![NO_BLOCK; SLAB_BLOCKS].into(),
            });
        }
        self.blocks += 1;
        match run.last_block {
            NO_BLOCK => run.first_block = block,
            last => {
                self.slabs[last as usize / SLAB_BLOCKS].next[last as usize % SLAB_BLOCKS] = block
            }
        }
        run.last_block = block;
    }

    fn block(&self, block: u32) -> &[u64; BLOCK] {
        &self.slabs[block as usize / SLAB_BLOCKS].values[block as usize % SLAB_BLOCKS]
    }

    fn block_mut(&mut self, block: u32) -> &mut [u64; BLOCK] {
        &mut self.slabs[block as usize / SLAB_BLOCKS].values[block as usize % SLAB_BLOCKS]
    }

    fn next(&self, block: u32) -> u32 {
        self.slabs[block as usize / SLAB_BLOCKS].next[block as usize % SLAB_BLOCKS]
    }

    /// Appends the values number `range` of the run.
    pub(crate) fn read(&self, run: &Run, range: Range<u32>, into: &mut Vec<f64>) {
        let constant = range.start.min(run.constant_len)..range.end.min(run.constant_len);
        let filled = into.len() + constant.len();
        into.resize(filled, f64::from_bits(run.constant));
        let (mut block, mut at) = (run.first_block, run.constant_len);
        while at < range.end && block != NO_BLOCK {
            let end = (at + BLOCK as u32).min(run.len);
            let (from, to) = (range.start.clamp(at, end), range.end.min(end));
            if from < to {
                let values = &self.block(block)[(from - at) as usize..(to - at) as usize];
                into.extend(values.iter().map(|value| f64::from_bits(*value)));
            }
            at = end;
            block = self.next(block);
        }
    }

    pub(crate) fn get(&self, run: &Run, index: u32) -> u64 {
        let mut value = Vec::with_capacity(1);
        self.read(run, index..index + 1, &mut value);
        value.first().map_or(0, |value| value.to_bits())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slabs.len() * SLAB_BLOCKS * (BLOCK * 8 + 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec(0u64..3, 1..60), cut in any::<(u8, u8)>()) {
            let mut arena = ValueArena::default();
            let (mut run, mut other) = (Run::EMPTY, Run::EMPTY);
            for value in &values {
                arena.push(&mut run, *value);
                arena.push(&mut other, value + 9);
            }
            let from = usize::from(cut.0) % values.len();
            let to = from + usize::from(cut.1) % (values.len() - from + 1);
            let mut read = Vec::new();
            arena.read(&run, from as u32..to as u32, &mut read);
            let bits: Vec<u64> = read.iter().map(|value| value.to_bits()).collect();
            prop_assert_eq!(&bits, &values[from..to]);
            prop_assert_eq!(arena.get(&other, from as u32), values[from] + 9);
        }
    }
}
