//! One series of a part, through bounded caches.

use super::columns::{self, Form, GroupColumns, expand_starts};
use super::times::TimesPage;
use super::{GroupEntry, Place, damaged, decode_groups, kind};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::batch::format::{decode_exemplar, decode_metadata};
use crate::cache::Cache;
use crate::columns::{Column, Columns};
use crate::histograms::decode_histogram;
use crate::values::ValueDecoder;
use codec::{ByteReader, DecodeError, xxh3_64};
use model::{FloatHistogram, Labels, MetricMetadata, TimeRange, Ulid};
use parts::{Part, PartError};
use std::ops::Range;
use std::sync::Arc;

/// What of parts was decoded lately. One for the store; merges bring their own small one.
#[derive(Debug)]
pub(crate) struct Caches {
    indexes: Cache<Ulid, PartIndex>,
    series: Cache<(Ulid, u32), GroupSeries>,
    columns: Cache<(Ulid, u32), GroupColumns>,
    values: Cache<(Ulid, u32), GroupValues>,
    times: Cache<(Ulid, u32), TimesPage>,
    pages: Cache<(Ulid, u32), Vec<u8>>,
}

impl Caches {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            indexes: Cache::new(budget / 8),
            series: Cache::new(budget / 4),
            columns: Cache::new(budget / 8),
            values: Cache::new(budget / 4),
            times: Cache::new(budget / 8),
            pages: Cache::new(budget / 8),
        }
    }

    pub(crate) fn retain(&self, live: impl Fn(Ulid) -> bool) {
        self.indexes.retain(|id| live(*id));
        self.series.retain(|(id, _)| live(*id));
        self.columns.retain(|(id, _)| live(*id));
        self.values.retain(|(id, _)| live(*id));
        self.times.retain(|(id, _)| live(*id));
        self.pages.retain(|(id, _)| live(*id));
    }
}

/// The directory of a part, decoded.
#[derive(Debug)]
pub(crate) struct PartIndex {
    /// In the order of metrics.
    pub(crate) groups: Vec<GroupEntry>,
    /// The number of the first time column of each page of times.
    time_pages: Vec<u32>,
}

/// The names of a group's series.
#[derive(Debug)]
pub(crate) struct GroupSeries {
    pub(crate) labels: Vec<Labels>,
    pub(crate) hashes: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct GroupValues {
    decoder: ValueDecoder,
    bytes: Vec<u8>,
    /// Where the pages begin in the bytes.
    pages: usize,
}

/// Gives labels that the store has already, so that they are kept once.
pub(crate) type Intern<'a> = &'a dyn Fn(u64, &[u8]) -> Option<Labels>;

#[derive(Clone, Debug)]
pub(crate) struct MetricPart {
    part: Arc<Part>,
    pub(crate) id: Ulid,
    pub(crate) index: Arc<PartIndex>,
    caches: Arc<Caches>,
}

/// What the series before was read from; neighbours share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartRoom {
    group: u32,
    columns: Option<Arc<GroupColumns>>,
    values: Option<Arc<GroupValues>>,
    times: Option<(u32, Arc<TimesPage>)>,
}

impl MetricPart {
    pub(crate) fn open(part: Arc<Part>, caches: &Arc<Caches>) -> Result<Self, StoreError> {
        let id = part.meta().id;
        let index = caches.indexes.get_or_load(&id, || read_index(&part))?;
        Ok(Self { part, id, index, caches: Arc::clone(caches) })
    }

    /// The groups of one metric.
    pub(crate) fn groups_of(&self, metric: &str) -> Range<u32> {
        let groups = &self.index.groups;
        let start = groups.partition_point(|group| group.metric.as_str() < metric);
        let count = groups[start..].partition_point(|group| group.metric == metric);
        start as u32..(start + count) as u32
    }

    pub(crate) fn group(&self, group: u32) -> &GroupEntry {
        &self.index.groups[group as usize]
    }

