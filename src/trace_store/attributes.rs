//! The attributes of the rows of one table, in memory.

/// For each row its attributes: the number of the key, and the value.
///
/// A value is the number of a text, a whole number, the bits of a double, or 0 or 1, as the type of its
/// key says. A row has one key once at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Behind the last attribute of each row.
    pub(crate) ends: Vec<u32>,
    pub(crate) keys: Vec<u32>,
    pub(crate) values: Vec<u64>,
}

impl Attributes {
    pub(crate) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.ends.len() * size_of::<u32>() + self.keys.len() * (size_of::<u32>() + size_of::<u64>())
    }

    pub(crate) fn clear(&mut self) {
        self.ends.clear();
        self.keys.clear();
        self.values.clear();
    }

    /// Where the attributes of a row are.
    pub(crate) fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        start..self.ends[row] as usize
    }

    /// The attributes of a row.
    pub(crate) fn of(&self, row: usize) -> impl Iterator<Item = (u32, u64)> {
        let range = self.range(row);
        self.keys[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// Adds an attribute, whose key the row has not, to the row that [`Attributes::end_row`] will end.
    pub(crate) fn push(&mut self, key: u32, value: u64) {
        self.keys.push(key);
        self.values.push(value);
    }

    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.keys.len() as u32);
    }

    /// Forgets the row that has not ended.
    pub(crate) fn drop_row(&mut self) {
        let start = self.ends.last().map_or(0, |end| *end as usize);
        self.keys.truncate(start);
        self.values.truncate(start);
    }

    /// Puts the attributes of the row that has not ended in the order of their keys.
    pub(crate) fn sort_row(&mut self) {
        let start = self.ends.last().map_or(0, |end| *end as usize);
        if self.keys[start..].is_sorted() {
            return;
        }
        let mut row: Vec<(u32, u64)> =
            self.keys.drain(start..).zip(self.values.drain(start..)).collect();
        row.sort_unstable();
        row.into_iter().for_each(|(key, value)| self.push(key, value));
    }
}
