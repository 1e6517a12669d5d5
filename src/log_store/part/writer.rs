//! Writes a part of logs, row after row.

use super::index::{STREAMS_PAGE_BYTES, encode_overview, encode_streams};
use super::letters;
use super::times::encode_times;
use super::{FieldPlace, GROUP_ROWS, GroupHead, GroupInfo, PART_SCHEMA, PartIndex, Run, page};
use crate::error::StoreError;
use crate::lines::{EncodedLines, LetterSet, LinesBuilder, NUMBER_PAGES};
use codec::ByteWriter;
use columns::{Effort, IdIndexBuilder, TextColumnBuilder, TextList, hash_id, id_form};
use engine::PartOrigin;
use model::{Labels, TimeRange, TimeUnit};
use parts::{Compression, NewPart, PartStore, PartWriter};
use std::collections::HashMap;

/// The bytes of lines, values and names of fields at which a row group ends. Those of parts that are soon
/// merged are smaller: a merge holds one row group of each input.
fn group_bytes(effort: Effort) -> usize {
    match effort {
        Effort::Quick | Effort::Merge => 3 << 20,
        Effort::Last => 8 << 20,
    }
}

/// A row group has no more rows times fields, unless it is one row: a reader of all fields holds a
/// code for each.
const GROUP_CELLS: usize = 16 << 20;

/// Fields with columns of their own; of more, those that fewer lines have share a page.
const COLUMNS_MAX: usize = 256;

/// Fields keep no more memory than this for the next row group.
const KEPT_BYTES: usize = 64 << 20;

/// For dictionaries up to this size it is recorded how many rows have each value.
const COUNTED_VALUES: usize = 32;
/// The same up to this size of their texts.
const COUNTED_BYTES: usize = 4 << 10;

/// One part that is being written.
pub(crate) struct PartBuilder {
    writer: PartWriter,
    origin: PartOrigin,
    effort: Effort,
    streams: Vec<Labels>,
    /// Streams before this one are written.
    streams_written: usize,
    stream_bytes: usize,
    groups: Vec<GroupInfo>,
    ids: IdIndexBuilder,
    /// Of each row group.
    letters: Vec<LetterSet>,
    rows: u64,
    time: Option<TimeRange>,
    group: GroupBuilder,
}

/// The rows of the current row group.
#[derive(Default)]
struct GroupBuilder {
    times: Vec<i64>,
    runs: Vec<Run>,
    fields: Fields,
    lines: LinesBuilder,
    bytes: usize,
}

/// Fields by name, each a column.
#[derive(Default)]
struct Fields {
    numbers: HashMap<String, usize>,
    columns: Vec<Field>,
    used: usize,
    name_bytes: usize,
}

#[derive(Default)]
struct Field {
    name: String,
    column: TextColumnBuilder,
    rows: usize,
}

impl Fields {
    /// The column of a field; the names of lines repeat in the same order, so the one after the last
    /// one is tried first.
    fn column(&mut self, name: &str, guess: usize) -> usize {
        if self.columns[..self.used].get(guess).is_some_and(|field| field.name == name) {
            return guess;
        }
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        if self.used == self.columns.len() {
            self.columns.push(Field::default());
        }
        let number = self.used;
        self.name_bytes += name.len();
        self.columns[number].name = name.to_owned();
        self.numbers.insert(name.to_owned(), number);
        self.used += 1;
        number
    }

    fn clear(&mut self) {
        for field in &mut self.columns[..self.used] {
            field.column.clear();
            field.rows = 0;
        }
        // Memory of columns is kept for the next row group, within bounds.
        self.columns.truncate(COLUMNS_MAX);
        if self.columns.iter().map(|field| field.column.memory()).sum::<usize>() > KEPT_BYTES {
            self.columns.clear();
        }
        self.numbers.clear();
        self.used = 0;
        self.name_bytes = 0;
    }
}

impl GroupBuilder {
    /// Whether the row group ends before a further row, which has so many fields.
    fn is_full(&self, fields: usize, effort: Effort) -> bool {
        let rows = self.times.len();
        // All fields of the row may be new ones.
        let cells = (rows + 1) * (self.fields.used + fields);
        rows >= GROUP_ROWS
            || self.bytes + self.fields.name_bytes >= group_bytes(effort)
            || rows > 0 && cells > GROUP_CELLS
    }
}

