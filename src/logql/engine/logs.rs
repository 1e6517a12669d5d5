//! Queries of lines: the newest, or the oldest, that go through the stages.
//!
//! 1. The time is read slice by slice (`slices`), and of each slice the pieces in order of time, in turns,
//!    each turn by all threads.
//! 2. Where no stage can drop a line, rows are found first by all pieces of a turn. Their times tell which
//!    of them can be in the answer, and nothing is read of the others.
//! 3. The rows of a piece that the conditions leave go through the stages in order of time, until the
//!    limit is reached or the rest is beyond the worst line that is kept.
//! 4. Reading ends when there are enough lines and nothing that is left can hold a better one.

use super::pieces::{ROWS_PER_CHECK, Reading, add_fields};
use super::slices::{Slice, Slices};
use super::{Bounds, Context, QueryTimes, Request, Result};
use crate::ast::LogExpr;
use crate::extract::Buffers;
use crate::pipeline::conditions::Picked;
use crate::pipeline::labels::LineLabels;
use crate::pipeline::{LineState, Pipeline, Purpose, Wanted};
use crate::storage::{Direction, FoundRows, Piece, Rows, Scratch};
use crate::value::{EntryLabels, LogEntry, LogLines, Statistics};
use model::{Labels, TimeRange, TimeUnit};
use query::{Portions, Weight};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) fn run(context: &Context<'_>, log: &LogExpr, request: &Request<'_>) -> Result<LogLines> {
    let direction = request.direction;
    let mut lines = LogLines { direction, entries: Vec::new() };
    let QueryTimes::Range { start_ns, end_ns, interval_ns, .. } = request.times else {
        return Ok(lines);
    };
    let purpose = Purpose { lines: true, labels: Wanted::All };
    let pipeline = Pipeline::new(log, None, &purpose, context.now_ns)
        .map_err(|error| error.in_query(request.query))?;
    let limit = match request.limit {
        0 => context.options.limits.entries_max,
        limit => limit,
    };
    if start_ns >= end_ns {
        return Ok(lines);
    }
    let time = (start_ns, end_ns - 1);
    let reading = Reading::new(context, &log.matchers, &pipeline, time, direction)?;
    // Where lines are left out between others, all must be known first.
    let kept = if interval_ns > 0 { usize::MAX } else { limit };
    lines.entries = collect(context, &reading, direction, kept)?;
    if interval_ns > 0 {
        thin_out(&mut lines.entries, interval_ns);
        lines.entries.truncate(limit);
    }
    Ok(lines)
}

/// A line that may be in the answer. Of one time, lines come in the order in which they are stored, or
/// the other way round.
struct Candidate {
    place: (i64, usize, usize),
    entry: LogEntry,
}

/// Whether the first comes before the second in the answer.
fn comes_before(direction: Direction, first: i64, second: i64) -> bool {
    match direction {
        Direction::Backward => first > second,
        Direction::Forward => first < second,
    }
}

/// The best time that a piece can have.
fn best_time(direction: Direction, piece: &Piece) -> i64 {
    match direction {
        Direction::Backward => piece.time.max,
        Direction::Forward => piece.time.min,
    }
}

fn sort(direction: Direction, candidates: &mut [Candidate]) {
    match direction {
        Direction::Backward => {
            candidates.sort_unstable_by_key(|one| std::cmp::Reverse(one.place));
        }
        Direction::Forward => candidates.sort_unstable_by_key(|one| one.place),
    }
}

pub(super) fn collect(
    context: &Context<'_>,
    reading: &Reading<'_>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<LogEntry>> {
    let pieces = reading.selection.pieces();
    let mut best: Vec<Candidate> = Vec::new();
    let mut read = vec![false; pieces.len()];
    let mut slices = Slices::new(reading, direction, limit);
    while let Some(slice) = slices.next(best.len()) {
        let of_slice: Vec<usize> =
            (0..pieces.len()).filter(|piece| pieces[*piece].time.overlaps(slice.time)).collect();
        let mut turns = Turns { direction, limit, slice, read: &mut read, best: &mut best };
        turns.run(context, reading, &of_slice)?;
        // What is left lies beyond all that was found.
        if best.len() >= limit {
            break;
        }
    }
    Ok(best.into_iter().map(|candidate| candidate.entry).collect())
}

/// The pieces of one slice, which are read in turns.
struct Turns<'t> {
    direction: Direction,
    limit: usize,
    slice: Slice,
    /// The pieces that some slice has read.
    read: &'t mut [bool],
    best: &'t mut Vec<Candidate>,
}

/// So many pieces are read in a turn by each thread where little is read, or found, in each.
const PIECES_OF_TURN: usize = 16;

