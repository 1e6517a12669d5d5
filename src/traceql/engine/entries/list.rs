//! The entries in a box of end and duration: the latest or the longest, with what is shown of them.
//!
//! Pieces are read from the newest on; what the entries of a piece record in whole seconds and eighths says
//! whether its columns need be read.

use super::super::view::View;
use super::super::{Context, Request, Result, reading};
use super::{Chosen, Services};
use crate::error::QueryError;
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;
use trace_store::{Column, EIGHTH_NS, Entries, Piece, RowSet, Table, TraceStore};

/// Which entries come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EntryOrder {
    /// The latest.
    #[default]
    End,
    /// The longest.
    Duration,
}

/// Which entries are listed, beside the times of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBox {
    /// Nanoseconds, without the end.
    pub durations: Range<u64>,
    /// Failed ones only, or all others only.
    pub are_errors: Option<bool>,
    pub order: EntryOrder,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFound {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub end_ns: u64,
    pub duration_ns: u64,
    /// `None` where the resource names none.
    pub service: Option<String>,
    pub name: String,
    /// As OTLP numbers them.
    pub kind: u8,
    pub status: u8,
    pub http_status: Option<u16>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryList {
    pub entries: Vec<EntryFound>,
    /// Whether there may be more than were asked for.
    pub has_more: bool,
}

/// What entries are sorted by, first the one that is asked for.
type Order = (Reverse<u64>, Reverse<u64>, [u8; 16], [u8; 8]);

impl EntryBox {
    fn order(&self, entry: &EntryFound) -> Order {
        let key = self.key(entry.end_ns, entry.duration_ns);
        (Reverse(key.0), Reverse(key.1), entry.trace_id, entry.span_id)
    }

    fn key(&self, end: u64, duration: u64) -> (u64, u64) {
        match self.order {
            EntryOrder::End => (end, duration),
            EntryOrder::Duration => (duration, end),
        }
    }
}

const SECOND_NS: u64 = 1_000_000_000;

/// The box with the times of the request.
struct Asked<'a> {
    chosen: &'a Chosen,
    of: &'a EntryBox,
    /// Nanoseconds, without the end.
    ends: Range<u64>,
}

pub(in super::super) fn run(
    context: &Context<'_>,
    store: &TraceStore,
    chosen: &Chosen,
    request: &Request<'_>,
    of: &EntryBox,
) -> Result<EntryList> {
    let most = context.options.limits.traces_max;
    if of.limit == 0 || of.limit > most {
        return Err(QueryError::Invalid(format!("a list may have 1 to {most} entries")));
    }
    let nanos = |ns: i64| u64::try_from(ns).unwrap_or(0);
    let ends = nanos(request.start_ns)..nanos(request.end_ns.saturating_add(1));
    let asked = Asked { chosen, of, ends };
    let times = (request.start_ns, request.end_ns);
    let selection = context.select(store, &chosen.select(times))?;
    let (mut list, mut next) = (EntryList::default(), 0);
    let count = selection.pieces().len();
    while next < count {
        let floor = asked.floor(&list);
        let newest = nanos(selection.pieces()[next].time.max);
        if of.order == EntryOrder::End && floor.is_some_and(|floor| newest < floor) {
            list.has_more = true;
            break;
        }
        let wave = next..(next + context.options.helpers.width().max(1)).min(count);
        next = wave.end;
        let search = |piece: &Piece| asked.in_piece(context, piece, floor);
        for (found, has_more) in reading::each(context, &selection, wave.collect(), search)? {
            list.entries.extend(found);
            list.has_more |= has_more;
        }
        asked.keep_first(&mut list);
        context.hold(list.entries.iter().map(bytes_of).sum())?;
    }
    context.finish(&selection);
    Ok(list)
}

fn bytes_of(entry: &EntryFound) -> usize {
    let texts = entry.name.len() + entry.service.as_ref().map_or(0, String::len);
    size_of::<EntryFound>() + texts
}

