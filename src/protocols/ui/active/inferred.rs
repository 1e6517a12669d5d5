//! Spans that have not arrived though spans below them have: most likely they are still in flight. They are
//! as old as the oldest span below them, or older; what they are called nobody knows yet.

use super::super::envelope::{Context, Stats, UiError, column, millis, text_or_null, whole};
use crate::api::json as write;
use crate::traces::active::SpanKey;
use crate::traces::json::hex;
use model::TimeUnit;
use std::collections::{HashMap, HashSet};
use trace_store::{Column, ORPHAN, Piece, Select, StoreError, Table};

/// A span below must have ended so lately. Of an older one its parent was lost, or is not sent.
const WINDOW_NS: u64 = 60_000_000_000;

/// More than these are not looked at.
const FOUND_MAX: usize = 10_000;

/// A span that is not there, and the first that began below it.
pub(super) struct Inferred {
    key: SpanKey,
    /// Of the span below.
    service: Option<String>,
    name: String,
    start_ns: u64,
    children: u64,
}

/// The spans of the newest time that are not there, the oldest first.
pub(super) fn find(
    context: &Context,
    known: &HashSet<SpanKey>,
    service: &str,
    now_ns: u64,
    stats: &mut Stats,
) -> Result<Vec<Inferred>, UiError> {
    let from_ns = now_ns.saturating_sub(WINDOW_NS);
    let time = TimeUnit::Nanos.between(i64::try_from(from_ns).unwrap_or(0), context.newest_ns());
    let wanted = Select { time, trace_id: None, are_whole: true };
    let selection = context.traces()?.store.select(&context.call.tenant, &wanted)?;
    let control = context.trace_control();
    let mut found: HashMap<SpanKey, Inferred> = HashMap::new();
    for index in 0..selection.pieces().len() {
        control.check().map_err(traceql::QueryError::from)?;
        let Some(piece) = selection.read(index)? else { continue };
        stats.scanned += piece.rows() as u64;
        match add(&piece, from_ns, known, &mut found) {
            Ok(()) => {}
            Err(error) => selection.piece_failed(index, error)?,
        }
    }
    stats.warnings.extend(selection.warnings());
    let mut list: Vec<Inferred> = found.into_values().collect();
    list.retain(|one| service.is_empty() || one.service.as_deref() == Some(service));
    list.sort_unstable_by_key(|one| (one.start_ns, one.key));
    Ok(list)
}

fn add(
    piece: &Piece,
    from_ns: u64,
    known: &HashSet<SpanKey>,
    found: &mut HashMap<SpanKey, Inferred>,
) -> Result<(), StoreError> {
    let (parents, starts, durations) = (piece.parents()?, piece.starts()?, piece.durations()?);
    let (ids, ends) = (piece.trace_ids()?, piece.trace_ends()?);
    for row in (0..parents.len()).filter(|row| parents[*row] == ORPHAN) {
        let is_new = starts[row].saturating_add(durations[row]) >= from_ns;
        if !is_new || piece.wanted().is_some_and(|wanted| !wanted.contains(row)) {
            continue;
        }
        let trace = ends.partition_point(|end| *end as usize <= row);
        let Some(parent_id) = piece.parent_id(row)? else { continue };
        let key = (ids[trace], parent_id);
        if known.contains(&key) || (found.len() >= FOUND_MAX && !found.contains_key(&key)) {
            continue;
        }
        let before = found.get(&key);
        let children = before.map_or(0, |one| one.children) + 1;
        if before.is_none_or(|one| starts[row] < one.start_ns) {
            found.insert(key, child(piece, key, row)?);
        }
        found.entry(key).and_modify(|one| one.children = children);
    }
    Ok(())
}

fn child(piece: &Piece, key: SpanKey, row: usize) -> Result<Inferred, StoreError> {
    let columns = piece.columns(Table::Resource, false, "service.name")?;
    let resource = piece.entities(Table::Resource)?[row] as usize;
    let service = columns.iter().find_map(|column| match column {
        Column::Text(names) => names.get(resource),
        _ => None,
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Inferred {
        key,
        service: service.map(text),
        name: piece.names()?.get(row).map(text).unwrap_or_default(),
        start_ns: piece.starts()?[row],
        children: 0,
    })
}

pub(super) fn write_list(out: &mut Vec<u8>, list: &[Inferred], now_ns: u64) {
    out.extend_from_slice(b",\"inferred\":{\"inferred\":true,\"count\":");
    whole(out, list.len());
    column(out, "trace_id", list, |out, one| write::text(out, &hex(&one.key.0)));
    column(out, "span_id", list, |out, one| write::text(out, &hex(&one.key.1)));
    column(out, "child_service", list, |out, one| text_or_null(out, one.service.as_deref()));
    column(out, "child_name", list, |out, one| write::text(out, &one.name));
    column(out, "children", list, |out, one| whole(out, one.children));
    column(out, "started_before_ms", list, |out, one| millis(out, one.start_ns));
    column(out, "elapsed_at_least_ms", list, |out, one| {
        millis(out, now_ns.saturating_sub(one.start_ns));
    });
    out.push(b'}');
}
