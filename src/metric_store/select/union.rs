//! Joins several selections into one: each series once, in the order of labels.
//!
//! A series that several selections have is read from the first of them, because all selections of
//! a request see the same samples of it.

use super::{Scratch, Selection, SeriesSamples};
use crate::StoreError;
use model::{Labels, Room};
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
    pub fn of(selections: Vec<Selection>, room: &mut dyn Room) -> Result<Self, StoreError> {
        let length: usize = selections.iter().map(Selection::len).sum();
        room.take(length * size_of::<(usize, usize)>())?;
        let places = in_label_order(&selections, room)?.map(|(_, place)| place).collect();
        Ok(Self { selections, places })
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
/// selection is in the order of labels, its labels are only assembled when they are needed;
/// otherwise all of them need room.
pub fn in_label_order<'a>(
    selections: &'a [Selection],
    room: &mut dyn Room,
) -> Result<impl Iterator<Item = (Labels, (usize, usize))> + use<'a>, StoreError> {
    let mut runs = Vec::new();
    for (number, selection) in selections.iter().enumerate() {
        let of_selection = ByLabels::runs_of(selection, room)?;
        runs.extend(of_selection.into_iter().map(|run| (number, run)));
    }
    let (numbers, runs): (Vec<usize>, Vec<ByLabels<'_>>) = runs.into_iter().unzip();
    let merged = Merged::of(runs);
    Ok(merged.map(move |(labels, (run, index))| (labels, (numbers[run], index))))
}

/// So many series are sorted at once, which takes some milliseconds: in between room is asked for, and
/// so whether anybody still wants the result.
const RUN: usize = 16_384;

/// Series of one selection in the order of their labels.
enum ByLabels<'a> {
    AsStored { selection: &'a Selection, next: usize },
    Sorted(std::vec::IntoIter<(Labels, usize)>),
}

impl<'a> ByLabels<'a> {
    /// All series of a selection, in one run or in several.
    fn runs_of(selection: &'a Selection, room: &mut dyn Room) -> Result<Vec<Self>, StoreError> {
        if selection.is_in_label_order() {
            return Ok(vec![Self::AsStored { selection, next: 0 }]);
        }
        let mut held = |index: usize| {
            let labels = selection.labels(index);
            room.take(labels.as_bytes().len() + 2 * size_of::<(Labels, usize)>())?;
            Ok::<_, StoreError>((labels, index))
        };
        let mut runs = Vec::new();
        for start in (0..selection.len()).step_by(RUN) {
            let end = selection.len().min(start + RUN);
            let mut run = (start..end).map(&mut held).collect::<Result<Vec<_>, _>>()?;
            run.sort_unstable();
            runs.push(Self::Sorted(run.into_iter()));
        }
        Ok(runs)
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