impl PartBuilder {
    pub(crate) fn new(
        store: &PartStore,
        origin: PartOrigin,
        effort: Effort,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            writer: store.new_part()?,
            origin,
            effort,
            streams: Vec::new(),
            streams_written: 0,
            stream_bytes: 0,
            groups: Vec::new(),
            ids: IdIndexBuilder::default(),
            letters: Vec::new(),
            rows: 0,
            time: None,
            group: GroupBuilder::default(),
        })
    }

    /// Begins a stream. Streams come in rising order of their labels.
    pub(crate) fn stream(&mut self, labels: &Labels) -> Result<(), StoreError> {
        self.streams.push(labels.clone());
        self.stream_bytes += labels.as_bytes().len();
        if self.stream_bytes >= STREAMS_PAGE_BYTES {
            self.write_streams()?;
        }
        Ok(())
    }

    /// Begins a line of the last stream. Its text and its fields, which may be fewer, follow.
    pub(crate) fn row(&mut self, time: i64, bytes: usize, fields: usize) -> Result<(), StoreError> {
        if self.group.is_full(fields, self.effort) {
            self.end_group()?;
        }
        let stream = self.streams.len() as u32 - 1;
        let group = &mut self.group;
        match group.runs.last_mut() {
            Some(run) if run.stream == stream => {
                run.rows += 1;
                run.bytes += bytes as u64;
            }
            _ => group.runs.push(Run { stream, rows: 1, bytes: bytes as u64, ..Run::default() }),
        }
        group.times.push(time);
        group.bytes += bytes;
        Ok(())
    }

    /// For a line whose length is known only when it has been added.
    pub(crate) fn add_line_bytes(&mut self, bytes: usize) {
        if let Some(run) = self.group.runs.last_mut() {
            run.bytes += bytes as u64;
        }
        self.group.bytes += bytes;
    }

    /// Where the text of the line that was begun goes.
    pub(crate) fn lines(&mut self) -> &mut LinesBuilder {
        &mut self.group.lines
    }

    /// The number of the row group that takes rows.
    pub(crate) fn group_number(&self) -> u32 {
        self.groups.len() as u32
    }

    /// Adds a field to the line that was begun. `guess` is the answer for the field before, plus one.
    pub(crate) fn field(&mut self, name: &str, value: &[u8], guess: usize) -> usize {
        let group = &mut self.group;
        let at = group.fields.column(name, guess);
        let field = &mut group.fields.columns[at];
        field.column.set(group.times.len() - 1, value);
        field.rows += 1;
        group.bytes += value.len();
        at
    }

    fn write_streams(&mut self) -> Result<(), StoreError> {
        let bytes = encode_streams(&self.streams[self.streams_written..]);
        self.writer.page(page::STREAMS, None, &bytes, self.effort.compression())?;
        self.streams_written = self.streams.len();
        self.stream_bytes = 0;
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let rows = self.group.times.len();
        let (Some(min), Some(max)) = (self.group.times.iter().min(), self.group.times.iter().max())
        else {
            return Ok(());
        };
        let time = TimeUnit::Nanos.between(*min, *max);
        let mut head = GroupHead { rows: rows as u32, ..GroupHead::default() };
        let mut start = 0;
        for run in self.group.runs.drain(..) {
            let end = start + run.rows as usize;
            head.add_run(run, &self.group.times[start..end]);
            start = end;
        }
        head.times = self.write_times()?;
        self.write_fields(&mut head)?;
        self.write_lines(&mut head)?;
        let mut writer = ByteWriter::default();
        head.encode(&mut writer);
        let page = self.page(page::GROUP, &writer.bytes)?;
        let (first, last) = (head.runs[0].stream, head.runs[head.runs.len() - 1].stream);
        self.groups.push(GroupInfo {
            page,
            rows: rows as u32,
            bytes: head.runs.iter().map(|run| run.bytes).sum(),
            first_stream: first,
            last_stream: last,
            time,
        });
        self.rows += rows as u64;
        self.time = Some(self.time.map_or(time, |before| before.union(time)));
        self.group.times.clear();
        self.group.fields.clear();
        self.group.lines.clear();
        self.group.bytes = 0;
        Ok(())
    }

    fn page(&mut self, kind: u16, bytes: &[u8]) -> Result<u32, StoreError> {
        Ok(self.writer.page(kind, None, bytes, self.effort.compression())?)
    }

    fn write_times(&mut self) -> Result<u32, StoreError> {
        let mut writer = ByteWriter::default();
        encode_times(&self.group.times, self.effort, &mut writer);
        Ok(self.writer.page(page::TIMES, None, &writer.bytes, Compression::None)?)
    }

    fn write_fields(&mut self, head: &mut GroupHead) -> Result<(), StoreError> {
        let mut order: Vec<usize> = (0..self.group.fields.used).collect();
        order.sort_by(|left, right| {
            let key = |at: usize| {
                let field = &self.group.fields.columns[at];
                (std::cmp::Reverse(field.rows), &field.name)
            };
            key(*left).cmp(&key(*right))
        });
        let (columns, rare) = order.split_at(order.len().min(COLUMNS_MAX));
        for at in columns {
            let (place, page) = self.encode_field(*at, head.rows as usize);
            let page = self.page(page::FIELD, &page)?;
            head.fields.push(FieldPlace { page, ..place });
        }
        if !rare.is_empty() {
            let bytes = self.encode_rare(rare, head.rows as usize);
            head.rare_fields = Some(self.page(page::RARE_FIELDS, &bytes)?);
        }
        Ok(())
    }

    fn encode_field(&mut self, at: usize, rows: usize) -> (FieldPlace, Vec<u8>) {
        let field = &mut self.group.fields.columns[at];
        let mut writer = ByteWriter::default();
        field.column.encode(rows, &mut writer);
        let group = self.groups.len() as u32;
        add_ids(&mut self.ids, field.column.values(), group);
        let mut place = FieldPlace { name: field.name.clone(), ..FieldPlace::default() };
        if field.column.values().bytes.len() <= COUNTED_BYTES {
            place.counts = field.column.counts(COUNTED_VALUES);
        }
        if !place.counts.is_empty() {
            place.values = field.column.values().clone();
        }
        (place, writer.bytes)
    }

    /// The fields that few lines have: for each its name and its column.
    fn encode_rare(&mut self, rare: &[usize], rows: usize) -> Vec<u8> {
        let mut writer = ByteWriter::default();
        writer.varint(rare.len() as u64);
        for at in rare {
            let (place, column) = self.encode_field(*at, rows);
            writer.text(&place.name);
            writer.prefixed(&column);
        }
        writer.bytes
    }

    fn write_lines(&mut self, head: &mut GroupHead) -> Result<(), StoreError> {
        let EncodedLines { directory, pages, ids, letters } = self.group.lines.encode(self.effort);
        self.letters.push(letters);
        ids.iter().for_each(|hash| self.ids.add(*hash, self.groups.len() as u32));
        for (kind, pages) in pages.iter().enumerate() {
            let compression = match kind {
                NUMBER_PAGES => Compression::None,
                _ => self.effort.compression(),
            };
            for (index, page) in pages.iter().enumerate() {
                let number = self.writer.page(page::COLUMNS[kind], None, page, compression)?;
                if index == 0 {
                    head.columns[kind] = number;
                }
            }
        }
        let mut writer = ByteWriter::default();
        directory.encode(&mut writer);
        head.lines = self.page(page::LINES, &writer.bytes)?;
        Ok(())
    }

    /// Ends the part; `None` if it has no row.
    pub(crate) fn finish(mut self) -> Result<Option<NewPart>, StoreError> {
        self.end_group()?;
        let Some(time) = self.time else { return Ok(None) };
        if self.streams_written < self.streams.len() {
            self.write_streams()?;
        }
        let Self { mut writer, ids, letters, groups, streams, origin, rows, effort, .. } = self;
        let ids = ids.finish(|first, bytes| {
            writer.page(page::IDS, Some(first), bytes, Compression::Zstd { level: 1 }).map(|_| ())
        })?;
        letters::encode(&letters, |page| {
            writer.page(page::LETTERS, None, page, effort.compression()).map(|_| ())
        })?;
        let count = streams.len() as u64;
        let index = PartIndex { streams, groups, ids };
        writer.page(page::OVERVIEW, None, &encode_overview(&index), effort.compression())?;
        let summary = origin.summary(PART_SCHEMA, time, rows, count);
        Ok(Some(writer.finish(summary)?))
    }
}

/// Adds the texts that are identifiers.
fn add_ids(index: &mut IdIndexBuilder, texts: &TextList, group: u32) {
    let mut id = Vec::new();
    for text in texts.iter() {
        if let Some(form) = id_form(text) {
            id.clear();
            form.append_bytes(text, &mut id);
            index.add(hash_id(&id), group);
        }
    }
}
