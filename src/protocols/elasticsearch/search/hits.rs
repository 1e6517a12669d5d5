//! The best lines of a search: how they are sorted, and which are kept.
//!
//! Without a sort, the newest come first. Lines of one millisecond are told apart by `_doc`: the
//! nanoseconds below it and a hash of what the line is, which stay the same wherever the store keeps the
//! line, so that `search_after` goes on where the answer before ended.

use super::date::{self, DateReader};
use super::error::{Result, SearchError};
use super::expr::number_of;
use super::field::Field;
use super::leaf::Builder;
use super::row::Row;
use super::source::{Document, content_hash};
use super::zone::Zone;
use model::TimeRange;
use query::{Holding, Weight};
use serde_json::Value;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// What a key looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Milliseconds.
    Time,
    Doc,
    /// All lines have the same.
    Score,
    Value(Field),
}

#[derive(Clone, Debug)]
pub(super) struct SortKey {
    by: By,
    is_descending: bool,
    is_missing_first: bool,
    format: String,
}

impl SortKey {
    pub(super) fn new(
        name: &str,
        order: &str,
        missing: &str,
        format: &str,
        builder: &mut Builder,
    ) -> Result<Self> {
        let by = match name {
            "_doc" | "_shard_doc" => By::Doc,
            "_score" => By::Score,
            name => match builder.fields.find(name) {
                Field::Time => By::Time,
                Field::Line => {
                    let reason = "the line is a text and can't be sorted by: sort by @timestamp or by a field";
                    return Err(SearchError::illegal(reason));
                }
                field => By::Value(field),
            },
        };
        let is_descending = match order {
            "desc" => true,
            "asc" => false,
            "" => by == By::Score,
            other => {
                return Err(SearchError::parsing(format!(
                    "[sort] order is [{other}]: expected asc or desc"
                )));
            }
        };
        let is_missing_first = missing == "_first";
        Ok(Self { by, is_descending, is_missing_first, format: format.to_owned() })
    }
}

/// A value that lines are sorted by.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Int(i64),
    Float(f64),
    Text(String),
    Missing,
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (left, right) => match (left.number(), right.number()) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                // Numbers come before texts.
                (left, right) => right.is_some().cmp(&left.is_some()),
            },
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(_) | Self::Missing => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sorting {
    pub(super) keys: Vec<SortKey>,
}

impl Sorting {
    /// Whether the newest are wanted first: what the order of reading follows.
    pub(super) fn is_newest_first(&self) -> bool {
        self.keys.first().is_none_or(|key| key.is_descending)
    }

    /// Whether the time decides first.
    fn is_by_time(&self) -> bool {
        self.keys.first().is_none_or(|key| key.by == By::Time)
    }

    fn keys_of(&self, row: &mut Row<'_>) -> Vec<Key> {
        self.keys.iter().map(|key| key_of(key.by, row)).collect()
    }

    fn compare(&self, left: &[Key], right: &[Key]) -> Ordering {
        let each = self.keys.iter().zip(left.iter().zip(right));
        let mut ordered = each.map(|(key, (left, right))| match (left, right) {
            (Key::Missing, Key::Missing) => Ordering::Equal,
            (Key::Missing, _) if key.is_missing_first => Ordering::Less,
            (Key::Missing, _) => Ordering::Greater,
            (_, Key::Missing) if key.is_missing_first => Ordering::Greater,
            (_, Key::Missing) => Ordering::Less,
            (left, right) if key.is_descending => right.compare(left),
            (left, right) => left.compare(right),
        });
        ordered.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The values that an answer went up to.
    fn after(&self, values: &[Value]) -> Result<Vec<Key>> {
        self.keys.iter().zip(values).map(|(key, value)| after_key(key, value)).collect()
    }

    /// The keys of a hit as its answer tells them.
    pub(super) fn values(&self, hit: &Hit) -> Vec<Value> {
        let value = |(key, of): (&SortKey, &Key)| match of {
            Key::Int(_) if key.by == By::Time && !key.format.is_empty() => {
                date::write(hit.document.time, &key.format, Zone::UTC).into()
            }
            Key::Int(number) => (*number).into(),
            Key::Float(number) => Value::from(*number),
            Key::Text(text) => text.as_str().into(),
            Key::Missing => Value::Null,
        };
        self.keys.iter().zip(&hit.keys).map(value).collect()
    }
}

fn key_of(by: By, row: &mut Row<'_>) -> Key {
    match by {
        By::Time => Key::Int(row.time().div_euclid(1_000_000)),
        By::Doc => Key::Int(doc_of(row)),
        By::Score => Key::Float(1.0),
        By::Value(field) => {
            let mut key = Key::Missing;
            let _ = row.each_value(field, |value| {
                key = match number_of(value) {
                    Some(number) => Key::Float(number),
                    None => Key::Text(value.to_owned()),
                };
                ControlFlow::Break(())
            });
            key
        }
    }
}

/// The nanoseconds below the millisecond, and 32 bits that tell lines apart: together what every client's
/// numbers hold exactly.
fn doc_of(row: &Row<'_>) -> i64 {
    let below = row.time().rem_euclid(1_000_000);
    let hash = content_hash(row.labels(), row.line()) & u64::from(u32::MAX);
    (below << 32) | hash as i64
}

fn after_key(key: &SortKey, value: &Value) -> Result<Key> {
    let wrong = || {
        SearchError::illegal(format!(
            "[search_after] holds {value}: send back the values of [sort] of a hit"
        ))
    };
    match (key.by, value) {
        (_, Value::Null) => Ok(Key::Missing),
        (By::Time, Value::String(text)) => {
            let reader =
                DateReader { now_ms: 0, zone: Zone::UTC, format: &key.format, rounds_up: false };
            Ok(Key::Int(reader.read(text)?.div_euclid(1_000_000)))
        }
        (By::Time | By::Doc, Value::Number(number)) => {
            let whole = number.as_i64().or_else(|| number.as_f64().map(|number| number as i64));
            whole.map(Key::Int).ok_or_else(wrong)
        }
        (_, Value::Number(number)) => number.as_f64().map(Key::Float).ok_or_else(wrong),
        (By::Value(_), Value::String(text)) => Ok(match number_of(text) {
            Some(number) => Key::Float(number),
            None => Key::Text(text.clone()),
        }),
        _ => Err(wrong()),
    }
}

/// A line of the answer.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    keys: Vec<Key>,
    /// Breaks ties: nanoseconds and `_doc`.
    place: (i64, i64),
    pub(super) document: Document,
}

