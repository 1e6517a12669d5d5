//! Spans as the tests know them: written to a store, and read back.

use engine::testing::World;
use model::{TenantId, TimeRange};
use platform::sim::{SimClock, SimDisk};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use trace_store::{
    Column, EIGHTH_NS, ORPHAN, Piece, ROOT, Select, SpanBatch, StoreError, StoreSettings, Table,
    TraceStore, decode_value,
};
use wire::otlp::{AnyValue, Attribute};
use wire::{EventRef, LinkRef, SpanRef, SpanSink};

/// Attributes as text: the name, the type and the value.
pub(crate) type Shown = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) trace: u8,
    pub(crate) id: u8,
    /// 0 for none.
    pub(crate) parent: u8,
    pub(crate) start: u64,
    /// The end may be before the start.
    pub(crate) length: i64,
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) status: u8,
    pub(crate) resource: Shown,
    pub(crate) scope: Shown,
    pub(crate) attributes: Shown,
    pub(crate) events: Vec<Shown>,
    pub(crate) links: Vec<Shown>,
}

fn value_of(text: &str) -> AnyValue<'_> {
    let (kind, value) = text.split_once(':').unwrap();
    match kind {
        "text" => AnyValue::Text(Cow::Borrowed(value)),
        "int" => AnyValue::Int(value.parse().unwrap()),
        "double" => AnyValue::Double(value.parse().unwrap()),
        "bool" => AnyValue::Bool(value == "true"),
        "bytes" => AnyValue::Bytes(value.as_bytes().into()),
        _ => AnyValue::Array(vec![AnyValue::Text(value.into()), AnyValue::Int(1)]),
    }
}

fn text_of(column: &Column, row: usize) -> Option<String> {
    match column {
        Column::Text(texts) => {
            let text = texts.get(row)?;
            Some(format!("text:{}", String::from_utf8_lossy(text)))
        }
        Column::Int(values) => Some(format!("int:{}", values.get(row)?)),
        Column::Double(values) => Some(format!("double:{:?}", values.get(row)?)),
        Column::Bool(values) => Some(format!("bool:{}", values.get(row)?)),
        Column::Other(texts) => Some(match decode_value(texts.get(row)?).unwrap() {
            AnyValue::Bytes(bytes) => format!("bytes:{}", String::from_utf8_lossy(&bytes)),
            AnyValue::Array(values) => format!("array:{}", values[0].as_text()),
            other => format!("{other:?}"),
        }),
    }
}

fn attributes(shown: &Shown) -> Vec<Attribute<'_>> {
    shown
        .iter()
        .map(|(key, value)| Attribute { key: Cow::Borrowed(&**key), value: value_of(value) })
        .collect()
}

const SCOPE_NAME: &str = "lib";

pub(crate) fn fill(batch: &mut SpanBatch, spans: &[Span]) {
    for span in spans {
        batch.resource(&attributes(&span.resource));
        batch.scope(SCOPE_NAME, "", &attributes(&span.scope));
        let attributes_of_span = attributes(&span.attributes);
        let event = |shown| EventRef {
            time_ns: span.start + 3,
            name: "event".into(),
            attributes: attributes(shown),
            ..EventRef::default()
        };
        let link = |shown| LinkRef {
            trace_id: [7; 16],
            span_id: [8; 8],
            attributes: attributes(shown),
            ..LinkRef::default()
        };
        batch.span(&SpanRef {
            trace_id: [span.trace; 16],
            span_id: [span.id; 8],
            parent_span_id: [span.parent; 8],
            name: &span.name,
            kind: span.kind,
            status: span.status,
            start_ns: span.start,
            end_ns: span.start.wrapping_add_signed(span.length),
            attributes: &attributes_of_span,
            events: &span.events.iter().map(event).collect::<Vec<_>>(),
            links: &span.links.iter().map(link).collect::<Vec<_>>(),
            ..SpanRef::default()
        });
    }
}

/// The attributes of a row that were sent as attributes.
fn shown(piece: &Piece, table: Table, row: usize) -> Result<Shown, StoreError> {
    let mut found = Shown::new();
    let names: BTreeSet<&str> =
        piece.keys(table).iter().filter(|key| !key.is_intrinsic).map(|key| &*key.name).collect();
    for name in names {
        for column in piece.columns(table, false, name)?.iter() {
            if let Some(text) = text_of(column, row) {
                assert_eq!(found.insert(name.to_owned(), text), None);
            }
        }
    }
    Ok(found)
}

