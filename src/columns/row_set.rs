//! A set of rows of a row group or block.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    rows: usize,
}

impl RowSet {
    pub fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    pub fn all(rows: usize) -> Self {
        let mut set = Self { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        set.trim();
        set
    }

    /// How many rows there are, in the set or not.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn of(rows: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let word = |index: usize| {
            let start = index * 64;
            let holds = |row| u64::from(holds(row)) << (row - start);
            (start..(start + 64).min(rows)).map(holds).fold(0, |word, bit| word | bit)
        };
        Self { words: (0..rows.div_ceil(64)).map(word).collect(), rows }
    }

    /// The rows whose bit is set, the first in the lowest bit of the first byte. `bits` has one for each.
    pub fn of_bits(bits: &[u8], rows: usize) -> Self {
        let mut words = vec![0; rows.div_ceil(64)];
        for (word, bytes) in words.iter_mut().zip(bits.chunks(8)) {
            let mut of_word = [0; 8];
            of_word[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(of_word);
        }
        let mut set = Self { words, rows };
        set.trim();
        set
    }

    /// No row behind the last one is in a set.
    fn trim(&mut self) {
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), self.rows % 64) {
            *last &= (1 << rest) - 1;
        }
    }

    #[inline]
    pub fn contains(&self, row: usize) -> bool {
        self.words[row / 64] >> (row % 64) & 1 == 1
    }

    #[inline]
    pub fn insert(&mut self, row: usize) {
        self.words[row / 64] |= 1 << (row % 64);
    }

    pub fn insert_range(&mut self, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let from_start = u64::MAX << (range.start % 64);
        let to_end = u64::MAX >> (63 - (range.end - 1) % 64);
        if first == last {
            self.words[first] |= from_start & to_end;
            return;
        }
        self.words[first] |= from_start;
        self.words[first + 1..last].fill(u64::MAX);
        self.words[last] |= to_end;
    }

    pub fn and(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(left, right)| *left &= right);
        self
    }

    pub fn or(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(left, right)| *left |= right);
        self
    }

    /// The rows that are not in the set.
    pub fn others(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
        self
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many rows of a range are in the set.
    pub fn count(&self, range: std::ops::Range<usize>) -> usize {
        if range.is_empty() {
            return 0;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let from_start = u64::MAX << (range.start % 64);
        let to_end = u64::MAX >> (63 - (range.end - 1) % 64);
        let ones = |word: u64| word.count_ones() as usize;
        if first == last {
            return ones(self.words[first] & from_start & to_end);
        }
        let between = self.words[first + 1..last].iter().map(|word| ones(*word)).sum::<usize>();
        ones(self.words[first] & from_start) + between + ones(self.words[last] & to_end)
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranges_are_their_rows(rows in 1usize..300, start in 0usize..300, length in 0usize..300) {
            let range = start.min(rows)..(start + length).min(rows);
            let mut set = RowSet::none(rows);
            set.insert_range(range.clone());
            prop_assert_eq!(&set, &RowSet::of(rows, |row| range.contains(&row)));
            prop_assert_eq!(set.len(), range.len());
            let odd = RowSet::of(rows, |row| row % 3 == 1);
            prop_assert_eq!(odd.count(range.clone()), range.filter(|row| row % 3 == 1).count());
        }

        #[test]
        fn sets_are_sets(left: BTreeSet<u8>, right: BTreeSet<u8>) {
            let set = |rows: &BTreeSet<u8>| RowSet::of(256, |row| rows.contains(&(row as u8)));
            let listed = |set: &RowSet| set.iter().map(|row| row as u8).collect::<BTreeSet<u8>>();
            prop_assert_eq!(&listed(&set(&left)), &left);
            prop_assert_eq!(listed(&set(&left).and(&set(&right))), &left & &right);
            prop_assert_eq!(listed(&set(&left).or(&set(&right))), &left | &right);
            prop_assert_eq!(set(&left).others().len(), 256 - left.len());
            prop_assert_eq!(RowSet::all(77).len(), 77);
            prop_assert!(RowSet::all(77).others().is_empty());
        }
    }
}
