//! Spans counted by group and step. Nothing is allocated for a span; a group takes memory when its first
//! span comes.

use super::super::Result;
use super::super::source::Source;
use super::groups::{Codes, Groups};
use super::steps::Steps;
use crate::value::FieldValue;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use trace_store::RowSet;

/// What is kept of the spans of one group in one step.
pub(crate) trait Accumulator: Clone + Default + Send {
    fn add(&mut self, value: f64);
    fn merge(&mut self, other: &Self);
    /// NaN where no span had a value.
    fn value(&self) -> f64;
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count(pub(crate) u64);

impl Accumulator for Count {
    #[inline]
    fn add(&mut self, _: f64) {
        self.0 += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }

    fn value(&self) -> f64 {
        self.0 as f64
    }
}

/// What each value is less, or greater, than.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Least(Option<f64>);

impl Accumulator for Least {
    fn add(&mut self, value: f64) {
        self.0 = Some(self.0.map_or(value, |least| least.min(value)));
    }

    fn merge(&mut self, other: &Self) {
        other.0.into_iter().for_each(|value| self.add(value));
    }

    fn value(&self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Greatest(Option<f64>);

impl Accumulator for Greatest {
    fn add(&mut self, value: f64) {
        self.0 = Some(self.0.map_or(value, |greatest| greatest.max(value)));
    }

    fn merge(&mut self, other: &Self) {
        other.0.into_iter().for_each(|value| self.add(value));
    }

    fn value(&self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

/// A sum and of how many values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Average {
    sum: f64,
    count: u64,
}

impl Average {
    pub(crate) fn sum(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum }
    }
}

impl Accumulator for Average {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
    }

    fn value(&self) -> f64 {
        self.sum() / self.count as f64
    }
}

/// Cells by the values of their group, with one cell for each step.
#[derive(Debug)]
pub(crate) struct Partial<A>(pub(crate) HashMap<Vec<FieldValue>, Vec<A>>);

impl<A> Default for Partial<A> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<A: Accumulator> Partial<A> {
    /// Returns how much it has grown.
    pub(crate) fn add(&mut self, key: Vec<FieldValue>, cells: &[A]) -> usize {
        match self.0.entry(key) {
            Entry::Vacant(entry) => {
                let bytes = bytes_of(entry.key(), cells);
                entry.insert(cells.to_vec());
                bytes
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().iter_mut().zip(cells).for_each(|(mine, other)| mine.merge(other));
                0
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (key, cells) in other.0 {
            self.add(key, &cells);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(key, cells)| bytes_of(key, cells)).sum()
    }
}

fn bytes_of<A>(key: &[FieldValue], cells: &[A]) -> usize {
    let key: usize = key.iter().map(|value| size_of::<FieldValue>() + value.bytes()).sum();
    64 + key + size_of_val(cells)
}

/// The spans of a piece that are counted.
pub(crate) struct Counted<'c> {
    /// `None`: all.
    pub(crate) rows: Option<&'c RowSet>,
    pub(crate) starts: &'c [u64],
    pub(crate) steps: &'c Steps,
    /// The value that is aggregated.
    pub(crate) of: Option<&'c Source<'c>>,
    /// Its nanoseconds are counted in seconds.
    pub(crate) in_seconds: bool,
    /// Its spans are counted by powers of two.
    pub(crate) has_buckets: bool,
}

/// Powers of two up to 2^63, by their exponents.
pub(crate) const BUCKETS: usize = 64;

/// The exponent of the least power of two that is not below; numbers below 2 have none.
#[inline]
pub(crate) fn bucket(value: u64) -> Option<usize> {
    (value >= 2).then(|| (64 - (value - 1).leading_zeros() as usize).min(BUCKETS - 1))
}

/// The cells of the groups that occur in a piece.
struct Table<'t, A> {
    /// The place of each group's cells.
    places: Vec<u32>,
    cells: Vec<A>,
    steps: usize,
    held: &'t dyn Fn(usize) -> Result<()>,
    refusal: Option<crate::error::QueryError>,
}

const NO_PLACE: u32 = u32::MAX;

impl<A: Accumulator> Table<'_, A> {
    #[inline]
    fn add(&mut self, group: usize, step: usize, value: f64) {
        let mut place = self.places[group];
        if place == NO_PLACE {
            place = match self.new_place(group) {
                Some(place) => place,
                None => return,
            };
        }
        self.cells[place as usize * self.steps + step].add(value);
    }

