//! Merges parts into one.
//!
//! Lines are not put together: templates and the texts of their slots move from the row groups of the
//! inputs to those of the output. A merge holds one row group of each input and one of the output in
//! memory, however large the parts.

use crate::delete::LogDeletes;
use crate::error::StoreError;
use crate::lines::{Lines, WHOLE};
use crate::part::{Caches, Group, LogPart, PartBuilder};
use crate::select::deleted_rows;
use codec::ByteReader;
use columns::RowSet;
use columns::{Effort, TextColumn};
use engine::{InputFailed, PartOrigin};
use model::{Labels, Ulid, compare_canonical};
use parts::{LEVEL_MAX, Manifest, MergePlan, NewPart, PageBuffer, PartStore};
use std::sync::Arc;

/// How many bytes of its inputs a merge may cache: each row group is read once, in order.
const MERGE_CACHE_BYTES: usize = 4 << 20;

pub(crate) fn merge(
    store: &PartStore,
    manifest: &Manifest,
    plan: &MergePlan,
    origin: PartOrigin,
) -> Result<Vec<NewPart>, InputFailed> {
    let caches = Arc::new(Caches::new(MERGE_CACHE_BYTES));
    let open = |id: &Ulid| {
        let failed = InputFailed::of(*id);
        let part = store.part(manifest, *id).map_err(InputFailed::of(*id))?;
        let deletes = LogDeletes::of_part(manifest, *id).map_err(InputFailed::of(*id))?;
        LogPart::open(part, &caches).map(|part| (part, deletes)).map_err(failed)
    };
    let inputs = plan.inputs.iter().map(open).collect::<Result<Vec<_>, InputFailed>>()?;
    let effort = if plan.level >= LEVEL_MAX { Effort::Last } else { Effort::Merge };
    let builder = PartBuilder::new(store, origin, effort)?;
    let (labels, ranks) = rank_streams(&inputs);
    let cursor = |((part, deletes), ranks)| Cursor::new(part, deletes, ranks);
    let mut cursors = Vec::new();
    for input in inputs.into_iter().zip(ranks) {
        let id = input.0.0.id;
        let mut cursor = cursor(input);
        cursor.load().map_err(InputFailed::of(id))?;
        cursors.push(cursor);
    }
    run(cursors, &labels, builder)
}

fn run(
    mut cursors: Vec<Cursor>,
    labels: &[Labels],
    mut builder: PartBuilder,
) -> Result<Vec<NewPart>, InputFailed> {
    let mut stream = None;
    while let Some((first, limit)) = next_run(&cursors) {
        let cursor = &mut cursors[first];
        let failed = InputFailed::of(cursor.part.id);
        if stream != Some(cursor.rank) {
            stream = Some(cursor.rank);
            builder.stream(&labels[cursor.rank as usize])?;
        }
        let rank = cursor.rank;
        let mut copy = || {
            while cursor.loaded.is_some() && cursor.rank == rank && cursor.key() <= limit {
                cursor.copy(&mut builder)?;
                cursor.advance()?;
            }
            Ok::<_, StoreError>(())
        };
        copy().map_err(failed)?;
    }
    Ok(builder.finish()?.into_iter().collect())
}

/// The labels of all inputs in order, and for each input the places of its streams in that order.
fn rank_streams(inputs: &[(LogPart, LogDeletes)]) -> (Vec<Labels>, Vec<Vec<u32>>) {
    let streams = inputs.iter().flat_map(|(part, _)| part.index.streams.iter().cloned());
    let mut all: Vec<Labels> = streams.collect();
    all.sort_by(|left, right| compare_canonical(left.as_bytes(), right.as_bytes()));
    all.dedup();
    let rank = |labels: &Labels| {
        let before =
            |other: &Labels| compare_canonical(other.as_bytes(), labels.as_bytes()).is_lt();
        all.partition_point(before) as u32
    };
    let ranks = |(part, _): &(LogPart, LogDeletes)| part.index.streams.iter().map(rank).collect();
    let ranks = inputs.iter().map(ranks).collect();
    (all, ranks)
}

/// Of up to this many fields of a row group a row is taken to have all.
const FIELDS_FEW: usize = 64;

/// A place in the order of stream and time.
type Key = (u32, i64);

/// The input with the first row, and the first row of the others: up to there its rows follow each
/// other.
fn next_run(cursors: &[Cursor]) -> Option<(usize, Key)> {
    let mut first: Option<(usize, Key)> = None;
    let mut limit = (u32::MAX, i64::MAX);
    for (index, cursor) in cursors.iter().enumerate() {
        if cursor.loaded.is_none() {
            continue;
        }
        let key = cursor.key();
        match first {
            Some((_, least)) if least <= key => limit = limit.min(key),
            _ => {
                limit = first.map_or(limit, |(_, least)| limit.min(least));
                first = Some((index, key));
            }
        }
    }
    first.map(|(index, _)| (index, limit))
}

/// The next row of one input.
struct Cursor {
    part: LogPart,
    deletes: LogDeletes,
    /// The place of each stream of the part among all.
    ranks: Vec<u32>,
    group: u32,
    /// `None` after the last row.
    loaded: Option<Loaded>,
    row: usize,
    rank: u32,
    buffer: PageBuffer,
}

