//! Collects the lines of a row group and writes them.

use super::column::ColumnEncoder;
use super::directory::{ColumnPlace, LinesDirectory, PAGE_KINDS};
use super::split::{Split, WHOLE};
use codec::ByteWriter;
use columns::{Effort, Interner, TextList};

/// A row group has no more templates and columns; further lines are one slot each.
const TEMPLATES_MAX: usize = 8 << 10;
const COLUMNS_MAX: usize = 64 << 10;

/// Columns are put together into pages of about this size, so that a search reads little more than
/// the columns that it looks at.
const PAGE_BYTES: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct LinesBuilder {
    split: Split,
    templates: Interner,
    /// The first column of each template.
    firsts: Vec<u32>,
    /// The template of each row.
    rows: Vec<u32>,
    columns: Vec<TextList>,
    /// How many of `columns` are in use; the others wait with their memory.
    used: usize,
    encoder: ColumnEncoder,
}

/// The pages of a row group's lines.
#[derive(Debug, Default)]
pub(crate) struct EncodedLines {
    pub(crate) directory: LinesDirectory,
    /// By their kind.
    pub(crate) pages: [Vec<Vec<u8>>; PAGE_KINDS],
    /// The hashes of the identifiers in the lines.
    pub(crate) ids: Vec<u64>,
}

impl LinesBuilder {
    pub(crate) fn clear(&mut self) {
        self.templates.clear();
        self.firsts.clear();
        self.rows.clear();
        self.columns[..self.used].iter_mut().for_each(TextList::clear);
        self.used = 0;
    }

    pub(crate) fn push(&mut self, line: &[u8]) {
        let mut split = std::mem::take(&mut self.split);
        split.line(line);
        match self.template(&split.template) {
            Some(template) => {
                let slots = split.slots.iter();
                let texts = slots.map(|(start, end)| &line[*start as usize..*end as usize]);
                self.push_parts(template, texts);
            }
            None => self.push_whole(line),
        }
        self.split = split;
    }

    /// A line as one slot: for what has no template.
    pub(crate) fn push_whole(&mut self, line: &[u8]) {
        // There is always room for this template: `template` keeps one free.
        let whole = self.numbered(WHOLE);
        self.push_parts(whole, [line].into_iter());
    }

    /// The number of a template; `None` if the row group can't have one more.
    pub(crate) fn template(&mut self, template: &[u8]) -> Option<u32> {
        if let Some(known) = self.templates.find(template) {
            return Some(known);
        }
        let columns = self.used + LinesDirectory::slots_of(template);
        let is_room = self.templates.len() + 1 < TEMPLATES_MAX && columns < COLUMNS_MAX;
        is_room.then(|| self.numbered(template))
    }

    fn numbered(&mut self, template: &[u8]) -> u32 {
        let number = self.templates.number(template);
        if number as usize == self.firsts.len() {
            self.firsts.push(self.used as u32);
            self.used += LinesDirectory::slots_of(template);
            if self.columns.len() < self.used {
                self.columns.resize_with(self.used, TextList::default);
            }
        }
        number
    }

    /// Adds a line as its template and the texts of the slots.
    pub(crate) fn push_parts<'t>(&mut self, template: u32, texts: impl Iterator<Item = &'t [u8]>) {
        let first = self.firsts[template as usize] as usize;
        self.rows.push(template);
        for (column, text) in self.columns[first..].iter_mut().zip(texts) {
            column.push(text);
        }
    }

    /// Begins a line as its template; the texts of its slots are appended one by one.
    pub(crate) fn push_template(&mut self, template: u32) -> &mut [TextList] {
        let first = self.firsts[template as usize] as usize;
        let end = self.firsts.get(template as usize + 1).map_or(self.used, |end| *end as usize);
        self.rows.push(template);
        &mut self.columns[first..end]
    }

    /// The pages of the lines. The builder can be cleared and used again.
    pub(crate) fn encode(&mut self, effort: Effort) -> EncodedLines {
        let mut encoded = EncodedLines::default();
        let mut writers = <[ByteWriter; PAGE_KINDS]>::default();
        for column in &self.columns[..self.used] {
            let before = writers.each_ref().map(ByteWriter::len);
            let (form, stamp) = self.encoder.encode(column, effort, &mut writers);
            self.encoder.identifiers(form, &mut encoded.ids);
            let kind = form.page_kind(stamp);
            let (writer, pages) = (&mut writers[kind], &mut encoded.pages[kind]);
            let (page, start) = (pages.len() as u32, before[kind] as u32);
            let length = writer.len() as u32 - start;
            encoded.directory.columns.push(ColumnPlace { form, stamp, page, start, length });
            if writer.len() >= PAGE_BYTES {
                pages.push(std::mem::take(&mut writer.bytes));
            }
        }
        encoded.end_pages(writers);
        let directory = &mut encoded.directory;
        directory.templates = self.templates.texts().clone();
        directory.rows = self.rows.clone();
        encoded
    }
}

impl EncodedLines {
    /// Ends the last page of each kind. Its only columns may have no bytes.
    fn end_pages(&mut self, writers: [ByteWriter; PAGE_KINDS]) {
        for (kind, writer) in writers.into_iter().enumerate() {
            let pages = &mut self.pages[kind];
            let is_on = |column: &ColumnPlace| {
                column.form.page_kind(column.stamp) == kind && column.page as usize == pages.len()
            };
            if self.directory.columns.iter().any(is_on) {
                pages.push(writer.bytes);
            }
            self.directory.pages[kind] = pages.len() as u32;
        }
    }
}
