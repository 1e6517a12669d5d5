//! The store against a list of spans: whatever is written, flushed, merged, deleted and read again after
//! a restart, a selection has exactly the spans that the list has, and every trace is whole.

use crate::measures::{self, Ids};
use crate::spans::{Shown, Span, fill, open, read, whole};
use engine::testing::{TODAY_NS, World};
use model::TimeUnit;
use platform::sim::{SimClock, SimDisk};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use trace_store::{Select, TraceDelete, TraceStore};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Span>),
    Flush,
    Merge(bool),
    Reopen,
    Delete(u8),
    Select(u64, u64),
    ById(u8),
    Count,
}

fn any_shown() -> impl Strategy<Value = Shown> {
    let value = prop_oneof![
        "text:[a-c]{0,3}",
        (-9_999i64..9_999).prop_map(|value| format!("int:{value}")),
        (-9i32..9).prop_map(|value| format!("double:{:?}", f64::from(value) / 4.0)),
        any::<bool>().prop_map(|value| format!("bool:{value}")),
        "bytes:[a-c]{0,3}",
        "array:[a-c]{0,3}",
        (0u32..9).prop_map(|i| format!("text:{i:016x}")),
    ];
    prop::collection::btree_map("[k-n]", value, 0..3)
}

/// Any attributes, and some that tell which service it is, or calls.
fn any_named(names: &'static [&'static str]) -> impl Strategy<Value = Shown> {
    let named = (prop::sample::select(names), "text:[ab]");
    (any_shown(), prop::collection::vec(named, 0..2)).prop_map(|(mut shown, named)| {
        shown.extend(named.into_iter().map(|(name, value)| (name.to_owned(), value)));
        shown
    })
}

const MINUTE_NS: u64 = 60_000_000_000;

fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..MINUTE_NS,
        1 => (0u64..24 * 60).prop_map(|minute| minute * MINUTE_NS),
    ]
    .prop_map(|offset| TODAY_NS as u64 + offset)
}

fn any_span() -> impl Strategy<Value = Span> {
    let ids = (1u8..9, 1u8..12, 0u8..12, any_time(), -99i64..1 << 34);
    let fixed = ("GET|POST|", 0u8..6, 0u8..3);
    let tables =
        (any_named(&["service.name"]), any_shown(), any_named(&["peer.service", "db.name"]));
    let children =
        (prop::collection::vec(any_shown(), 0..3), prop::collection::vec(any_shown(), 0..2));
    (ids, fixed, tables, children).prop_map(|(ids, fixed, tables, children)| {
        let (trace, id, parent, start, length) = ids;
        let (name, kind, status) = fixed;
        let (resource, scope, attributes) = tables;
        let (events, links) = children;
        Span {
            trace,
            id,
            parent,
            start,
            length,
            name,
            kind,
            status,
            resource,
            scope,
            attributes,
            events,
            links,
        }
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(any_span(), 1..20).prop_map(Step::Write),
        3 => Just(Step::Flush),
        2 => any::<bool>().prop_map(Step::Merge),
        1 => Just(Step::Reopen),
        1 => (1u8..9).prop_map(Step::Delete),
        3 => (any_time(), any_time()).prop_map(|(one, other)| Step::Select(one, other)),
        2 => (1u8..10).prop_map(Step::ById),
        1 => Just(Step::Count),
    ]
}

/// The spans that a reader should see, each once.
fn expected<'s>(spans: impl Iterator<Item = &'s Span>) -> Vec<Span> {
    let shown = |span: &Span| Span { length: span.length.max(0), ..span.clone() };
    spans.map(shown).collect()
}

/// Those of traces that overlap the time.
fn within(spans: &BTreeSet<Span>, from: u64, to: u64) -> Vec<Span> {
    let overlaps = |trace: u8| {
        let of_trace = || spans.iter().filter(move |span| span.trace == trace);
        let end = |span: &Span| span.start + span.length.max(0) as u64;
        of_trace().map(|span| span.start).min().is_some_and(|start| start <= to)
            && of_trace().map(end).max().is_some_and(|end| end >= from)
    };
    expected(spans.iter().filter(|span| overlaps(span.trace)))
}