/// The best lines that were seen.
#[derive(Debug)]
pub(super) struct TopHits<'s> {
    sorting: &'s Sorting,
    limit: usize,
    after: Option<Vec<Key>>,
    hits: Vec<Hit>,
    /// The worst that is kept, once there are enough: what is no better need not be looked at.
    worst: Option<(Vec<Key>, (i64, i64))>,
    memory: &'s Holding,
}

impl<'s> TopHits<'s> {
    pub(super) fn new(
        sorting: &'s Sorting,
        limit: usize,
        search_after: Option<&[Value]>,
        memory: &'s Holding,
    ) -> Result<Self> {
        let after = search_after.map(|values| sorting.after(values)).transpose()?;
        Ok(Self { sorting, limit, after, hits: Vec::new(), worst: None, memory })
    }

    /// One like this for another thread, which need not find what is no better.
    pub(super) fn fork(&self) -> Self {
        let Self { sorting, limit, memory, .. } = *self;
        Self {
            sorting,
            limit,
            memory,
            after: self.after.clone(),
            hits: Vec::new(),
            worst: self.worst.clone(),
        }
    }

    /// Whether a line within a time may be one of the best.
    pub(super) fn may_be_in(&self, time: TimeRange) -> bool {
        !self.is_beyond(time) && !self.is_before(time)
    }

    /// Whether all lines within a time stand before those that `search_after` asks for.
    fn is_before(&self, time: TimeRange) -> bool {
        let after = self.after.as_ref().filter(|_| self.sorting.is_by_time());
        let Some(Key::Int(after)) = after.and_then(|keys| keys.first()) else { return false };
        match self.sorting.is_newest_first() {
            true => time.min.div_euclid(1_000_000) > *after,
            false => time.max.div_euclid(1_000_000) < *after,
        }
    }

    /// Whether no line within a time can be better than what is kept.
    fn is_beyond(&self, time: TimeRange) -> bool {
        if self.limit == 0 {
            return true;
        }
        let Some((_, (worst, _))) = self.worst.as_ref().filter(|_| self.sorting.is_by_time())
        else {
            return false;
        };
        let ms = |time: i64| time.div_euclid(1_000_000);
        match self.sorting.is_newest_first() {
            true => ms(time.max) < ms(*worst),
            false => ms(time.min) > ms(*worst),
        }
    }

    fn compare(&self, left: (&[Key], (i64, i64)), right: (&[Key], (i64, i64))) -> Ordering {
        let by_place = match self.sorting.is_newest_first() {
            true => right.1.cmp(&left.1),
            false => left.1.cmp(&right.1),
        };
        self.sorting.compare(left.0, right.0).then(by_place)
    }

    pub(super) fn add(&mut self, row: &mut Row<'_>) -> Result<()> {
        if self.limit == 0 || self.is_beyond(model::TimeUnit::Nanos.at(row.time())) {
            return Ok(());
        }
        let keys = self.sorting.keys_of(row);
        if let Some(after) = &self.after
            && self.sorting.compare(&keys, after).is_le()
        {
            return Ok(());
        }
        let place = (row.time(), doc_of(row));
        if let Some((worst, at)) = &self.worst
            && self.compare((&keys, place), (worst, *at)).is_ge()
        {
            return Ok(());
        }
        let document = Document::of(row);
        self.memory.take(Weight::bytes(document.bytes()))?;
        self.hits.push(Hit { keys, place, document });
        if self.hits.len() >= 2 * self.limit {
            self.cut();
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.hits.extend(other.hits);
        self.cut();
    }

    fn cut(&mut self) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.sort_by(|left, right| {
            self.compare((&left.keys, left.place), (&right.keys, right.place))
        });
        let dropped = hits.iter().skip(self.limit).map(|hit| hit.document.bytes()).sum();
        self.memory.give_back(Weight::bytes(dropped));
        hits.truncate(self.limit);
        if hits.len() == self.limit {
            self.worst = hits.last().map(|hit| (hit.keys.clone(), hit.place));
        }
        self.hits = hits;
    }

    /// In order, without the first ones.
    pub(super) fn finish(mut self, from: usize) -> Vec<Hit> {
        self.cut();
        self.hits.drain(..from.min(self.hits.len()));
        self.hits
    }
}
