//! Reads a part of traces.

use super::attributes::{decode_column, decode_rows, rows_with};
use super::fixed::{TraceList, Wanted, decode_below, decode_ends, decode_starts, decode_tree};
use super::group::{ColumnPlace, GroupHead};
use super::index::{Cached, GroupInfo, PartIndex, decode_fragments, decode_overview};
use super::{Caches, Loaded, PART_SCHEMA, Rollup, entries, page};
use crate::column::{Dense, DenseValues};
use crate::entries::Entries;
use crate::error::StoreError;
use crate::keys::{ColumnKey, Table, ValueKind};
use crate::piece::ForeignParent;
use crate::{KIND_MAX, STATUS_MAX};
use codec::{ByteReader, DecodeError};
use columns::{IdPage, RowSet, TextColumn, hash_id};
use model::{ErrorKind, TimeRange, Ulid};
use parts::Part;
use std::sync::Arc;

/// An open part, its index, and the caches.
#[derive(Clone, Debug)]
pub(crate) struct TracePart {
    pub(crate) id: Ulid,
    pub(super) part: Arc<Part>,
    pub(super) caches: Arc<Caches>,
    pub(crate) index: Arc<PartIndex>,
}

fn wrong(what: &'static str) -> DecodeError {
    DecodeError::Value { offset: 0, what }
}

impl TracePart {
    pub(crate) fn open(part: Arc<Part>, caches: &Arc<Caches>) -> Result<Self, StoreError> {
        let (id, schema) = (part.meta().id, part.meta().summary.schema);
        if schema != PART_SCHEMA {
            let message = format!(
                "part {id} of traces has schema {schema}, this program knows schema {PART_SCHEMA}: \
                 start a newer mirador"
            );
            return Err(engine::EngineError::new(ErrorKind::Invalid, message).into());
        }
        let index = caches.get(id, Cached::Index, || {
            let index = read_index(&part)?;
            let memory = index.memory();
            Ok::<_, StoreError>((index, memory))
        })?;
        Ok(Self { id, part, caches: Arc::clone(caches), index })
    }

    /// The row groups in which a trace may be.
    pub(crate) fn groups_with(&self, trace_id: &[u8; 16]) -> Result<Vec<u32>, StoreError> {
        let Some(query) = self.index.ids else { return Ok(Vec::new()) };
        let cut = query.cut(hash_id(trace_id));
        let Some(page) = self.part.find_at_most(page::IDS, cut)? else { return Ok(Vec::new()) };
        let page = self.caches.get(self.id, Cached::Ids(page), || {
            let bytes = self.part.page(page)?;
            let page = IdPage::decode(&mut ByteReader::new(&bytes))?;
            let memory = page.memory();
            Ok::<_, StoreError>((page, memory))
        })?;
        Ok(page.groups(cut).to_vec())
    }

    /// The spans of a trace; more than one piece if it is longer than a row group may be.
    pub(crate) fn load_trace(&self, id: &[u8; 16]) -> Result<Vec<Loaded>, StoreError> {
        let mut pieces = Vec::new();
        for group in self.groups_with(id)? {
            pieces.extend(self.group(group)?.load_some(|other| other == id)?);
        }
        Ok(pieces)
    }

    pub(crate) fn group(&self, number: u32) -> Result<Group, StoreError> {
        let missing = || wrong("a row group that is not in the part");
        let info = *self.index.groups.get(number as usize).ok_or_else(missing)?;
        let head = self.caches.get(self.id, Cached::Group(number), || {
            check_page(&self.part, info.page, page::GROUP)?;
            let head = GroupHead::decode(&self.part.page(info.page)?)?;
            check_head(&self.part, &head, &info)?;
            let memory = head.memory();
            Ok::<_, StoreError>((head, memory))
        })?;
        Ok(Group { part: self.clone(), info, head })
    }
}

fn read_index(part: &Part) -> Result<PartIndex, StoreError> {
    let missing = || wrong("a part without an overview");
    let overview = *part.pages_of(page::OVERVIEW)?.first().ok_or_else(missing)?;
    let mut index = decode_overview(&part.page(overview)?)?;
    if let Some(page) = part.pages_of(page::FRAGMENTS)?.first() {
        index.fragments = decode_fragments(&part.page(*page)?)?;
    }
    Ok(index)
}

/// More spans than a row group has that this program wrote, unless one trace has more.
const ROWS_MAX: u32 = 64 << 20;

