//! Writes series, in order, into a part in one pass, with one group in memory.

use super::columns::{self, Form, GroupColumns, HistogramColumn, SeriesColumn};
use super::dictionary::DictionaryBuilder;
use super::names::NamesBuilder;
use super::{GROUP_SERIES_MAX, GroupEntry, PART_SCHEMA, Place, encode_groups, kind, times};
use crate::StoreError;
use crate::batch::Exemplar;
use crate::batch::format::{encode_exemplar, encode_metadata};
use crate::columns::{Column, Columns};
use crate::histograms::encode_histogram;
use crate::values::{self, Effort};
use codec::{ByteWriter, xxh3_128};
use engine::PartOrigin;
use model::{FloatHistogram, Labels, MetricMetadata, STALE_BITS, TimeRange, TimeUnit};
use parts::{Compression, NewPart, PAGE_RAW_MAX, PartStore, PartWriter};
use std::collections::HashMap;
use std::sync::Arc;

/// A page is ended when it exceeds this.
const PAGE_BYTES: usize = 128 << 10;

/// A group ends at this many values: enough for good tables, few enough for memory.
const GROUP_VALUES: usize = 1 << 18;

/// A group also ends when its histograms exceed this, because a reader of one histogram reads those
/// of the whole group.
const GROUP_HISTOGRAM_BYTES: usize = 1 << 20;

/// The histograms of one series in a part end when they exceed this: with those of the group before
/// them they still fit into a page.
const SERIES_HISTOGRAM_BYTES: usize = PAGE_RAW_MAX / 2;

/// Bounds of what one histogram takes when it is encoded are far below the other half.
const _: () = assert!(GROUP_HISTOGRAM_BYTES + SERIES_HISTOGRAM_BYTES < PAGE_RAW_MAX - PAGE_BYTES);

/// The directory is split into pages of this many groups.
const GROUPS_PER_PAGE: usize = 1 << 14;

#[derive(Debug)]
pub(crate) struct PartBuilder {
    writer: PartWriter,
    origin: PartOrigin,
    effort: Effort,
    dictionaries: DictionaryBuilder,
    names: Section,
    columns: Section,
    values: Section,
    histograms: Section,
    times: TimeColumns,
    group: Group,
    groups: Vec<GroupEntry>,
    exemplars: ByteWriter,
    time: Option<TimeRange>,
    rows: u64,
    series: u64,
}

/// Pages of one kind, filled one after the other.
#[derive(Debug)]
struct Section {
    kind: u16,
    compression: Compression,
    page: u32,
    buffer: Vec<u8>,
}

/// Time columns by their content.
#[derive(Debug)]
struct TimeColumns {
    known: HashMap<u128, u32>,
    section: Section,
    /// The number of the first column in the section's current page.
    first: u32,
    encoded: ByteWriter,
}

/// The group that is being filled.
#[derive(Debug, Default)]
struct Group {
    metric: String,
    names: NamesBuilder,
    columns: GroupColumns,
    lengths: Vec<u32>,
    values: Vec<u64>,
    histograms: ByteWriter,
    rows: u64,
    time: Option<TimeRange>,
}

impl PartBuilder {
    pub(crate) fn new(
        store: &PartStore,
        origin: PartOrigin,
        effort: Effort,
    ) -> Result<Self, StoreError> {
        let zstd = |level| Compression::Zstd { level };
        let described = zstd(match effort {
            Effort::Quick => 1,
            Effort::Merge => 3,
            Effort::Last => 12,
        });
        let coded = if effort == Effort::Quick { zstd(1) } else { Compression::None };
        Ok(Self {
            writer: store.new_part()?,
            origin,
            effort,
            dictionaries: DictionaryBuilder::default(),
            names: Section::new(kind::NAMES, described),
            columns: Section::new(kind::COLUMNS, described),
            values: Section::new(kind::VALUES, coded),
            histograms: Section::new(kind::HISTOGRAMS, described),
            times: TimeColumns {
                known: HashMap::new(),
                section: Section::new(kind::TIMES, described),
                first: 0,
                encoded: ByteWriter::default(),
            },
            group: Group::default(),
            groups: Vec::new(),
            exemplars: ByteWriter::default(),
            time: None,
            rows: 0,
            series: 0,
        })
    }

    /// Adds a series, and returns the histograms for which the part has no place. Series must come in
    /// the order of parts; one without samples is skipped.
    pub(crate) fn series(
        &mut self,
        labels: &Labels,
        samples: &Columns,
    ) -> Result<Option<Columns>, StoreError> {
        if samples.is_empty() {
            return Ok(None);
        }
        let group = &self.group;
        let full = group.values.len() >= GROUP_VALUES
            || group.histograms.len() >= GROUP_HISTOGRAM_BYTES
            || group.columns.series.len() >= GROUP_SERIES_MAX as usize;
        if full || group.metric != labels.metric_name() {
            self.end_group()?;
            labels.metric_name().clone_into(&mut self.group.metric);
        }
        self.group.names.push(labels, &mut self.dictionaries);
        self.add_floats(samples)?;
        let stored = self.add_histograms(&samples.histograms)?;
        self.series += 1;
        let is_whole = stored == samples.histograms.times.len();
        Ok((!is_whole).then(|| samples.histograms_from(stored)))
    }

