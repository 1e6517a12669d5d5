//! Puts the lines of a row group together again. Columns are read when they are needed.

use super::column::{Column, NOT_ASCII};
use super::directory::{ColumnPlace, LinesDirectory, PAGE_KINDS};
use super::split::SLOT;
use crate::error::StoreError;
use codec::ByteReader;
use columns::RowSet;
use columns::TextList;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where the pages of columns are.
pub(crate) trait ColumnPages {
    /// A page of columns of a row group, by its place among those of its kind.
    fn column_page(&self, kind: usize, page: u32) -> Result<Vec<u8>, StoreError>;

    /// False: the row group has no such identifier, given as bytes, in a line.
    fn may_hold_id(&self, id: &[u8]) -> Result<bool, StoreError>;
}

/// The lines of one row group, as one thread reads them.
#[derive(Debug)]
pub(crate) struct Lines<P> {
    pub(crate) directory: Arc<LinesDirectory>,
    source: P,
    pages: [Vec<OnceCell<Vec<u8>>>; PAGE_KINDS],
    columns: Vec<OnceCell<Box<Column>>>,
    ordinals: OnceCell<Vec<u32>>,
    /// About what pages and columns take of memory.
    held_bytes: Cell<usize>,
}

fn cells<T>(count: usize) -> Vec<OnceCell<T>> {
    let mut cells = Vec::new();
    cells.resize_with(count, OnceCell::new);
    cells
}

impl<P: ColumnPages> Lines<P> {
    pub(crate) fn new(directory: Arc<LinesDirectory>, source: P) -> Self {
        let pages = directory.pages.map(|count| cells(count as usize));
        let columns = cells(directory.columns.len());
        let (ordinals, held_bytes) = (OnceCell::new(), Cell::new(0));
        Self { directory, source, pages, columns, ordinals, held_bytes }
    }

