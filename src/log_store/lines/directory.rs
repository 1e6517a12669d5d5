//! What a row group records about its lines beside the columns: templates, the template of each row,
//! and where each column is.

use super::column::{Form, Stamp};
use super::filter::TextFilter;
use super::grams::Grams;
use super::split::{SLOT, SLOTS_MAX};
use codec::{ByteReader, ByteWriter, DecodeError};
use columns::{TextList, decode_codes, encode_codes};
use std::collections::BTreeMap;

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColumnPlace {
    pub(crate) form: Form,
    pub(crate) stamp: Stamp,
    /// The page among those of its kind of the row group, and where in it.
    pub(crate) page: u32,
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// A row group has no more columns of lines.
pub(crate) const COLUMNS_MAX: usize = 64 << 10;

/// Columns that a search often passes over together lie together: see [`Form::page_kind`].
pub(crate) const PAGE_KINDS: usize = 4;

/// How many rows are counted at most to find the place of a row among those of its template: at least so
/// many, and so many for each template, so that the counts before blocks stay small beside the rows.
const BLOCK_ROWS_MIN: usize = 4_096;
const BLOCK_ROWS_PER_TEMPLATE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct LinesDirectory {
    pub(crate) templates: TextList,
    /// The template of each row.
    pub(crate) rows: Vec<u16>,
    /// How many rows each template has.
    pub(crate) counts: Vec<u32>,
    /// The same before each block of rows, for all templates one block after the other. Not written.
    pub(super) before: Vec<u32>,
    pub(super) block_rows: usize,
    /// The first column of each template, and behind the last one the number of columns.
    pub(crate) firsts: Vec<u32>,
    pub(crate) columns: Vec<ColumnPlace>,
    /// For each column where its slot is in the template. Not written: the template says it.
    pub(crate) slots: Vec<u32>,
    /// What the lines hold that are one slot each.
    pub(crate) whole: Grams,
    /// The filters of some columns.
    pub(crate) filters: BTreeMap<u32, TextFilter>,
    /// How many pages of each kind there are.
    pub(crate) pages: [u32; PAGE_KINDS],
}

/// Where the columns of one kind of page are, as they are written one after the other.
#[derive(Debug, Default)]
struct Places {
    page: u32,
    start: u32,
}

impl LinesDirectory {
    pub(crate) fn slots_of(template: &[u8]) -> usize {
        template.iter().filter(|byte| **byte == SLOT).count()
    }

    pub(crate) fn encode(&self, writer: &mut ByteWriter) {
        writer.varint(self.templates.len() as u64);
        self.templates.encode(writer);
        let rows: Vec<u32> = self.rows.iter().copied().map(u32::from).collect();
        encode_codes(&rows, self.templates.len() as u32, writer);
        self.whole.encode(writer);
        self.pages.iter().for_each(|pages| writer.varint(u64::from(*pages)));
        let mut places = <[Places; PAGE_KINDS]>::default();
        for (column, number) in self.columns.iter().zip(0..) {
            let ColumnPlace { form, stamp, page, length, .. } = *column;
            let of_kind = &mut places[form.page_kind(stamp)];
            let filter = self.filters.get(&number);
            let of_filter = if filter.is_some() { FILTERED } else { 0 };
            writer.u8(form as u8 | of_filter | if page != of_kind.page { NEXT_PAGE } else { 0 });
            of_kind.page = page;
            stamp.encode(writer);
            writer.varint(u64::from(length));
            if let Some(filter) = filter {
                filter.encode(writer);
            }
        }
    }

    /// Reads the directory of `rows` lines.
    pub(crate) fn decode(reader: &mut ByteReader<'_>, rows: usize) -> Result<Self, DecodeError> {
        let count = reader.length(rows.min(usize::from(u16::MAX)))?;
        let mut directory = Self::default();
        directory.templates.decode(reader, count)?;
        let mut codes = Vec::new();
        decode_codes(reader, rows, count as u32, &mut codes)?;
        directory.rows = codes.into_iter().map(|code| code as u16).collect();
        directory.whole = Grams::decode(reader)?;
        for pages in &mut directory.pages {
            *pages = reader.length(rows * SLOTS_MAX + 1)? as u32;
        }
        let wrong = reader.value_error("more pages than columns");
        let wrong_slots = reader.value_error("more slots than a template or a row group has");
        directory.count(wrong_slots)?;
        directory.read_columns(reader)?;
        // Readers take memory for each page.
        if directory.pages.iter().any(|pages| *pages as usize > directory.columns.len()) {
            return Err(wrong);
        }
        Ok(directory)
    }

    /// Counts rows and columns. A search goes from slot to slot by recursion, and takes memory for each
    /// column.
    fn count(&mut self, wrong: DecodeError) -> Result<(), DecodeError> {
        self.count_rows();
        let mut first = 0;
        for template in self.templates.iter() {
            self.firsts.push(first);
            self.slots.extend(memchr::memchr_iter(SLOT, template).map(|slot| slot as u32));
            let slots = self.slots.len() - first as usize;
            first += slots as u32;
            if slots > SLOTS_MAX || first as usize > COLUMNS_MAX {
                return Err(wrong);
            }
        }
        self.firsts.push(first);
        Ok(())
    }

    fn count_rows(&mut self) {
        let templates = self.templates.len();
        self.counts.resize(templates, 0);
        self.block_rows =
            BLOCK_ROWS_MIN.max((templates * BLOCK_ROWS_PER_TEMPLATE).next_power_of_two());
        for rows in self.rows.chunks(self.block_rows) {
            self.before.extend_from_slice(&self.counts);
            rows.iter().for_each(|template| self.counts[usize::from(*template)] += 1);
        }
    }

    /// How many rows of its template come before a row.
    pub(crate) fn ordinal(&self, row: usize) -> u32 {
        let (block, template) = (row / self.block_rows, self.rows[row]);
        let of_block = &self.rows[block * self.block_rows..row];
        // Sums of 16 bits are quicker, and a chunk has no more rows than fit.
        let count = |rows: &[u16]| rows.iter().map(|row| u16::from(*row == template)).sum::<u16>();
        let within: u32 = of_block.chunks(BLOCK_ROWS_MIN).map(|rows| u32::from(count(rows))).sum();
        self.before[block * self.templates.len() + usize::from(template)] + within
    }

    fn read_columns(&mut self, reader: &mut ByteReader<'_>) -> Result<(), DecodeError> {
        let count = *self.firsts.last().unwrap_or(&0) as usize;
        let mut places = <[Places; PAGE_KINDS]>::default();
        for number in 0..count as u32 {
            let wrong = reader.value_error("not a column of lines");
            let code = reader.u8()?;
            let form = Form::from_code(code & !(NEXT_PAGE | FILTERED)).ok_or(wrong)?;
            let stamp = Stamp::decode(reader)?;
            let kind = form.page_kind(stamp);
            let place = &mut places[kind];
            if code & NEXT_PAGE != 0 {
                *place = Places { page: place.page + 1, start: 0 };
            }
            let length = reader.length(u32::MAX as usize)? as u32;
            let end = place.start.checked_add(length).ok_or(wrong)?;
            if place.page >= self.pages[kind] {
                return Err(wrong);
            }
            let (page, start) = (place.page, place.start);
            self.columns.push(ColumnPlace { form, stamp, page, start, length });
            place.start = end;
            if code & FILTERED != 0 {
                self.filters.insert(number, TextFilter::decode(reader)?);
            }
        }
        Ok(())
    }

    pub(crate) fn columns_of(&self, template: usize) -> std::ops::Range<usize> {
        self.firsts[template] as usize..self.firsts[template + 1] as usize
    }

    pub(crate) fn memory(&self) -> usize {
        let numbers = self.counts.len() + self.before.len() + self.firsts.len() + self.slots.len();
        let filters: usize = self.filters.values().map(TextFilter::memory).sum();
        self.templates.memory()
            + filters
            + self.whole.memory()
            + self.rows.len() * size_of::<u16>()
            + numbers * size_of::<u32>()
            + self.columns.len() * size_of::<ColumnPlace>()
    }
}

/// The column is the first one of its kind's next page.
const NEXT_PAGE: u8 = 0x80;
/// The column has a filter.
const FILTERED: u8 = 0x40;
