//! How often codes occur in each slot of an answer.
//!
//! A slot is a step of one side of a comparison. Only the slots that occur in a piece are counted in, so
//! that the counters of a code lie next to each other.

use super::groups::Codes;
use std::cell::{OnceCell, Ref, RefCell};
use trace_store::RowSet;

/// Which slot each span of a piece is counted in.
#[derive(Debug)]
pub(super) struct Slots {
    /// For each row the place of its slot in `list`; behind the last one for rows that are not counted.
    of: Vec<u16>,
    /// The slots that occur.
    pub(super) list: Vec<usize>,
    /// How many spans are in each.
    pub(super) totals: Vec<u32>,
    /// For each of what several spans share its spans in each slot. The lists of what each span shares belong
    /// to the piece, and are known by where they lie.
    shared: RefCell<Vec<(*const u32, Vec<u32>)>>,
    /// The same spans in one slot.
    as_one: OnceCell<Box<Slots>>,
}

/// What codes belong to; of rows only those that have a code, `None`: all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Items<'r> {
    Spans(Option<&'r RowSet>),
    /// What several spans share: the row of each span's, how many rows there are, and the rows.
    Shared {
        of: &'r [u32],
        count: usize,
        rows: Option<&'r RowSet>,
    },
}

impl Slots {
    /// `slot_of` a row: `None` if it is not counted.
    pub(super) fn new(
        rows: usize,
        slots: usize,
        mut slot_of: impl FnMut(usize) -> Option<usize>,
    ) -> Self {
        const UNCOUNTED: u16 = u16::MAX;
        let (mut list, mut totals) = (Vec::new(), Vec::new());
        let mut places = vec![UNCOUNTED; slots];
        let mut of = Vec::with_capacity(rows);
        for row in 0..rows {
            let Some(slot) = slot_of(row) else {
                of.push(UNCOUNTED);
                continue;
            };
            if places[slot] == UNCOUNTED {
                places[slot] = list.len() as u16;
                list.push(slot);
                totals.push(0);
            }
            totals[usize::from(places[slot])] += 1;
            of.push(places[slot]);
        }
        let last = list.len() as u16;
        of.iter_mut().filter(|place| **place == UNCOUNTED).for_each(|place| *place = last);
        Self { of, list, totals, shared: RefCell::default(), as_one: OnceCell::new() }
    }

    /// The same spans, all in one slot.
    pub(super) fn as_one(&self) -> &Self {
        let last = self.list.len();
        let slot_of = |row: usize| (usize::from(self.of[row]) < last).then_some(0);
        self.as_one.get_or_init(|| Box::new(Self::new(self.of.len(), 1, slot_of)))
    }

    /// Counters of one code.
    pub(super) fn width(&self) -> usize {
        self.list.len() + 1
    }

