//! Reads one series of a part, through bounded caches.

use super::columns::{self, Form, GroupColumns, SeriesColumn, expand_starts};
use super::dictionary::Dictionaries;
use super::names::GroupNames;
use super::times::TimesPage;
use super::{GroupEntry, Place, damaged, decode_groups, kind};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::batch::format::{decode_exemplar, decode_metadata};
use crate::columns::Columns;
use crate::histograms::decode_histogram;
use crate::values::ValueDecoder;
use codec::{ByteReader, DecodeError};
use engine::Cache;
use model::{FloatHistogram, Labels, MetricMetadata, TimeRange, Ulid};
use parts::{Part, PartError};
use std::ops::Range;
use std::sync::Arc;

/// Recently decoded content of parts. The store has one cache; each merge has a small one of its
/// own.
#[derive(Debug)]
pub(crate) struct Caches(Cache<(Ulid, Decoded, u32)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Decoded {
    Index,
    Dictionaries,
    Names,
    Columns,
    Values,
    Times,
    Page,
}

impl Caches {
    pub(crate) fn new(budget: usize) -> Self {
        Self(Cache::new(budget))
    }

    pub(crate) fn retain(&self, live: impl Fn(Ulid) -> bool) {
        self.0.retain(|(id, ..)| live(*id));
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

#[derive(Debug)]
pub(crate) struct GroupValues {
    decoder: ValueDecoder,
    bytes: Vec<u8>,
    /// Where the pages begin within the bytes.
    pages: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct MetricPart {
    part: Arc<Part>,
    pub(crate) id: Ulid,
    pub(crate) index: Arc<PartIndex>,
    caches: Arc<Caches>,
}

/// What reading keeps between series: neighbouring series of a part share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartScratch {
    group: u32,
    columns: Option<Arc<GroupColumns>>,
    state: ReadState,
}

/// The values and times that were read last, and the buffers from which samples are borrowed.
#[derive(Clone, Debug, Default)]
struct ReadState {
    values: Option<Arc<GroupValues>>,
    /// A page of times, with the number of its first column.
    times: Option<(u32, Arc<TimesPage>)>,
    /// The column that was used last, and its samples in the range.
    at: (u32, Span),
    /// The samples in the range of recently used time columns, indexed by the low bits of the
    /// column's number, because neighbouring series alternate between few columns.
    spans: Vec<Option<(u32, TimeRange, Span)>>,
    decoded: Vec<f64>,
    /// The bits of a value, and that value repeated.
    repeated: (u64, Vec<f64>),
    starts: Vec<i64>,
}

/// The floats of one series in a range, borrowed from the scratch or the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Borrowed<'r> {
    pub(crate) times: &'r [i64],
    pub(crate) values: &'r [f64],
    /// Empty if no start is known.
    pub(crate) starts: &'r [i64],
}

impl Borrowed<'_> {
    const NOTHING: Self = Borrowed { times: &[], values: &[], starts: &[] };
}

/// Enough for the distinct time columns of this many scrape targets.
const SPANS_KEPT: usize = 256;

impl ReadState {
    /// The times of the column that was used last, as far as they are in its range.
    fn times(&self) -> Option<&[i64]> {
        let ((first, times), (number, span)) = (self.times.as_ref()?, self.at);
        times.column((number - first) as usize)?.get(span.from..span.to)
    }

    fn repeat(&mut self, bits: u64, count: usize) {
        let (known, values) = &mut self.repeated;
        if *known != bits {
            values.clear();
            *known = bits;
        }
        if values.len() < count {
            values.resize(count, f64::from_bits(bits));
        }
    }
}

impl MetricPart {
    pub(crate) fn open(part: Arc<Part>, caches: &Arc<Caches>) -> Result<Self, StoreError> {
        let id = part.meta().id;
        let index = caches.0.get_or_load(&(id, Decoded::Index, 0), || read_index(&part))?;
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

    /// Whether any series has a metric's name.
    pub(crate) fn has_names(&self) -> bool {
        self.index.groups.last().is_some_and(|last| !last.metric.is_empty())
    }

    /// The labels of the part and their values.
    pub(crate) fn dictionaries(&self) -> Result<Arc<Dictionaries>, StoreError> {
        self.caches.0.get_or_load(&(self.id, Decoded::Dictionaries, 0), || {
            let mut dictionaries = Dictionaries::default();
            for page in self.part.pages_of(kind::DICTIONARIES)? {
                dictionaries.read_page(&self.part.page(*page)?).map_err(self.damage())?;
            }
            dictionaries.settle();
            let weight = dictionaries.bytes();
            Ok((dictionaries, weight))
        })
    }

    /// The names of a group's series.
    pub(crate) fn names(
        &self,
        group: u32,
        dictionaries: &Dictionaries,
    ) -> Result<Arc<GroupNames>, StoreError> {
        self.caches.0.get_or_load(&(self.id, Decoded::Names, group), || {
            let entry = self.group(group);
            let bytes = self.section(kind::NAMES, entry.names)?;
            let names =
                GroupNames::decode(&bytes, entry.series, dictionaries).map_err(self.damage())?;
            let weight = names.bytes();
            Ok((names, weight))
        })
    }

    /// Appends the series' samples in the range. Without `values` only stale markers have their own
    /// bits; all other values are 0.
    pub(crate) fn read(
        &self,
        place: (u32, u32),
        range: TimeRange,
        values: bool,
        into: &mut Columns,
        scratch: &mut PartScratch,
    ) -> Result<(), StoreError> {
        let wanted = Wanted { group: place.0, series: place.1, range, values };
        let (columns, state) = self.at_group(place.0, scratch)?;
        let borrowed = self.borrow_floats(columns, wanted, state)?;
        into.floats.extend(borrowed.times, borrowed.values, borrowed.starts);
        if columns.histograms.contains_key(&wanted.series) {
            self.read_histograms(columns, wanted, into, state)?;
        }
        Ok(())
    }

    /// Whether `borrow` returns everything of the series, which is so if it has no histograms.
    pub(crate) fn can_borrow(&self, place: (u32, u32), scratch: &mut PartScratch) -> bool {
        let found = self.at_group(place.0, scratch);
        found.is_ok_and(|(columns, _)| !columns.histograms.contains_key(&place.1))
    }

    /// The floats that `read` would append, without copying them.
    pub(crate) fn borrow<'r>(
        &self,
        place: (u32, u32),
        range: TimeRange,
        values: bool,
        scratch: &'r mut PartScratch,
    ) -> Result<Borrowed<'r>, StoreError> {
        let wanted = Wanted { group: place.0, series: place.1, range, values };
        let (columns, state) = self.at_group(place.0, scratch)?;
        self.borrow_floats(columns, wanted, state)
    }

    fn at_group<'r>(
        &self,
        group: u32,
        scratch: &'r mut PartScratch,
    ) -> Result<(&'r GroupColumns, &'r mut ReadState), StoreError> {
        if scratch.group != group || scratch.columns.is_none() {
            let columns = self.columns(group)?;
            (scratch.group, scratch.state.values) = (group, None);
            scratch.columns = Some(columns);
        }
        let PartScratch { columns, state, .. } = scratch;
        Ok((columns.as_ref().expect("it was loaded above"), state))
    }

    fn borrow_floats<'r>(
        &self,
        columns: &GroupColumns,
        wanted: Wanted,
        state: &'r mut ReadState,
    ) -> Result<Borrowed<'r>, StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a group has fewer series" };
        let column = columns.series.get(wanted.series as usize);
        let column = *column.ok_or(missing).map_err(self.damage())?;
        if column.form == Form::None {
            return Ok(Borrowed::NOTHING);
        }
        let span = self.span(column.times, wanted.range, state)?;
        let Span { from, to, all } = span;
        if all != column.count as usize {
            let wrong = DecodeError::Value { offset: 0, what: "times and values differ in length" };
            return Err(self.damage()(wrong));
        }
        if from == to {
            return Ok(Borrowed::NOTHING);
        }
        state.starts.clear();
        if let Some(runs) = columns.starts.get(&wanted.series) {
            expand_starts(runs, from, to, &mut state.starts);
        }
        let values = match column.form {
            Form::Coded { offset, length } if wanted.values || column.has_stale => {
                self.decode_values(&column, (offset, length), wanted.group, state)?;
                state.decoded.get(from..to)
            }
            form => {
                let bits = if let Form::Constant(bits) = form { bits } else { 0 };
                state.repeat(bits, to - from);
                state.repeated.1.get(..to - from)
            }
        };
        let missing = DecodeError::Value { offset: 0, what: "a series has fewer samples" };
        let (Some(times), Some(values)) = (state.times(), values) else {
            return Err(self.damage()(missing));
        };
        Ok(Borrowed { times, values, starts: &state.starts })
    }

    /// Decodes all values of the series into the state.
    fn decode_values(
        &self,
        column: &SeriesColumn,
        (offset, length): (u32, u32),
        group: u32,
        state: &mut ReadState,
    ) -> Result<(), StoreError> {
        let values = Arc::clone(self.group_values(group, state)?);
        let start = values.pages + offset as usize;
        let missing = DecodeError::Value { offset: 0, what: "a page leaves its group" };
        let page = values.bytes.get(start..start + length as usize);
        let page = page.ok_or(missing).map_err(self.damage())?;
        state.decoded.clear();
        let (first, count) = (column.first as usize, column.count as usize);
        values.decoder.decode(page, first, count, &mut state.decoded).map_err(self.damage())
    }

    fn read_histograms(
        &self,
        columns: &GroupColumns,
        wanted: Wanted,
        into: &mut Columns,
        state: &mut ReadState,
    ) -> Result<(), StoreError> {
        let (column, runs) = &columns.histograms[&wanted.series];
        let into = &mut into.histograms;
        let span = self.span(column.times, wanted.range, state)?;
        if span.from == span.to {
            return Ok(());
        }
        into.times.extend_from_slice(state.times().unwrap_or_default());
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

    /// Which of a column's times are in the range. Afterwards their page is in the state.
    fn span(
        &self,
        number: u32,
        range: TimeRange,
        state: &mut ReadState,
    ) -> Result<Span, StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a time column is missing" };
        let is_here = |(first, times): &(u32, Arc<TimesPage>)| {
            number >= *first && times.column((number - first) as usize).is_some()
        };
        if !state.times.as_ref().is_some_and(is_here) {
            let page = self.index.time_pages.partition_point(|first| *first <= number);
            let page = page.checked_sub(1).ok_or(missing).map_err(self.damage())?;
            state.times = Some((self.index.time_pages[page], self.times_page(page as u32)?));
        }
        state.spans.resize(SPANS_KEPT, None);
        let kept = &mut state.spans[number as usize % SPANS_KEPT];
        let span = match kept {
            Some((known, of, span)) if (*known, *of) == (number, range) => *span,
            _ => {
                let (first, times) = state.times.as_ref().expect("it was loaded above");
                let times = times.column((number - first) as usize);
                let span = Span::of(times.ok_or(missing).map_err(self.damage())?, range);
                *kept = Some((number, range, span));
                span
            }
        };
        state.at = (number, span);
        Ok(span)
    }

    fn times_page(&self, page: u32) -> Result<Arc<TimesPage>, StoreError> {
        self.caches.0.get_or_load(&(self.id, Decoded::Times, page), || {
            let bytes = self.page(kind::TIMES, page)?;
            let times = TimesPage::decode(&bytes).map_err(self.damage())?;
            let weight = times.bytes();
            Ok((times, weight))
        })
    }

    fn columns(&self, group: u32) -> Result<Arc<GroupColumns>, StoreError> {
        self.caches.0.get_or_load(&(self.id, Decoded::Columns, group), || {
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
        state: &'r mut ReadState,
    ) -> Result<&'r Arc<GroupValues>, StoreError> {
        if state.values.is_none() {
            let values = self.caches.0.get_or_load(&(self.id, Decoded::Values, group), || {
                let bytes = self.section(kind::VALUES, self.group(group).values)?;
                let mut reader = ByteReader::new(&bytes);
                let head = reader.prefixed().map_err(self.damage())?;
                let decoder = ValueDecoder::new(head).map_err(self.damage())?;
                let pages = reader.offset();
                let weight = bytes.len() + decoder.bytes();
                Ok::<_, StoreError>((GroupValues { decoder, bytes, pages }, weight))
            })?;
            state.values = Some(values);
        }
        Ok(state.values.as_ref().expect("it was loaded above"))
    }

    /// Holds one page at a time in memory.
    pub(crate) fn for_each_exemplar(
        &self,
        mut each: impl FnMut(Labels, Exemplar),
    ) -> Result<(), StoreError> {
        let mut decoded = Vec::new();
        for page in 0..self.page_count(kind::EXEMPLARS)? {
            let bytes = self.page(kind::EXEMPLARS, page)?;
            decode_exemplars(&bytes, &mut decoded).map_err(self.damage())?;
            decoded.drain(..).for_each(|(series, exemplar)| each(series, exemplar));
        }
        Ok(())
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

    /// The n-th page of a kind. Small groups share pages, so recent pages are cached.
    fn page(&self, kind: u16, number: u32) -> Result<Arc<Vec<u8>>, StoreError> {
        let missing = DecodeError::Value { offset: 0, what: "a page is missing" };
        let pages = self.part.pages_of(kind)?;
        let index = *pages.get(number as usize).ok_or(missing).map_err(self.damage())?;
        self.caches.0.get_or_load(&(self.id, Decoded::Page, index), || {
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
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    from: usize,
    to: usize,
    all: usize,
}

impl Span {
    fn of(times: &[i64], range: TimeRange) -> Self {
        let from = times.partition_point(|time| *time < range.min);
        let to = from + times[from..].partition_point(|time| *time <= range.max);
        Self { from, to, all: times.len() }
    }
}

fn read_index(part: &Part) -> Result<(PartIndex, usize), StoreError> {
    if part.meta().summary.schema != super::PART_SCHEMA {
        let (key, version) = (part.key().to_owned(), part.meta().summary.schema);
        return Err(PartError::OtherFormat { key, version, known: super::PART_SCHEMA }.into());
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

fn decode_exemplars(bytes: &[u8], into: &mut Vec<(Labels, Exemplar)>) -> Result<(), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    while !reader.is_empty() {
        let wrong = reader.value_error("labels are not canonical");
        let series = Labels::from_bytes(reader.prefixed()?).ok_or(wrong)?;
        into.push((series, decode_exemplar(&mut reader)?));
    }
    Ok(())
}
