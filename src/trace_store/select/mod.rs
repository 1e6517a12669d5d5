//! Reading: the pieces that a reader looks at.
//!
//! A selection is a view of one moment: it holds blocks and row groups, which never change. A trace whose
//! spans arrived over a longer time is in several of them, its *fragments*; a reader of whole traces gets
//! such traces in pieces of their own, put together, and the other pieces leave them out.
//! Fragments are looked for in parts that lie within a day of each other.

mod fragments;
mod measures;

use crate::block::Block;
use crate::delete::Deleted;
use crate::error::StoreError;
use crate::kind::{Store, Tenant, Traces};
use crate::part::{GroupRows, Rollup, TracePart};
use crate::piece::Piece;
use engine::EngineError;
use model::{TenantId, TimeRange, TimeUnit, Ulid};
use parts::{Manifest, PartInfo};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use fragments::traces_in_parts;

/// What to select.
#[derive(Clone, Copy, Debug)]
pub struct Select {
    /// Nanoseconds, both ends included. Pieces with spans of this time are selected; those further than
    /// a day from the start of their trace may be missed.
    pub time: TimeRange,
    /// This trace only, as one piece, whatever the time.
    pub trace_id: Option<[u8; 16]>,
    /// Each trace is in one piece, with all its spans. Without it, a trace may be spread over pieces.
    pub are_whole: bool,
}

/// Traces that lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceInfo {
    /// From the first start to the last end.
    pub time: TimeRange,
    /// Spans.
    pub rows: u64,
    /// What will be read at most.
    pub bytes: u64,
}

#[derive(Debug)]
pub struct Selection {
    store: Arc<Store>,
    tenant: Option<(Arc<Tenant>, Arc<Manifest>)>,
    pieces: Vec<PieceInfo>,
    places: Vec<Place>,
    sources: Vec<Source>,
    /// The traces that are in pieces of their own.
    gathered: HashSet<[u8; 16]>,
    trouble: Mutex<BTreeSet<String>>,
}

/// A head or a part.
#[derive(Debug)]
struct Source {
    from: Origin,
    deleted: Deleted,
}

#[derive(Debug)]
enum Origin {
    Head(Vec<Arc<Block>>),
    Part(TracePart),
}

/// Where a piece is.
#[derive(Clone, Debug)]
enum Place {
    /// The source, and its block or row group.
    In {
        source: u32,
        index: u32,
    },
    Gathered(Arc<Block>),
}

/// The distance over which spans of one trace are looked for.
const DAY_NS: i64 = 86_400_000_000_000;

/// The parts in which there may be spans of traces of this time.
pub(crate) fn parts_near(manifest: &Manifest, time: TimeRange) -> impl Iterator<Item = &PartInfo> {
    let (min, max) = (time.min.saturating_sub(DAY_NS), time.max.saturating_add(DAY_NS));
    let near = TimeUnit::Nanos.between(min, max);
    manifest.parts.iter().filter(move |part| part.time.overlaps(near))
}

pub(crate) fn open(
    kind: &Traces,
    tenant: &Tenant,
    manifest: &Manifest,
    id: Ulid,
) -> Result<TracePart, StoreError> {
    TracePart::open(tenant.store.part(manifest, id)?, &kind.caches)
}

pub(crate) fn select(
    store: &Arc<Store>,
    tenant: &TenantId,
    wanted: &Select,
) -> Result<Selection, StoreError> {
    let mut selection = Selection {
        store: Arc::clone(store),
        tenant: None,
        pieces: Vec::new(),
        places: Vec::new(),
        sources: Vec::new(),
        gathered: HashSet::new(),
        trouble: Mutex::default(),
    };
    let Some(tenant) = store.tenant(tenant) else { return Ok(selection) };
    let view = tenant.view(&store.kind);
    selection.trouble().extend(view.manifest.warnings(wanted.time));
    selection.tenant = Some((Arc::clone(&tenant), Arc::clone(&view.manifest)));
    for head in &view.heads {
        let deleted = Deleted::of_head(&view, head)?;
        let blocks = head.read().blocks();
        selection.sources.push(Source { from: Origin::Head(blocks), deleted });
    }
    let parts: Vec<Ulid> = match wanted.trace_id {
        Some(_) => view.manifest.parts.iter().map(|part| part.id).collect(),
        None => parts_near(&view.manifest, wanted.time).map(|part| part.id).collect(),
    };
    for id in parts {
        let opened = open(&store.kind, &tenant, &view.manifest, id);
        let deleted = Deleted::of_part(&view.manifest, id)?;
        match opened {
            Ok(part) => selection.sources.push(Source { from: Origin::Part(part), deleted }),
            Err(error) => selection.part_failed(id, error)?,
        }
    }
    match wanted.trace_id {
        Some(id) => selection.gather(&[id], None)?,
        None => selection.add_pieces(wanted)?,
    }
    selection.sort();
    Ok(selection)
}

