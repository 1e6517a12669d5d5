//! Merges parts into one.
//!
//! Traces are taken from the inputs in the order of their start, one row group of each input at a time.
//! A trace that is in several inputs is put together first, and takes its place by its earliest start.

use crate::block::Place;
use crate::delete::Deleted;
use crate::error::StoreError;
use crate::part::{Caches, Loaded, PartBuilder, TracePart};
use crate::select::traces_in_parts;
use crate::spans::Spans;
use columns::Effort;
use engine::{InputFailed, PartOrigin};
use model::Ulid;
use parts::{LEVEL_MAX, Manifest, MergePlan, NewPart, PartStore};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many bytes of its inputs a merge may cache: each row group is read once, in order.
const MERGE_CACHE_BYTES: usize = 4 << 20;

/// Traces that are put together hold no more spans than this at once; more stay in pieces until the
/// next merge.
const JOINED_SPANS: usize = 256 << 10;

pub(crate) fn merge(
    store: &PartStore,
    manifest: &Manifest,
    plan: &MergePlan,
    origin: PartOrigin,
) -> Result<Vec<NewPart>, InputFailed> {
    let caches = Arc::new(Caches::new(MERGE_CACHE_BYTES));
    let open = |id: &Ulid| {
        let part = store.part(manifest, *id).map_err(InputFailed::of(*id))?;
        let deleted = Deleted::of_part(manifest, *id).map_err(InputFailed::of(*id))?;
        let part = TracePart::open(part, &caches).map_err(InputFailed::of(*id))?;
        Ok(Input { part, deleted })
    };
    let inputs = plan.inputs.iter().map(open).collect::<Result<Vec<_>, InputFailed>>()?;
    let effort = if plan.level >= LEVEL_MAX { Effort::Last } else { Effort::Merge };
    let mut builder = PartBuilder::new(store, origin, effort)?;
    let (joined, apart) = joined_traces(&inputs)?;
    let others = manifest.parts.iter().filter(|part| !plan.inputs.contains(&part.id));
    let mut others = others.filter_map(|part| open(&part.id).ok());
    builder.fragments(still_elsewhere(&inputs, &mut others, apart));
    let mut cursors = Vec::new();
    for input in inputs {
        let id = input.part.id;
        let mut cursor = Cursor { input, group: 0, loaded: Loaded::default(), trace: 0 };
        cursor.settle(&joined).map_err(InputFailed::of(id))?;
        cursors.push(cursor);
    }
    run(cursors, &joined, builder)
}

/// A part, and the traces of it that are deleted.
struct Input {
    part: TracePart,
    deleted: Deleted,
}

/// A trace of several inputs: its spans in each.
type Joined = BTreeMap<[u8; 16], Vec<Loaded>>;

/// The traces that are in several inputs, and those among them for which there was no room.
fn joined_traces(inputs: &[Input]) -> Result<(Joined, BTreeSet<[u8; 16]>), InputFailed> {
    let (mut joined, mut apart, mut spans): (Joined, _, usize) = Default::default();
    for id in known_fragments(inputs) {
        let mut pieces = Vec::new();
        for Input { part, .. } in inputs.iter().filter(|input| !input.deleted.has(&id)) {
            let failed = InputFailed::of(part.id);
            pieces.extend(part.load_trace(&id).map_err(failed)?);
        }
        let more: usize = pieces.iter().map(|piece| piece.spans.len()).sum();
        match pieces.len() {
            0 | 1 => {}
            _ if spans + more > JOINED_SPANS => drop(BTreeSet::insert(&mut apart, id)),
            _ => {
                spans += more;
                joined.insert(id, pieces);
            }
        }
    }
    Ok((joined, apart))
}

/// The traces of the inputs of which there were spans elsewhere.
fn known_fragments(inputs: &[Input]) -> BTreeSet<[u8; 16]> {
    inputs.iter().flat_map(|input| input.part.index.fragments.iter().copied()).collect()
}

