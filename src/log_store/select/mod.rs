//! Reading: which streams match, and the lines of each piece.
//!
//! Lives here: the selection and its pieces. `read`: the rows of one piece; `found`: the same in two steps.
//! `count` and `templates`: how many lines a piece has, where lines themselves don't matter. `recorded`: what
//! is known of a piece without reading it. `listing`: which streams there are.
//! A selection is a view of one moment: it holds blocks and row groups, which never change.

mod count;
mod found;
mod listing;
mod read;
mod recorded;
mod templates;

use crate::condition::{Condition, Prepared};
use crate::delete::LogDeletes;
use crate::error::StoreError;
use crate::head::Block;
use crate::identifier::Identifier;
use crate::kind::{LogHead, Logs, Store, Tenant};
use crate::lines::{TextCondition, WantedText};
use crate::part::{GroupBits, GroupInfo, LogPart};
use crate::streams::StreamTable;
use crate::tail::Fresh;
use columns::identifier;
use engine::{EngineError, View};
use model::{Labels, MatchOp, Matcher, TenantId, TimeRange, Ulid, matches_all};
use parts::{Manifest, PartInfo};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub use count::{LineCount, Steps};
pub use found::FoundRows;
pub use listing::Listing;
pub(crate) use listing::streams;
pub(crate) use read::deleted_rows;
pub use read::{LogField, LogRows, Scratch};
pub use recorded::ValueLines;
pub use templates::{TemplateCount, TemplateCounts};

/// The order in which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Which columns will be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub lines: bool,
    /// `None`: all fields.
    pub fields: Option<BTreeSet<String>>,
}

/// Texts in lines that are found by rules of the reader.
#[derive(Clone, Debug, Default)]
pub struct LineTexts {
    /// What [`Selection::read_texts`] finds.
    pub found: Vec<WantedText>,
    /// All must hold of a line for it to matter. With these a selection is read, not counted.
    pub conditions: Vec<TextCondition>,
}

/// For those who look for none.
pub static NO_TEXTS: LineTexts = LineTexts { found: Vec::new(), conditions: Vec::new() };

/// What to select.
#[derive(Clone, Debug)]
pub struct Select<'a> {
    /// Nanoseconds, both ends included.
    pub time: TimeRange,
    /// All of them must match the labels of a stream.
    pub matchers: &'a [Matcher],
    /// All of them must hold of a line.
    pub conditions: &'a [Condition],
    /// Only lines that carry this identifier, given as bytes: a word of the line, the value of a field or
    /// that of a label is its lower-case hexadecimal form or, of 16 bytes, the UUID.
    pub identifier: Option<&'a [u8]>,
    pub texts: &'a LineTexts,
    pub order: Order,
    pub needs: &'a Needs,
}

/// Lines that lie together: a block of a head, or a row group of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub time: TimeRange,
    pub rows: u64,
    /// Bytes of lines.
    pub bytes: u64,
}

/// The streams that matched, and the pieces with their lines.
#[derive(Debug)]
pub struct Selection {
    store: Arc<Store>,
    tenant: Option<(Arc<Tenant>, Arc<Manifest>)>,
    time: TimeRange,
    conditions: Vec<Prepared>,
    identifier: Option<Identifier>,
    texts: LineTexts,
    needs: Needs,
    streams: StreamTable,
    sources: Vec<Source>,
    pieces: Vec<Piece>,
    places: Vec<Place>,
    trouble: Mutex<BTreeSet<String>>,
}

/// A head or a part.
#[derive(Debug)]
struct Source {
    from: Origin,
    deletes: LogDeletes,
    /// The numbers in the selection of the source's streams; `None` for those that did not match.
    streams: Vec<Option<u32>>,
}

#[derive(Debug)]
enum Origin {
    Head(Vec<Arc<Block>>),
    Part(LogPart),
}

/// Where a piece is: the source, and the block or row group.
#[derive(Clone, Copy, Debug)]
struct Place {
    source: u32,
    index: u32,
}

impl Selection {
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    pub fn labels(&self, stream: u32) -> &Labels {
        &self.streams.labels()[stream as usize]
    }