fn intrinsic(
    piece: &Piece,
    table: Table,
    name: &str,
    row: usize,
) -> Result<Option<String>, StoreError> {
    Ok(piece.columns(table, true, name)?.iter().find_map(|column| text_of(column, row)))
}

fn children(piece: &Piece, table: Table, row: usize) -> Result<Vec<Shown>, StoreError> {
    let ends = piece.child_ends(table)?;
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    (start..ends[row] as usize)
        .map(|child| {
            match table {
                Table::Event => {
                    let name = intrinsic(piece, table, "name", child)?;
                    assert_eq!(name.as_deref(), Some("text:event"));
                    let time = intrinsic(piece, table, "timeSinceStart", child)?;
                    assert_eq!(time.as_deref(), Some("int:3"));
                }
                _ => {
                    let id = intrinsic(piece, table, "spanID", child)?;
                    assert_eq!(id.as_deref(), Some("text:0808080808080808"));
                }
            }
            shown(piece, table, child)
        })
        .collect()
}

fn span_of(piece: &Piece, trace: &[u8; 16], row: usize) -> Result<Span, StoreError> {
    let entity = |table| Ok::<_, StoreError>(piece.entities(table)?[row] as usize);
    let duration = i64::try_from(piece.durations()?[row]).unwrap();
    let scope = entity(Table::Scope)?;
    let name = intrinsic(piece, Table::Scope, "name", scope)?;
    assert_eq!(name.as_deref(), Some("text:lib"));
    Ok(Span {
        trace: trace[0],
        id: piece.span_ids()?[row][0],
        parent: piece.parent_id(row)?.map_or(0, |id| id[0]),
        start: piece.starts()?[row],
        length: duration,
        name: String::from_utf8(piece.names()?.get(row).unwrap().to_vec()).unwrap(),
        kind: piece.kinds()?[row],
        status: piece.statuses()?[row],
        resource: shown(piece, Table::Resource, entity(Table::Resource)?)?,
        scope: shown(piece, Table::Scope, scope)?,
        attributes: shown(piece, Table::Span, row)?,
        events: children(piece, Table::Event, row)?,
        links: children(piece, Table::Link, row)?,
    })
}

/// Checks that the trees of a piece are in order, and that every parent that is there is found.
fn check_trees(piece: &Piece) -> Result<(), StoreError> {
    let (parents, starts) = (piece.parents()?, piece.starts()?);
    let ids = piece.span_ids()?;
    let mut first = 0usize;
    for end in piece.trace_ends()? {
        let rows = first..*end as usize;
        for row in rows.clone() {
            match parents[row] {
                ROOT => assert_eq!(piece.parent_id(row)?, None),
                ORPHAN => assert!(piece.parent_id(row)?.is_some()),
                parent => {
                    let parent = parent as usize;
                    assert!(rows.contains(&parent) && parent < row);
                    let of_parent = Some(ids[parent]) == piece.parent_id(row)?;
                    assert!(of_parent || ids[parent] == ids[row]);
                }
            }
        }
        let siblings = |parent: u32| rows.clone().filter(move |row| parents[*row] == parent);
        for parent in rows.clone().map(|row| row as u32) {
            let times: Vec<u64> = siblings(parent).map(|row| starts[row]).collect();
            assert!(times.is_sorted(), "siblings are in the order of their start");
        }
        first = *end as usize;
    }
    Ok(())
}

/// Checks that the entries are those that the spans say, whether they are recorded or not.
fn check_entries(piece: &Piece) -> Result<(), StoreError> {
    const SECOND_NS: u64 = 1_000_000_000;
    let entries = piece.entries()?;
    let mut found = (0..entries.len()).map(|entry| {
        let length = (entries.eighths(entry), entries.is_error(entry));
        (entries.rows[entry], entries.ends_s[entry], length)
    });
    for row in 0..piece.rows() {
        if matches!(piece.kinds()?[row], 2 | 5) || piece.parents()?[row] == ROOT {
            let duration = piece.durations()?[row];
            let end_s = (piece.starts()?[row] + duration) / SECOND_NS;
            let length = ((duration / EIGHTH_NS) as u32, piece.statuses()?[row] == 2);
            assert_eq!(found.next(), Some((row as u32, end_s, length)));
        }
    }
    assert_eq!(found.next(), None);
    Ok(())
}

