//! Lines in memory, as columns: what a batch holds on its way in, and what a block of a head holds.

use model::{TimeRange, TimeUnit};
use std::collections::HashMap;

/// Where a field of a line ends in the values, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldEnd {
    pub(crate) name: u32,
    pub(crate) end: u32,
}

/// Lines with their streams, times and fields. Streams are numbers in a table that stands beside.
///
/// Invariants: all columns have the length of `times`; the ends never fall; a line has a field of
/// one name at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) streams: Vec<u32>,
    /// Nanoseconds.
    pub(crate) times: Vec<i64>,
    pub(crate) line_ends: Vec<u32>,
    pub(crate) lines: Vec<u8>,
    /// The end of each line's fields.
    pub(crate) field_ends: Vec<u32>,
    pub(crate) fields: Vec<FieldEnd>,
    pub(crate) values: Vec<u8>,
    pub(crate) names: Names,
}

/// The names of fields, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    bytes: usize,
}

/// Roughly what a name takes beside its two copies.
const NAME_BYTES: usize = 64;

/// Up to this many names are compared one by one, which is quicker than hashing.
const COMPARED: usize = 8;

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn get(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        if self.names.len() <= COMPARED {
            return self.names.iter().position(|known| **known == *name).map(|at| at as u32);
        }
        self.numbers.get(name).copied()
    }

    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.bytes += name.len() * 2 + NAME_BYTES;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.numbers.clear();
        self.bytes = 0;
    }
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.times.clear();
        self.line_ends.clear();
        self.lines.clear();
        self.field_ends.clear();
        self.fields.clear();
        self.values.clear();
        self.names.clear();
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let rows = self.len() * (size_of::<u32>() * 3 + size_of::<i64>());
        let fields = self.fields.len() * size_of::<FieldEnd>() + self.names.bytes;
        rows + fields + self.lines.len() + self.values.len()
    }

    /// The codes that a reader of all fields holds.
    pub(crate) fn cells(&self) -> usize {
        self.len() * self.names.len()
    }

    pub(crate) fn field_count(&self, row: usize) -> usize {
        self.field_ends[row] as usize - start_of(&self.field_ends, row)
    }

    /// Whether a further line with values of these lengths can be counted in 32 bits.
    pub(crate) fn has_room(&self, line: usize, values: usize) -> bool {
        let fits = |held: usize, more: usize| held + more <= u32::MAX as usize;
        fits(self.lines.len(), line) && fits(self.values.len(), values)
    }

    /// Begins a line; its fields follow.
    pub(crate) fn push_line(&mut self, stream: u32, time: i64, line: &[u8]) {
        self.streams.push(stream);
        self.times.push(time);
        self.lines.extend_from_slice(line);
        self.line_ends.push(self.lines.len() as u32);
        self.field_ends.push(self.fields.len() as u32);
    }

    /// Adds a field to the last line.
    pub(crate) fn push_field(&mut self, name: u32, value: &[u8]) {
        self.values.extend_from_slice(value);
        self.fields.push(FieldEnd { name, end: self.values.len() as u32 });
        if let Some(end) = self.field_ends.last_mut() {
            *end = self.fields.len() as u32;
        }
    }

    pub(crate) fn line(&self, row: usize) -> &[u8] {
        &self.lines[start_of(&self.line_ends, row)..self.line_ends[row] as usize]
    }

    /// The fields of a line: the number of the name, and the value.
    pub(crate) fn fields(&self, row: usize) -> impl Iterator<Item = (u32, &[u8])> {
        let range = start_of(&self.field_ends, row)..self.field_ends[row] as usize;
        range.map(|at| (self.fields[at].name, self.value(at)))
    }

    fn value(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.fields[before].end as usize);
        &self.values[start..self.fields[at].end as usize]
    }

    /// From the first to the last time; `None` without lines.
    pub(crate) fn time(&self) -> Option<TimeRange> {
        let first = self.times.iter().min()?;
        let last = self.times.iter().max()?;
        TimeUnit::Nanos.range(*first, *last)
    }

    /// Names streams by their places in `numbers` again, which are all different.
    pub(crate) fn rename_streams(&mut self, numbers: &[u32]) {
        let places: HashMap<u32, u32> = numbers.iter().copied().zip(0..).collect();
        self.streams.iter_mut().for_each(|stream| *stream = places[stream]);
    }

    /// The rows in order of stream and time; those of one stream and time stay in their order.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|row| self.key(*row as usize));
        order
    }

    pub(crate) fn is_ordered(&self) -> bool {
        (1..self.len()).all(|row| self.key(row - 1) <= self.key(row))
    }

    pub(crate) fn key(&self, row: usize) -> (u32, i64) {
        (self.streams[row], self.times[row])
    }

    /// Copies a row, whose names are translated by `names`.
    pub(crate) fn push_from(&mut self, other: &Self, row: usize, names: &[u32]) {
        self.push_line(other.streams[row], other.times[row], other.line(row));
        for (name, value) in other.fields(row) {
            self.push_field(names[name as usize], value);
        }
    }

    /// The numbers that another's names have here.
    pub(crate) fn adopt_names(&mut self, other: &Self) -> Vec<u32> {
        other.names.iter().map(|name| self.names.number(name)).collect()
    }

    /// A copy in order of stream and time, which takes no more memory than it needs.
    pub(crate) fn ordered(&self) -> Self {
        if self.is_ordered() {
            return self.clone();
        }
        let mut ordered = Self::with_room_of(self);
        ordered.names = self.names.clone();
        let names: Vec<u32> = (0..self.names.len() as u32).collect();
        for row in self.order() {
            ordered.push_from(self, row as usize, &names);
        }
        ordered
    }

    fn with_room_of(other: &Self) -> Self {
        Self {
            streams: Vec::with_capacity(other.len()),
            times: Vec::with_capacity(other.len()),
            line_ends: Vec::with_capacity(other.len()),
            lines: Vec::with_capacity(other.lines.len()),
            field_ends: Vec::with_capacity(other.len()),
            fields: Vec::with_capacity(other.fields.len()),
            values: Vec::with_capacity(other.values.len()),
            names: Names::default(),
        }
    }

    /// The rows in runs, none of which has more cells, unless it is one row.
    pub(crate) fn split(self, cells_max: usize) -> Vec<Self> {
        if self.cells() <= cells_max {
            return vec![self];
        }
        let (mut runs, mut run) = (Vec::new(), Self::default());
        let mut numbers = vec![None; self.names.len()];
        for row in 0..self.len() {
            let cells = (run.len() + 1) * (run.names.len() + self.field_count(row));
            if !run.is_empty() && cells > cells_max {
                runs.push(std::mem::take(&mut run));
                numbers.fill(None);
            }
            run.push_line(self.streams[row], self.times[row], self.line(row));
            for (name, value) in self.fields(row) {
                let number = &mut numbers[name as usize];
                let number = *number.get_or_insert_with(|| run.names.number(self.names.get(name)));
                run.push_field(number, value);
            }
        }
        runs.push(run);
        runs
    }

    /// The rows of both, in order of stream and time, where each is in that order; the rows of
    /// `self` come first where stream and time are the same.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let mut merged = Self::default();
        let (own, others) = (merged.adopt_names(self), merged.adopt_names(other));
        let (mut left, mut right) = (0, 0);
        while left < self.len() || right < other.len() {
            let takes_left =
                right == other.len() || left < self.len() && self.key(left) <= other.key(right);
            if takes_left {
                merged.push_from(self, left, &own);
                left += 1;
            } else {
                merged.push_from(other, right, &others);
                right += 1;
            }
        }
        merged
    }
}