    /// In the wanted order: the newest end first, or the oldest start.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What the reader should know, such as parts that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        self.trouble().iter().cloned().collect()
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn select(
    store: &Arc<Store>,
    tenant: &TenantId,
    wanted: &Select<'_>,
) -> Result<Selection, StoreError> {
    let mut selection = Selection::empty(store, wanted);
    let Some(tenant) = store.tenant(tenant) else { return Ok(selection) };
    let view = tenant.view(&store.kind);
    selection.trouble().extend(view.manifest.warnings(wanted.time));
    selection.tenant = Some((Arc::clone(&tenant), Arc::clone(&view.manifest)));
    for head in &view.heads {
        selection.add_head(&view, head, wanted)?;
    }
    for part in view.manifest.parts.iter().filter(|part| part.time.overlaps(wanted.time)) {
        if let Err(error) = selection.add_part(part, wanted) {
            selection.part_failed(part.id, error)?;
        }
    }
    selection.sort(wanted.order);
    Ok(selection)
}

/// A selection of lines that have just been applied.
pub(crate) fn select_fresh(
    store: &Arc<Store>,
    fresh: &[Arc<Fresh>],
    wanted: &Select<'_>,
) -> Selection {
    let mut selection = Selection::empty(store, wanted);
    for fresh in fresh {
        let labels = fresh.streams.iter();
        let streams: Vec<Option<u32>> =
            labels.map(|labels| selection.number(labels, wanted.matchers)).collect();
        selection.add_blocks(fresh.blocks.clone(), LogDeletes::default(), streams);
    }
    selection.sort(wanted.order);
    selection
}

impl Selection {
    fn empty(store: &Arc<Store>, wanted: &Select<'_>) -> Self {
        Self {
            store: Arc::clone(store),
            tenant: None,
            time: wanted.time,
            conditions: wanted.conditions.iter().map(Prepared::of).collect(),
            identifier: wanted.identifier.map(Identifier::new),
            texts: wanted.texts.clone(),
            needs: wanted.needs.clone(),
            streams: StreamTable::default(),
            sources: Vec::new(),
            pieces: Vec::new(),
            places: Vec::new(),
            trouble: Mutex::default(),
        }
    }

    /// Quarantines a damaged part, so that the rest is answered.
    fn part_failed(&self, part: Ulid, error: StoreError) -> Result<(), StoreError> {
        let Some((tenant, _)) = &self.tenant else { return Err(error) };
        let warning =
            tenant.quarantine_damaged(&self.store.kind, part, EngineError::from(error))?;
        self.trouble().insert(warning);
        Ok(())
    }

    fn number(&mut self, labels: &Labels, matchers: &[Matcher]) -> Option<u32> {
        matches_all(matchers, labels).then(|| self.streams.number(labels))
    }

    fn add_head(
        &mut self,
        view: &View<Logs>,
        head: &LogHead,
        wanted: &Select<'_>,
    ) -> Result<(), StoreError> {
        let deletes = LogDeletes::of_head(view, head)?;
        let rows = head.read();
        let labels = rows.streams.labels();
        let streams: Vec<Option<u32>> =
            labels.iter().map(|labels| self.number(labels, wanted.matchers)).collect();
        let blocks: Vec<Arc<Block>> =
            rows.blocks.iter().filter(|block| block.time.overlaps(wanted.time)).cloned().collect();
        drop(rows);
        self.add_blocks(blocks, deletes, streams);
        Ok(())
    }

    fn add_blocks(
        &mut self,
        blocks: Vec<Arc<Block>>,
        deletes: LogDeletes,
        streams: Vec<Option<u32>>,
    ) {
        if streams.iter().all(Option::is_none) {
            return;
        }
        let source = self.sources.len() as u32;
        for (index, block) in blocks.iter().enumerate() {
            let bytes = block.rows.lines.len() as u64;
            let piece = Piece { time: block.time, rows: block.rows.len() as u64, bytes };
            self.add(piece, Place { source, index: index as u32 });
        }
        self.sources.push(Source { from: Origin::Head(blocks), deletes, streams });
    }

