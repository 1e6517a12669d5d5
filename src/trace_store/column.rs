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
}

/// The values of one key and one type, of the rows that have one: what a part holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// The rows of the values; `None`: all.
    pub rows: Option<RowSet>,
    pub values: DenseValues,
}

/// A value for each row that has one.
#[derive(Clone, Debug, PartialEq)]
pub enum DenseValues {
    Text(TextColumn),
    Int(Vec<i64>),
    Double(Vec<f64>),
    Bool(Vec<bool>),
    /// As [`Column::Other`].
    Other(TextColumn),
}

impl Dense {
    /// The column of `count` rows.
    pub(crate) fn spread(self, count: usize) -> Column {
        let rows = self.rows;
        match self.values {
            DenseValues::Text(texts) => Column::Text(spread_texts(rows, texts, count)),
            DenseValues::Other(texts) => Column::Other(spread_texts(rows, texts, count)),
            DenseValues::Int(values) => Column::Int(spread(rows, values, count)),
            DenseValues::Double(values) => Column::Double(spread(rows, values, count)),
            DenseValues::Bool(values) => Column::Bool(spread(rows, values, count)),
        }
    }
}

fn spread_texts(rows: Option<RowSet>, mut texts: TextColumn, count: usize) -> TextColumn {
    if let Some(rows) = rows {
        let dense = std::mem::replace(&mut texts.codes, vec![ABSENT; count]);
        rows.iter().zip(dense).for_each(|(row, code)| texts.codes[row] = code);
    }
    texts
}

fn spread<T: Copy + Default>(rows: Option<RowSet>, dense: Vec<T>, count: usize) -> Present<T> {
    let Some(present) = rows else { return Present { values: dense, rows: None } };
    let mut values = vec![T::default(); count];
    present.iter().zip(dense).for_each(|(row, value)| values[row] = value);
    Present { values, rows: Some(present) }
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

    /// The values of a type, as [`Attributes`](crate::attributes::Attributes) holds them: texts stand in
    /// `texts` by their number.
    pub(crate) fn dense(&self, kind: ValueKind, texts: &columns::TextList) -> Dense {
        let values = &self.values;
        let values = match kind {
            ValueKind::Text => DenseValues::Text(self.texts(texts)),
            ValueKind::Other => DenseValues::Other(self.texts(texts)),
            ValueKind::Int => DenseValues::Int(values.iter().map(|bits| *bits as i64).collect()),
            ValueKind::Double => {
                DenseValues::Double(values.iter().map(|bits| f64::from_bits(*bits)).collect())
            }
            ValueKind::Bool => DenseValues::Bool(values.iter().map(|bits| *bits != 0).collect()),
        };
        let rows = (self.of.len() < self.rows).then(|| {
            let mut rows = RowSet::none(self.rows);
            self.of.iter().for_each(|row| rows.insert(*row as usize));
            rows
        });
        Dense { rows, values }
    }

    fn texts(&self, texts: &columns::TextList) -> TextColumn {
        let mut column = TextColumn::default();
        let mut codes = vec![ABSENT; texts.len()];
        for number in &self.values {
            let code = &mut codes[*number as usize];
            if *code == ABSENT {
                *code = column.values.len() as u32;
                column.values.push(texts.get(*number as usize));
            }
            column.codes.push(*code);
        }
        column
    }
}