    /// About what it holds in memory that reading has left there.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.get()
    }

    fn hold(&self, bytes: usize) {
        self.held_bytes.set(self.held_bytes.get() + bytes);
    }

    /// The column with this number in the row group.
    pub(crate) fn column(&self, index: usize) -> Result<&Column, StoreError> {
        if let Some(column) = self.columns[index].get() {
            return Ok(column);
        }
        let place = self.directory.columns[index];
        let page = self.page(place.form.page_kind(place.stamp), place.page)?;
        let column = self.decode(index, page)?;
        let rows = self.directory.counts[self.template_of_column(index)] as usize;
        self.hold(place.length as usize + rows * size_of::<u64>());
        Ok(self.columns[index].get_or_init(|| Box::new(column)))
    }

    /// The column of a template's slot.
    pub(crate) fn column_of(&self, template: usize, slot: usize) -> Result<&Column, StoreError> {
        self.column(self.directory.columns_of(template).start + slot)
    }

    /// Reads all columns, page by page, and keeps no page: for who needs every line.
    pub(crate) fn load_all(&self) -> Result<(), StoreError> {
        let mut page: Option<((usize, u32), Vec<u8>)> = None;
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        let of_page = |index: usize| {
            let place = self.directory.columns[index];
            (place.form.page_kind(place.stamp), place.page)
        };
        order.sort_by_key(|index| of_page(*index));
        for index in order {
            let wanted = of_page(index);
            let bytes = match page {
                Some((known, bytes)) if known == wanted => bytes,
                _ => self.source.column_page(wanted.0, wanted.1)?,
            };
            let column = self.decode(index, &bytes)?;
            self.columns[index].get_or_init(|| Box::new(column));
            page = Some((wanted, bytes));
        }
        Ok(())
    }

    fn decode(&self, index: usize, page: &[u8]) -> Result<Column, StoreError> {
        let place = self.directory.columns[index];
        let bytes = column_bytes(page, place)?;
        let rows = self.directory.counts[self.template_of_column(index)] as usize;
        Ok(Column::decode(place.form, bytes, rows)?)
    }

    fn template_of_column(&self, index: usize) -> usize {
        // The first template whose columns end behind it.
        self.directory.firsts.partition_point(|first| *first as usize <= index) - 1
    }

    fn page(&self, kind: usize, page: u32) -> Result<&[u8], StoreError> {
        let cell = &self.pages[kind][page as usize];
        if let Some(bytes) = cell.get() {
            return Ok(bytes);
        }
        let bytes = self.source.column_page(kind, page)?;
        self.hold(bytes.len());
        Ok(cell.get_or_init(|| bytes))
    }

    /// See [`ColumnPages::may_hold_id`].
    pub(crate) fn may_hold_id(&self, id: &[u8]) -> Result<bool, StoreError> {
        self.source.may_hold_id(id)
    }

    /// For each row, how many rows of its template come before it.
    pub(crate) fn ordinals(&self) -> &[u32] {
        self.ordinals.get_or_init(|| {
            self.hold(self.directory.rows.len() * size_of::<u32>());
            let mut next = vec![0; self.directory.templates.len()];
            let ordinal = |template: &u16| {
                let next = &mut next[*template as usize];
                *next += 1;
                *next - 1
            };
            self.directory.rows.iter().map(ordinal).collect()
        })
    }

    /// Appends the line of a row.
    pub(crate) fn append(&self, row: usize, line: &mut Vec<u8>) -> Result<(), StoreError> {
        let template = self.directory.rows[row] as usize;
        self.append_of(template, self.ordinals()[row] as usize, line)
    }

    /// How long the line of a row is. Columns whose texts have one length are not read.
    pub(crate) fn length(&self, row: usize) -> Result<u64, StoreError> {
        let directory = &*self.directory;
        let template = directory.rows[row] as usize;
        let columns = directory.columns_of(template);
        let mut length = directory.templates.get(template).len() - columns.len();
        for column in columns {
            let stamp = directory.columns[column].stamp;
            length += match stamp.shortest == stamp.longest {
                true => stamp.longest as usize,
                false => self.column(column)?.length(self.ordinals()[row] as usize),
            };
        }
        Ok(length as u64)
    }

    /// Appends the line of a template's row.
    pub(crate) fn append_of(
        &self,
        template: usize,
        ordinal: usize,
        line: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let directory = &*self.directory;
        let columns = directory.firsts[template] as usize..;
        let text = directory.templates.get(template);
        let mut segments = text.split(|byte| *byte == SLOT);
        line.extend_from_slice(segments.next().unwrap_or_default());
        for (column, segment) in columns.zip(segments) {
            self.column(column)?.append(ordinal, line);
            line.extend_from_slice(segment);
        }
        Ok(())
    }

    /// The rows whose lines may hold bytes beyond ASCII.
    pub(crate) fn not_ascii(&self) -> RowSet {
        let directory = &*self.directory;
        let is_beyond = |template: usize| {
            let columns = &directory.columns[directory.columns_of(template)];
            !directory.templates.get(template).is_ascii()
                || columns.iter().any(|column| column.stamp.marks & NOT_ASCII != 0)
        };
        let templates: Vec<bool> = (0..directory.templates.len()).map(is_beyond).collect();
        let rows = &directory.rows;
        RowSet::of(rows.len(), |row| templates[rows[row] as usize])
    }

    /// Appends the lines of some rows, which rise.
    pub(crate) fn collect(
        &self,
        rows: impl Iterator<Item = usize>,
        lines: &mut TextList,
    ) -> Result<(), StoreError> {
        for row in rows {
            self.append(row, &mut lines.bytes)?;
            lines.ends.push(lines.bytes.len() as u32);
        }
        Ok(())
    }

    /// The same for few rows: of columns that were not read before, only these rows are read.
    pub(crate) fn collect_few(&self, rows: &[u32], lines: &mut TextList) -> Result<(), StoreError> {
        let directory = &*self.directory;
        let mut of_templates: BTreeMap<u16, TemplateRows> = BTreeMap::new();
        for row in rows {
            let row = *row as usize;
            let wanted = of_templates.entry(directory.rows[row]).or_default();
            wanted.ordinals.push(directory.ordinal(row));
        }
        for (template, wanted) in &mut of_templates {
            for column in directory.columns_of(usize::from(*template)) {
                wanted.columns.push(self.pick(column, &wanted.ordinals)?);
            }
        }
        for row in rows {
            let template = directory.rows[*row as usize];
            if let Some(wanted) = of_templates.get_mut(&template) {
                wanted.append_next(directory.templates.get(usize::from(template)), lines);
            }
        }
        Ok(())
    }

    /// The texts of a column at rising places: quicker than reading all.
    pub(super) fn pick(&self, index: usize, ordinals: &[u32]) -> Result<TextList, StoreError> {
        let mut texts = TextList::default();
        if let Some(column) = self.columns[index].get() {
            for ordinal in ordinals {
                column.append(*ordinal as usize, &mut texts.bytes);
                texts.ends.push(texts.bytes.len() as u32);
            }
            return Ok(texts);
        }
        let place = self.directory.columns[index];
        let page = self.page(place.form.page_kind(place.stamp), place.page)?;
        let rows = self.directory.counts[self.template_of_column(index)] as usize;
        Column::pick(place.form, column_bytes(page, place)?, rows, ordinals, &mut texts)?;
        Ok(texts)
    }
}

/// Some rows of a template.
#[derive(Default)]
struct TemplateRows {
    ordinals: Vec<u32>,
    /// The texts of each slot.
    columns: Vec<TextList>,
    next: usize,
}