fn check_head(part: &Part, head: &GroupHead, info: &GroupInfo) -> Result<(), StoreError> {
    let is_as_said = head.rows == info.rows && (1..=ROWS_MAX).contains(&head.rows);
    if !is_as_said || head.table_rows[0] != head.rows || head.traces > head.rows {
        return Err(wrong("a row group that is not as the overview says").into());
    }
    for (place, number) in head.fixed.iter().enumerate() {
        check_page(part, *number, page::FIXED[place])?;
    }
    for (places, sets) in head.places.iter().zip(&head.row_sets) {
        if places.iter().any(|place| place.rows as usize > sets.len()) {
            return Err(wrong("a column of a set of rows that is not there").into());
        }
        let places = places.iter().chain(sets);
        places.into_iter().try_for_each(|place| check_page(part, place.page, page::COLUMNS))?;
    }
    head.rollups.iter().try_for_each(|(_, page)| check_page(part, *page, page::ROLLUP))?;
    head.extras.iter().try_for_each(|(kind, page)| check_page(part, *page, *kind))
}

fn check_page(part: &Part, number: u32, kind: u16) -> Result<(), StoreError> {
    match number < part.page_count()? && part.entry(number)?.kind == kind {
        true => Ok(()),
        false => Err(wrong("a page that is not in the part, or holds something else").into()),
    }
}

/// A row group of a part. Its columns are read on demand.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(super) part: TracePart,
    info: GroupInfo,
    pub(super) head: Arc<GroupHead>,
}

impl Group {
    pub(crate) fn rows(&self) -> usize {
        self.head.rows as usize
    }

    pub(crate) fn time(&self) -> TimeRange {
        self.info.time
    }

    pub(crate) fn keys(&self, table: Table) -> &[ColumnKey] {
        self.head.table(table).0
    }

    pub(crate) fn table_rows(&self, table: Table) -> usize {
        self.head.table_rows[table as usize] as usize
    }

    /// The counts by the widest slots of which the step is a multiple.
    pub(crate) fn rollup(&self, step_ns: u64) -> Result<Option<Arc<Rollup>>, StoreError> {
        let fits = |(width_ns, _): &&(u64, u32)| *width_ns > 0 && step_ns.is_multiple_of(*width_ns);
        let Some((_, page)) = self.head.rollups.iter().rev().find(fits) else { return Ok(None) };
        let rollup = self.part.caches.get(self.part.id, Cached::Rollup(*page), || {
            let rollup = Rollup::decode(&self.part.part.page(*page)?)?;
            let memory = rollup.memory();
            Ok::<_, StoreError>((rollup, memory))
        })?;
        Ok(Some(rollup))
    }

    /// The entry spans; `None` where they are not recorded.
    pub(crate) fn entries(&self) -> Result<Option<Arc<Entries>>, StoreError> {
        let Some(page) = self.head.extra(page::ENTRIES) else { return Ok(None) };
        let entries = self.part.caches.get(self.part.id, Cached::Entries(page), || {
            let entries = entries::decode(&self.part.part.page(page)?, self.rows())?;
            let memory = entries.memory();
            Ok::<_, StoreError>((entries, memory))
        })?;
        Ok(Some(entries))
    }

