//! Collects the lines of a row group and writes them.

use super::column::{ColumnEncoder, add_identifiers};
use super::directory::{COLUMNS_MAX, ColumnPlace, LinesDirectory, PAGE_KINDS};
use super::grams::Grams;
use super::letters::LetterSet;
use super::split::{SLOT, Split, WHOLE};
use codec::ByteWriter;
use columns::{Effort, Interner, TextList};

/// A row group has no more templates, nor columns than [`COLUMNS_MAX`]; further lines are one slot each.
const TEMPLATES_MAX: usize = 8 << 10;

/// Columns are put together into pages of about this size, so that a search reads little more than
/// the columns that it looks at.
const PAGE_BYTES: usize = 64 << 10;

/// Columns keep no more memory than this for the next row group. Large columns stand at another place
/// in each, so each column would come to have the memory of the largest one.
const KEPT_BYTES: usize = 32 << 20;

/// Lines of templates that so few rows have are one slot each: as columns they would take more.
const RARE_ROWS: u32 = 8;

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
    pub(crate) letters: LetterSet,
}

impl LinesBuilder {
    pub(crate) fn clear(&mut self) {
        self.templates.clear();
        self.firsts.clear();
        self.rows.clear();
        self.columns[..self.used].iter_mut().for_each(TextList::clear);
        self.used = 0;
        if self.memory() > KEPT_BYTES {
            self.columns.clear();
        }
    }

    /// The memory of the columns, also of those that wait.
    fn memory(&self) -> usize {
        self.columns.iter().map(TextList::memory).sum()
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
        let whole = self.fold_rare(&mut encoded.directory);
        let mut encoder = std::mem::take(&mut self.encoder);
        let mut writers = <[ByteWriter; PAGE_KINDS]>::default();
        for template in encoded.directory.templates.iter() {
            add_identifiers(template, &mut encoded.ids);
            encoded.letters.add(template);
            let columns = match self.templates.find(template) {
                _ if template == WHOLE => std::slice::from_ref(&whole),
                Some(number) => self.columns_of(number),
                None => &[],
            };
            for column in columns {
                let place =
                    encode_column(&mut encoder, column, effort, &mut writers, &mut encoded.pages);
                if let Some(filter) = encoder.filter((place.form, place.stamp), column) {
                    let number = encoded.directory.columns.len() as u32;
                    encoded.directory.filters.insert(number, filter);
                }
                encoder.identifiers((place.form, place.stamp), column, &mut encoded.ids);
                encoder.letters(place.form, column, &mut encoded.letters);
                encoded.directory.columns.push(place);
            }
        }
        self.encoder = encoder;
        encoded.end_pages(writers);
        encoded
    }

    fn columns_of(&self, template: u32) -> &[TextList] {
        let first = self.firsts[template as usize] as usize;
        let end = self.firsts.get(template as usize + 1).map_or(self.used, |end| *end as usize);
        &self.columns[first..end]
    }

    /// Fills in the templates that are worth their columns and the template of each row. Answers the
    /// lines that have none of these, which are one slot each.
    fn fold_rare(&self, directory: &mut LinesDirectory) -> TextList {
        let texts = self.templates.texts();
        let mut counts = vec![0u32; texts.len()];
        self.rows.iter().for_each(|template| counts[*template as usize] += 1);
        let is_kept =
            |template: usize| counts[template] > RARE_ROWS && texts.get(template) != WHOLE;
        let mut numbers = vec![None; texts.len()];
        for template in (0..texts.len()).filter(|template| is_kept(*template)) {
            numbers[template] = Some(directory.templates.len() as u16);
            directory.templates.push(texts.get(template));
        }
        let (mut whole, mut ordinals) = (TextList::default(), vec![0usize; texts.len()]);
        let of_whole = directory.templates.len() as u16;
        for template in &self.rows {
            let template = *template as usize;
            directory.rows.push(numbers[template].unwrap_or(of_whole));
            if numbers[template].is_none() {
                let columns = self.columns_of(template as u32);
                join(texts.get(template), columns, ordinals[template], &mut whole);
                ordinals[template] += 1;
            }
        }
        if !whole.is_empty() {
            directory.templates.push(WHOLE);
            directory.whole = Grams::of(&whole.bytes);
        }
        whole
    }
}

/// Puts a line together.
fn join(template: &[u8], columns: &[TextList], ordinal: usize, lines: &mut TextList) {
    let mut segments = template.split(|byte| *byte == SLOT);
    lines.bytes.extend_from_slice(segments.next().unwrap_or_default());
    for (column, segment) in columns.iter().zip(segments) {
        lines.bytes.extend_from_slice(column.get(ordinal));
        lines.bytes.extend_from_slice(segment);
    }
    lines.ends.push(lines.bytes.len() as u32);
}

/// Adds a column to the last page of its kind.
fn encode_column(
    encoder: &mut ColumnEncoder,
    column: &TextList,
    effort: Effort,
    writers: &mut [ByteWriter; PAGE_KINDS],
    pages: &mut [Vec<Vec<u8>>; PAGE_KINDS],
) -> ColumnPlace {
    let before = writers.each_ref().map(ByteWriter::len);
    let (form, stamp) = encoder.encode(column, effort, writers);
    let kind = form.page_kind(stamp);
    let (writer, pages) = (&mut writers[kind], &mut pages[kind]);
    let (page, start) = (pages.len() as u32, before[kind] as u32);
    let length = writer.len() as u32 - start;
    if writer.len() >= PAGE_BYTES {
        pages.push(std::mem::take(&mut writer.bytes));
    }
    ColumnPlace { form, stamp, page, start, length }
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

#[cfg(test)]
mod tests {
    use super::super::letters::pieces_of;
    use super::super::reader::tests::any_line;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_does_not_grow_from_row_group_to_row_group() {
        let mut builder = LinesBuilder::default();
        for group in 0..200 {
            builder.clear();
            for template in 0..200 {
                let repeated = if template == group { 4_000 } else { 1 };
                for _ in 0..repeated {
                    let text = "1".repeat(if template == group { 500 } else { 5 });
                    builder.push(format!("{} {text}", "a".repeat(template)).as_bytes());
                }
            }
        }
        builder.clear();
        assert!(builder.memory() <= KEPT_BYTES, "{} bytes", builder.memory());
    }

    proptest! {
        #[test]
        fn the_letters_of_all_lines_are_known(
            lines in prop::collection::vec(any_line(), 1..200), words in "[a-z]{3,6}( [0-9]{2}[a-z]{3})?",
        ) {
            let mut builder = LinesBuilder::default();
            let uuid = "abcdefab-2fa1-11d2-883f-0016d3cca427";
            let more = (0..70).map(|number| format!("{words} {uuid} {uuid}{words} {words}{uuid} x{number}결제 {{\"a\":{number}}}").into_bytes());
            let lines: Vec<Vec<u8>> = lines.into_iter().chain(more).collect();
            lines.iter().for_each(|line| builder.push(line));
            let letters = builder.encode(Effort::Last).letters;
            for line in &lines {
                prop_assert!(pieces_of(line).iter().all(|piece| letters.has(*piece)), "{:?}", line);
            }
        }
    }
}
