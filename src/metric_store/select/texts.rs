//! A sorted set of texts, from which listings are made.

use std::collections::BTreeSet;

/// Most sources repeat the texts of earlier ones, in order: that takes one pass and no memory.
#[derive(Debug, Default)]
pub(super) struct Texts {
    sorted: Vec<String>,
    /// Texts that were added singly.
    loose: BTreeSet<String>,
}

impl Texts {
    pub(super) fn add(&mut self, text: &str) {
        if !self.loose.contains(text) {
            self.loose.insert(text.to_owned());
        }
    }

    /// Adds texts that come in order.
    pub(super) fn add_sorted<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let mut known = self.sorted.iter().map(String::as_str).peekable();
        let mut new = Vec::new();
        for text in texts {
            while known.next_if(|known| *known < text).is_some() {}
            if known.peek() != Some(&text) {
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
    pub(super) fn into_sorted(mut self) -> Vec<String> {
        let loose = std::mem::take(&mut self.loose);
        self.add_sorted(loose.iter().map(String::as_str));
        if self.sorted.first().is_some_and(String::is_empty) {
            self.sorted.remove(0);
        }
        self.sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_text_is_there_once_and_in_order(
            sources in prop::collection::vec((0u8..3, prop::collection::vec("[a-c]{0,2}", 0..12)), 0..6),
        ) {
            let (mut texts, mut expected) = (Texts::default(), BTreeSet::new());
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
            prop_assert_eq!(texts.into_sorted(), expected.into_iter().collect::<Vec<_>>());
        }
    }
}
