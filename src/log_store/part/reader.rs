//! Reads a part of logs.

use super::index::{Piece, decode_overview, decode_streams};
use super::letters::{GroupBits, Layout};
use super::{
    Caches, FieldPlace, GROUP_ROWS, GroupHead, GroupInfo, PART_SCHEMA, PartIndex, Times, page,
};
use crate::condition::Needed;
use crate::error::StoreError;
use crate::lines::{ColumnPages, LinesDirectory};
use codec::{ByteReader, DecodeError};
use columns::RowSet;
use columns::{IdPage, TextColumn, hash_id, rows_with_text};
use model::{ErrorKind, Ulid};
use parts::{PageBuffer, Part};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An open part, its index, and the caches.
#[derive(Clone, Debug)]
pub(crate) struct LogPart {
    pub(crate) id: Ulid,
    part: Arc<Part>,
    caches: Arc<Caches>,
    pub(crate) index: Arc<PartIndex>,
}

impl LogPart {
    pub(crate) fn open(part: Arc<Part>, caches: &Arc<Caches>) -> Result<Self, StoreError> {
        let (id, schema) = (part.meta().id, part.meta().summary.schema);
        if schema != PART_SCHEMA {
            let message = format!(
                "part {id} of logs has schema {schema}, this program knows schema {PART_SCHEMA}: \
                 start a newer mirador"
            );
            return Err(engine::EngineError::new(ErrorKind::Invalid, message).into());
        }
        let index = caches.get(id, Piece::Index, || {
            let index = read_index(&part)?;
            let memory = index.memory();
            Ok::<_, StoreError>((index, memory))
        })?;
        Ok(Self { id, part, caches: Arc::clone(caches), index })
    }

    /// The row groups in which an identifier, given as bytes, may occur.
    pub(crate) fn groups_with(&self, id: &[u8]) -> Result<Vec<u32>, StoreError> {
        let Some(query) = self.index.ids else { return Ok(Vec::new()) };
        let cut = query.cut(hash_id(id));
        let Some(page) = self.part.find_at_most(page::IDS, cut)? else { return Ok(Vec::new()) };
        let page = self.caches.get(self.id, Piece::Ids(page), || {
            let bytes = self.part.page(page)?;
            let page = IdPage::decode(&mut ByteReader::new(&bytes))?;
            let memory = page.memory();
            Ok::<_, StoreError>((page, memory))
        })?;
        Ok(page.groups(cut).to_vec())
    }

    /// The row groups that can have lines for which a condition holds; `None`: any.
    pub(crate) fn groups_for(&self, needed: Needed<'_>) -> Result<Option<GroupBits>, StoreError> {
        let groups = self.index.groups.len();
        let (needles, mut bits) = match needed {
            Needed::Unknown => return Ok(None),
            Needed::All(needles) => (needles, GroupBits::all(groups)),
            Needed::Any(needles) => (needles, GroupBits::none(groups)),
        };
        for needle in needles {
            let with = self.groups_with_letters(needle.letters())?;
            match needed {
                Needed::Any(_) => bits.or(&with),
                _ => bits.and_bits(&with),
            }
        }
        Ok(Some(bits))
    }

    fn groups_with_letters(&self, pieces: &[u32]) -> Result<GroupBits, StoreError> {
        let groups = self.index.groups.len();
        let (layout, mut bits) = (Layout::of(groups), GroupBits::all(groups));
        let pages = self.part.pages_of(page::LETTERS)?;
        for piece in pieces {
            let missing = || wrong("an index of letters without a page");
            let page = *pages.get(layout.page_of(*piece)).ok_or_else(missing)?;
            let bytes = self.caches.get(self.id, Piece::Letters(page), || {
                let bytes = self.part.page(page)?;
                let memory = bytes.len();
                Ok::<_, StoreError>((bytes, memory))
            })?;
            bits.and(layout.row(&bytes, *piece)?);
        }
        Ok(bits)
    }