    fn fixed<T>(
        &self,
        place: usize,
        read: impl FnOnce(&mut ByteReader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, StoreError> {
        let bytes = self.part.part.page(self.head.fixed[place])?;
        Ok(read(&mut ByteReader::new(&bytes))?)
    }

    pub(crate) fn trace_list(&self) -> Result<Arc<TraceList>, StoreError> {
        self.part.caches.get(self.part.id, Cached::Traces(self.info.page), || {
            let counts = (self.head.traces as usize, self.rows());
            let list = self.fixed(page::TRACES, |reader| TraceList::decode(reader, counts))?;
            let memory = list.memory();
            Ok((list, memory))
        })
    }

    pub(super) fn all(&self) -> Wanted {
        Wanted::all(self.rows())
    }

    pub(super) fn starts_of(
        &self,
        wanted: &Wanted,
        traces: (&[u32], &[u64]),
        parents: &[u32],
    ) -> Result<Vec<u64>, StoreError> {
        self.fixed(page::STARTS, |reader| decode_starts(reader, wanted, traces, parents))
    }

    pub(super) fn lengths_of(&self, wanted: &Wanted) -> Result<Vec<u64>, StoreError> {
        self.fixed(page::LENGTHS, |reader| wanted.numbers(reader))
    }

    pub(super) fn span_ids_of(&self, wanted: &Wanted) -> Result<Vec<[u8; 8]>, StoreError> {
        self.fixed(page::SPAN_IDS, |reader| {
            let (ids, _) = reader.bytes(wanted.count * 8)?.as_chunks::<8>();
            Ok(match wanted.rows() {
                None => ids.to_vec(),
                Some(rows) => rows.iter().map(|row| ids[*row as usize]).collect(),
            })
        })
    }

    pub(super) fn tree_of(
        &self,
        wanted: &Wanted,
        ends: &[u32],
    ) -> Result<(Vec<u32>, Vec<ForeignParent>), StoreError> {
        self.fixed(page::TREE, |reader| decode_tree(reader, wanted, ends))
    }

    pub(super) fn names_of(&self, wanted: &Wanted) -> Result<TextColumn, StoreError> {
        self.fixed(page::NAMES, |reader| {
            let wrong = reader.value_error("a span without a name");
            match decode_column(ValueKind::Text, reader, None, wanted)?.values {
                DenseValues::Text(names) => Ok(names),
                _ => Err(wrong),
            }
        })
    }

    fn small(&self, place: usize, wanted: &Wanted, limit: u8) -> Result<Vec<u8>, StoreError> {
        let limit = u32::from(limit) + 1;
        let numbers = self.fixed(place, |reader| decode_below(reader, wanted, limit))?;
        Ok(numbers.iter().map(|number| *number as u8).collect())
    }

    pub(super) fn kinds_of(&self, wanted: &Wanted) -> Result<Vec<u8>, StoreError> {
        self.small(page::KINDS, wanted, KIND_MAX)
    }

    pub(super) fn statuses_of(&self, wanted: &Wanted) -> Result<Vec<u8>, StoreError> {
        self.small(page::STATUSES, wanted, STATUS_MAX)
    }

    pub(super) fn entities_of(
        &self,
        wanted: &Wanted,
        index: usize,
    ) -> Result<Vec<u32>, StoreError> {
        let limit = self.table_rows([Table::Resource, Table::Scope][index]) as u32;
        self.fixed(page::ENTITIES + index, |reader| decode_below(reader, wanted, limit))
    }

    /// Behind the last event (0) or link (1) of each span.
    pub(crate) fn child_ends(&self, index: usize) -> Result<Vec<u32>, StoreError> {
        let last = self.table_rows([Table::Event, Table::Link][index]);
        self.fixed(page::CHILDREN + index, |reader| decode_ends(reader, self.rows(), last))
    }

    /// The rows of a table in which an attribute is this text, without reading other texts.
    pub(crate) fn rows_with_text(
        &self,
        table: Table,
        is_wanted: impl Fn(&ColumnKey) -> bool,
        text: &[u8],
    ) -> Result<RowSet, StoreError> {
        let (rows, (keys, places)) = (self.table_rows(table), self.head.table(table));
        let is_text = |key: &ColumnKey| key.kind == ValueKind::Text && is_wanted(key);
        let Some((_, place)) = keys.iter().zip(places).find(|(key, _)| is_text(key)) else {
            return Ok(RowSet::none(rows));
        };
        let mut pages = LastPage { group: self, page: None };
        let mut present = None;
        if let Some(set) = place.rows.checked_sub(1) {
            let bytes = pages.bytes(&self.head.row_sets[table as usize][set as usize])?;
            present = Some(decode_rows(&mut ByteReader::new(bytes), rows)?);
        }
        let reader = &mut ByteReader::new(pages.bytes(place)?);
        Ok(rows_with(text, reader, present.as_ref(), rows)?)
    }

    /// Some rows of the columns whose keys are wanted. A page that columns share is read once for those
    /// that follow each other.
    pub(super) fn each_column<E: From<StoreError>>(
        &self,
        table: Table,
        wanted: &Wanted,
        is_wanted: impl Fn(&ColumnKey) -> bool,
        mut each: impl FnMut(&ColumnKey, Dense) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pages = LastPage { group: self, page: None };
        let mut sets: Vec<Option<RowSet>> = vec![None; self.head.row_sets[table as usize].len()];
        let (keys, places) = self.head.table(table);
        for (key, place) in keys.iter().zip(places).filter(|(key, _)| is_wanted(key)) {
            let set = place.rows.checked_sub(1).map(|set| set as usize);
            if let Some(set) = set.filter(|set| sets[*set].is_none()) {
                let bytes = pages.bytes(&self.head.row_sets[table as usize][set])?;
                let rows = decode_rows(&mut ByteReader::new(bytes), wanted.count);
                sets[set] = Some(rows.map_err(StoreError::from)?);
            }
            let present = set.and_then(|set| sets[set].as_ref());
            let bytes = pages.bytes(place)?;
            let values = decode_column(key.kind, &mut ByteReader::new(bytes), present, wanted);
            each(key, values.map_err(StoreError::from)?)?;
        }
        Ok(())
    }
}

/// Reads what shares pages; the last page is kept.
struct LastPage<'g> {
    group: &'g Group,
    page: Option<(u32, Vec<u8>)>,
}

impl LastPage<'_> {
    fn bytes(&mut self, place: &ColumnPlace) -> Result<&[u8], StoreError> {
        if self.page.as_ref().is_none_or(|(number, _)| *number != place.page) {
            self.page = Some((place.page, self.group.part.part.page(place.page)?));
        }
        let bytes = self.page.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let end = place.offset as usize + place.length as usize;
        let outside = || wrong("a column that is not in its page");
        Ok(bytes.get(place.offset as usize..end).ok_or_else(outside)?)
    }
}