impl TemplateRows {
    fn append_next(&mut self, template: &[u8], lines: &mut TextList) {
        let mut segments = template.split(|byte| *byte == SLOT);
        lines.bytes.extend_from_slice(segments.next().unwrap_or_default());
        for (column, segment) in self.columns.iter().zip(segments) {
            lines.bytes.extend_from_slice(column.get(self.next));
            lines.bytes.extend_from_slice(segment);
        }
        lines.ends.push(lines.bytes.len() as u32);
        self.next += 1;
    }
}

/// The bytes of a column on its page.
fn column_bytes(page: &[u8], place: ColumnPlace) -> Result<&[u8], StoreError> {
    let mut reader = ByteReader::new(page);
    reader.bytes(place.start as usize)?;
    Ok(reader.bytes(place.length as usize)?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::LinesBuilder;
    use super::*;
    use crate::lines::builder::EncodedLines;
    use crate::lines::column::{Form, Stamp};
    use crate::lines::directory::ColumnPlace;
    use codec::ByteWriter;
    use columns::Effort;
    use proptest::prelude::*;

    pub(crate) struct Pages(pub(crate) [Vec<Vec<u8>>; PAGE_KINDS]);

    impl ColumnPages for &Pages {
        fn column_page(&self, kind: usize, page: u32) -> Result<Vec<u8>, StoreError> {
            Ok(self.0[kind][page as usize].clone())
        }

        fn may_hold_id(&self, _: &[u8]) -> Result<bool, StoreError> {
            Ok(true)
        }
    }

    /// Writes and reads lines.
    pub(crate) fn written(lines: &[Vec<u8>]) -> (Arc<LinesDirectory>, Pages) {
        let mut builder = LinesBuilder::default();
        builder.push(b"an earlier row group 17");
        builder.clear();
        lines.iter().for_each(|line| builder.push(line));
        let EncodedLines { directory, pages, .. } = builder.encode(Effort::Last);
        let mut writer = ByteWriter::default();
        directory.encode(&mut writer);
        let mut reader = ByteReader::new(&writer.bytes);
        let directory = LinesDirectory::decode(&mut reader, lines.len()).unwrap();
        reader.finish().unwrap();
        (Arc::new(directory), Pages(pages))
    }

    pub(crate) fn any_line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[a-b]{1,2}[0-9]{0,2}[ =.]{0,2}[a-b0-9]{0,3}( 결제| API호출)?"
                .prop_map(String::into_bytes),
            r#"\{"a": ?"[ab0-9 ]{0,3}", ?"b":(\{"c":[0-9]{1,3}\}|\[1, 2\]|true)\}"#
                .prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..6),
            Just(Vec::new()),
        ]
    }

    proptest! {
        #[test]
        fn lines_come_back(lines in prop::collection::vec(any_line(), 1..300)) {
            let (directory, pages) = written(&lines);
            let read = Lines::new(directory, &pages);
            let mut back = TextList::default();
            for (row, line) in lines.iter().enumerate() {
                prop_assert_eq!(read.length(row).unwrap(), line.len() as u64);
            }
            read.collect(0..lines.len(), &mut back).unwrap();
            prop_assert_eq!(back.iter().collect::<Vec<_>>(), lines.iter().collect::<Vec<_>>());
        }

        #[test]
        fn few_lines_come_back(
            lines in prop::collection::vec(any_line(), 1..300), step in 1usize..99,
            reads_some_before in any::<bool>(),
        ) {
            let (directory, pages) = written(&lines);
            let read = Lines::new(directory, &pages);
            if reads_some_before {
                read.append(lines.len() / 2, &mut Vec::new()).unwrap();
            }
            let rows: Vec<u32> = (0..lines.len() as u32).step_by(step).collect();
            let mut back = TextList::default();
            read.collect_few(&rows, &mut back).unwrap();
            let expected: Vec<&[u8]> = rows.iter().map(|row| &lines[*row as usize][..]).collect();
            prop_assert_eq!(back.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_directory_with_too_many_slots_is_refused(slots in 250usize..264) {
            let mut directory = LinesDirectory { rows: vec![0; 9], ..LinesDirectory::default() };
            directory.templates.push(&vec![SLOT; slots]);
            let stamp = Stamp { marks: 1, shortest: 1, longest: 1 };
            let place = ColumnPlace { form: Form::Same, stamp, page: 0, start: 0, length: 1 };
            directory.columns = vec![place; slots];
            directory.pages[1] = 1;
            let mut writer = ByteWriter::default();
            directory.encode(&mut writer);
            let read = LinesDirectory::decode(&mut ByteReader::new(&writer.bytes), 9);
            prop_assert_eq!(read.is_ok(), slots <= 256);
        }

        #[test]
        fn any_bytes_are_a_directory_or_an_error(bytes: Vec<u8>, rows in 0usize..99) {
            let _ = LinesDirectory::decode(&mut ByteReader::new(&bytes), rows);
        }
    }
}