impl Turns<'_> {
    fn run(
        &mut self,
        context: &Context<'_>,
        reading: &Reading<'_>,
        pieces: &[usize],
    ) -> Result<()> {
        let (direction, limit, slice) = (self.direction, self.limit, self.slice);
        let (all, bounds) = (reading.selection.pieces(), context.bounds());
        let held = context.holding.held() - weight(self.best);
        // Of a long slice each piece may have enough lines, unless they are rare.
        let is_rare = reading.pipeline.conditions.seek_identifier();
        let each = if slice.is_last && !is_rare { 1 } else { PIECES_OF_TURN };
        for turn in pieces.chunks(each * context.options.helpers.width().max(1)) {
            // The worst that is kept, where enough is kept.
            let bound = self.best.get(limit - 1).map(|worst| worst.place.0);
            let is_over = bound.is_some_and(|bound| {
                comes_before(direction, bound, best_time(direction, &all[turn[0]]))
            });
            if is_over {
                break;
            }
            // Of rare lines few are beyond the bound, and most pieces have none.
            let (time, found) = match reading.finds() && !is_rare {
                true => self.find(context, reading, turn, bound)?,
                false => (slice.time, Found::default()),
            };
            let worker = || Worker::new(direction, limit, bound);
            let is_known = &*self.read;
            let read = |worker: &mut Worker, scratch: &mut Scratch, piece: usize| {
                let rows = found.get(&piece).and_then(take);
                worker.piece(bounds, reading, scratch, (piece, is_known[piece], rows), time)
            };
            for worker in reading.for_each(context, turn, worker, read)? {
                context.statistics.borrow_mut().add(&worker.statistics);
                self.best.extend(worker.found);
            }
            turn.iter().for_each(|piece| self.read[*piece] = true);
            sort(direction, self.best);
            self.best.truncate(limit);
            context.holding.settle(held + weight(self.best))?;
        }
        Ok(())
    }

    /// Finds the rows of some pieces. Answers them, and the time in which those lie that can be in the
    /// answer.
    fn find(
        &self,
        context: &Context<'_>,
        reading: &Reading<'_>,
        pieces: &[usize],
        bound: Option<i64>,
    ) -> Result<(TimeRange, Found)> {
        let direction = self.direction;
        let time = reach(direction, self.slice.time, bound);
        let find = |all: &mut Vec<FoundRows>, scratch: &mut Scratch, piece: usize| {
            all.extend(reading.selection.find_within(piece, time, scratch)?);
            Ok(())
        };
        let found = reading.for_each(context, pieces, Vec::new, find)?;
        let found: Vec<FoundRows> = found.into_iter().flatten().collect();
        let times = found.iter().flat_map(|found| &found.times).copied();
        let times = times.chain(self.best.iter().map(|best| best.place.0)).collect();
        let time = reach(direction, time, worst_of(direction, times, self.limit));
        let by_piece = |found: FoundRows| (found.piece, Mutex::new(Some(found)));
        Ok((time, found.into_iter().map(by_piece).collect()))
    }
}

/// The rows that were found, by piece. A thread takes those that it reads.
type Found = BTreeMap<usize, Mutex<Option<FoundRows>>>;

