//! A column of attributes, decoded.

use crate::keys::ValueKind;
use columns::{ABSENT, RowSet, TextColumn};

/// Values of which some rows have none.
#[derive(Clone, Debug, PartialEq)]
pub struct Present<T> {
    /// One for each row; that of a row without one means nothing.
    pub values: Vec<T>,
    /// The rows that have one; `None`: all.
    pub rows: Option<RowSet>,
}

impl<T: Copy> Present<T> {
    #[inline]
    pub fn has(&self, row: usize) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.contains(row))
    }

    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        self.has(row).then(|| self.values[row])
    }
}

/// The values of one key and one type, a row for each row of its table.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    Text(TextColumn),
    Int(Present<i64>),
    Double(Present<f64>),
    Bool(Present<bool>),
    /// Lists, maps and bytes: what [`decode_value`](crate::decode_value) reads.
    Other(TextColumn),
}

impl Column {
    pub fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::Text,
            Self::Int(_) => ValueKind::Int,
            Self::Double(_) => ValueKind::Double,
            Self::Bool(_) => ValueKind::Bool,
            Self::Other(_) => ValueKind::Other,
        }
    }

    /// Whether a row has a value.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::Text(column) | Self::Other(column) => column.codes[row] != ABSENT,
            Self::Int(column) => column.has(row),
            Self::Double(column) => column.has(row),
            Self::Bool(column) => column.has(row),
        }
    }

    /// The column of values as [`Attributes`](crate::attributes::Attributes) holds them: texts stand in
    /// `texts` by their number. `None` for a row without one.
    pub(crate) fn of_numbers(
        kind: ValueKind,
        values: &Numbered,
        texts: &columns::TextList,
    ) -> Self {
        match kind {
            ValueKind::Text => Self::Text(values.texts(texts)),
            ValueKind::Other => Self::Other(values.texts(texts)),
            ValueKind::Int => Self::Int(values.present(|bits| bits as i64)),
            ValueKind::Double => Self::Double(values.present(f64::from_bits)),
            ValueKind::Bool => Self::Bool(values.present(|bits| bits != 0)),
        }
    }
}

/// The values of one key as numbers, for some of `rows` rows, which rise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbered {
    pub(crate) rows: usize,
    pub(crate) of: Vec<u32>,
    pub(crate) values: Vec<u64>,
}

impl Numbered {
    pub(crate) fn clear(&mut self) {
        self.of.clear();
        self.values.clear();
    }

    pub(crate) fn push(&mut self, row: usize, value: u64) {
        self.of.push(row as u32);
        self.values.push(value);
    }

    fn present<T: Copy + Default>(&self, value: impl Fn(u64) -> T) -> Present<T> {
        if self.of.len() == self.rows {
            return Present {
                values: self.values.iter().map(|bits| value(*bits)).collect(),
                rows: None,
            };
        }
        let (mut values, mut rows) = (vec![T::default(); self.rows], RowSet::none(self.rows));
        for (row, bits) in self.of.iter().zip(&self.values) {
            values[*row as usize] = value(*bits);
            rows.insert(*row as usize);
        }
        Present { values, rows: Some(rows) }
    }

    fn texts(&self, texts: &columns::TextList) -> TextColumn {
        let mut column = TextColumn { codes: vec![ABSENT; self.rows], ..TextColumn::default() };
        let mut codes = vec![ABSENT; texts.len()];
        for (row, number) in self.of.iter().zip(&self.values) {
            let code = &mut codes[*number as usize];
            if *code == ABSENT {
                *code = column.values.len() as u32;
                column.values.push(texts.get(*number as usize));
            }
            column.codes[*row as usize] = *code;
        }
        column
    }
}
