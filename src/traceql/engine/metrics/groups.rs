//! The values that spans are grouped by, as one code for each span.
//!
//! A code is looked up, not worked out: that of a text is its place in the dictionary, that of a resource is
//! found once for all of its spans.

use super::super::cell::Cell;
use super::super::source::{Columns, Source, list_value};
use crate::literal::{Kind, Status};
use crate::value::FieldValue;
use std::collections::HashMap;
use std::rc::Rc;
use trace_store::{Column, DenseValues, TextColumn, TextList};

/// Where the code of each span is.
#[derive(Debug)]
pub(crate) enum Codes<'s> {
    /// All are 0.
    One,
    /// Those of a column of texts; a higher one is the last code.
    Texts(&'s [u32], u32),
    /// Statuses or kinds; a higher one is the last code.
    Bytes(&'s [u8], u8),
    /// The row of an entity for each span, and its code.
    Entities(&'s [u32], Vec<u32>),
    Rows(Vec<u32>),
}

impl Codes<'_> {
    #[inline]
    fn get(&self, row: usize) -> u32 {
        match self {
            Self::One => 0,
            Self::Texts(codes, last) => codes[row].min(*last),
            Self::Bytes(codes, last) => u32::from(codes[row].min(*last)),
            Self::Entities(of, codes) => codes[of[row] as usize],
            Self::Rows(codes) => codes[row],
        }
    }
}

/// The codes of one attribute, and what they stand for.
#[derive(Debug)]
pub(crate) struct Coded<'s> {
    pub(crate) codes: Codes<'s>,
    pub(crate) values: Values<'s>,
}

/// What codes stand for. Texts are copied only where they are asked for.
#[derive(Debug)]
pub(crate) enum Values<'s> {
    List(Vec<FieldValue>),
    /// The texts of a dictionary, and what spans without one have.
    Texts(&'s TextList, FieldValue),
}

impl Values<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::List(values) => values.len(),
            Self::Texts(texts, _) => texts.len() + 1,
        }
    }

    pub(crate) fn get(&self, code: usize) -> FieldValue {
        match self {
            Self::List(values) => values[code].clone(),
            Self::Texts(texts, _) if code < texts.len() => Cell::Text(texts.get(code)).to_value(),
            Self::Texts(_, without) => without.clone(),
        }
    }
}

/// Numbers distinct values.
#[derive(Debug, Default)]
struct Numbering {
    codes: HashMap<FieldValue, u32>,
    values: Vec<FieldValue>,
}

impl Numbering {
    fn code(&mut self, cell: Cell<'_>) -> u32 {
        let next = self.values.len() as u32;
        *self.codes.entry(cell.to_value()).or_insert_with_key(|value| {
            self.values.push(value.clone());
            next
        })
    }
}

impl<'s> Coded<'s> {
    #[inline]
    pub(crate) fn code(&self, row: usize) -> usize {
        self.codes.get(row) as usize
    }

    pub(crate) fn new(source: &'s Source<'_>, rows: usize) -> Self {
        match source {
            Source::Names(names) => Self::of_texts(names, FieldValue::Text(String::new())),
            Source::Statuses(codes) => {
                let values = Values::List(Status::ALL.map(FieldValue::Status).to_vec());
                Self { codes: Codes::Bytes(codes, Status::Error as u8), values }
            }
            Source::Kinds(codes) => {
                let values = Values::List(Kind::ALL.map(FieldValue::Kind).to_vec());
                Self { codes: Codes::Bytes(codes, Kind::Consumer as u8), values }
            }
            Source::Numbers(numbers) => {
                let few = Self::of_integers(rows, |row| Some(numbers[row]));
                few.unwrap_or_else(|| Self::of_rows(rows, |row| source.cell(row)))
            }
            Source::Spans(columns) => Self::of_columns(columns, rows),
            Source::Entities { of, entities, columns } => {
                Self::of_entities(of, *entities, |entity| columns.cell(entity))
            }
            Source::Roots { source, roots, of } => Self::of_roots(source, (roots, of), rows),
            Source::Traces { values, of } => {
                Self::of_entities(of, values.len(), |trace| Cell::of(&values[trace]))
            }
            source => Self::of_rows(rows, |row| source.cell(row)),
        }
    }

