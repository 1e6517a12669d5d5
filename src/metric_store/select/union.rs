//! Joins several selections into one: each series once, in the order of labels.
//!
//! A series that several selections have is read from the first of them, because all selections of
//! a request see the same samples of it.

use super::{Scratch, Selection, SeriesSamples};
use crate::StoreError;
use model::Labels;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// The series of several selections.
#[derive(Debug)]
pub struct Union {
    selections: Vec<Selection>,
    /// For each series, the number of its selection and its number in that selection.
    places: Vec<(usize, usize)>,
}

impl Union {
    pub fn of(selections: Vec<Selection>) -> Self {
        let places = in_label_order(&selections).map(|(_, place)| place).collect();
        Self { selections, places }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub fn labels(&self, index: usize) -> Labels {
        let (selection, index) = self.places[index];
        self.selections[selection].labels(index)
    }

    /// Like [`Selection::read`].
    pub fn read<'r>(
        &self,
        index: usize,
        scratch: &'r mut Scratch,
    ) -> Result<SeriesSamples<'r>, StoreError> {
        let (selection, index) = self.places[index];
        self.selections[selection].read(index, scratch)
    }

    pub fn warnings(&self) -> Vec<String> {
        self.selections.iter().flat_map(Selection::warnings).collect()
    }
}

/// The labels of each series, the number of its selection, and its number in that selection. If a
/// selection is in the order of labels, its labels are only assembled when they are needed.
pub fn in_label_order(
    selections: &[Selection],
) -> impl Iterator<Item = (Labels, (usize, usize))> + '_ {
    Merged::of(selections.iter().map(ByLabels::of).collect())
}

/// The series of one selection in the order of their labels.
enum ByLabels<'a> {
    AsStored { selection: &'a Selection, next: usize },
    Sorted(std::vec::IntoIter<(Labels, usize)>),
}

impl<'a> ByLabels<'a> {
    fn of(selection: &'a Selection) -> Self {
        if selection.is_in_label_order() {
            return Self::AsStored { selection, next: 0 };
        }
        let mut all: Vec<_> = (0..selection.len()).map(|i| (selection.labels(i), i)).collect();
        all.sort_unstable();
        Self::Sorted(all.into_iter())
    }
}

impl Iterator for ByLabels<'_> {
    type Item = (Labels, usize);

    fn next(&mut self) -> Option<(Labels, usize)> {
        match self {
            Self::Sorted(all) => all.next(),
            Self::AsStored { selection, next } => {
                let index = *next;
                *next += 1;
                (index < selection.len()).then(|| (selection.labels(index), index))
            }
        }
    }
}

/// Merges sorted lists: each key once, from the first list that has it. Lists are only read as far
/// as needed.
struct Merged<K, L> {
    lists: Vec<L>,
    /// The next item of each list that has one.
    waiting: BinaryHeap<Reverse<(K, usize, usize)>>,
    last: Option<K>,
}

impl<K: Ord, L: Iterator<Item = (K, usize)>> Merged<K, L> {
    fn of(mut lists: Vec<L>) -> Self {
        let firsts = lists.iter_mut().enumerate().filter_map(|(list, items)| {
            let (key, index) = items.next()?;
            Some(Reverse((key, list, index)))
        });
        Self { waiting: firsts.collect(), lists, last: None }
    }
}

impl<K: Ord + Clone, L: Iterator<Item = (K, usize)>> Iterator for Merged<K, L> {
    type Item = (K, (usize, usize));

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut least = self.waiting.peek_mut()?;
            let list = least.0.1;
            let (key, _, index) = match self.lists[list].next() {
                Some((key, index)) => std::mem::replace(&mut least.0, (key, list, index)),
                None => PeekMut::pop(least).0,
            };
            if self.last.as_ref() != Some(&key) {
                self.last = Some(key.clone());
                return Some((key, (list, index)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_and_only_read_as_far_as_needed() {
        let taken = std::cell::Cell::new(0);
        let counted = |items: &'static [u32]| {
            let items = items.iter().copied().zip(0..);
            items.inspect(|_| taken.set(taken.get() + 1))
        };
        let merged = || Merged::of(vec![counted(&[1, 3, 5, 7, 9]), counted(&[3, 4]), counted(&[])]);
        let first: Vec<_> = merged().take(3).collect();
        assert_eq!(first, [(1, (0, 0)), (3, (0, 1)), (4, (1, 1))]);
        assert_eq!(taken.replace(0), 5);
        let all: Vec<u32> = merged().map(|(key, _)| key).collect();
        assert_eq!(all, [1, 3, 4, 5, 7, 9]);
        let nothing: Vec<std::vec::IntoIter<(u32, usize)>> = Vec::new();
        assert_eq!(Merged::of(nothing).count(), 0);
    }
}
