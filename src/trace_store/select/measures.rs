//! The counts of a piece: kept, recorded, or made from its columns; with less than all of it, from what is
//! wanted.

use super::{Origin, Place, Selection, Source};
use crate::block::Block;
use crate::error::StoreError;
use crate::measures::{Examples, MeasureKey, Measures};
use crate::part::{Group, GroupRows, TracePart};
use crate::piece::Piece;
use model::{TimeRange, TimeUnit};
use std::sync::Arc;

/// Up to this many traces are read by themselves and taken away from what is counted of a row group; for
/// more it is read without them.
const FEW: usize = 8;

impl Selection {
    /// What the wanted spans of a piece count; `None` if its part is damaged, of which the warnings tell
    /// then. Calls between services need a selection of whole traces.
    pub fn measures<K: MeasureKey>(
        &self,
        index: usize,
    ) -> Result<Option<Arc<Measures<K>>>, StoreError> {
        self.measures_within(index, TimeUnit::Nanos.everything())
    }

    /// The same of those that started in a time; nanoseconds. Quick for pieces that lie in it.
    pub fn measures_within<K: MeasureKey>(
        &self,
        index: usize,
        time: TimeRange,
    ) -> Result<Option<Arc<Measures<K>>>, StoreError> {
        let Some((piece, place)) = self.pieces.get(index).zip(self.places.get(index)) else {
            return Ok(None);
        };
        let measures = match time.covers(piece.time) {
            true => self.measures_of(place),
            false => self.of_columns(place, time),
        };
        match measures {
            Ok(measures) => Ok(Some(measures)),
            Err(error) => self.piece_failed(index, error).map(|()| None),
        }
    }

    /// A span for each bucket of a key in a slot, of those that started in a time; nanoseconds. Reads the
    /// columns of the piece.
    pub fn examples<K: MeasureKey>(
        &self,
        index: usize,
        time: TimeRange,
    ) -> Result<Option<Examples<K>>, StoreError> {
        let Some(place) = self.places.get(index) else { return Ok(None) };
        let read = || match self.open_piece(place)? {
            Some(piece) => Examples::within(&piece, time).map(Some),
            None => Ok(None),
        };
        read().or_else(|error| self.piece_failed(index, error).map(|()| None))
    }

    fn measures_of<K: MeasureKey>(&self, place: &Place) -> Result<Arc<Measures<K>>, StoreError> {
        let (source, index) = match place {
            Place::Gathered(block) => return of_block(block),
            Place::In { source, index } => (&self.sources[*source as usize], *index),
        };
        match &source.from {
            Origin::Head(blocks) => {
                let block = &blocks[index as usize];
                match self.left_out(source, &block.trace_ids).is_empty() {
                    true => of_block(block),
                    false => self.of_columns(place, TimeUnit::Nanos.everything()),
                }
            }
            Origin::Part(part) if source.deleted.is_empty() && self.gathered.is_empty() => {
                part.measures(index)
            }
            Origin::Part(part) => {
                let left_out = self.left_out(source, &part.group(index)?.trace_list()?.ids);
                match left_out.len() <= FEW {
                    true => without_traces(part, index, &left_out),
                    false => self.of_columns(place, TimeUnit::Nanos.everything()),
                }
            }
        }
    }

    /// The places of the traces that are deleted, or in a piece of their own.
    pub(super) fn left_out(&self, source: &Source, ids: &[[u8; 16]]) -> Vec<u32> {
        let is_left_out = |id: &[u8; 16]| source.deleted.has(id) || self.gathered.contains(id);
        (0..).zip(ids).filter(|(_, id)| is_left_out(id)).map(|(trace, _)| trace).collect()
    }

    fn of_columns<K: MeasureKey>(
        &self,
        place: &Place,
        time: TimeRange,
    ) -> Result<Arc<Measures<K>>, StoreError> {
        let measures = match self.open_piece(place)? {
            Some(piece) => Measures::within(&piece, time)?,
            None => Measures::default(),
        };
        Ok(Arc::new(measures))
    }
}

/// Counted once: a block never changes.
fn of_block<K: MeasureKey>(block: &Arc<Block>) -> Result<Arc<Measures<K>>, StoreError> {
    let kept = K::kept(&block.measures);
    if let Some(measures) = kept.get() {
        return Ok(Arc::clone(measures));
    }
    let piece = Piece::of_block(Arc::clone(block));
    let measures = piece.map_or_else(|| Ok(Measures::default()), |piece| Measures::of(&piece))?;
    Ok(Arc::clone(kept.get_or_init(|| Arc::new(measures))))
}

fn without_traces<K: MeasureKey>(
    part: &TracePart,
    index: u32,
    left_out: &[u32],
) -> Result<Arc<Measures<K>>, StoreError> {
    let measures = part.measures::<K>(index)?;
    if left_out.is_empty() {
        return Ok(measures);
    }
    let rows = GroupRows::all(part.group(index)?).some(left_out)?;
    Ok(Arc::new(measures.without(&Measures::of(&Piece::of_group(rows))?)))
}

impl TracePart {
    /// What all spans of a row group count.
    fn measures<K: MeasureKey>(&self, index: u32) -> Result<Arc<Measures<K>>, StoreError> {
        self.kept_measures(index, |group: Group| {
            Measures::of(&Piece::of_group(GroupRows::all(group)))
        })
    }
}