    fn add_part(&mut self, info: &PartInfo, wanted: &Select<'_>) -> Result<(), StoreError> {
        let Some((tenant, manifest)) = &self.tenant else { return Ok(()) };
        let deletes = LogDeletes::of_part(manifest, info.id)?;
        let part = LogPart::open(tenant.store.part(manifest, info.id)?, &self.store.kind.caches)?;
        let index = Arc::clone(&part.index);
        let groups = groups_with_ids(&part, wanted.conditions, self.identifier.as_ref())?;
        let with_words = self.groups_with_words(&part)?;
        let streams: Vec<Option<u32>> =
            index.streams.iter().map(|labels| self.number(labels, wanted.matchers)).collect();
        let matched = matched_before(&streams);
        let source = self.sources.len() as u32;
        for (number, group) in index.groups.iter().enumerate() {
            let (first, last) = (group.first_stream as usize, group.last_stream as usize + 1);
            let is_wanted = groups.as_ref().is_none_or(|groups| groups.contains(&(number as u32)))
                && with_words.iter().all(|groups| groups.has(number as u32));
            if is_wanted && group.time.overlaps(wanted.time) && matched[first] < matched[last] {
                let (rows, bytes) = (u64::from(group.rows), group.bytes);
                let piece = Piece { time: group.time, rows, bytes };
                self.add(piece, Place { source, index: number as u32 });
            }
        }
        self.sources.push(Source { from: Origin::Part(part), deletes, streams });
        Ok(())
    }

    /// For each condition that needs a word the row groups that can have it.
    fn groups_with_words(&self, part: &LogPart) -> Result<Vec<GroupBits>, StoreError> {
        let groups = self.conditions.iter().map(|condition| part.groups_for(condition.needed()));
        groups.filter_map(Result::transpose).collect()
    }

    fn add(&mut self, piece: Piece, place: Place) {
        self.pieces.push(piece);
        self.places.push(place);
    }

    fn sort(&mut self, order: Order) {
        let mut both: Vec<(Piece, Place)> =
            self.pieces.drain(..).zip(self.places.drain(..)).collect();
        match order {
            Order::NewestFirst => both.sort_by_key(|(piece, _)| std::cmp::Reverse(piece.time.max)),
            Order::OldestFirst => both.sort_by_key(|(piece, _)| piece.time.min),
        }
        (self.pieces, self.places) = both.into_iter().unzip();
    }
}

/// For each stream, how many before it matched; and behind the last one how many in all.
fn matched_before(streams: &[Option<u32>]) -> Vec<u32> {
    let mut matched = 0;
    let mut before = vec![0];
    before.extend(streams.iter().map(|number| {
        matched += u32::from(number.is_some());
        matched
    }));
    before
}

/// The row groups of a part that can have lines for which the conditions hold and that carry an
/// identifier; `None` for any. The index of identifiers has those of all fields and lines.
fn groups_with_ids(
    part: &LogPart,
    conditions: &[Condition],
    carried: Option<&Identifier>,
) -> Result<Option<BTreeSet<u32>>, StoreError> {
    let mut wanted: Option<BTreeSet<u32>> = None;
    let mut narrow = |found: BTreeSet<u32>| {
        wanted = Some(wanted.take().map_or(found.clone(), |wanted| &wanted & &found));
    };
    for condition in conditions {
        let Condition::Field(matcher) = condition else { continue };
        let has_label = |labels: &Labels| labels.get(&matcher.name).is_some();
        let id = identifier(matcher.value.as_bytes()).filter(|_| matcher.op == MatchOp::Equal);
        if let Some(id) = id
            && !part.index.streams.iter().any(has_label)
        {
            narrow(part.groups_with(&id)?.into_iter().collect());
        }
    }
    if let Some(carried) = carried
        && let Some(id) = &carried.indexed
    {
        let mut found: BTreeSet<u32> = part.groups_with(id)?.into_iter().collect();
        found.extend(groups_by_label(part, carried));
        narrow(found);
    }
    Ok(wanted)
}

/// The row groups with streams of which a label is an identifier.
fn groups_by_label(part: &LogPart, carried: &Identifier) -> Vec<u32> {
    let streams = part.index.streams.iter().map(|labels| carried.is_in_labels(labels).then_some(0));
    let with = matched_before(&streams.collect::<Vec<_>>());
    let groups = part.index.groups.iter().zip(0..);
    let has = |group: &GroupInfo| {
        with[group.first_stream as usize] < with[group.last_stream as usize + 1]
    };
    groups.filter(|(group, _)| has(group)).map(|(_, number)| number).collect()
}