    pub(crate) fn series(
        &self,
        group: u32,
        intern: Intern<'_>,
    ) -> Result<Arc<GroupSeries>, StoreError> {
        self.caches.series.get_or_load(&(self.id, group), || {
            let entry = self.group(group);
            let bytes = self.section(kind::SERIES, entry.labels)?;
            let series = decode_series(&bytes, entry.series, intern).map_err(self.damage())?;
            Ok(series)
        })
    }

    /// Appends the series' samples in the range. Without `values` only stale markers are true to
    /// their bits; all other values are 0.
    pub(crate) fn read(
        &self,
        (group, series): (u32, u32),
        range: TimeRange,
        values: bool,
        into: &mut Columns,
        room: &mut PartRoom,
    ) -> Result<(), StoreError> {
        if room.group != group || room.columns.is_none() {
            let times = room.times.take();
            *room = PartRoom { group, times, ..PartRoom::default() };
            room.columns = Some(self.columns(group)?);
        }
        let columns = room.columns.clone().expect("it was loaded above");
        let wanted = Wanted { group, series, range, values };
        self.read_floats(&columns, wanted, &mut into.floats, room)?;
        if columns.histograms.contains_key(&series) {
            self.read_histograms(&columns, wanted, into, room)?;
        }
        Ok(())
    }