    fn add_floats(&mut self, samples: &Columns) -> Result<(), StoreError> {
        let floats = &samples.floats;
        let index = self.group.columns.series.len() as u32;
        let mut series = SeriesColumn::default();
        if !floats.is_empty() {
            series.times = self.times.number(&mut self.writer, &floats.times)?;
            series.count = floats.times.len() as u32;
            series.has_stale = floats.values.iter().any(|value| value.to_bits() == STALE_BITS);
            series.form = self.group.add_values(&floats.values);
            let runs = columns::start_runs(&floats.starts);
            if !runs.is_empty() {
                self.group.columns.starts.insert(index, runs);
            }
            self.group.see(&floats.times);
        }
        self.group.columns.series.push(series);
        Ok(())
    }

    /// Returns how many of the histograms have a place.
    fn add_histograms(
        &mut self,
        histograms: &Column<Arc<FloatHistogram>>,
    ) -> Result<usize, StoreError> {
        if histograms.is_empty() {
            return Ok(0);
        }
        let index = self.group.columns.series.len() as u32 - 1;
        let bytes = &mut self.group.histograms;
        let offset = bytes.len() as u32;
        let empty = FloatHistogram::default();
        let (mut before, mut stored) = (&empty, 0);
        for histogram in &histograms.values {
            encode_histogram(histogram, before, bytes);
            before = histogram;
            stored += 1;
            if bytes.len() - offset as usize > SERIES_HISTOGRAM_BYTES {
                break;
            }
        }
        let seen = &histograms.times[..stored];
        let times = self.times.number(&mut self.writer, seen)?;
        let bytes = &self.group.histograms;
        let column = HistogramColumn { times, offset, length: bytes.len() as u32 - offset };
        let starts = &histograms.starts[..stored.min(histograms.starts.len())];
        let runs = columns::start_runs(starts);
        self.group.columns.histograms.insert(index, (column, runs));
        self.group.see(seen);
        Ok(stored)
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let mut group = std::mem::take(&mut self.group);
        let Some(time) = group.time else { return Ok(()) };
        let mut described = group.columns;
        let values = self.end_values(&group.lengths, &group.values, &mut described)?;
        let columns = columns::encode(&described);
        let entry = GroupEntry {
            metric: group.metric,
            series: described.series.len() as u32,
            rows: group.rows,
            time,
            names: self.names.add(&mut self.writer, &group.names.finish())?,
            columns: self.columns.add(&mut self.writer, &columns)?,
            values,
            histograms: self.histograms.add(&mut self.writer, &group.histograms.bytes)?,
        };
        self.rows += group.rows;
        self.time = Some(self.time.map_or(time, |range| range.union(time)));
        self.groups.push(entry);
        // Keep the buffers for the next group.
        (self.group.values, self.group.lengths) = (group.values, group.lengths);
        self.group.values.clear();
        self.group.lengths.clear();
        Ok(())
    }

    fn end_values(
        &mut self,
        lengths: &[u32],
        values: &[u64],
        described: &mut GroupColumns,
    ) -> Result<Place, StoreError> {
        if lengths.is_empty() {
            return Ok(Place::default());
        }
        let encoded = values::encode(lengths, values, self.effort)?;
        let mut page_lengths = encoded.page_lengths.iter();
        for series in &mut described.series {
            if let Form::Coded { length, .. } = &mut series.form {
                *length = *page_lengths.next().expect("every coded series has a page");
            }
        }
        let mut bytes = ByteWriter::with_capacity(encoded.pages.len() + encoded.head.len() + 8);
        bytes.prefixed(&encoded.head);
        bytes.raw(&encoded.pages);
        self.values.add(&mut self.writer, &bytes.bytes)
    }

    pub(crate) fn exemplar(
        &mut self,
        series: &Labels,
        exemplar: &Exemplar,
    ) -> Result<(), StoreError> {
        self.exemplars.prefixed(series.as_bytes());
        encode_exemplar(exemplar, &mut self.exemplars);
        let at = TimeUnit::Millis.at(exemplar.time_ms);
        self.time = Some(self.time.map_or(at, |range| range.union(at)));
        if self.exemplars.len() >= PAGE_BYTES { self.end_exemplars() } else { Ok(()) }
    }

    fn end_exemplars(&mut self) -> Result<(), StoreError> {
        if !self.exemplars.is_empty() {
            let described = self.names.compression;
            self.writer.page(kind::EXEMPLARS, None, &self.exemplars.bytes, described)?;
            self.exemplars.bytes.clear();
        }
        Ok(())
    }

