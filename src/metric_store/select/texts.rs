//! A sorted set of texts, from which listings are made.
//!
//! Invariant: there is room for every text that is kept.

use crate::StoreError;
use model::{NoRoom, Room};
use std::collections::BTreeSet;

/// Most sources repeat the texts of earlier ones, in order: that takes one pass and no memory.
pub(super) struct Texts<'a> {
    sorted: Vec<String>,
    /// Texts that were added singly.
    loose: BTreeSet<String>,
    room: &'a mut dyn Room,
    /// Why there was no room for a text: from then on nothing is added.
    refusal: Option<NoRoom>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(room: &'a mut dyn Room) -> Self {
        Self { sorted: Vec::new(), loose: BTreeSet::new(), room, refusal: None }
    }

    pub(super) fn add(&mut self, text: &str) {
        if self.refusal.is_some() || self.loose.contains(text) {
            return;
        }
        match take(self.room, text) {
            Ok(()) => {
                self.loose.insert(text.to_owned());
            }
            Err(refusal) => self.refusal = Some(refusal),
        }
    }

    /// An error where there was no room for everything.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.refusal.clone().map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Adds texts that come in order.
    pub(super) fn add_sorted<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let mut known = self.sorted.iter().map(String::as_str).peekable();
        let mut new = Vec::new();
        for text in texts {
            while known.next_if(|known| *known < text).is_some() {}
            if known.peek() != Some(&text) {
                if self.refusal.is_none() {
                    self.refusal = take(self.room, text).err();
                }
                if self.refusal.is_some() {
                    break;
                }
                new.push(text.to_owned());
            }
        }
        if !new.is_empty() {
            self.sorted.append(&mut new);
            // The vector consists of two sorted runs, which a stable sort merges.
            self.sorted.sort();
            self.sorted.dedup();
        }
    }

    /// Adds texts that come in any order.
    pub(super) fn add_all<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let mut texts: Vec<&str> = texts.collect();
        texts.sort_unstable();
        self.add_sorted(texts.into_iter());
    }

    /// The texts without the empty one.
    pub(super) fn into_sorted(mut self) -> Result<Vec<String>, StoreError> {
        let loose = std::mem::take(&mut self.loose);
        self.add_sorted(loose.iter().map(String::as_str));
        self.check()?;
        if self.sorted.first().is_some_and(String::is_empty) {
            self.sorted.remove(0);
        }
        Ok(self.sorted)
    }
}

fn take(room: &mut dyn Room, text: &str) -> Result<(), NoRoom> {
    room.take(text.len() + size_of::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Unbounded;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_text_is_there_once_and_in_order(
            sources in prop::collection::vec((0u8..3, prop::collection::vec("[a-c]{0,2}", 0..12)), 0..6),
        ) {
            let mut room = Unbounded;
            let (mut texts, mut expected) = (Texts::new(&mut room), BTreeSet::new());
            for (way, mut source) in sources {
                expected.extend(source.iter().filter(|text| !text.is_empty()).cloned());
                match way {
                    0 => source.iter().for_each(|text| texts.add(text)),
                    1 => texts.add_all(source.iter().map(String::as_str)),
                    _ => {
                        source.sort();
                        texts.add_sorted(source.iter().map(String::as_str));
                    }
                }
            }
            prop_assert_eq!(texts.into_sorted().unwrap(), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