impl Asked<'_> {
    fn keep_first(&self, list: &mut EntryList) {
        list.entries.sort_by_cached_key(|entry| self.of.order(entry));
        list.has_more |= list.entries.len() > self.of.limit;
        list.entries.truncate(self.of.limit);
    }

    /// What an entry must reach to be of use, once there are enough.
    fn floor(&self, list: &EntryList) -> Option<u64> {
        let last = list.entries.last().filter(|_| list.entries.len() >= self.of.limit)?;
        Some(self.of.key(last.end_ns, last.duration_ns).0)
    }

    /// Those that may be in the box, by what is recorded of them, and whether others were left out
    /// because they can't reach the floor.
    fn candidates(&self, entries: &Entries, rows: Option<&RowSet>, floor: u64) -> (Vec<u32>, bool) {
        let ends_s = self.ends.start / SECOND_NS..=self.ends.end.saturating_sub(1) / SECOND_NS;
        let durations = &self.of.durations;
        let last = durations.end.saturating_sub(1) / EIGHTH_NS;
        let eighths = durations.start / EIGHTH_NS..=last;
        let (mut found, mut has_more) = (Vec::new(), false);
        for (entry, row) in entries.rows.iter().enumerate() {
            let (end_s, length) = (entries.ends_s[entry], u64::from(entries.eighths(entry)));
            if !ends_s.contains(&end_s)
                || !eighths.contains(&length)
                || self.of.are_errors.is_some_and(|wanted| wanted != entries.is_error(entry))
                || rows.is_some_and(|rows| !rows.contains(*row as usize))
            {
                continue;
            }
            // What it may be at most.
            let end = (end_s + 1).saturating_mul(SECOND_NS);
            let key = self.of.key(end, (length + 1).saturating_mul(EIGHTH_NS)).0;
            match key >= floor {
                true => found.push(*row),
                false => has_more = true,
            }
        }
        (found, has_more)
    }

    /// The first entries of a piece, in no order, and whether there are others.
    fn in_piece(
        &self,
        context: &Context<'_>,
        piece: &Piece,
        floor: Option<u64>,
    ) -> Result<(Vec<EntryFound>, bool)> {
        let rows = self.chosen.rows(piece)?;
        let floor = floor.unwrap_or(0);
        let (candidates, mut has_more) = self.candidates(&*piece.entries()?, rows.as_ref(), floor);
        if candidates.is_empty() {
            return Ok((Vec::new(), has_more));
        }
        context.control.check()?;
        let view = View::new(piece)?;
        let (starts, durations) = (piece.starts()?, piece.durations()?);
        let (span_ids, trace_ids) = (piece.span_ids()?, piece.trace_ids()?);
        let mut exact: Vec<(Order, u32)> = Vec::with_capacity(candidates.len());
        for row in candidates {
            let (at, duration) = (row as usize, durations[row as usize]);
            let end = starts[at].saturating_add(duration);
            if self.ends.contains(&end) && self.of.durations.contains(&duration) {
                let key = self.of.key(end, duration);
                let ids = (trace_ids[view.trace_of_row(at)], span_ids[at]);
                exact.push(((Reverse(key.0), Reverse(key.1), ids.0, ids.1), row));
            }
        }
        exact.sort_unstable();
        has_more |= exact.len() > self.of.limit;
        exact.truncate(self.of.limit);
        let showing = Showing::new(&view)?;
        let found = exact.into_iter().map(|(_, row)| showing.entry(row as usize));
        Ok((found.collect::<Result<_>>()?, has_more))
    }
}

/// The attributes that hold the status of an answer of HTTP, the newer one first.
const HTTP_STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];

/// Puts together what is shown of an entry.
struct Showing<'v, 'p> {
    view: &'v View<'p>,
    services: Services,
    http_statuses: [Arc<[Column]>; 2],
}

impl<'v, 'p> Showing<'v, 'p> {
    fn new(view: &'v View<'p>) -> Result<Self> {
        let piece = view.piece;
        let [newer, older] = HTTP_STATUS.map(|name| piece.columns(Table::Span, false, name));
        let services = Services::new(piece)?;
        Ok(Self { view, services, http_statuses: [newer?, older?] })
    }

    fn entry(&self, row: usize) -> Result<EntryFound> {
        let piece = self.view.piece;
        let duration_ns = piece.durations()?[row];
        Ok(EntryFound {
            trace_id: piece.trace_ids()?[self.view.trace_of_row(row)],
            span_id: piece.span_ids()?[row],
            end_ns: piece.starts()?[row].saturating_add(duration_ns),
            duration_ns,
            service: self.services.name(piece.entities(Table::Resource)?[row] as usize),
            name: self.view.name(row)?,
            kind: piece.kinds()?[row],
            status: piece.statuses()?[row],
            http_status: self.http_status(row),
        })
    }

    /// Numbers, and texts of numbers.
    fn http_status(&self, row: usize) -> Option<u16> {
        let mut columns = self.http_statuses.iter().flat_map(|columns| columns.iter());
        columns.find_map(|column| match column {
            Column::Int(values) => values.get(row).and_then(|value| u16::try_from(value).ok()),
            Column::Text(texts) => std::str::from_utf8(texts.get(row)?).ok()?.parse().ok(),
            _ => None,
        })
    }
}