fn take(found: &Mutex<Option<FoundRows>>) -> Option<FoundRows> {
    found.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The worst of the best times, where there are more than so many.
fn worst_of(direction: Direction, mut times: Vec<i64>, limit: usize) -> Option<i64> {
    let last = limit.checked_sub(1).filter(|_| times.len() > limit)?;
    let (_, worst, _) = times.select_nth_unstable_by(last, |left, right| match direction {
        Direction::Backward => right.cmp(left),
        Direction::Forward => left.cmp(right),
    });
    Some(*worst)
}

/// What of a time is not beyond the worst one that is of use; all of it where all is beyond.
fn reach(direction: Direction, time: TimeRange, worst: Option<i64>) -> TimeRange {
    let within = worst.and_then(|worst| match direction {
        Direction::Backward => TimeUnit::Nanos.range(worst.max(time.min), time.max),
        Direction::Forward => TimeUnit::Nanos.range(time.min, worst.min(time.max)),
    });
    within.unwrap_or(time)
}

/// What the lines take of memory, and labels, which count for each line that has them.
fn weight(candidates: &[Candidate]) -> Weight {
    let bytes = |candidate: &Candidate| {
        size_of::<Candidate>() + candidate.entry.line.len() + candidate.entry.labels.bytes()
    };
    Weight::bytes(candidates.iter().map(bytes).sum())
}

/// What each thread has for itself.
struct Worker {
    direction: Direction,
    limit: usize,
    /// Times beyond this one are of no use.
    bound: Option<i64>,
    found: Vec<Candidate>,
    statistics: Statistics,
    buffers: Buffers,
    known: HashMap<Vec<u8>, Arc<EntryLabels>>,
}

impl Worker {
    fn new(direction: Direction, limit: usize, bound: Option<i64>) -> Self {
        let (found, statistics, known) = (Vec::new(), Statistics::default(), HashMap::new());
        let buffers = Buffers::default();
        Self { direction, limit, bound, found, statistics, buffers, known }
    }

    fn piece(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        scratch: &mut Scratch,
        (piece, is_known, found): (usize, bool, Option<FoundRows>),
        time: TimeRange,
    ) -> Result<()> {
        let mut statistics = Statistics::default();
        let visit = |rows: &Rows<'_>, picked: &Picked| {
            self.rows(bounds, reading, (piece, rows), picked, time)
        };
        match found {
            Some(found) => {
                reading.piece_found((found, time), scratch, &mut statistics, visit)?;
            }
            None => reading.piece_within((piece, time), scratch, &mut statistics, visit)?,
        }
        if is_known {
            // A piece counts once, however many slices read some of it.
            (statistics.lines, statistics.bytes) = (0, 0);
        }
        self.statistics.add(&statistics);
        Ok(())
    }

    fn rows(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        (piece, rows): (usize, &Rows<'_>),
        picked: &Picked,
        time: TimeRange,
    ) -> Result<()> {
        let order = self.in_order(rows, picked, time);
        let mut portions = bounds.holding.portions();
        let nothing = Labels::empty();
        let mut state = LineState::new(&nothing);
        let found_before = self.found.len();
        for (turn, row) in order.into_iter().enumerate() {
            if turn % ROWS_PER_CHECK == ROWS_PER_CHECK - 1 {
                bounds.control.check()?;
            }
            let (row, time) = (row as usize, rows.times[row as usize]);
            let is_beyond =
                self.bound.is_some_and(|bound| comes_before(self.direction, bound, time));
            if is_beyond || self.found.len() - found_before >= self.limit {
                break;
            }
            let stream = rows.streams[row];
            state.begin(time, reading.selection.labels(stream), rows.lines.get(row));
            add_fields(rows, row, &mut state.labels);
            if reading.pipeline.run(&mut state, &mut self.buffers) {
                self.keep(stream, (piece, row), &mut state, &mut portions)?;
            }
        }
        self.statistics.lines_after_filters += (self.found.len() - found_before) as u64;
        Ok(portions.settle()?)
    }

    fn keep(
        &mut self,
        stream: u32,
        (piece, row): (usize, usize),
        state: &mut LineState<'_>,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let mut key = stream.to_le_bytes().to_vec();
        state.labels.write_key(&mut key);
        let labels = self.labels(key, &state.labels, portions)?;
        let line = state.line.take();
        portions.take(Weight::bytes(line.len() + size_of::<Candidate>()))?;
        let entry = LogEntry { time_ns: state.time, line, labels };
        self.found.push(Candidate { place: (state.time, piece, row), entry });
        Ok(())
    }

    /// The rows within a time, in the order of the answer.
    fn in_order(&self, rows: &Rows<'_>, picked: &Picked, time: TimeRange) -> Vec<u32> {
        let mut order: Vec<u32> = (0..picked.len()).map(|index| picked.row(index) as u32).collect();
        order.retain(|row| time.contains(rows.times[*row as usize]));
        match self.direction {
            Direction::Forward => order.sort_by_key(|row| rows.times[*row as usize]),
            Direction::Backward => {
                order.sort_unstable_by_key(|row| {
                    std::cmp::Reverse((rows.times[*row as usize], *row))
                });
            }
        }
        order
    }

    fn labels(
        &mut self,
        key: Vec<u8>,
        labels: &LineLabels<'_>,
        portions: &mut Portions<'_>,
    ) -> Result<Arc<EntryLabels>> {
        if let Some(known) = self.known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let sorted = portions.labels(2 * labels.length() + 2 * key.len(), || labels.sorted())?;
        let sorted = Arc::new(sorted);
        self.known.insert(key, Arc::clone(&sorted));
        Ok(sorted)
    }
}

/// Leaves a line out where it comes sooner after the one before it than the interval.
fn thin_out(entries: &mut Vec<LogEntry>, interval_ns: i64) {
    let mut last: Option<i64> = None;
    entries.retain(|entry| {
        let keeps =
            last.is_none_or(|last| last.abs_diff(entry.time_ns) >= interval_ns.unsigned_abs());
        if keeps {
            last = Some(entry.time_ns);
        }
        keeps
    });
}
