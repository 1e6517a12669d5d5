//! One bit per step.

/// Which steps have a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    pub fn new(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)] }
    }

    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    #[inline]
    pub fn set(&mut self, index: usize) {
        self.words[index / 64] |= 1 << (index % 64);
    }

    pub fn clear(&mut self, index: usize) {
        self.words[index / 64] &= !(1 << (index % 64));
    }

    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn any(&self) -> bool {
        self.words.iter().any(|word| *word != 0)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(mine, theirs)| mine & theirs);
        Self { words: words.collect() }
    }

    /// The indexes that are set, as ranges without gaps.
    pub fn runs(&self, length: usize) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            at = self.next_where(at, length, true);
            let start = at;
            at = self.next_where(at, length, false);
            (start < at).then_some(start..at)
        })
    }

    /// Clears every bit.
    pub(crate) fn clear_all(&mut self) {
        self.words.fill(0);
    }

    /// The memory that the bits take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    /// The first index from `from` on that is set, or clear; `length` where there is none.
    pub(crate) fn next_where(&self, from: usize, length: usize, set: bool) -> usize {
        let mut at = from;
        while at < length {
            let word = self.words[at / 64] ^ if set { 0 } else { u64::MAX };
            let rest = word >> (at % 64);
            if rest != 0 {
                return (at + rest.trailing_zeros() as usize).min(length);
            }
            at = (at / 64 + 1) * 64;
        }
        length
    }

    pub fn union(&mut self, other: &Self) {
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & theirs != 0)
    }
}
