//! Traces whose spans are in several places: which they are, and putting them together.

use super::{Origin, PieceInfo, Place, Selection, Source, parts_near};
use crate::block::{Block, BlockBuilder, Place as Row};
use crate::error::StoreError;
use crate::part::{Loaded, TracePart};
use crate::spans::Spans;
use model::TimeRange;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Traces that are put together share pieces of about this many spans.
const PIECE_ROWS: usize = 16 << 10;

/// Of more wanted traces than this, a row group is read as a whole.
const FEW: usize = 8;

/// Those of the traces that a part has.
pub(crate) fn traces_in_parts(
    part: &TracePart,
    ids: &[[u8; 16]],
) -> Result<Vec<[u8; 16]>, StoreError> {
    let mut candidates: BTreeMap<u32, Vec<[u8; 16]>> = BTreeMap::new();
    for id in ids {
        for group in part.groups_with(id)? {
            candidates.entry(group).or_default().push(*id);
        }
    }
    let mut found = Vec::new();
    // The index knows hashes, so each is looked up.
    for (group, ids) in candidates {
        let known = part.group(group)?.trace_list()?;
        let known: HashSet<&[u8; 16]> = known.ids.iter().collect();
        found.extend(ids.into_iter().filter(|id| known.contains(id)));
    }
    Ok(found)
}

impl Selection {
    /// The traces that are in more than one place.
    pub(super) fn fragments(&self) -> Result<Vec<[u8; 16]>, StoreError> {
        let mut blocks_of: HashMap<[u8; 16], u32> = HashMap::new();
        let mut fragments: HashSet<[u8; 16]> = HashSet::new();
        for source in &self.sources {
            match &source.from {
                Origin::Part(part) => fragments.extend(part.index.fragments.iter().copied()),
                Origin::Head(blocks) => {
                    for block in blocks {
                        fragments.extend(self.in_parts(block)?.iter().copied());
                        for id in &block.trace_ids {
                            *blocks_of.entry(*id).or_default() += 1;
                        }
                    }
                }
            }
        }
        fragments.extend(blocks_of.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id));
        Ok(fragments.into_iter().collect())
    }

    /// The traces of a block of which there are spans in parts.
    fn in_parts(&self, block: &Block) -> Result<Arc<Vec<[u8; 16]>>, StoreError> {
        let Some((_, manifest)) = &self.tenant else { return Ok(Arc::default()) };
        block.in_parts(manifest.generation, || {
            let mut found = Vec::new();
            let Some(time) = block.time() else { return Ok(found) };
            let near: HashSet<_> = parts_near(manifest, time).map(|part| part.id).collect();
            for part in self.parts().filter(|part| near.contains(&part.id)) {
                match traces_in_parts(part, &block.trace_ids) {
                    Ok(traces) => found.extend(traces),
                    Err(error) => self.part_failed(part.id, error)?,
                }
            }
            Ok(found)
        })
    }

    fn parts(&self) -> impl Iterator<Item = &TracePart> {
        self.sources.iter().filter_map(|source| match &source.from {
            Origin::Part(part) => Some(part),
            Origin::Head(_) => None,
        })
    }

    /// Adds pieces of these traces as wholes, of those that overlap the time.
    pub(super) fn gather(
        &mut self,
        ids: &[[u8; 16]],
        time: Option<TimeRange>,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let gathered = Gathered::of(self, ids)?;
        for block in gathered.blocks(ids) {
            let Some(of) = block.time() else { continue };
            if time.is_none_or(|time| time.overlaps(of)) {
                let (rows, bytes) = (block.rows() as u64, block.bytes() as u64);
                self.add(PieceInfo { time: of, rows, bytes }, Place::Gathered(Arc::new(block)));
            }
        }
        Ok(())
    }
}

/// The spans of some traces, from wherever they are.
#[derive(Default)]
struct Gathered {
    blocks: Vec<Arc<Block>>,
    loaded: Vec<Loaded>,
    /// The spans of each trace: in one of the blocks, or in what was loaded.
    rows: HashMap<[u8; 16], Vec<Row>>,
}