    fn read_floats(
        &self,
        columns: &GroupColumns,
        wanted: Wanted,
        into: &mut Column<f64>,
        room: &mut PartRoom,
    ) -> Result<(), StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a group has fewer series" };
        let column = columns.series.get(wanted.series as usize);
        let column = *column.ok_or(missing).map_err(self.damage())?;
        if column.form == Form::None {
            return Ok(());
        }
        let span = self.read_times(column.times, wanted.range, &mut into.times, room)?;
        let Span { from, to, all } = span;
        if all != column.count as usize {
            let wrong = DecodeError::Value { offset: 0, what: "times and values differ in length" };
            return Err(self.damage()(wrong));
        }
        if from == to {
            return Ok(());
        }
        match column.form {
            Form::Constant(bits) => into.values.resize(into.times.len(), f64::from_bits(bits)),
            Form::Coded { .. } if !wanted.values && !column.has_stale => {
                into.values.resize(into.times.len(), 0.0);
            }
            Form::Coded { offset, length } => {
                let values = self.group_values(wanted.group, room)?;
                let start = into.values.len();
                let page = values.pages + offset as usize
                    ..values.pages + offset as usize + length as usize;
                let missing = DecodeError::Value { offset: 0, what: "a page leaves its group" };
                let page = values.bytes.get(page).ok_or(missing).map_err(self.damage())?;
                let count = column.count as usize;
                values
                    .decoder
                    .decode(page, column.first as usize, count, &mut into.values)
                    .map_err(self.damage())?;
                into.values.truncate(start + to);
                into.values.drain(start..start + from);
            }
            Form::None => {}
        }
        if let Some(runs) = columns.starts.get(&wanted.series) {
            expand_starts(runs, from, to, &mut into.starts);
        }
        Ok(())
    }

    fn read_histograms(
        &self,
        columns: &GroupColumns,
        wanted: Wanted,
        into: &mut Columns,
        room: &mut PartRoom,
    ) -> Result<(), StoreError> {
        let (column, runs) = &columns.histograms[&wanted.series];
        let into = &mut into.histograms;
        let span = self.read_times(column.times, wanted.range, &mut into.times, room)?;
        if span.from == span.to {
            return Ok(());
        }
        let place = self.group(wanted.group).histograms;
        let start = place.offset.saturating_add(column.offset);
        let place = Place { offset: start, length: column.length, ..place };
        let bytes = self.section(kind::HISTOGRAMS, place)?;
        let mut reader = ByteReader::new(&bytes);
        let mut before = FloatHistogram::default();
        for index in 0..span.to {
            before = decode_histogram(&mut reader, &before).map_err(self.damage())?;
            if index >= span.from {
                into.values.push(Arc::new(before.clone()));
            }
        }
        if !runs.is_empty() {
            expand_starts(runs, span.from, span.to, &mut into.starts);
        }
        Ok(())
    }

    /// Appends the times of a column that lie in the range, and says which they are.
    fn read_times(
        &self,
        number: u32,
        range: TimeRange,
        into: &mut Vec<i64>,
        room: &mut PartRoom,
    ) -> Result<Span, StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a time column is missing" };
        let page = self.index.time_pages.partition_point(|first| *first <= number);
        let page = page.checked_sub(1).ok_or(missing).map_err(self.damage())? as u32;
        if room.times.as_ref().is_none_or(|(known, _)| *known != page) {
            room.times = Some((page, self.times_page(page)?));
        }
        let (_, times) = room.times.as_ref().expect("it was loaded above");
        let index = number - self.index.time_pages[page as usize];
        let times = times.column(index as usize).ok_or(missing).map_err(self.damage())?;
        let from = times.partition_point(|time| *time < range.min);
        let to = from + times[from..].partition_point(|time| *time <= range.max);
        into.extend_from_slice(&times[from..to]);
        Ok(Span { from, to, all: times.len() })
    }

    fn times_page(&self, page: u32) -> Result<Arc<TimesPage>, StoreError> {
        self.caches.times.get_or_load(&(self.id, page), || {
            let bytes = self.page(kind::TIMES, page)?;
            let times = TimesPage::decode(&bytes).map_err(self.damage())?;
            let weight = times.bytes();
            Ok((times, weight))
        })
    }

    fn columns(&self, group: u32) -> Result<Arc<GroupColumns>, StoreError> {
        self.caches.columns.get_or_load(&(self.id, group), || {
            let entry = self.group(group);
            let bytes = self.section(kind::COLUMNS, entry.columns)?;
            let columns = columns::decode(&bytes, entry.series).map_err(self.damage())?;
            let weight =
                columns.series.len() * 40 + (columns.starts.len() + columns.histograms.len()) * 128;
            Ok((columns, weight))
        })
    }

    fn group_values<'r>(
        &self,
        group: u32,
        room: &'r mut PartRoom,
    ) -> Result<&'r GroupValues, StoreError> {
        if room.values.is_none() {
            let values = self.caches.values.get_or_load(&(self.id, group), || {
                let bytes = self.section(kind::VALUES, self.group(group).values)?;
                let mut reader = ByteReader::new(&bytes);
                let head = reader.prefixed().map_err(self.damage())?;
                let decoder = ValueDecoder::new(head).map_err(self.damage())?;
                let pages = reader.offset();
                let weight = bytes.len() + decoder.bytes();
                Ok::<_, StoreError>((GroupValues { decoder, bytes, pages }, weight))
            })?;
            room.values = Some(values);
        }
        Ok(room.values.as_ref().expect("it was loaded above"))
    }

    pub(crate) fn exemplars(&self) -> Result<Vec<(Labels, Exemplar)>, StoreError> {
        let mut exemplars = Vec::new();
        for page in 0..self.page_count(kind::EXEMPLARS)? {
            let bytes = self.page(kind::EXEMPLARS, page)?;
            decode_exemplars(&bytes, &mut exemplars).map_err(self.damage())?;
        }
        Ok(exemplars)
    }

    pub(crate) fn metadata(&self) -> Result<Vec<(String, MetricMetadata)>, StoreError> {
        let mut metadata = Vec::new();
        for page in 0..self.page_count(kind::METADATA)? {
            let bytes = self.page(kind::METADATA, page)?;
            metadata.extend(decode_metadata(&mut ByteReader::new(&bytes)).map_err(self.damage())?);
        }
        Ok(metadata)
    }

    fn page_count(&self, kind: u16) -> Result<u32, StoreError> {
        Ok(self.part.pages_of(kind)?.len() as u32)
    }

    fn section(&self, kind: u16, place: Place) -> Result<Vec<u8>, StoreError> {
        if place.length == 0 {
            return Ok(Vec::new());
        }
        let page = self.page(kind, place.page)?;
        let missing = DecodeError::Value { offset: 0, what: "a section leaves its page" };
        let start = place.offset as usize;
        let end = start.saturating_add(place.length as usize);
        Ok(page.get(start..end).ok_or(missing).map_err(self.damage())?.to_vec())
    }

    /// The n-th page of a kind. Small groups share pages, so the last ones are kept.
    fn page(&self, kind: u16, number: u32) -> Result<Arc<Vec<u8>>, StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a page is missing" };
        let pages = self.part.pages_of(kind)?;
        let index = *pages.get(number as usize).ok_or(missing).map_err(self.damage())?;
        self.caches.pages.get_or_load(&(self.id, index), || {
            let bytes = self.part.page(index)?;
            let weight = bytes.len();
            Ok((bytes, weight))
        })
    }

    fn damage(&self) -> impl Fn(DecodeError) -> StoreError + Copy + '_ {
        |error| damaged(self.part.key(), error)
    }
}