/// The traces of the inputs of which there are spans in other parts, or which stay in pieces.
fn still_elsewhere(
    inputs: &[Input],
    others: &mut dyn Iterator<Item = Input>,
    apart: BTreeSet<[u8; 16]>,
) -> Vec<[u8; 16]> {
    let known: Vec<[u8; 16]> = known_fragments(inputs).into_iter().collect();
    let mut elsewhere = apart;
    if !known.is_empty() {
        for other in others {
            // What can't be read is taken to have all of them.
            elsewhere
                .extend(traces_in_parts(&other.part, &known).unwrap_or_else(|_| known.clone()));
        }
    }
    elsewhere.into_iter().collect()
}

/// The next trace of one input.
struct Cursor {
    input: Input,
    /// The row group after the loaded one.
    group: u32,
    loaded: Loaded,
    trace: usize,
}

/// A place in the order of traces.
type Key = (u64, [u8; 16]);

impl Cursor {
    fn key(&self) -> Option<Key> {
        let id = self.loaded.trace_ids.get(self.trace)?;
        Some((self.loaded.trace_starts[self.trace], *id))
    }

    /// Goes to the next trace that is there, from the present one on. Says whether other spans were
    /// loaded.
    fn settle(&mut self, joined: &Joined) -> Result<bool, StoreError> {
        let mut is_other = false;
        loop {
            while let Some(id) = self.loaded.trace_ids.get(self.trace) {
                if !self.input.deleted.has(id) && !joined.contains_key(id) {
                    return Ok(is_other);
                }
                self.trace += 1;
            }
            self.trace = 0;
            self.loaded = Loaded::default();
            if self.group as usize == self.input.part.index.groups.len() {
                return Ok(true);
            }
            self.loaded = self.input.part.group(self.group)?.load()?;
            self.group += 1;
            is_other = true;
        }
    }

    fn places(&self, source: u32) -> Vec<Place> {
        let start = if self.trace == 0 { 0 } else { self.loaded.trace_ends[self.trace - 1] };
        (start..self.loaded.trace_ends[self.trace]).map(|row| Place { source, row }).collect()
    }
}

fn run(
    mut cursors: Vec<Cursor>,
    joined: &Joined,
    mut builder: PartBuilder,
) -> Result<Vec<NewPart>, InputFailed> {
    let mut waiting: Vec<(Key, &[Loaded])> = Vec::new();
    for (id, pieces) in joined {
        let start = pieces.iter().flat_map(|piece| piece.trace_starts.iter()).min();
        waiting.extend(start.map(|start| ((*start, *id), &pieces[..])));
    }
    waiting.sort_unstable_by_key(|(key, _)| std::cmp::Reverse(*key));
    let sources: Vec<&Spans> = cursors.iter().map(|cursor| &cursor.loaded.spans).collect();
    builder.builder().sources(&sources);
    loop {
        let next = (0..).zip(&cursors).filter_map(|(at, cursor)| Some((cursor.key()?, at))).min();
        let is_joined = waiting.last().is_some_and(|(key, _)| next.is_none_or(|(of, _)| *key < of));
        if is_joined && let Some(((_, id), pieces)) = waiting.pop() {
            push_joined(&mut builder, id, pieces, cursors.len())?;
            continue;
        }
        let Some(((_, id), at)) = next else { break };
        let sources: Vec<&Spans> = cursors.iter().map(|cursor| &cursor.loaded.spans).collect();
        builder.push(id, &cursors[at as usize].places(at), &sources)?;
        let cursor = &mut cursors[at as usize];
        cursor.trace += 1;
        if cursor.settle(joined).map_err(InputFailed::of(cursor.input.part.id))? {
            builder.builder().replace_source(at as usize, &cursor.loaded.spans);
        }
    }
    Ok(builder.finish()?.into_iter().collect())
}

/// Adds a trace whose spans stand beside the inputs.
fn push_joined(
    builder: &mut PartBuilder,
    id: [u8; 16],
    pieces: &[Loaded],
    inputs: usize,
) -> Result<(), StoreError> {
    let empty = Spans::default();
    let mut sources: Vec<&Spans> = vec![&empty; inputs];
    sources.extend(pieces.iter().map(|piece| &piece.spans));
    let rows = |(source, piece): (u32, &Loaded)| {
        (0..piece.spans.len() as u32).map(move |row| Place { source, row }).collect::<Vec<_>>()
    };
    let places: Vec<Place> = (inputs as u32..).zip(pieces).flat_map(rows).collect();
    builder.builder().extra_sources(inputs, &sources);
    builder.push(id, &places, &sources)
}