/// A row group of an input.
struct Loaded {
    lines: Lines<Group>,
    times: Vec<i64>,
    /// The stream of each row.
    streams: Vec<u32>,
    fields: Vec<(String, TextColumn)>,
    deleted: Option<RowSet>,
    /// The numbers that the templates have in a row group of the output.
    templates: Vec<Option<u32>>,
    /// The row group for which they hold.
    target: Option<u32>,
}

impl Cursor {
    fn new(part: LogPart, deletes: LogDeletes, ranks: Vec<u32>) -> Self {
        let buffer = PageBuffer::default();
        Self { part, deletes, ranks, group: 0, loaded: None, row: 0, rank: 0, buffer }
    }

    fn key(&self) -> Key {
        let time = self.loaded.as_ref().map_or(0, |loaded| loaded.times[self.row]);
        (self.rank, time)
    }

    /// Reads row groups until one has a row.
    fn load(&mut self) -> Result<(), StoreError> {
        self.loaded = None;
        self.row = 0;
        while (self.group as usize) < self.part.index.groups.len() {
            let group = self.part.group(self.group)?;
            let mut loaded = Loaded::read(group, &mut self.buffer)?;
            loaded.deleted = self.deleted(&loaded)?;
            self.loaded = Some(loaded);
            self.skip_deleted();
            if self.loaded.is_some() {
                return Ok(());
            }
            self.group += 1;
        }
        Ok(())
    }

    fn deleted(&self, loaded: &Loaded) -> Result<Option<RowSet>, StoreError> {
        let info = &self.part.index.groups[self.group as usize];
        let streams = &self.part.index.streams;
        let field = |name: &str| Ok(loaded.fields.iter().find(|f| f.0 == name).map(|f| &f.1));
        let (times, of_rows) = (&loaded.times, &loaded.streams);
        deleted_rows(&self.deletes, info.time, (times, of_rows, streams), &loaded.lines, field)
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.row += 1;
        self.skip_deleted();
        if self.loaded.is_none() {
            self.group += 1;
            self.load()?;
        }
        Ok(())
    }

    /// Goes to the next row that is there, from the present one on; to none if there is none in the
    /// row group.
    fn skip_deleted(&mut self) {
        let Some(loaded) = &self.loaded else { return };
        if let Some(deleted) = &loaded.deleted {
            while self.row < loaded.times.len() && deleted.contains(self.row) {
                self.row += 1;
            }
        }
        match self.row < loaded.times.len() {
            true => self.rank = self.ranks[loaded.streams[self.row] as usize],
            false => self.loaded = None,
        }
    }

    /// Adds the row to the output.
    fn copy(&mut self, builder: &mut PartBuilder) -> Result<(), StoreError> {
        let Some(loaded) = &mut self.loaded else { return Ok(()) };
        let row = self.row;
        builder.row(loaded.times[row], 0, loaded.fields_of(row))?;
        let bytes = loaded.copy_line(row, builder)?;
        builder.add_line_bytes(bytes);
        let mut guess = 0;
        for (name, column) in &loaded.fields {
            if let Some(value) = column.get(row) {
                guess = builder.field(name, value, guess) + 1;
            }
        }
        Ok(())
    }
}

impl Loaded {
    fn read(group: Group, buffer: &mut PageBuffer) -> Result<Self, StoreError> {
        let mut times = Vec::new();
        group.times().append_all(&mut times)?;
        let streams = group.head.streams_of_rows();
        let mut fields = Vec::new();
        group.each_field(None, buffer, |name, bytes| {
            let mut column = TextColumn::default();
            column.decode(&mut ByteReader::new(bytes), times.len())?;
            fields.push((name.to_owned(), column));
            Ok(())
        })?;
        let directory = group.lines()?;
        let templates = vec![None; directory.templates.len()];
        let lines = Lines::new(directory, group);
        lines.load_all()?;
        Ok(Self { lines, times, streams, fields, deleted: None, templates, target: None })
    }

    /// How many fields a row has at most. Only where there are many it is worth counting.
    fn fields_of(&self, row: usize) -> usize {
        match self.fields.len() {
            few @ 0..=FIELDS_FEW => few,
            _ => self.fields.iter().filter(|(_, column)| column.get(row).is_some()).count(),
        }
    }

    /// Copies a line as its template and slots. Returns its length.
    fn copy_line(&mut self, row: usize, builder: &mut PartBuilder) -> Result<usize, StoreError> {
        let target = builder.group_number();
        if self.target != Some(target) {
            self.templates.fill(None);
            self.target = Some(target);
        }
        let directory = &*self.lines.directory;
        let template = directory.rows[row] as usize;
        let text = directory.templates.get(template);
        let known = self.templates[template];
        let number = known.or_else(|| builder.lines().template(text)).filter(|_| text != WHOLE);
        let Some(number) = number else {
            let mut line = Vec::new();
            self.lines.append(row, &mut line)?;
            match text == WHOLE {
                // Few lines of the input have its template; there may be more in the output.
                true => builder.lines().push(&line),
                false => builder.lines().push_whole(&line),
            }
            return Ok(line.len());
        };
        self.templates[template] = Some(number);
        let ordinal = self.lines.ordinals()[row] as usize;
        let columns = directory.columns_of(template);
        let mut bytes = text.len() - columns.len();
        for (target, column) in builder.lines().push_template(number).iter_mut().zip(columns) {
            let before = target.bytes.len();
            self.lines.column(column)?.append(ordinal, &mut target.bytes);
            target.ends.push(target.bytes.len() as u32);
            bytes += target.bytes.len() - before;
        }
        Ok(bytes)
    }
}