    pub(crate) fn group(&self, number: u32) -> Result<Group, StoreError> {
        let info = &self.index.groups[number as usize];
        let head = self.caches.get(self.id, Piece::Group(number), || {
            check_page(&self.part, info.page, page::GROUP)?;
            let head = GroupHead::decode(&self.part.page(info.page)?)?;
            check_head(&head, info)?;
            check_pages(&self.part, &head)?;
            let memory = head.memory();
            Ok::<_, StoreError>((head, memory))
        })?;
        Ok(Group { part: self.clone(), number, head })
    }
}

fn read_index(part: &Part) -> Result<PartIndex, StoreError> {
    let missing = || wrong("a part without an overview");
    let overview = *part.pages_of(page::OVERVIEW)?.first().ok_or_else(missing)?;
    let mut index = decode_overview(&part.page(overview)?)?;
    for page in part.pages_of(page::STREAMS)? {
        decode_streams(&part.page(*page)?, &mut index.streams)?;
    }
    let streams = index.streams.len();
    if index.groups.iter().any(|group| group.last_stream as usize >= streams) {
        return Err(wrong("a row group names a stream that is not in the part").into());
    }
    Ok(index)
}

/// A row group is what the overview says: so a stream of it is one of the part.
fn check_head(head: &GroupHead, info: &GroupInfo) -> Result<(), DecodeError> {
    let streams = head.runs.first().zip(head.runs.last());
    let is_within = streams.is_some_and(|(first, last)| {
        first.stream >= info.first_stream && last.stream <= info.last_stream
    });
    match is_within && head.rows == info.rows && (1..=GROUP_ROWS).contains(&(head.rows as usize)) {
        true => Ok(()),
        false => Err(wrong("a row group that is not as the overview says, or has too many lines")),
    }
}

/// The pages that a row group names are in the part, and hold what they should.
fn check_pages(part: &Part, head: &GroupHead) -> Result<(), StoreError> {
    head.fields.iter().try_for_each(|field| check_page(part, field.page, page::FIELD))?;
    head.rare_fields.map_or(Ok(()), |rare| check_page(part, rare, page::RARE_FIELDS))?;
    check_page(part, head.times, page::TIMES)?;
    check_page(part, head.lines, page::LINES)
}

fn check_page(part: &Part, number: u32, kind: u16) -> Result<(), StoreError> {
    match number < part.page_count()? && part.entry(number)?.kind == kind {
        true => Ok(()),
        false => Err(wrong("a page that is not in the part, or holds something else").into()),
    }
}

fn wrong(what: &'static str) -> DecodeError {
    DecodeError::Value { offset: 0, what }
}

/// A row group of a part. Its columns are read on demand.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    part: LogPart,
    number: u32,
    pub(crate) head: Arc<GroupHead>,
}

impl Group {
    pub(crate) fn rows(&self) -> usize {
        self.head.rows as usize
    }

    /// The times of the rows, which are read when they are needed.
    pub(crate) fn times(&self) -> Times {
        let range = self.part.index.groups[self.number as usize].time;
        Times::new((&self.part.part, self.head.times), self.rows(), range)
    }