    /// By the codes of the roots.
    fn of_roots(
        source: &'s Source<'_>,
        (roots, of): (&[Option<u32>], &'s [u32]),
        rows: usize,
    ) -> Self {
        let coded = Coded::new(source, rows);
        let empty = FieldValue::Text(String::new());
        let (values, without) = match coded.values {
            Values::Texts(texts, _) => (Values::Texts(texts, empty), texts.len()),
            Values::List(mut values) => {
                let nil = values.iter_mut().filter(|value| **value == FieldValue::Nil);
                nil.for_each(|value| *value = empty.clone());
                values.push(empty);
                let without = values.len() - 1;
                (Values::List(values), without)
            }
        };
        let code = |root: &Option<u32>| {
            root.map_or(without, |root| coded.codes.get(root as usize) as usize) as u32
        };
        Self { codes: Codes::Entities(of, roots.iter().map(code).collect()), values }
    }

    fn of_texts(column: &'s TextColumn, without: FieldValue) -> Self {
        let values = Values::Texts(&column.values, without);
        Self { codes: Codes::Texts(&column.codes, column.values.len() as u32), values }
    }

    fn of_columns(columns: &'s Columns, rows: usize) -> Self {
        match &*columns.list {
            [] => {
                let values = Values::List(vec![columns.default.cell().to_value()]);
                Self { codes: Codes::One, values }
            }
            [Column::Text(column)] => Self::of_texts(column, columns.default.cell().to_value()),
            [Column::Int(column)] if !columns.are_durations => {
                let few = Self::of_integers(rows, |row| column.get(row));
                few.unwrap_or_else(|| Self::of_rows(rows, |row| columns.cell(row)))
            }
            _ => Self::of_rows(rows, |row| columns.cell(row)),
        }
    }

    /// Of the values of those that have one.
    pub(crate) fn of_dense(values: &'s DenseValues) -> Self {
        match values {
            DenseValues::Text(column) => Self::of_texts(column, FieldValue::Nil),
            DenseValues::Int(values) => {
                let few = Self::of_integers(values.len(), |at| Some(values[at]));
                few.unwrap_or_else(|| Self::of_rows(values.len(), |at| Cell::Int(values[at])))
            }
            DenseValues::Double(values) => {
                Self::of_rows(values.len(), |at| Cell::Float(values[at]))
            }
            DenseValues::Bool(values) => Self::of_rows(values.len(), |at| Cell::Bool(values[at])),
            DenseValues::Other(column) => {
                let lists: Vec<FieldValue> = column.values.iter().map(list_value).collect();
                let mut numbering = Numbering::default();
                let of_texts: Vec<u32> =
                    lists.iter().map(|list| numbering.code(Cell::of(list))).collect();
                let codes = column.codes.iter().map(|code| of_texts[*code as usize]).collect();
                Self { codes: Codes::Rows(codes), values: Values::List(numbering.values) }
            }
        }
    }

    /// Codes by a table of all numbers between the least and the greatest, where those are few.
    fn of_integers(rows: usize, get: impl Fn(usize) -> Option<i64>) -> Option<Self> {
        const MOST: i64 = 1 << 16;
        let numbers = (0..rows).filter_map(&get);
        let wider =
            |(least, greatest): (i64, i64), number: i64| (least.min(number), greatest.max(number));
        let (least, greatest) = numbers.fold((i64::MAX, i64::MIN), wider);
        let count = greatest.checked_sub(least).filter(|count| *count < MOST)? as u32 + 1;
        let code = |row: usize| match get(row) {
            Some(number) => (number - least) as u32,
            None => count,
        };
        let values = (0..i64::from(count)).map(|offset| FieldValue::Int(least + offset));
        let values = Values::List(values.chain([FieldValue::Nil]).collect());
        Some(Self { codes: Codes::Rows((0..rows).map(code).collect()), values })
    }

    fn of_entities<'c>(of: &'s [u32], entities: usize, cell: impl Fn(usize) -> Cell<'c>) -> Self {
        let mut numbering = Numbering::default();
        let codes = (0..entities).map(|entity| numbering.code(cell(entity))).collect();
        Self { codes: Codes::Entities(of, codes), values: Values::List(numbering.values) }
    }

    fn of_rows<'c>(rows: usize, cell: impl Fn(usize) -> Cell<'c>) -> Self {
        let mut numbering = Numbering::default();
        let codes = (0..rows).map(|row| numbering.code(cell(row))).collect();
        Self { codes: Codes::Rows(codes), values: Values::List(numbering.values) }
    }
}

/// The codes of several attributes together.
#[derive(Debug)]
pub(crate) struct Groups<'s> {
    pub(crate) codes: Codes<'s>,
    /// How many codes there are.
    pub(crate) count: usize,
    attributes: Vec<Values<'s>>,
    /// The combination behind each code, where not all of them have one.
    combinations: Option<Vec<u64>>,
}

/// More combinations than this are numbered as they occur.
const COMBINATIONS_MAX: u64 = 1 << 16;

impl<'s> Groups<'s> {
    pub(crate) fn new(sources: &'s [Rc<Source<'_>>], rows: usize) -> Self {
        let mut coded: Vec<Coded<'s>> =
            sources.iter().map(|source| Coded::new(source, rows)).collect();
        let mut combinations = None;
        let sizes = coded.iter().map(|one| one.values.len() as u64);
        let product = sizes.fold(1_u64, u64::saturating_mul);
        let mut count = product as usize;
        let codes = match coded.len() {
            0 => Codes::One,
            1 => std::mem::replace(&mut coded[0].codes, Codes::One),
            _ if product <= COMBINATIONS_MAX => {
                Codes::Rows((0..rows).map(|row| combined(&coded, row) as u32).collect())
            }
            _ => {
                let mut known: HashMap<u64, u32> = HashMap::new();
                let mut list = Vec::new();
                let mut code = |row| {
                    let combination = combined(&coded, row);
                    *known.entry(combination).or_insert_with(|| {
                        list.push(combination);
                        list.len() as u32 - 1
                    })
                };
                let codes = (0..rows).map(&mut code).collect();
                count = list.len();
                combinations = Some(list);
                Codes::Rows(codes)
            }
        };
        let attributes = coded.into_iter().map(|one| one.values).collect();
        Self { codes, count, attributes, combinations }
    }

    /// The values behind a code.
    pub(crate) fn key(&self, code: usize) -> Vec<FieldValue> {
        let mut rest = match &self.combinations {
            Some(combinations) => combinations[code],
            None => code as u64,
        };
        let mut key = Vec::with_capacity(self.attributes.len());
        for values in self.attributes.iter().rev() {
            let size = values.len() as u64;
            key.push(values.get((rest % size) as usize));
            rest /= size;
        }
        key.reverse();
        key
    }

    pub(crate) fn code(&self, row: usize) -> usize {
        self.codes.get(row) as usize
    }
}

fn combined(coded: &[Coded<'_>], row: usize) -> u64 {
    let add = |all: u64, one: &Coded<'_>| {
        all.wrapping_mul(one.values.len() as u64).wrapping_add(u64::from(one.codes.get(row)))
    };
    coded.iter().fold(0, add)
}