    /// For each of so many that spans share its spans in each slot.
    fn shared(&self, of: &[u32], count: usize) -> Ref<'_, [u32]> {
        let at = |known: &[(*const u32, Vec<u32>)]| {
            known.iter().position(|(known, _)| *known == of.as_ptr())
        };
        if at(&self.shared.borrow()).is_none() {
            let width = self.width();
            let mut counts = vec![0; count * width];
            for (item, slot) in of.iter().zip(&self.of) {
                counts[*item as usize * width + usize::from(*slot)] += 1;
            }
            self.shared.borrow_mut().push((of.as_ptr(), counts));
        }
        Ref::map(self.shared.borrow(), |known| at(known).map_or(&[][..], |at| &known[at].1))
    }

    /// Adds the spans of each code to its counters, which are at `place` of the code.
    pub(super) fn count(
        &self,
        codes: &Codes<'_>,
        items: Items<'_>,
        cells: &mut [u32],
        place: impl Fn(usize) -> usize,
    ) {
        match codes {
            Codes::One => {
                let cells = &mut cells[place(0) * self.width()..];
                cells.iter_mut().zip(&self.totals).for_each(|(cell, spans)| *cell += spans);
            }
            Codes::Texts(codes, last) => {
                self.add(items, cells, |at| place(codes[at].min(*last) as usize));
            }
            Codes::Bytes(codes, last) => {
                self.add(items, cells, |at| place(usize::from(codes[at].min(*last))));
            }
            Codes::Rows(codes) => self.add(items, cells, |at| place(codes[at] as usize)),
            // Of traces there are so many that going through the spans takes less.
            Codes::Entities(of, codes) if codes.len() * self.width() > of.len() => {
                let code = |row: usize| codes[of[row] as usize] as usize;
                self.add(Items::Spans(None), cells, |row| place(code(row)));
            }
            Codes::Entities(of, codes) => {
                let items = Items::Shared { of, count: codes.len(), rows: None };
                self.add(items, cells, |at| place(codes[at] as usize));
            }
        }
    }

    /// `place`: of the code at a place among those of the items.
    fn add(&self, items: Items<'_>, cells: &mut [u32], place: impl Fn(usize) -> usize) {
        let width = self.width();
        let mut span = |at: usize, row: usize| {
            cells[place(at) * width + usize::from(self.of[row])] += 1;
        };
        match items {
            Items::Spans(None) => (0..self.of.len()).for_each(|row| span(row, row)),
            Items::Spans(Some(rows)) => {
                rows.iter().enumerate().for_each(|(at, row)| span(at, row));
            }
            Items::Shared { of, count, rows } => {
                let counts = self.shared(of, count);
                let mut item = |at: usize, row: usize| {
                    let cells = &mut cells[place(at) * width..];
                    let counts = &counts[row * width..(row + 1) * width];
                    cells.iter_mut().zip(counts).for_each(|(cell, spans)| *cell += spans);
                };
                match rows {
                    None => (0..count).for_each(|row| item(row, row)),
                    Some(rows) => rows.iter().enumerate().for_each(|(at, row)| item(at, row)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_those_of_single_spans(
            rows in prop::collection::vec((prop::option::of(0usize..5), 0u32..7, any::<bool>(), 0u32..4), 0..200),
        ) {
            let slots = Slots::new(rows.len(), 5, |row| rows[row].0);
            let of: Vec<u32> = rows.iter().map(|row| row.3).collect();
            let codes: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let present = RowSet::of(rows.len(), |row| rows[row].2);
            let dense: Vec<u32> = present.iter().map(|row| rows[row].1).collect();
            let some = RowSet::of(4, |entity| entity % 2 == 1);
            let cases: Vec<(Codes<'_>, Items<'_>, Vec<Option<u32>>)> = vec![
                (Codes::One, Items::Spans(None), vec![Some(0); rows.len()]),
                (Codes::Texts(&codes, 5), Items::Spans(None), codes.iter().map(|code| Some(*code.min(&5))).collect()),
                (Codes::Rows(dense), Items::Spans(Some(&present)), rows.iter().map(|row| row.2.then_some(row.1)).collect()),
                (Codes::Entities(&of, vec![3, 0, 3, 1]), Items::Spans(None), of.iter().map(|of| Some([3, 0, 3, 1][*of as usize])).collect()),
                (Codes::Rows(vec![6, 2]), Items::Shared { of: &of, count: 4, rows: Some(&some) }, of.iter().map(|of| [None, Some(6), None, Some(2)][*of as usize]).collect()),
            ];
            for (coded, items, expected) in cases {
                let mut cells = vec![0; 7 * slots.width()];
                slots.count(&coded, items, &mut cells, |code| code);
                for code in 0..7 {
                    for (place, slot) in slots.list.iter().enumerate() {
                        let is = |row: &usize| rows[*row].0 == Some(*slot) && expected[*row] == Some(code as u32);
                        let count = (0..rows.len()).filter(is).count();
                        prop_assert_eq!(cells[code * slots.width() + place] as usize, count);
                    }
                }
            }
        }
    }
}