    /// `None` if the part would be empty.
    pub(crate) fn finish(
        mut self,
        metadata: &[(String, MetricMetadata)],
    ) -> Result<Option<NewPart>, StoreError> {
        self.end_group()?;
        if self.time.is_none() && metadata.is_empty() {
            return Ok(None);
        }
        self.end_sections()?;
        self.write_metadata(metadata)?;
        for groups in self.groups.chunks(GROUPS_PER_PAGE) {
            let described = self.names.compression;
            self.writer.page(kind::GROUPS, None, &encode_groups(groups), described)?;
        }
        let Self { writer, origin, .. } = self;
        let day_start = origin.day.range(model::Signal::Metrics).min;
        let time = self.time.unwrap_or(TimeUnit::Millis.at(day_start));
        let summary = origin.summary(PART_SCHEMA, time, self.rows, self.series);
        Ok(Some(writer.finish(summary)?))
    }

    fn end_sections(&mut self) -> Result<(), StoreError> {
        let Self { writer, names, columns, values, histograms, times, .. } = self;
        for section in [names, columns, values, histograms] {
            section.end_page(writer)?;
        }
        times.end_page(writer)?;
        let described = self.names.compression;
        self.dictionaries.write_pages(PAGE_BYTES, |page| {
            writer.page(kind::DICTIONARIES, None, page, described).map(|_| ())
        })?;
        self.end_exemplars()
    }

    fn write_metadata(&mut self, all: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        let bytes = |(metric, metadata): &(String, MetricMetadata)| {
            metric.len() + metadata.unit.len() + metadata.help.len()
        };
        let mut start = 0;
        while start < all.len() {
            let (mut end, mut length) = (start, 0);
            while end < all.len() && length < PAGE_BYTES {
                length += bytes(&all[end]);
                end += 1;
            }
            let mut page = ByteWriter::default();
            encode_metadata(&all[start..end], &mut page);
            self.writer.page(kind::METADATA, None, &page.bytes, self.names.compression)?;
            start = end;
        }
        Ok(())
    }
}

impl Section {
    fn new(kind: u16, compression: Compression) -> Self {
        Self { kind, compression, page: 0, buffer: Vec::new() }
    }

    fn add(&mut self, writer: &mut PartWriter, bytes: &[u8]) -> Result<Place, StoreError> {
        if bytes.is_empty() {
            return Ok(Place::default());
        }
        let place =
            Place { page: self.page, offset: self.buffer.len() as u32, length: bytes.len() as u32 };
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PAGE_BYTES {
            self.end_page(writer)?;
        }
        Ok(place)
    }

    fn end_page(&mut self, writer: &mut PartWriter) -> Result<(), StoreError> {
        if !self.buffer.is_empty() {
            writer.page(self.kind, None, &self.buffer, self.compression)?;
            self.buffer.clear();
            self.page += 1;
        }
        Ok(())
    }
}

impl TimeColumns {
    /// The number of the column with these times.
    fn number(&mut self, writer: &mut PartWriter, times: &[i64]) -> Result<u32, StoreError> {
        self.encoded.bytes.clear();
        times::encode_column(times, &mut self.encoded);
        let next = self.known.len() as u32;
        let number = *self.known.entry(xxh3_128(&self.encoded.bytes)).or_insert(next);
        if number == next {
            self.section.buffer.extend_from_slice(&self.encoded.bytes);
            if self.section.buffer.len() >= PAGE_BYTES / 4 {
                self.end_page(writer)?;
            }
        }
        Ok(number)
    }

    /// A page's key is the number of its first column.
    fn end_page(&mut self, writer: &mut PartWriter) -> Result<(), StoreError> {
        if self.section.buffer.is_empty() {
            return Ok(());
        }
        let (key, compression) = (u64::from(self.first), self.section.compression);
        writer.page(kind::TIMES, Some(key), &self.section.buffer, compression)?;
        self.section.buffer.clear();
        self.first = self.known.len() as u32;
        Ok(())
    }
}

impl Group {
    fn add_values(&mut self, values: &[f64]) -> Form {
        let first = values[0].to_bits();
        if values.iter().all(|value| value.to_bits() == first) {
            return Form::Constant(first);
        }
        self.lengths.push(values.len() as u32);
        self.values.extend(values.iter().map(|value| value.to_bits()));
        // Offsets and lengths are filled in when the group is encoded.
        Form::Coded { offset: 0, length: 0 }
    }

    fn see(&mut self, times: &[i64]) {
        self.rows += times.len() as u64;
        let range = TimeUnit::Millis
            .range(times[0], times[times.len() - 1])
            .unwrap_or(TimeUnit::Millis.at(times[0]));
        self.time = Some(self.time.map_or(range, |time| time.union(range)));
    }
}
