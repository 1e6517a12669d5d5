//! Calls between operations: which entry of which service was worked on for which other one.
//!
//! The caller of an entry is the entry nearest above it in the tree; an entry without one came from
//! outside. Calls count where the called entry ended in the time of the request.

use super::super::{Context, Request, Result, reading};
use super::{Chosen, Services};
use query::Weight;
use std::collections::HashMap;
use trace_store::{ABSENT, Piece, RowSet, Table, TextColumn, TraceStore};

/// A service's name, which a resource may lack, and the name of its spans.
pub type Operation = (Option<String>, String);

/// The calls from one operation to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// `None`: from outside.
    pub caller: Option<Operation>,
    pub called: Operation,
    pub calls: u64,
    pub errors: u64,
    /// Of the called side, in nanoseconds.
    pub total_ns: u64,
    pub longest_ns: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsFound {
    /// Those with the most calls first.
    pub list: Vec<Calls>,
    /// Whether there are more than were asked for.
    pub has_more: bool,
}

/// Of which operations the calls are asked for, as callers or as called ones. Empty: of any.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFilter<'f> {
    pub service: &'f str,
    pub operation: &'f str,
    /// So many at most, those with the most calls.
    pub limit: usize,
}

impl CallFilter<'_> {
    fn fits(&self, (service, name): &Operation) -> bool {
        let is_service = self.service.is_empty() || service.as_deref() == Some(self.service);
        is_service && (self.operation.is_empty() || name == self.operation)
    }
}

/// The row of a resource, and the code of a name.
type Coded = (u32, u32);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u64,
    errors: u64,
    total_ns: u64,
    longest_ns: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }
}

type Edges = HashMap<(Option<Operation>, Operation), Counts>;

/// What an edge takes beside its texts.
const EDGE_BYTES: usize = size_of::<(Option<Operation>, Operation)>() + size_of::<Counts>() + 16;

pub(in super::super) fn run(
    context: &Context<'_>,
    store: &TraceStore,
    request: &Request<'_>,
    filter: &CallFilter<'_>,
) -> Result<CallsFound> {
    let times = (request.start_ns, request.end_ns);
    let chosen = Chosen { plan: None, service: None, are_whole: true };
    let selection = context.select(store, &chosen.select(times))?;
    let work = |edges: &mut Edges, piece: &Piece| {
        let grown = add_piece(edges, piece, times, filter)?;
        Ok(context.holding.take(Weight::bytes(grown))?)
    };
    let pieces = (0..selection.pieces().len()).collect();
    let mut all = Edges::new();
    for edges in reading::fold(context, &selection, pieces, Edges::new, work)? {
        edges.into_iter().for_each(|(key, counts)| all.entry(key).or_default().add(&counts));
    }
    context.finish(&selection);
    let calls = |((caller, called), counts): (_, Counts)| {
        let Counts { calls, errors, total_ns, longest_ns } = counts;
        Calls { caller, called, calls, errors, total_ns, longest_ns }
    };
    let mut list: Vec<Calls> = all.into_iter().map(calls).collect();
    list.sort_by(|one, other| {
        let names = || (&one.caller, &one.called).cmp(&(&other.caller, &other.called));
        other.calls.cmp(&one.calls).then_with(names)
    });
    let has_more = list.len() > filter.limit;
    list.truncate(filter.limit);
    Ok(CallsFound { list, has_more })
}

/// Adds the calls of a piece, and returns how much memory they have taken.
fn add_piece(
    edges: &mut Edges,
    piece: &Piece,
    times: (i64, i64),
    filter: &CallFilter<'_>,
) -> Result<usize> {
    let mut coded: HashMap<(Option<Coded>, Coded), Counts> = HashMap::new();
    count(piece, times, &mut coded)?;
    let naming = Naming::new(piece)?;
    let mut grown = 0;
    for ((caller, called), counts) in coded {
        let caller = caller.map(|caller| naming.operation(caller));
        let called = naming.operation(called);
        if !filter.fits(&called) && !caller.as_ref().is_some_and(|caller| filter.fits(caller)) {
            continue;
        }
        let texts =
            |(service, name): &Operation| service.as_ref().map_or(0, String::len) + name.len();
        let bytes = EDGE_BYTES + texts(&called) + caller.as_ref().map_or(0, texts);
        let known = edges.entry((caller, called)).or_insert_with(|| {
            grown += bytes;
            Counts::default()
        });
        known.add(&counts);
    }
    Ok(grown)
}

fn count(
    piece: &Piece,
    (start_ns, end_ns): (i64, i64),
    coded: &mut HashMap<(Option<Coded>, Coded), Counts>,
) -> Result<()> {
    let entries = piece.entries()?;
    let mut are_entries = RowSet::none(piece.rows());
    entries.rows.iter().for_each(|row| are_entries.insert(*row as usize));
    let (parents, statuses) = (piece.parents()?, piece.statuses()?);
    let (starts, durations) = (piece.starts()?, piece.durations()?);
    let (resources, names) = (piece.entities(Table::Resource)?, piece.names()?);
    let code = |row: usize| (resources[row], names.codes[row]);
    // Rows are in tree order: what is known of the parent is known before its children are looked at.
    let mut above: Vec<Option<u32>> = Vec::with_capacity(parents.len());
    for (row, parent) in parents.iter().enumerate() {
        let parent = (*parent as usize) < row;
        let nearest = if parent { above[parents[row] as usize] } else { None };
        let is_entry = are_entries.contains(row);
        above.push(if is_entry { Some(row as u32) } else { nearest });
        let end = i128::from(starts[row]) + i128::from(durations[row]);
        let is_in_time = (i128::from(start_ns)..=i128::from(end_ns)).contains(&end);
        let is_wanted = piece.wanted().is_none_or(|wanted| wanted.contains(row));
        if !is_entry || !is_in_time || !is_wanted {
            continue;
        }
        let caller = nearest.map(|caller| code(caller as usize));
        coded.entry((caller, code(row))).or_default().add(&Counts {
            calls: 1,
            errors: u64::from(statuses[row] == crate::Status::Error as u8),
            total_ns: durations[row],
            longest_ns: durations[row],
        });
    }
    Ok(())
}

/// Texts of a piece's services and names.
struct Naming<'p> {
    names: &'p TextColumn,
    services: Services,
}

impl<'p> Naming<'p> {
    fn new(piece: &'p Piece) -> Result<Self> {
        Ok(Self { names: piece.names()?, services: Services::new(piece)? })
    }

    fn operation(&self, (resource, name): Coded) -> Operation {
        let name = match name {
            ABSENT => String::new(),
            name => String::from_utf8_lossy(self.names.values.get(name as usize)).into_owned(),
        };
        (self.services.name(resource as usize), name)
    }
}