    /// Fills `column` with the field; false if no line here has it.
    pub(crate) fn field(
        &self,
        name: &str,
        column: &mut TextColumn,
        buffer: &mut PageBuffer,
    ) -> Result<bool, StoreError> {
        if let Some(place) = self.head.fields.iter().find(|field| field.name == name) {
            let bytes = self.part.part.page_into(place.page, buffer)?;
            let mut reader = ByteReader::new(bytes);
            column.decode(&mut reader, self.rows())?;
            return Ok(true);
        }
        let mut found = false;
        self.rare_fields(buffer, |rare, bytes| {
            if rare == name {
                found = true;
                column.decode(&mut ByteReader::new(bytes), self.rows())?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The rows in which a field has a text; `None` if no line here has the field.
    pub(crate) fn rows_with(
        &self,
        name: &str,
        text: &[u8],
        buffer: &mut PageBuffer,
    ) -> Result<Option<RowSet>, StoreError> {
        if let Some(place) = self.counted(name)
            && !place.values.iter().any(|value| value == text)
        {
            return Ok(Some(RowSet::none(self.rows())));
        }
        let (wanted, mut found) = (BTreeSet::from([name.to_owned()]), None);
        self.each_field(Some(&wanted), buffer, |_, bytes| {
            let mut rows = RowSet::none(self.rows());
            let insert = |range| rows.insert_range(range);
            rows_with_text(&mut ByteReader::new(bytes), self.rows(), text, insert)?;
            found = Some(rows);
            Ok(())
        })?;
        Ok(found)
    }

    /// Fills `column` with the values of the field; false if no line here has it. How many rows have
    /// each value comes into `counts` where that is recorded, else the codes of rows into `column`.
    pub(crate) fn field_counts(
        &self,
        name: &str,
        column: &mut TextColumn,
        counts: &mut Vec<u32>,
        buffer: &mut PageBuffer,
    ) -> Result<bool, StoreError> {
        let Some(place) = self.counted(name) else { return self.field(name, column, buffer) };
        column.codes.clear();
        column.values.clone_from(&place.values);
        counts.extend_from_slice(&place.counts);
        Ok(true)
    }

    /// A field whose values are recorded.
    fn counted(&self, name: &str) -> Option<&FieldPlace> {
        let place = self.head.fields.iter().find(|field| field.name == name);
        place.filter(|place| !place.counts.is_empty())
    }

    /// Calls `each` with the name and the column, as it is written, of every field that is wanted
    /// (`None`: of all). The page of rare fields is read once, however many of them there are.
    pub(crate) fn each_field(
        &self,
        wanted: Option<&BTreeSet<String>>,
        buffer: &mut PageBuffer,
        mut each: impl FnMut(&str, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let is_wanted = |name: &str| wanted.is_none_or(|names| names.contains(name));
        let mut found = 0;
        for place in self.head.fields.iter().filter(|place| is_wanted(&place.name)) {
            each(&place.name, self.part.part.page_into(place.page, buffer)?)?;
            found += 1;
        }
        if wanted.is_some_and(|names| names.len() == found) {
            return Ok(());
        }
        self.rare_fields(buffer, |name, bytes| match is_wanted(name) {
            true => each(name, bytes),
            false => Ok(()),
        })
    }

    fn rare_fields(
        &self,
        buffer: &mut PageBuffer,
        mut each: impl FnMut(&str, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(page) = self.head.rare_fields else { return Ok(()) };
        let mut reader = ByteReader::new(self.part.part.page_into(page, buffer)?);
        for _ in 0..reader.length(reader.remaining())? {
            let name = reader.text()?;
            each(name, reader.prefixed()?)?;
        }
        Ok(())
    }

    pub(crate) fn lines(&self) -> Result<Arc<LinesDirectory>, StoreError> {
        self.part.caches.get(self.part.id, Piece::Lines(self.number), || {
            let bytes = self.part.part.page(self.head.lines)?;
            let mut reader = ByteReader::new(&bytes);
            let directory = LinesDirectory::decode(&mut reader, self.rows())?;
            reader.finish()?;
            let memory = directory.memory();
            Ok((directory, memory))
        })
    }
}

impl ColumnPages for Group {
    fn column_page(&self, kind: usize, number: u32) -> Result<Vec<u8>, StoreError> {
        let first = self.head.columns[kind];
        let index = first.checked_add(number).ok_or(wrong("a page beyond the part"))?;
        check_page(&self.part.part, index, page::COLUMNS[kind])?;
        Ok(self.part.part.page(index)?)
    }

    fn may_hold_id(&self, id: &[u8]) -> Result<bool, StoreError> {
        Ok(self.part.groups_with(id)?.contains(&self.number))
    }
}
