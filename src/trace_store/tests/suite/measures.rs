//! What a store counts, against what is counted of the same spans in one block: however they were flushed,
//! merged and deleted, the counts are the same.

use crate::spans::{Shown, Span, fill, open, whole};
use engine::testing::{TODAY_NS, World};
use model::TimeUnit;
use platform::sim::{SimClock, SimDisk};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trace_store::{EdgeField, EdgeKey, MeasureKey, SpanKey, TraceDelete, TraceStore};

/// Amounts by what tells a key, by slot and by field.
type Totals = BTreeMap<(String, u64, u8), u64>;

fn totals<K: MeasureKey>(store: &TraceStore, world: &World) -> Totals {
    let selection = store.select(&world.tenant, &whole(TimeUnit::Nanos.everything())).unwrap();
    let mut totals = Totals::new();
    for index in 0..selection.pieces().len() {
        let measures = selection.measures::<K>(index).unwrap().unwrap();
        assert!(measures.list.is_sorted() && measures.keys.is_sorted());
        for one in &measures.list {
            let mut texts = Vec::new();
            let plain = measures.keys[one.key as usize].renumber(&mut |text| {
                texts.push(String::from_utf8_lossy(measures.texts.get(text as usize)).into_owned());
                0
            });
            *totals.entry((format!("{plain:?} {texts:?}"), one.slot, one.field)).or_default() +=
                one.amount;
        }
    }
    assert_eq!(selection.warnings(), Vec::<String>::new());
    totals
}

/// A store that has these spans in one block.
fn reference(spans: &BTreeSet<Span>) -> (TraceStore, World) {
    let (store, mut world) = open(&SimDisk::new(), &Arc::new(SimClock::new()), 1).unwrap();
    let mut batch = store.batch(&world.tenant);
    fill(&mut batch, &spans.iter().cloned().collect::<Vec<_>>());
    world.write(batch).unwrap();
    (store, world)
}

pub(crate) fn check(store: &TraceStore, world: &World, spans: &BTreeSet<Span>, ids: Ids) {
    let (other, other_world) = reference(spans);
    assert_eq!(totals::<SpanKey>(store, world), totals::<SpanKey>(&other, &other_world));
    if ids == Ids::Unique {
        assert_eq!(totals::<EdgeKey>(store, world), totals::<EdgeKey>(&other, &other_world));
    }
}

/// Whether the spans of a trace have ids of their own. Where they have not, which of them is the parent of
/// another one depends on the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Any,
    Unique,
}

