//! Writes a part of traces, trace after trace.

use super::attributes::{ColumnWriter, encode_rows};
use super::fixed::{TraceList, encode_ends, encode_small, encode_starts, encode_tree};
use super::group::{ColumnPlace, GroupHead};
use super::index::{GroupInfo, PartIndex, encode_fragments, encode_overview};
use super::{PART_SCHEMA, Rollup, entries, page};
use crate::block::{Block, BlockBuilder, Place, tick};
use crate::column::Numbered;
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table};
use crate::measures::{EdgeKey, MeasureKey, Measures, SpanKey};
use crate::piece::Piece;
use crate::spans::Spans;
use codec::ByteWriter;
use columns::{Effort, IdIndexBuilder, hash_id};
use engine::PartOrigin;
use model::{TimeRange, TimeUnit};
use parts::{Compression, NewPart, PartStore, PartWriter};
use std::collections::HashMap;
use std::sync::Arc;

/// The spans at which a row group ends. Those of parts that are soon merged are smaller: a merge holds
/// one row group of each input.
fn group_rows(effort: Effort) -> usize {
    match effort {
        Effort::Quick => 16 << 10,
        Effort::Merge => 32 << 10,
        Effort::Last => 64 << 10,
    }
}

/// The same by the bytes of its spans.
const GROUP_BYTES: usize = 24 << 20;

/// A row group has no more rows times columns, unless it is one trace: writing takes time for each.
const GROUP_CELLS: usize = 16 << 20;

/// Pages of measures have no more bytes for each span, before they are compressed.
const MEASURES_BYTES: usize = 1;

/// Columns that take less share pages of about this size.
const SHARED_PAGE: usize = 16 << 10;

/// One part that is being written.
pub(crate) struct PartBuilder {
    writer: PartWriter,
    origin: PartOrigin,
    effort: Effort,
    index: PartIndex,
    ids: IdIndexBuilder,
    rows: u64,
    traces: u64,
    /// Of the starts of traces.
    time: Option<TimeRange>,
    group: BlockBuilder,
    columns: Vec<Numbered>,
    column_writer: ColumnWriter,
}