#[derive(Clone, Copy)]
struct Wanted {
    group: u32,
    series: u32,
    range: TimeRange,
    values: bool,
}

/// Samples number `from..to` of `all`.
struct Span {
    from: usize,
    to: usize,
    all: usize,
}

fn read_index(part: &Part) -> Result<(PartIndex, usize), StoreError> {
    if part.meta().summary.schema != super::PART_SCHEMA {
        let (key, version) = (part.key().to_owned(), part.meta().summary.schema);
        return Err(PartError::NewerFormat { key, version, known: super::PART_SCHEMA }.into());
    }
    let mut groups = Vec::new();
    for page in part.pages_of(kind::GROUPS)? {
        let bytes = part.page(*page)?;
        decode_groups(&bytes, &mut groups).map_err(|error| damaged(part.key(), error))?;
    }
    let mut time_pages = Vec::new();
    for page in part.pages_of(kind::TIMES)? {
        time_pages.push(part.entry(*page)?.key.unwrap_or(0) as u32);
    }
    let names: usize = groups.iter().map(|group| group.metric.len()).sum();
    let weight = names + groups.len() * size_of::<GroupEntry>() + time_pages.len() * 4;
    Ok((PartIndex { groups, time_pages }, weight))
}

/// With what they take of memory beside what the store has anyway.
fn decode_series(
    bytes: &[u8],
    count: u32,
    intern: Intern<'_>,
) -> Result<(GroupSeries, usize), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    // Two lengths each are the least they take.
    let count = (count as usize).min(bytes.len() / 2);
    let mut series =
        GroupSeries { labels: Vec::with_capacity(count), hashes: Vec::with_capacity(count) };
    let mut text = Vec::new();
    let mut weight = count * size_of::<(Labels, u64)>();
    for _ in 0..count {
        let shared = reader.length(text.len())?;
        text.truncate(shared);
        text.extend_from_slice(reader.prefixed()?);
        let hash = xxh3_64(&text);
        let wrong = reader.value_error("labels are not canonical");
        let labels = match intern(hash, &text) {
            Some(labels) => labels,
            None => {
                // Only this cache keeps them.
                weight += text.len() + 16;
                Labels::from_bytes(&text).ok_or(wrong)?
            }
        };
        series.labels.push(labels);
        series.hashes.push(hash);
    }
    reader.finish()?;
    Ok((series, weight))
}

fn decode_exemplars(bytes: &[u8], into: &mut Vec<(Labels, Exemplar)>) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    while !reader.is_empty() {
        let wrong = reader.value_error("labels are not canonical");
        let series = Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?;
        into.push((series, decode_exemplar(&mut reader)?));
    }
    Ok(())
}