    /// `None` when there is no memory for it.
    #[cold]
    fn new_place(&mut self, group: usize) -> Option<u32> {
        if self.refusal.is_some() {
            return None;
        }
        if let Err(refusal) = (self.held)(self.steps * size_of::<A>()) {
            self.refusal = Some(refusal);
            return None;
        }
        let place = (self.cells.len() / self.steps) as u32;
        self.cells.resize(self.cells.len() + self.steps, A::default());
        self.places[group] = place;
        Some(place)
    }
}

/// Adds what a piece has, and returns how much `partial` has grown. `held` takes memory for the query.
pub(crate) fn count<A: Accumulator>(
    counted: &Counted<'_>,
    groups: &Groups<'_>,
    partial: &mut Partial<A>,
    held: &dyn Fn(usize) -> Result<()>,
) -> Result<usize> {
    let width = if counted.has_buckets { BUCKETS } else { 1 };
    let size = groups.count.saturating_mul(width);
    held(size.saturating_mul(size_of::<u32>()))?;
    let steps = counted.steps.count;
    let places = vec![NO_PLACE; size];
    let mut table = Table { places, cells: Vec::new(), steps, held, refusal: None };
    match &groups.codes {
        Codes::One => by_group(counted, &mut table, |_| 0),
        Codes::Texts(codes, last) => {
            by_group(counted, &mut table, |row| codes[row].min(*last) as usize);
        }
        Codes::Bytes(codes, last) => {
            by_group(counted, &mut table, |row| usize::from(codes[row].min(*last)));
        }
        Codes::Entities(of, codes) => {
            by_group(counted, &mut table, |row| codes[of[row] as usize] as usize);
        }
        Codes::Rows(codes) => by_group(counted, &mut table, |row| codes[row] as usize),
    }
    if let Some(refusal) = table.refusal {
        return Err(refusal);
    }
    let mut grown = 0;
    for (group, place) in table.places.iter().enumerate().filter(|(_, place)| **place != NO_PLACE) {
        let start = *place as usize * steps;
        let mut key = groups.key(group / width);
        if counted.has_buckets {
            key.push(FieldValue::Int((group % width) as i64));
        }
        grown += partial.add(key, &table.cells[start..start + steps]);
    }
    Ok(grown)
}

/// One loop for each way to find a group and a value.
fn by_group<A: Accumulator>(
    counted: &Counted<'_>,
    table: &mut Table<'_, A>,
    group: impl Fn(usize) -> usize,
) {
    match (counted.of, counted.has_buckets) {
        (None, _) => by_value(counted, table, |row| Some((group(row), 0.0))),
        (Some(Source::Durations(durations)), true) => by_value(counted, table, |row| {
            Some((group(row) * BUCKETS + bucket(durations[row])?, 0.0))
        }),
        (Some(source), true) => by_value(counted, table, |row| {
            let value = whole(source, row)?;
            Some((group(row) * BUCKETS + bucket(value)?, 0.0))
        }),
        (Some(Source::Durations(durations)), false) if counted.in_seconds => {
            by_value(counted, table, |row| Some((group(row), durations[row] as f64 / 1e9)));
        }
        (Some(source), false) => by_value(counted, table, |row| {
            Some((group(row), source.cell(row).as_number()?.as_float()))
        }),
    }
}

/// Only whole numbers and durations are counted in buckets.
fn whole(source: &Source<'_>, row: usize) -> Option<u64> {
    use crate::fold::Number;
    match source.cell(row).as_number()? {
        Number::Int(value) | Number::Duration(value) => u64::try_from(value).ok(),
        Number::Float(_) => None,
    }
}

fn by_value<A: Accumulator>(
    counted: &Counted<'_>,
    table: &mut Table<'_, A>,
    value: impl Fn(usize) -> Option<(usize, f64)>,
) {
    let mut finder = counted.steps.finder();
    let starts = counted.starts;
    let mut add = |row: usize| {
        if let (Some(step), Some((group, value))) = (finder.find(starts[row]), value(row)) {
            table.add(group, step, value);
        }
    };
    match counted.rows {
        None => (0..starts.len()).for_each(add),
        Some(rows) => rows.iter().for_each(&mut add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        let exponents = [0, 1, 2, 3, 4, 5, 200, 1 << 62, u64::MAX].map(bucket);
        assert_eq!(
            exponents,
            [None, None, Some(1), Some(2), Some(2), Some(3), Some(8), Some(62), Some(63)]
        );
    }
}
