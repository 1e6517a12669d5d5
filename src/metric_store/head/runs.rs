//! Values of a series in the order of time, in small blocks from one arena.
//!
//! The values of many series never change: the leading run of equal values takes no block. The
//! first block of a series is half as large as the others, so that a new head stays small. All
//! blocks are freed at once when the head is dropped.

use std::ops::Range;

const FIRST_BLOCK: usize = 4;
/// One cache line.
const BLOCK: usize = 8;
const NO_BLOCK: u32 = u32::MAX;
/// Blocks are allocated in slabs, so that growing never copies and a small head stays small.
const SLAB_BLOCKS: usize = 4_096;

/// There is one for each series, so the size matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) len: u32,
    /// How many leading values equal `constant`.
    constant_len: u32,
    /// The bytes of a `u64`; as a `u64` it would have to be aligned and the struct would grow.
    constant: [u8; 8],
    /// The number of the last block: one of the first blocks while the run has only one, one of the
    /// others afterwards. The blocks of a run form a ring, in which the last one names the first.
    last_block: u32,
}

const _: () = assert!(size_of::<Run>() == 20);

impl Run {
    pub(crate) const EMPTY: Self =
        Self { len: 0, constant_len: 0, constant: [0; 8], last_block: NO_BLOCK };

    fn constant(&self) -> u64 {
        u64::from_ne_bytes(self.constant)
    }
}

#[derive(Debug, Default)]
pub(crate) struct ValueArena {
    firsts: Blocks<FIRST_BLOCK>,
    others: Blocks<BLOCK>,
}

/// Blocks of one size, each with the number of the next block.
#[derive(Debug, Default)]
struct Blocks<const SIZE: usize> {
    slabs: Vec<Slab<SIZE>>,
    count: u32,
}

#[derive(Debug)]
struct Slab<const SIZE: usize> {
    values: Box<[[u64; SIZE]]>,
    next: Box<[u32]>,
}

impl<const SIZE: usize> Blocks<SIZE> {
    fn add(&mut self) -> u32 {
        let block = self.count;
        if block as usize == self.slabs.len() * SLAB_BLOCKS {
            self.slabs.push(Slab {
                values: vec![[0; SIZE]; SLAB_BLOCKS].into(),
                next: vec![NO_BLOCK; SLAB_BLOCKS].into(),
            });
        }
        self.count += 1;
        block
    }

    fn values(&self, block: u32) -> &[u64; SIZE] {
        &self.slabs[block as usize / SLAB_BLOCKS].values[block as usize % SLAB_BLOCKS]
    }

    fn values_mut(&mut self, block: u32) -> &mut [u64; SIZE] {
        &mut self.slabs[block as usize / SLAB_BLOCKS].values[block as usize % SLAB_BLOCKS]
    }

    fn next(&self, block: u32) -> u32 {
        self.slabs[block as usize / SLAB_BLOCKS].next[block as usize % SLAB_BLOCKS]
    }

    fn next_mut(&mut self, block: u32) -> &mut u32 {
        &mut self.slabs[block as usize / SLAB_BLOCKS].next[block as usize % SLAB_BLOCKS]
    }

    fn bytes(&self) -> usize {
        self.slabs.len() * SLAB_BLOCKS * (SIZE * size_of::<u64>() + size_of::<u32>())
    }
}

impl ValueArena {
    pub(crate) fn push(&mut self, run: &mut Run, value: u64) {
        if run.len == run.constant_len && (run.len == 0 || run.constant() == value) {
            run.constant = value.to_ne_bytes();
            run.constant_len += 1;
            run.len += 1;
            return;
        }
        let place = (run.len - run.constant_len) as usize;
        if place < FIRST_BLOCK {
            if place == 0 {
                run.last_block = self.firsts.add();
            }
            self.firsts.values_mut(run.last_block)[place] = value;
        } else {
            let place = place - FIRST_BLOCK;
            if place.is_multiple_of(BLOCK) {
                self.add_block(run, place == 0);
            }
            self.others.values_mut(run.last_block)[place % BLOCK] = value;
        }
        run.len += 1;
    }

    /// Adds a block after the last one; `is_first` means that it is the run's first.
    fn add_block(&mut self, run: &mut Run, is_first: bool) {
        let (block, last) = (self.others.add(), run.last_block);
        let first = if is_first {
            *self.firsts.next_mut(last) = block;
            last
        } else {
            std::mem::replace(self.others.next_mut(last), block)
        };
        *self.others.next_mut(block) = first;
        run.last_block = block;
    }

    /// Appends the values number `range` of the run, which has at least as many.
    pub(crate) fn read(&self, run: &Run, range: Range<u32>, into: &mut Vec<f64>) {
        let constant = range.start.min(run.constant_len)..range.end.min(run.constant_len);
        let filled = into.len() + constant.len();
        into.resize(filled, f64::from_bits(run.constant()));
        let stored = |index: u32| index.clamp(run.constant_len, run.len) - run.constant_len;
        let stored = stored(range.start) as usize..stored(range.end) as usize;
        if !stored.is_empty() {
            self.read_blocks(run, stored, into);
        }
    }

    /// Appends the values number `stored` of those in blocks.
    fn read_blocks(&self, run: &Run, stored: Range<usize>, into: &mut Vec<f64>) {
        let mut append = |values: &[u64], at: usize| {
            let (from, to) = (stored.start.max(at), stored.end.min(at + values.len()));
            if from < to {
                let values = values[from - at..to - at].iter();
                into.extend(values.map(|value| f64::from_bits(*value)));
            }
        };
        let is_one = (run.len - run.constant_len) as usize <= FIRST_BLOCK;
        let first = if is_one { run.last_block } else { self.others.next(run.last_block) };
        append(self.firsts.values(first), 0);
        let (mut block, mut at) = (self.firsts.next(first), FIRST_BLOCK);
        while at < stored.end {
            append(self.others.values(block), at);
            block = self.others.next(block);
            at += BLOCK;
        }
    }

    pub(crate) fn get(&self, run: &Run, index: u32) -> u64 {
        let mut value = Vec::with_capacity(1);
        self.read(run, index..index + 1, &mut value);
        value.first().map_or(0, |value| value.to_bits())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.firsts.bytes() + self.others.bytes()
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