fn check_range(store: &TraceStore, world: &World, spans: &BTreeSet<Span>, from: u64, to: u64) {
    let wanted = whole(TimeUnit::Nanos.between(from as i64, to as i64));
    let found = read(store, &world.tenant, &wanted);
    // Pieces hold neighbours, too.
    let all = expected(spans.iter());
    let strange: Vec<&Span> = found.iter().filter(|span| !all.contains(span)).collect();
    assert_eq!(strange, Vec::<&Span>::new(), "spans that were never written");
    let needed = within(spans, from, to);
    assert!(needed.iter().all(|span| found.contains(span)), "a trace of the time is missing");
    let traces: BTreeSet<u8> = found.iter().map(|span| span.trace).collect();
    let mut of_traces = expected(spans.iter().filter(|span| traces.contains(&span.trace)));
    of_traces.sort();
    assert_eq!(found, of_traces);
    let apart = Select { are_whole: false, ..wanted };
    let found: BTreeSet<Span> = read(store, &world.tenant, &apart).into_iter().collect();
    assert!(found.iter().all(|span| all.contains(span)));
    let is_inside = |span: &&Span| {
        let end = span.start + span.length as u64;
        span.start <= to && end >= from
    };
    assert!(all.iter().filter(is_inside).all(|span| found.contains(span)));
}

fn check_trace(store: &TraceStore, world: &World, spans: &BTreeSet<Span>, trace: u8) {
    let time = TimeUnit::Nanos.everything();
    let wanted = Select { time, trace_id: Some([trace; 16]), are_whole: true };
    let mut of_trace = expected(spans.iter().filter(|span| span.trace == trace));
    of_trace.sort();
    assert_eq!(read(store, &world.tenant, &wanted), of_trace);
}

fn run(steps: Vec<Step>, seed: u64, ids: Ids) {
    let (clock, disk) = (Arc::new(SimClock::new()), SimDisk::new());
    let (mut store, mut world) = open(&disk, &clock, seed).unwrap();
    let (mut spans, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(mut more) => {
                if ids == Ids::Unique {
                    more.retain(|span| seen.insert((span.trace, span.id)));
                }
                let mut batch = store.batch(&world.tenant);
                fill(&mut batch, &more);
                assert_eq!(world.write(batch).unwrap().spans, more.len() as u64);
                spans.extend(more);
            }
            Step::Flush => world.flush().unwrap(),
            Step::Merge(full) => drop(world.merge(full).unwrap()),
            Step::Reopen => {
                drop((store, world));
                (store, world) = open(&disk, &clock, seed + number as u64 + 1).unwrap();
            }
            Step::Delete(trace) => {
                let delete = TraceDelete { trace_ids: vec![[trace; 16]] };
                let end = world.end();
                store.delete(&world.tenant, &delete, |cut| cut(end)).unwrap();
                spans.retain(|span| span.trace != trace);
            }
            Step::Select(one, other) => {
                check_range(&store, &world, &spans, one.min(other), one.max(other));
            }
            Step::Count => measures::check(&store, &world, &spans, ids),
            Step::ById(trace) => check_trace(&store, &world, &spans, trace),
        }
    }
    check_range(&store, &world, &spans, 0, i64::MAX as u64);
    measures::check(&store, &world, &spans, ids);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_selection_has_the_spans_that_were_written(
        steps in prop::collection::vec(any_step(), 1..25), seed in 0u64..1_000,
    ) {
        run(steps, seed, Ids::Any);
    }

    #[test]
    fn calls_are_counted_wherever_their_spans_lie(
        steps in prop::collection::vec(any_step(), 1..25), seed in 0u64..1_000,
    ) {
        run(steps, seed, Ids::Unique);
    }
}