fn shown(pairs: &[(&str, &str)]) -> Shown {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn span(ids: (u8, u8, u8), service: &str, kind: u8, attributes: &[(&str, &str)]) -> Span {
    let (trace, id, parent) = ids;
    Span {
        trace,
        id,
        parent,
        start: TODAY_NS as u64 + u64::from(id),
        length: i64::from(id) * 1_000_000,
        name: "work".to_owned(),
        kind,
        status: u8::from(id == 9) * 2,
        resource: match service {
            "" => Shown::new(),
            name => shown(&[("service.name", &format!("text:{name}"))]),
        },
        scope: Shown::new(),
        attributes: shown(attributes),
        events: Vec::new(),
        links: Vec::new(),
    }
}

/// The calls of some spans: what tells the key, how many, how many failed, and how many milliseconds the
/// called and the caller took.
fn calls(spans: Vec<Span>) -> Vec<String> {
    let (store, world) = reference(&spans.into_iter().collect());
    let mut found: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for ((key, _, field), amount) in totals::<EdgeKey>(&store, &world) {
        let place = match field {
            _ if EdgeField::SERVER_BUCKETS.contains(&field) => 0,
            EdgeField::FAILED => 1,
            EdgeField::SERVER_DURATION => 2,
            EdgeField::CLIENT_DURATION => 3,
            _ => continue,
        };
        let amount = if place > 1 { amount / 1_000_000 } else { amount };
        found.entry(key).or_default()[place] += amount;
    }
    let shown = |(key, amounts): (&String, &[u64; 4])| {
        let kind = key.split("kind: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let texts = key.split('[').nth(1).unwrap().trim_end_matches(']');
        format!("{texts} {kind} {amounts:?}")
    };
    found.iter().map(shown).collect()
}

#[test]
fn calls_are_told_from_kinds_and_peers() {
    let (server, client, producer, consumer) = (2, 3, 4, 5);
    let trace = vec![
        span((1, 1, 0), "shop", server, &[]),
        span((1, 2, 1), "shop", client, &[]),
        span((1, 9, 2), "pay", server, &[]),
        span(
            (1, 4, 9),
            "pay",
            client,
            &[("db.system", "text:redis"), ("server.address", "text:cache")],
        ),
        span((1, 5, 9), "pay", producer, &[]),
        span((1, 6, 5), "mail", consumer, &[]),
        span((1, 7, 6), "mail", client, &[("peer.service", "text:smtp")]),
        span((1, 8, 6), "mail", client, &[]),
    ];
    let expected = [
        r#""mail", "smtp" Virtual [1, 0, 7, 0]"#,
        r#""pay", "cache" Database [1, 0, 4, 0]"#,
        r#""pay", "mail" Messaging [1, 0, 6, 5]"#,
        r#""shop", "pay" Call [1, 1, 9, 2]"#,
        r#""shop" Virtual [1, 0, 1, 0]"#,
    ];
    let mut found = calls(trace);
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn names_of_databases_have_an_order() {
    let client = 3;
    let name = |attributes: &[(&str, &str)]| {
        calls(vec![span((1, 1, 0), "a", client, attributes)]).join(";")
    };
    let all = [
        ("peer.service", "text:peer"),
        ("server.address", "text:address"),
        ("network.peer.address", "text:1.2.3.4"),
        ("network.peer.port", "int:5432"),
        ("db.namespace", "text:space"),
        ("db.system", "text:sql"),
    ];
    let names = ["peer", "address", "1.2.3.4:5432"];
    for (left_out, name_of) in names.into_iter().enumerate() {
        assert_eq!(name(&all[left_out..]), format!(r#""a", "{name_of}" Database [1, 0, 1, 0]"#));
    }
    assert_eq!(name(&all[3..]), r#""a", "space" Database [1, 0, 1, 0]"#);
    assert_eq!(name(&all[5..]), r#""a", "sql" Database [1, 0, 1, 0]"#);
    assert_eq!(name(&all[1..3]), "", "nothing says that it is a database, or who the peer is");
}

#[test]
fn what_does_not_belong_together_is_no_call() {
    let (server, client) = (2, 3);
    let nameless = vec![span((1, 1, 0), "", client, &[]), span((1, 2, 1), "b", server, &[])];
    assert_eq!(calls(nameless), Vec::<String>::new());
    let orphan = vec![span((1, 2, 1), "b", server, &[])];
    assert_eq!(calls(orphan), Vec::<String>::new());
    let internal = vec![span((1, 1, 0), "a", 1, &[]), span((1, 2, 1), "b", server, &[])];
    assert_eq!(calls(internal), [r#""a", "b" Untold [1, 0, 2, 0]"#]);
    let below_database = vec![
        span((1, 1, 0), "a", client, &[("db.name", "text:d")]),
        span((1, 2, 1), "d", server, &[]),
    ];
    let expected = [r#""a", "d" Database [1, 0, 1, 0]"#, r#""a", "d" Untold [1, 0, 2, 0]"#];
    assert_eq!(calls(below_database), expected);
}

/// Spans enough for counts to be recorded, of traces of 20 spans each.
fn many(traces: std::ops::Range<u8>, ids: std::ops::Range<u8>) -> Vec<Span> {
    let of_trace = |trace: u8| {
        ids.clone().map(move |id| {
            let service = ["shop", "pay", "stock"][usize::from(id % 3)];
            let kind = [2, 3][usize::from(id % 2)];
            let mut span = span((trace, id, id - 1), service, kind, &[]);
            span.start += u64::from(trace) * 300_000_000;
            if id % 7 == 0 {
                span.attributes = shown(&[("db.system", "text:redis")]);
            }
            span
        })
    };
    traces.flat_map(of_trace).collect()
}

#[test]
fn recorded_counts_are_those_of_the_columns() {
    let (store, mut world) = open(&SimDisk::new(), &Arc::new(SimClock::new()), 1).unwrap();
    let mut spans = BTreeSet::new();
    let mut write = |store: &TraceStore, world: &mut World, more: Vec<Span>| {
        let mut batch = store.batch(&world.tenant);
        fill(&mut batch, &more);
        world.write(batch).unwrap();
        world.flush().unwrap();
        spans.extend(more);
        spans.clone()
    };
    let first = write(&store, &mut world, many(1..100, 1..21));
    check(&store, &world, &first, Ids::Unique);
    // Of few traces there are spans in another part, then of many.
    let with_few = write(&store, &mut world, many(97..200, 21..25));
    check(&store, &world, &with_few, Ids::Unique);
    let mut all = write(&store, &mut world, many(1..80, 25..30));
    check(&store, &world, &all, Ids::Unique);
    world.merge(true).unwrap();
    check(&store, &world, &all, Ids::Unique);
    for deleted in [&[5u8][..], &[1, 2, 3, 4, 6, 7, 8, 9, 10]] {
        let delete = TraceDelete { trace_ids: deleted.iter().map(|trace| [*trace; 16]).collect() };
        let end = world.end();
        store.delete(&world.tenant, &delete, |cut| cut(end)).unwrap();
        all.retain(|span| !deleted.contains(&span.trace));
        check(&store, &world, &all, Ids::Unique);
    }
}