/// The spans that a selection has; whole traces are checked to be in one piece each.
pub(crate) fn read(store: &TraceStore, tenant: &TenantId, wanted: &Select) -> Vec<Span> {
    let (spans, warnings) = read_with_warnings(store, tenant, wanted);
    assert_eq!(warnings, Vec::<String>::new());
    spans
}

/// The spans that can be read, and what the reader should know.
pub(crate) fn read_with_warnings(
    store: &TraceStore,
    tenant: &TenantId,
    wanted: &Select,
) -> (Vec<Span>, Vec<String>) {
    let selection = store.select(tenant, wanted).unwrap();
    assert!(selection.pieces().is_sorted_by(|a, b| a.time.max >= b.time.max));
    let (mut spans, mut seen) = (Vec::new(), BTreeSet::new());
    for index in 0..selection.pieces().len() {
        let Some(piece) = selection.read(index).unwrap() else { continue };
        match piece_spans(&piece, wanted.are_whole, &mut seen) {
            Ok(of_piece) => spans.extend(of_piece),
            Err(error) => selection.piece_failed(index, error).unwrap(),
        }
    }
    spans.sort();
    (spans, selection.warnings())
}

fn piece_spans(
    piece: &Piece,
    are_whole: bool,
    seen: &mut BTreeSet<[u8; 16]>,
) -> Result<Vec<Span>, StoreError> {
    check_trees(piece)?;
    check_entries(piece)?;
    let (mut first, mut traces) = (0usize, Vec::new());
    for (trace, (id, end)) in piece.trace_ids()?.iter().zip(piece.trace_ends()?).enumerate() {
        let rows = std::mem::replace(&mut first, *end as usize)..*end as usize;
        if piece.wanted().is_some_and(|wanted| !wanted.contains(rows.start)) {
            continue;
        }
        let of_trace: Vec<Span> =
            rows.map(|row| span_of(piece, id, row)).collect::<Result<_, _>>()?;
        let last = of_trace.iter().map(|span| span.start + span.length as u64).max().unwrap();
        let lasted = last - piece.trace_starts()?[trace];
        assert_eq!(
            piece.trace_starts()?[trace],
            of_trace.iter().map(|span| span.start).min().unwrap()
        );
        assert_eq!(piece.trace_durations()?[trace], lasted);
        assert!(seen.insert(*id) || !are_whole, "a trace is in one piece");
        traces.push((trace, of_trace));
    }
    check_some(piece, &traces)?;
    Ok(traces.into_iter().flat_map(|(_, spans)| spans).collect())
}

/// Every other trace, read without the others, has its spans.
fn check_some(piece: &Piece, traces: &[(usize, Vec<Span>)]) -> Result<(), StoreError> {
    let expected: Vec<&(usize, Vec<Span>)> = traces.iter().step_by(2).collect();
    let numbers: Vec<u32> = expected.iter().map(|(trace, _)| *trace as u32).collect();
    let Some(some) = piece.some(&numbers)? else { return Ok(()) };
    assert_eq!(some.wanted(), None);
    check_entries(&some)?;
    let mut row = 0;
    for ((_, spans), id) in expected.into_iter().zip(some.trace_ids()?) {
        for span in spans {
            assert_eq!(span_of(&some, id, row)?, *span);
            row += 1;
        }
    }
    assert_eq!(some.rows(), row);
    // Of those that are left out the piece says so.
    if let Some(wanted) = piece.wanted() {
        let all: Vec<u32> = (0..piece.trace_ids()?.len() as u32).collect();
        assert_eq!(piece.some(&all)?.unwrap().wanted(), Some(wanted));
    }
    Ok(())
}

/// A store on this disk, and its world.
pub(crate) fn open(
    disk: &SimDisk,
    clock: &Arc<SimClock>,
    seed: u64,
) -> Result<(TraceStore, World), Box<dyn Error>> {
    World::open(disk.clone(), Arc::clone(clock), seed, false, |site| {
        let store = TraceStore::open(site, StoreSettings::default())?;
        let engine = store.engine();
        Ok((store, engine))
    })
}

pub(crate) fn whole(time: TimeRange) -> Select {
    Select { time, trace_id: None, are_whole: true }
}
