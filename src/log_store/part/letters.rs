//! The index of letters: for each piece of three letters (`lines::letters`) the row groups that hold it.
//!
//! A bit for each row group, piece after piece. A search for a word reads the rows of its pieces, which are
//! on a few pages whatever the number of row groups is.

use crate::lines::{LetterSet, PIECES};
use codec::DecodeError;

/// A page holds about this many bytes.
const PAGE_BYTES: usize = 64 << 10;

/// How the index of so many row groups lies on pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    row_bytes: usize,
    rows_per_page: usize,
}

impl Layout {
    pub(super) fn of(groups: usize) -> Self {
        let row_bytes = groups.div_ceil(8).max(1);
        let rows_per_page = (PAGE_BYTES / row_bytes).clamp(1, PIECES).next_power_of_two();
        Self { row_bytes, rows_per_page: rows_per_page.min(PIECES) }
    }

    /// The page that has a piece.
    pub(super) fn page_of(self, piece: u32) -> usize {
        piece as usize / self.rows_per_page
    }

    /// The row groups of a piece on its page, one bit each.
    pub(super) fn row(self, page: &[u8], piece: u32) -> Result<&[u8], DecodeError> {
        let wrong = DecodeError::Value { offset: 0, what: "an index of letters of another size" };
        let start = piece as usize % self.rows_per_page * self.row_bytes;
        page.get(start..start + self.row_bytes).ok_or(wrong)
    }
}

/// Row groups of a part, a bit for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupBits(Vec<u8>);

impl GroupBits {
    pub(super) fn all(groups: usize) -> Self {
        Self(vec![u8::MAX; Layout::of(groups).row_bytes])
    }

    pub(super) fn none(groups: usize) -> Self {
        Self(vec![0; Layout::of(groups).row_bytes])
    }

    pub(super) fn and(&mut self, row: &[u8]) {
        self.0.iter_mut().zip(row).for_each(|(bits, row)| *bits &= row);
    }

    pub(super) fn or(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(bits, other)| *bits |= other);
    }

    pub(super) fn and_bits(&mut self, other: &Self) {
        self.and(&other.0);
    }

    pub(crate) fn has(&self, group: u32) -> bool {
        let byte = self.0.get(group as usize / 8);
        byte.is_some_and(|byte| byte >> (group % 8) & 1 == 1)
    }
}

/// The pages of the index. `groups`: what each row group holds.
pub(super) fn encode<E>(
    groups: &[LetterSet],
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let layout = Layout::of(groups.len());
    let mut page = Vec::new();
    for first in (0..PIECES).step_by(layout.rows_per_page) {
        page.clear();
        for piece in first..first + layout.rows_per_page {
            for eight in groups.chunks(8) {
                let bit = |(at, set): (usize, &LetterSet)| u8::from(set.has(piece as u32)) << at;
                page.push(eight.iter().enumerate().map(bit).fold(0, |byte, bit| byte | bit));
            }
        }
        write(&page)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::pieces_of;

    #[test]
    fn row_groups_are_found_by_their_pieces() {
        for count in [1, 9, 70] {
            let text = |group: usize| format!("common {}", ["error", "결제", "warning"][group % 3]);
            let set = |group: usize| {
                let mut set = LetterSet::default();
                set.add(text(group).as_bytes());
                set
            };
            let groups: Vec<LetterSet> = (0..count).map(set).collect();
            let mut pages = Vec::new();
            let written: Result<(), ()> = encode(&groups, |page| {
                pages.push(page.to_vec());
                Ok(())
            });
            written.unwrap();
            let layout = Layout::of(count);
            for word in ["error", "결제", "warning", "common", "absent"] {
                for group in 0..count {
                    let mut bits = GroupBits::all(count);
                    for piece in pieces_of(word.as_bytes()) {
                        bits.and(layout.row(&pages[layout.page_of(piece)], piece).unwrap());
                    }
                    let holds = bits.has(group as u32);
                    assert_eq!(holds, text(group).contains(word), "{word} in {group} of {count}");
                }
            }
            assert!(layout.row(&[], 0).is_err());
        }
    }
}