/// Columns that share a page, before it is written.
#[derive(Default)]
struct SharedPage {
    bytes: Vec<u8>,
    /// Whether it is a set of rows, the table, and the place within the head's list.
    columns: Vec<(bool, usize, usize)>,
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
            index: PartIndex::default(),
            ids: IdIndexBuilder::default(),
            rows: 0,
            traces: 0,
            time: None,
            group: BlockBuilder::default(),
            columns: Vec::new(),
            column_writer: ColumnWriter::default(),
        })
    }

    /// Where the spans of [`PartBuilder::push`] are.
    pub(crate) fn builder(&mut self) -> &mut BlockBuilder {
        &mut self.group
    }

    /// The traces of which there are spans elsewhere, sorted.
    pub(crate) fn fragments(&mut self, ids: Vec<[u8; 16]>) {
        self.index.fragments = ids;
    }

    /// Adds a trace. Traces come in the order of their start.
    pub(crate) fn push(
        &mut self,
        id: [u8; 16],
        places: &[Place],
        sources: &[&Spans],
    ) -> Result<(), StoreError> {
        if self.is_full() {
            self.end_group()?;
        }
        self.group.push(id, places, sources);
        self.ids.add(hash_id(&id), self.index.groups.len() as u32);
        Ok(())
    }

    fn is_full(&self) -> bool {
        let spans = &self.group.block.spans;
        let rows = spans.len();
        rows >= group_rows(self.effort)
            || spans.content_bytes() >= GROUP_BYTES
            || rows > 0 && rows * spans.keys.len() > GROUP_CELLS
    }

    fn end_group(&mut self) -> Result<(), StoreError> {
        let block = Arc::new(std::mem::take(&mut self.group.block));
        let written = self.write_group(&block);
        // Its memory serves the next row group.
        self.group.block = Arc::into_inner(block).unwrap_or_default();
        self.group.clear();
        written
    }

    fn write_group(&mut self, block: &Arc<Block>) -> Result<(), StoreError> {
        let Some(time) = block.time() else { return Ok(()) };
        let before = self.writer.bytes_written();
        let traces = TraceList::of(block);
        let mut head = GroupHead {
            rows: block.rows() as u32,
            traces: traces.ids.len() as u32,
            table_rows: Table::ALL.map(|table| block.spans.table(table).rows() as u32),
            ..GroupHead::default()
        };
        self.write_fixed(block, &traces, &mut head)?;
        self.write_tables(block, &mut head)?;
        self.write_rollups(block, &mut head)?;
        self.write_measures::<SpanKey>(block, &mut head)?;
        self.write_measures::<EdgeKey>(block, &mut head)?;
        self.write_entries(block, &mut head)?;
        let mut writer = ByteWriter::default();
        head.encode(&mut writer);
        let page = self.page(page::GROUP, &writer.bytes)?;
        let bytes = self.writer.bytes_written() - before;
        self.index.groups.push(GroupInfo { page, rows: head.rows, bytes, time });
        self.rows += u64::from(head.rows);
        self.traces += u64::from(head.traces);
        let (first, last) = (traces.starts.iter().min(), traces.starts.iter().max());
        let starts =
            first.zip(last).map(|(first, last)| TimeUnit::Nanos.between(tick(*first), tick(*last)));
        self.time = self.time.into_iter().chain(starts).reduce(TimeRange::union);
        Ok(())
    }

    fn page(&mut self, kind: u16, bytes: &[u8]) -> Result<u32, StoreError> {
        Ok(self.writer.page(kind, None, bytes, self.effort.compression())?)
    }

    fn write_fixed(
        &mut self,
        block: &Block,
        traces: &TraceList,
        head: &mut GroupHead,
    ) -> Result<(), StoreError> {
        let (spans, level) = (&block.spans, self.effort.number_level());
        let mut pages: Vec<ByteWriter> = Vec::with_capacity(page::FIXED_COUNT);
        let mut write = |fill: &mut dyn FnMut(&mut ByteWriter)| {
            let mut writer = ByteWriter::default();
            fill(&mut writer);
            pages.push(writer);
        };
        write(&mut |writer| traces.encode(level, writer));
        write(&mut |writer| spans.span_ids.iter().for_each(|id| writer.raw(id)));
        write(&mut |writer| encode_tree(block, writer));
        write(&mut |writer| encode_starts(block, traces, level, writer));
        write(&mut |writer| columns::encode_numbers(&spans.lengths, level, writer));
        let names: Vec<u64> = spans.names.iter().map(|name| u64::from(*name)).collect();
        let texts = spans.texts.texts();
        write(&mut |writer| self.column_writer.encode_texts(&names, texts, writer));
        for codes in [&spans.kinds, &spans.statuses] {
            let codes: Vec<u32> = codes.iter().map(|code| u32::from(*code)).collect();
            write(&mut |writer| encode_small(&codes, writer));
        }
        for entities in &spans.entities {
            write(&mut |writer| encode_small(entities, writer));
        }
        for ends in &spans.child_ends {
            write(&mut |writer| encode_ends(ends, writer));
        }
        for (place, writer) in pages.iter().enumerate() {
            let compression = match place {
                page::TRACES | page::SPAN_IDS | page::STARTS | page::LENGTHS => Compression::None,
                _ => self.effort.compression(),
            };
            head.fixed[place] =
                self.writer.page(page::FIXED[place], None, &writer.bytes, compression)?;
        }
        Ok(())
    }

    fn write_tables(&mut self, block: &Block, head: &mut GroupHead) -> Result<(), StoreError> {
        let mut shared = SharedPage::default();
        for table in Table::ALL {
            self.fill_columns(block, table);
            let mut order: Vec<usize> = (0..block.spans.keys.len())
                .filter(|key| !self.columns[*key].of.is_empty())
                .collect();
            // Frequent ones share no page with rare ones.
            order.sort_by_key(|key| std::cmp::Reverse(self.columns[*key].of.len()));
            let mut sets = HashMap::new();
            for key in order {
                self.write_column(block, (table, key), head, (&mut shared, &mut sets))?;
            }
        }
        self.end_shared(head, &mut shared)
    }

    fn write_rollups(&mut self, block: &Block, head: &mut GroupHead) -> Result<(), StoreError> {
        for rollup in Rollup::of(block) {
            let mut writer = ByteWriter::default();
            rollup.encode(&mut writer);
            let page = self.page(page::ROLLUP, &writer.bytes)?;
            head.rollups.push((rollup.width_ns, page));
        }
        Ok(())
    }

    fn write_entries(&mut self, block: &Block, head: &mut GroupHead) -> Result<(), StoreError> {
        let (found, level) = (entries::of_block(block), self.effort.number_level());
        let mut writer = ByteWriter::default();
        entries::encode(&found, block.rows(), level, &mut writer);
        let page = self.page(page::ENTRIES, &writer.bytes)?;
        head.extras.push((page::ENTRIES, page));
        Ok(())
    }

    /// Nothing where it would be long: then reading the columns is no more work.
    fn write_measures<K: MeasureKey>(
        &mut self,
        block: &Arc<Block>,
        head: &mut GroupHead,
    ) -> Result<(), StoreError> {
        let Some(piece) = Piece::of_block(Arc::clone(block)) else { return Ok(()) };
        let mut writer = ByteWriter::default();
        Measures::<K>::of(&piece)?.encode(&mut writer);
        if writer.bytes.len() <= block.rows() * MEASURES_BYTES {
            head.extras.push((K::PAGE, self.page(K::PAGE, &writer.bytes)?));
        }
        Ok(())
    }

    /// The values of each key in a table.
    fn fill_columns(&mut self, block: &Block, table: Table) {
        let keys = block.spans.keys.len();
        if self.columns.len() < keys {
            self.columns.resize_with(keys, Numbered::default);
        }
        let attributes = block.spans.table(table);
        for column in &mut self.columns {
            column.clear();
            column.rows = attributes.rows();
        }
        for row in 0..attributes.rows() {
            attributes.of(row).for_each(|(key, value)| self.columns[key as usize].push(row, value));
        }
    }

    fn write_column(
        &mut self,
        block: &Block,
        (table, number): (Table, usize),
        head: &mut GroupHead,
        (shared, sets): (&mut SharedPage, &mut HashMap<u128, u32>),
    ) -> Result<(), StoreError> {
        let key: &ColumnKey = block.spans.keys.get(number as u32);
        let rows = self.row_set(table, number, head, (&mut *shared, sets))?;
        let mut writer = ByteWriter::default();
        let (values, level) = (&self.columns[number].values, self.effort.number_level());
        let texts = block.spans.texts.texts();
        self.column_writer.encode(key.kind, values, texts, level, &mut writer);
        let list = (false, table as usize, head.places[table as usize].len());
        head.keys[table as usize].push(key.clone());
        let place = self.write_shared(&writer.bytes, head, shared, list)?;
        head.places[table as usize].push(ColumnPlace { rows, ..place });
        Ok(())
    }

    /// The set of the rows that a column has values for, which is written unless another column has it.
    fn row_set(
        &mut self,
        table: Table,
        number: usize,
        head: &mut GroupHead,
        (shared, sets): (&mut SharedPage, &mut HashMap<u128, u32>),
    ) -> Result<u32, StoreError> {
        let column = &self.columns[number];
        if column.of.len() == column.rows {
            return Ok(0);
        }
        let mut writer = ByteWriter::default();
        encode_rows(&column.of, column.rows, &mut writer);
        let hash = codec::xxh3_128(&writer.bytes);
        let known = head.row_sets[table as usize].len() as u32 + 1;
        if let Some(set) = sets.get(&hash) {
            return Ok(*set);
        }
        sets.insert(hash, known);
        let list = (true, table as usize, known as usize - 1);
        let place = self.write_shared(&writer.bytes, head, shared, list)?;
        head.row_sets[table as usize].push(place);
        Ok(known)
    }

    /// Writes what may share a page with others; `list` is where its place will stand.
    fn write_shared(
        &mut self,
        bytes: &[u8],
        head: &mut GroupHead,
        shared: &mut SharedPage,
        list: (bool, usize, usize),
    ) -> Result<ColumnPlace, StoreError> {
        let length = bytes.len() as u32;
        if bytes.len() >= SHARED_PAGE {
            let page = self.page(page::COLUMNS, bytes)?;
            return Ok(ColumnPlace { page, length, ..ColumnPlace::default() });
        }
        if shared.bytes.len() + bytes.len() > SHARED_PAGE {
            self.end_shared(head, shared)?;
        }
        let offset = shared.bytes.len() as u32;
        shared.columns.push(list);
        shared.bytes.extend_from_slice(bytes);
        Ok(ColumnPlace { offset, length, ..ColumnPlace::default() })
    }

    fn end_shared(
        &mut self,
        head: &mut GroupHead,
        shared: &mut SharedPage,
    ) -> Result<(), StoreError> {
        if shared.columns.is_empty() {
            return Ok(());
        }
        let page = self.page(page::COLUMNS, &shared.bytes)?;
        for (is_set, table, place) in shared.columns.drain(..) {
            let places = if is_set { &mut head.row_sets } else { &mut head.places };
            places[table][place].page = page;
        }
        shared.bytes.clear();
        Ok(())
    }

    /// Ends the part; `None` if it has no span.
    pub(crate) fn finish(mut self) -> Result<Option<NewPart>, StoreError> {
        self.end_group()?;
        let Some(time) = self.time else { return Ok(None) };
        let Self { mut writer, ids, mut index, origin, rows, traces, effort, .. } = self;
        index.ids = ids.finish(|first, bytes| {
            writer.page(page::IDS, Some(first), bytes, Compression::Zstd { level: 1 }).map(|_| ())
        })?;
        if !index.fragments.is_empty() {
            let bytes = encode_fragments(&index.fragments);
            writer.page(page::FRAGMENTS, None, &bytes, Compression::None)?;
        }
        writer.page(page::OVERVIEW, None, &encode_overview(&index), effort.compression())?;
        let summary = origin.summary(PART_SCHEMA, time, rows, traces);
        Ok(Some(writer.finish(summary)?))
    }
}
