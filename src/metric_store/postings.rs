//! Rising lists of series numbers, stored compactly.
//!
//! The registry lists the series of every value of every label. The series of a scrape have
//! neighbouring numbers, so a list stores the distances between its numbers: mostly a byte each,
//! where a `Vec<u32>` takes four.
//!
//! Invariant: numbers only rise; a list never loses one.

use codec::{ByteReader, ByteWriter};

#[derive(Debug, Default)]
pub(crate) struct Postings {
    /// The first number, then the distance of each to the one before it, as varints.
    distances: ByteWriter,
    count: u32,
    last: u32,
}

impl Postings {
    /// Appends a number that is higher than all before it. Returns how many bytes it took.
    pub(crate) fn push(&mut self, number: u32) -> usize {
        debug_assert!(self.count == 0 || number > self.last, "{number} after {}", self.last);
        let before = self.distances.len();
        self.distances.varint(u64::from(number - self.last));
        self.last = number;
        self.count += 1;
        self.distances.len() - before
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut reader = ByteReader::new(&self.distances.bytes);
        let mut number = 0;
        std::iter::from_fn(move || {
            number += reader.varint().ok()? as u32;
            Some(number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::btree_set(any::<u32>(), 0..50)) {
            let mut postings = Postings::default();
            let bytes: usize = numbers.iter().map(|number| postings.push(*number)).sum();
            prop_assert_eq!(postings.len(), numbers.len());
            prop_assert_eq!(bytes, postings.distances.len());
            prop_assert!(postings.iter().eq(numbers));
        }
    }

    #[test]
    fn neighbours_take_a_byte_each() {
        let mut postings = Postings::default();
        let bytes: usize = (1_000_000..1_000_781).map(|number| postings.push(number)).sum();
        assert_eq!(bytes, 781 + 2);
    }
}