impl Selection {
    /// The newest end first.
    pub fn pieces(&self) -> &[PieceInfo] {
        &self.pieces
    }

    /// What the reader should know, such as parts that could not be read.
    pub fn warnings(&self) -> Vec<String> {
        self.trouble().iter().cloned().collect()
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece; `None` if nothing of it is wanted. Columns are read later: when that fails, the reader
    /// calls [`Selection::piece_failed`] and goes on without the piece.
    pub fn read(&self, index: usize) -> Result<Option<Piece>, StoreError> {
        let Some(place) = self.places.get(index) else { return Ok(None) };
        match self.open_piece(place) {
            Ok(piece) => Ok(piece),
            Err(error) => self.piece_failed(index, error).map(|()| None),
        }
    }

    fn open_piece(&self, place: &Place) -> Result<Option<Piece>, StoreError> {
        let (source, index) = match place {
            Place::Gathered(block) => return Ok(Piece::of_block(Arc::clone(block))),
            Place::In { source, index } => (&self.sources[*source as usize], *index),
        };
        let piece = match &source.from {
            Origin::Head(blocks) => Piece::of_block(Arc::clone(&blocks[index as usize])),
            Origin::Part(part) => Some(Piece::of_group(GroupRows::all(part.group(index)?))),
        };
        let Some(mut piece) = piece else { return Ok(None) };
        if !source.deleted.is_empty() || !self.gathered.is_empty() {
            piece.leave_out(|id| source.deleted.has(id) || self.gathered.contains(id))?;
        }
        let is_empty = piece.wanted().is_some_and(crate::RowSet::is_empty);
        Ok((!is_empty).then_some(piece))
    }

    /// The counts of a piece's spans by slots of which the step is a multiple; `None` where they are not
    /// recorded, or some of the spans are not wanted.
    pub fn rollup(&self, index: usize, step_ns: u64) -> Result<Option<Arc<Rollup>>, StoreError> {
        let Some(Place::In { source, index: group }) = self.places.get(index) else {
            return Ok(None);
        };
        let source = &self.sources[*source as usize];
        let Origin::Part(part) = &source.from else { return Ok(None) };
        let read = || {
            let group = part.group(*group)?;
            let are_all_wanted = source.deleted.is_empty() && self.gathered.is_empty()
                || self.left_out(source, &group.trace_list()?.ids).is_empty();
            if are_all_wanted { group.rollup(step_ns) } else { Ok(None) }
        };
        read().or_else(|error| self.piece_failed(index, error).map(|()| None))
    }

    /// Quarantines the part of a piece that is damaged, so that the rest is answered; an error that is
    /// not of that kind is returned.
    pub fn piece_failed(&self, index: usize, error: StoreError) -> Result<(), StoreError> {
        let Some(Place::In { source, .. }) = self.places.get(index) else { return Err(error) };
        match &self.sources[*source as usize].from {
            Origin::Head(_) => Err(error),
            Origin::Part(part) => self.part_failed(part.id, error),
        }
    }

    fn part_failed(&self, part: Ulid, error: StoreError) -> Result<(), StoreError> {
        let Some((tenant, _)) = &self.tenant else { return Err(error) };
        let warning =
            tenant.quarantine_damaged(&self.store.kind, part, EngineError::from(error))?;
        self.trouble().insert(warning);
        Ok(())
    }

    fn add(&mut self, piece: PieceInfo, place: Place) {
        self.pieces.push(piece);
        self.places.push(place);
    }

    fn add_pieces(&mut self, wanted: &Select) -> Result<(), StoreError> {
        let mut found = Vec::new();
        for (source, of) in (0..).zip(&self.sources) {
            let place = |index| Place::In { source, index };
            match &of.from {
                Origin::Head(blocks) => {
                    for (index, block) in (0..).zip(blocks) {
                        let Some(time) = block.time() else { continue };
                        let (rows, bytes) = (block.rows() as u64, block.bytes() as u64);
                        found.push((PieceInfo { time, rows, bytes }, place(index)));
                    }
                }
                Origin::Part(part) => {
                    for (index, group) in (0..).zip(&part.index.groups) {
                        let (rows, bytes) = (u64::from(group.rows), group.bytes);
                        let info = PieceInfo { time: group.time, rows, bytes };
                        found.push((info, place(index)));
                    }
                }
            }
        }
        found.retain(|(piece, _)| piece.time.overlaps(wanted.time));
        found.into_iter().for_each(|(piece, place)| self.add(piece, place));
        if wanted.are_whole {
            let fragments = self.fragments()?;
            self.gathered = fragments.iter().copied().collect();
            self.gather(&fragments, Some(wanted.time))?;
        }
        Ok(())
    }

    fn sort(&mut self) {
        let mut both: Vec<(PieceInfo, Place)> =
            self.pieces.drain(..).zip(self.places.drain(..)).collect();
        both.sort_by_key(|(piece, _)| std::cmp::Reverse(piece.time.max));
        (self.pieces, self.places) = both.into_iter().unzip();
    }
}