/// Where an entry begins that ends at `ends[index]`.
pub(crate) fn start_of(ends: &[u32], index: usize) -> usize {
    index.checked_sub(1).map_or(0, |before| ends[before] as usize)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (u32, i64, Vec<u8>, Vec<(u8, Vec<u8>)>);

    pub(crate) fn any_rows() -> impl Strategy<Value = Rows> {
        let field = (0u8..6, proptest::collection::vec(any::<u8>(), 0..4));
        let fields = proptest::collection::vec(field, 0..4);
        let line = proptest::collection::vec(any::<u8>(), 0..9);
        let row = (0u32..5, -50i64..50, line, fields);
        proptest::collection::vec(row, 0..20).prop_map(rows_of)
    }

    fn rows_of(list: Vec<Row>) -> Rows {
        let mut rows = Rows::default();
        for (stream, time, line, fields) in list {
            rows.push_line(stream, time, &line);
            let mut seen = Vec::new();
            for (name, value) in fields {
                if !seen.contains(&name) {
                    let number = rows.names.number(&format!("f{name}"));
                    rows.push_field(number, &value);
                    seen.push(name);
                }
            }
        }
        rows
    }

    type Listed = (u32, i64, Vec<u8>, Vec<(String, Vec<u8>)>);

    fn listed(rows: &Rows) -> Vec<Listed> {
        let fields = |row| {
            let named = rows.fields(row);
            named.map(|(name, value)| (rows.names.get(name).to_owned(), value.to_vec())).collect()
        };
        let row = |row| (rows.streams[row], rows.times[row], rows.line(row).to_vec(), fields(row));
        (0..rows.len()).map(row).collect()
    }

    proptest! {
        #[test]
        fn ordering_keeps_every_row(rows in any_rows()) {
            let mut expected = listed(&rows);
            expected.sort_by_key(|row| (row.0, row.1));
            let ordered = rows.ordered();
            prop_assert!(ordered.is_ordered());
            prop_assert_eq!(listed(&ordered), expected);
        }

        #[test]
        fn splitting_keeps_every_row(rows in any_rows(), cells in 1usize..30) {
            let runs = rows.clone().split(cells);
            prop_assert!(runs.iter().all(|run| run.cells() <= cells || run.len() == 1));
            let split: Vec<Listed> = runs.iter().flat_map(listed).collect();
            prop_assert_eq!(split, listed(&rows));
        }

        #[test]
        fn merging_is_ordering_of_both(left in any_rows(), right in any_rows()) {
            let mut expected = [listed(&left), listed(&right)].concat();
            expected.sort_by_key(|row| (row.0, row.1));
            prop_assert_eq!(listed(&left.ordered().merged(&right.ordered())), expected);
        }
    }
}