impl Gathered {
    fn of(selection: &Selection, ids: &[[u8; 16]]) -> Result<Self, StoreError> {
        let wanted: HashSet<[u8; 16]> = ids.iter().copied().collect();
        let mut gathered = Self::default();
        // Blocks first: they are the first sources.
        for source in &selection.sources {
            if let Origin::Head(blocks) = &source.from {
                blocks.iter().for_each(|block| gathered.add_block(block, source, &wanted));
            }
        }
        for source in &selection.sources {
            let Origin::Part(part) = &source.from else { continue };
            match load(part, ids) {
                Ok(loaded) => gathered.add_loaded(loaded, source, &wanted),
                Err(error) => selection.part_failed(part.id, error)?,
            }
        }
        Ok(gathered)
    }

    fn add_block(&mut self, block: &Arc<Block>, of: &Source, wanted: &HashSet<[u8; 16]>) {
        let source = self.blocks.len() as u32;
        for (id, rows) in block.trace_ids.iter().zip(block.traces()) {
            if wanted.contains(id) && !of.deleted.has(id) {
                let rows = rows.map(|row| Row { source, row: row as u32 });
                self.rows.entry(*id).or_default().extend(rows);
            }
        }
        self.blocks.push(Arc::clone(block));
    }

    fn add_loaded(&mut self, loaded: Vec<Loaded>, of: &Source, wanted: &HashSet<[u8; 16]>) {
        for loaded in loaded {
            let source = (self.blocks.len() + self.loaded.len()) as u32;
            let mut start = 0;
            for (id, end) in loaded.trace_ids.iter().zip(&loaded.trace_ends) {
                let rows = std::mem::replace(&mut start, *end)..*end;
                if wanted.contains(id) && !of.deleted.has(id) {
                    let rows = rows.map(|row| Row { source, row });
                    self.rows.entry(*id).or_default().extend(rows);
                }
            }
            self.loaded.push(loaded);
        }
    }

    /// The traces as blocks, in the order of their start.
    fn blocks(&self, ids: &[[u8; 16]]) -> Vec<Block> {
        let of_blocks = self.blocks.iter().map(|block| &block.spans);
        let sources: Vec<&Spans> =
            of_blocks.chain(self.loaded.iter().map(|loaded| &loaded.spans)).collect();
        let start = |rows: &[Row]| {
            rows.iter().map(|row| sources[row.source as usize].starts[row.row as usize]).min()
        };
        let mut order: Vec<(u64, [u8; 16])> =
            ids.iter().filter_map(|id| Some((start(self.rows.get(id)?)?, *id))).collect();
        order.sort_unstable();
        order.dedup();
        let (mut blocks, mut builder) = (Vec::new(), BlockBuilder::default());
        builder.sources(&sources);
        for (_, id) in order {
            if builder.block.rows() >= PIECE_ROWS {
                blocks.push(std::mem::take(&mut builder.block));
                builder.clear();
            }
            builder.push(id, &self.rows[&id], &sources);
        }
        blocks.push(builder.block);
        blocks
    }
}

/// The traces that a part has, with their row groups as a whole where many are wanted.
fn load(part: &TracePart, ids: &[[u8; 16]]) -> Result<Vec<Loaded>, StoreError> {
    let mut groups: BTreeMap<u32, HashSet<[u8; 16]>> = BTreeMap::new();
    for id in ids {
        for group in part.groups_with(id)? {
            groups.entry(group).or_default().insert(*id);
        }
    }
    let mut loaded = Vec::new();
    for (group, ids) in groups {
        let group = part.group(group)?;
        match ids.len() <= FEW {
            true => loaded.extend(group.load_some(|id| ids.contains(id))?),
            false => loaded.push(group.load()?),
        }
    }
    Ok(loaded)
}
