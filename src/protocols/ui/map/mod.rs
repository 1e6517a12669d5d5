//! `trace/{id}/map`: a trace collapsed to the spans with which work enters a service.
//!
//! `spans`: the columns of the trace. `target`: which database, queue or other service a client's span
//! asks. `nodes`: calls of one operation by one caller as a node, with their counts. `critical`: which spans
//! the end of the trace waited for.
//! Nothing recurses: traces may be as deep as they are long.

mod critical;
mod nodes;
mod spans;
mod target;

use super::envelope::{Context, Stats, UiError, column, millis, whole};
use crate::api::json as write;
use crate::traces::json::hex;
use axum::response::Response;
use critical::CriticalPath;
use model::{ErrorKind, TimeUnit};
use nodes::{Node, Nodes};
use spans::TraceSpans;
use trace_store::{Piece, Select};

/// The bytes that are taken for each span while the map is made.
const SPAN_BYTES: usize = 96;

/// The critical path of an answer has no more pieces.
const PIECES_MAX: usize = 2_000;

pub(super) fn map(context: &Context) -> Result<Response, UiError> {
    let started = context.services().clock.now();
    let trace_id = context.trace_in_path()?;
    let time = TimeUnit::Nanos.everything();
    let wanted = Select { time, trace_id: Some(trace_id), are_whole: true };
    let selection = context.traces()?.store.select(&context.call.tenant, &wanted)?;
    let mut found = None;
    for index in 0..selection.pieces().len() {
        found = found.or(selection.read(index)?);
    }
    let Some(piece) = found else {
        return Err(UiError::new(ErrorKind::NotFound, "there is no trace with this id"));
    };
    let mut stats = Stats { scanned: piece.rows() as u64, warnings: selection.warnings() };
    let mut out = b"{\"trace_id\":".to_vec();
    write::text(&mut out, &hex(&trace_id));
    write_map(context, &piece, &mut out, &mut stats)?;
    context.finish(out, &stats, started)
}

fn write_map(
    context: &Context,
    piece: &Piece,
    out: &mut Vec<u8>,
    stats: &mut Stats,
) -> Result<(), UiError> {
    let bytes = piece.rows().saturating_mul(SPAN_BYTES);
    context.call.held.take(bytes).map_err(crate::ServiceError::from)?;
    let control = context.trace_control();
    let spans = TraceSpans::of(piece)?;
    control.check().map_err(traceql::QueryError::from)?;
    let path = CriticalPath::of(&spans);
    control.check().map_err(traceql::QueryError::from)?;
    let nodes = Nodes::of(&spans, &path)?;
    stats.warnings.extend(nodes.warning());
    let start = spans.start();
    out.extend_from_slice(b",\"start_ms\":");
    millis(out, start);
    out.extend_from_slice(b",\"duration_ms\":");
    millis(out, spans.end().saturating_sub(start));
    out.extend_from_slice(b",\"spans\":");
    whole(out, spans.len());
    write_nodes(out, &nodes, &spans);
    write_edges(out, &nodes);
    write_path(out, &path, &nodes, &spans, stats);
    Ok(())
}

fn write_nodes(out: &mut Vec<u8>, nodes: &Nodes, spans: &TraceSpans<'_>) {
    let (list, start) = (&nodes.list, spans.start());
    out.extend_from_slice(b",\"nodes\":{\"count\":");
    whole(out, list.len());
    column(out, "kind", list, |out, node| write::text(out, node.kind.as_str()));
    column(out, "service", list, |out, node| write::text(out, &node.service));
    column(out, "name", list, |out, node| write::text(out, &node.name));
    column(out, "span_id", list, |out, node| write::text(out, &hex(&spans.id(node.first))));
    column(out, "start_ms", list, |out, node| millis(out, node.start.saturating_sub(start)));
    column(out, "end_ms", list, |out, node| millis(out, node.end.saturating_sub(start)));
    column(out, "total_ms", list, |out, node| millis(out, node.total_ns));
    column(out, "self_ms", list, |out, node| millis(out, node.self_ns));
    column(out, "critical_ms", list, |out, node| millis(out, node.critical_ns));
    column(out, "calls", list, |out, node| whole(out, node.calls));
    column(out, "errors", list, |out, node| whole(out, node.errors));
    column(out, "spans", list, |out, node| whole(out, node.spans));
    column(out, "sql", list, |out, node| whole(out, node.sql.count));
    column(out, "sql_ms", list, |out, node| millis(out, node.sql.nanos));
    column(out, "http", list, |out, node| whole(out, node.http.count));
    column(out, "http_ms", list, |out, node| millis(out, node.http.nanos));
    out.push(b'}');
}

fn write_edges(out: &mut Vec<u8>, nodes: &Nodes) {
    let edges: Vec<(u32, u32, &Node)> =
        (0..).zip(&nodes.list).filter_map(|(to, node)| Some((node.parent?, to, node))).collect();
    out.extend_from_slice(b",\"edges\":{\"count\":");
    whole(out, edges.len());
    column(out, "from", &edges, |out, (from, ..)| whole(out, *from));
    column(out, "to", &edges, |out, (_, to, _)| whole(out, *to));
    column(out, "calls", &edges, |out, (.., node)| whole(out, node.calls));
    column(out, "errors", &edges, |out, (.., node)| whole(out, node.errors));
    out.push(b'}');
}

fn write_path(
    out: &mut Vec<u8>,
    path: &CriticalPath,
    nodes: &Nodes,
    spans: &TraceSpans<'_>,
    stats: &mut Stats,
) {
    let (pieces, start) = (&path.pieces, spans.start());
    if pieces.len() > PIECES_MAX {
        let message = format!(
            "the critical path has {} pieces, of which the first {PIECES_MAX} are listed",
            pieces.len()
        );
        stats.warnings.push(message);
    }
    let pieces = &pieces[..pieces.len().min(PIECES_MAX)];
    out.extend_from_slice(b",\"critical_path\":{\"count\":");
    whole(out, pieces.len());
    column(out, "span_id", pieces, |out, piece| write::text(out, &hex(&spans.id(piece.row))));
    column(out, "node", pieces, |out, piece| whole(out, nodes.of_row[piece.row as usize]));
    column(out, "start_ms", pieces, |out, piece| millis(out, piece.from.saturating_sub(start)));
    column(out, "ms", pieces, |out, piece| millis(out, piece.to - piece.from));
    out.push(b'}');
}
