//! Properties of answers that hold whatever the spans and the pieces that they lie in.

use super::*;
use crate::FieldValue;
use crate::literal::{Kind, Status};
use crate::options::Limits;
use crate::parse::parse;
use crate::script::spans::{BASE_NS, LoadedSpan};
use crate::script::store::CaseStore;
use platform::sim::SimClock;
use platform::threads::Helpers;
use proptest::prelude::*;

const SECOND_NS: i64 = 1_000_000_000;

/// Of each span its trace, the span above it, its start, its length and its kind.
type Drawn = (u8, Option<u8>, u8, u8, u8);

fn spans(drawn: &[Drawn]) -> Vec<LoadedSpan> {
    let span = |(index, (trace, parent, start, length, kind)): (usize, &Drawn)| LoadedSpan {
        trace: format!("t{trace}"),
        id: format!("s{index}"),
        parent: parent.map(|parent| format!("s{parent}")),
        name: format!("n{}", kind % 3),
        kind: kind % 6,
        status: kind % 3,
        start_ns: i64::from(*start) * SECOND_NS,
        length_ns: i64::from(*length) * SECOND_NS,
        ..LoadedSpan::default()
    };
    drawn.iter().enumerate().map(span).collect()
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let span = (0u8..8, proptest::option::of(0u8..40), 0u8..100, 0u8..20, 0u8..12);
    proptest::collection::vec(span, 1..40)
}

/// In memory; in parts of so many spans.
fn stores(spans: &[LoadedSpan], size: usize) -> [CaseStore; 2] {
    [false, true].map(|is_flushed| {
        let mut store = CaseStore::new(is_flushed).unwrap();
        spans.chunks(size).for_each(|chunk| store.load(chunk).unwrap());
        store
    })
}

/// As usual; with several threads; looking at few spans first.
fn engines() -> [Engine; 3] {
    let helpers = Helpers::start("test", 2).unwrap();
    let usual = EngineOptions::default;
    let threads = EngineOptions { helpers, ..usual() };
    [usual(), threads, EngineOptions { first_spans: 2, ..usual() }].map(Engine::new)
}

fn request(store: &CaseStore) -> Request<'_> {
    Request::new(&store.tenant, BASE_NS, BASE_NS + 200 * SECOND_NS)
}

fn search(engine: &Engine, store: &CaseStore, query: &str, traces: usize) -> Vec<TraceFound> {
    let (query, limits) = (parse(query).unwrap(), SearchLimits { traces, spans: 100 });
    let found = engine.search(&store.store, &SimClock::new(), &request(store), &query, limits);
    found.unwrap().value
}

const QUERIES: [&str; 8] = [
    "{ }",
    "{ status = error && kind != client }",
    "{ nestedSetParent < 0 }",
    "{ status = ok } > { }",
    "{ name = \"n1\" } << { }",
    "{ status = ok } &>> { name = \"n2\" }",
    "{ } | by(kind) | count() > 1",
    "{ status = ok } ~ { } || { duration > 10s }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The newest are the first of all, wherever the spans are and whoever reads them.
    #[test]
    fn a_limit_takes_the_newest(drawn in drawn(), size in 1usize..20, limit in 1usize..6) {
        let stores = stores(&spans(&drawn), size);
        for query in QUERIES {
            let all = search(&Engine::default(), &stores[0], query, 1_000);
            let starts: Vec<u64> = all.iter().map(|trace| trace.start_ns).collect();
            prop_assert!(starts.is_sorted_by(|one, other| one >= other));
            for (store, engine) in stores.iter().flat_map(|store| engines().map(|engine| (store, engine))) {
                prop_assert_eq!(&search(&engine, store, query, 1_000), &all, "{}", query);
                let few = search(&engine, store, query, limit);
                prop_assert_eq!(&few[..], &all[..limit.min(all.len())], "{}", query);
            }
        }
    }

    /// The grid and the list have the entry spans that were drawn, wherever these are and whoever reads them.
    #[test]
    fn entries_are_counted_and_listed(drawn in drawn(), size in 1usize..20, limit in 1usize..9) {
        let loaded = spans(&drawn);
        let is_entry = |span: &&LoadedSpan| matches!(span.kind, 2 | 5) || span.parent.is_none();
        let mut ends: Vec<(i64, i64)> = loaded.iter().filter(is_entry)
            .map(|span| (BASE_NS + span.start_ns + span.length_ns, span.length_ns)).collect();
        ends.sort_unstable_by_key(|entry| std::cmp::Reverse(*entry));
        let failed = loaded.iter().filter(is_entry).filter(|span| span.status == 2).count();
        let (clock, filter) = (SimClock::new(), EntryFilter::default());
        let stores = stores(&loaded, size);
        for (store, engine) in stores.iter().flat_map(|store| engines().map(|engine| (store, engine))) {
            let request = request(store);
            let grid = engine.entry_grid(&store.store, &clock, &request, &filter, 5).unwrap().value;
            let sum = |count: fn(&GridCell) -> u32| grid.cells.iter().map(count).sum::<u32>() as usize;
            prop_assert_eq!((sum(|cell| cell.hits), sum(|cell| cell.errors)), (ends.len(), failed));
            let list = |order, limit| {
                let wanted = EntryBox { durations: 0..u64::MAX, are_errors: None, order, limit };
                let list = engine.entry_list(&store.store, &clock, &request, &filter, &wanted);
                list.unwrap().value
            };
            let all = list(EntryOrder::End, 100);
            let found = all.entries.iter().map(|one| (one.end_ns as i64, one.duration_ns as i64));
            prop_assert_eq!(found.collect::<Vec<_>>(), ends.clone());
            prop_assert!(!all.has_more);
            for cell in &grid.cells {
                let begin = (grid.first_s + i64::from(cell.column) * grid.column_s) * SECOND_NS;
                let in_column = ends.iter().filter(|(end, _)| (begin..begin + 5 * SECOND_NS).contains(end));
                prop_assert!(in_column.count() >= cell.hits as usize);
            }
            let few = list(EntryOrder::End, limit);
            prop_assert_eq!(&few.entries[..], &all.entries[..limit.min(ends.len())]);
            prop_assert!(few.has_more || ends.len() <= limit);
            let mut longest = all.entries.clone();
            longest.sort_by_key(|one| {
                let key = (one.duration_ns, one.end_ns);
                (std::cmp::Reverse(key), one.trace_id, one.span_id)
            });
            longest.truncate(limit);
            prop_assert_eq!(list(EntryOrder::Duration, limit).entries, longest);
        }
    }

    /// Groups of metrics add up to what is not grouped, and to what a search finds.
    #[test]
    fn counts_add_up(drawn in drawn(), size in 1usize..20, step in 1i64..100) {
        let stores = stores(&spans(&drawn), size);
        for (store, filter) in stores.iter().flat_map(|store| QUERIES[..6].iter().map(move |query| (store, query))) {
            let found = search(&Engine::default(), store, filter, 1_000);
            let matched: usize = found.iter().flat_map(|trace| &trace.sets).map(|set| set.matched).sum();
            for by in ["", " by (name)", " by (kind, status, name)", " by (rootName, traceDuration, span.x)"] {
                let query = parse(&format!("{filter} | count_over_time(){by}")).unwrap();
                for engine in engines() {
                    let times = MetricTimes::Range { step_ns: step * SECOND_NS };
                    let wanted = Metrics { times, exemplars: 10 };
                    let series = engine.metrics(&store.store, &SimClock::new(), &request(store), &query, &wanted);
                    let series = series.unwrap().value;
                    let sum: f64 = series.iter().flat_map(|one| &one.values).sum();
                    prop_assert_eq!(sum as usize, matched, "{}{}", filter, by);
                    let exemplars: usize = series.iter().map(|one| one.exemplars.len()).sum();
                    prop_assert!(exemplars <= 10 && (exemplars > 0) == (matched > 0));
                }
            }
        }
    }
}

/// Of an attribute with very many values the most frequent are shown, and the total counts all.
#[test]
fn compare_counts_the_most_frequent_of_many_values() {
    let value = |at: usize| if at.is_multiple_of(3) { 0 } else { at };
    let span = |at: usize| LoadedSpan {
        trace: format!("t{at}"),
        id: format!("s{at}"),
        attributes: if at == 1_500 {
            Vec::new()
        } else {
            let value = wire::otlp::AnyValue::Text(format!("v{}", value(at)).into());
            vec![wire::otlp::Attribute { key: "x".into(), value }]
        },
        ..LoadedSpan::default()
    };
    let spans: Vec<LoadedSpan> = (0..1_501).map(span).collect();
    let [store, _] = stores(&spans, 2_000);
    let query = parse("{ } | compare({ status = error }, 1)").unwrap();
    let wanted = Metrics { times: MetricTimes::Instant, exemplars: 0 };
    let request = Request::new(&store.tenant, BASE_NS - 1, BASE_NS + SECOND_NS);
    let found =
        Engine::default().metrics(&store.store, &SimClock::new(), &request, &query, &wanted);
    let found = found.unwrap().value;
    let of = |kind: &str, value: FieldValue| {
        let labels = [("__meta_type", FieldValue::Text(kind.to_owned())), ("span.x", value)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        found.iter().find(|one| one.labels == labels).map(|one| one.values[0])
    };
    assert_eq!(of("baseline", FieldValue::Text("v0".to_owned())), Some(500.0));
    assert_eq!(of("baseline_total", FieldValue::Nil), Some(1_500.0));
    assert_eq!(found.iter().filter(|one| one.labels[1].0 == "span.x").count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Counts that the store has kept in parts are those of the spans in memory.
    #[test]
    fn kept_counts_are_those_of_spans(drawn in drawn(), size in 1usize..40, step in 1i64..40, offset in 0i64..3) {
        let mut spans = spans(&drawn);
        for (at, span) in spans.iter_mut().enumerate() {
            let service = wire::otlp::AnyValue::Text(format!("service-{}", at % 3).into());
            span.resource.push(wire::otlp::Attribute { key: "service.name".into(), value: service });
            // At the end of a second, at its start, and between.
            span.start_ns += offset - 1;
            span.length_ns += at as i64 % 3;
        }
        let [memory, parts] = stores(&spans, size);
        for text in [
            "{ } | rate()",
            "{ nestedSetParent < 0 && status = error || kind = client } | rate() by (resource.service.name)",
            "{ !(status = ok) } | count_over_time() by (kind, status)",
            "{ resource.service.name != \"service-1\" } | quantile_over_time(duration, 0, 0.5, 1)",
            "{ kind != server } | histogram_over_time(duration) by (resource.service.name)",
        ] {
            let query = parse(text).unwrap();
            for times in [MetricTimes::Range { step_ns: step * SECOND_NS }, MetricTimes::Instant] {
                let wanted = Metrics { times, exemplars: 0 };
                let ask = |store: &CaseStore| {
                    let answer = Engine::default()
                        .metrics(&store.store, &SimClock::new(), &request(store), &query, &wanted);
                    answer.unwrap().value
                };
                prop_assert_eq!(ask(&memory), ask(&parts), "{}", text);
            }
        }
    }
}

#[test]
fn queries_of_the_other_kind_are_told_where_to_go() {
    let store = CaseStore::new(false).unwrap();
    let (engine, clock) = (Engine::default(), SimClock::new());
    let metrics = parse("{ } | rate()").unwrap();
    let limits = SearchLimits { traces: 1, spans: 1 };
    let error =
        engine.search(&store.store, &clock, &request(&store), &metrics, limits).unwrap_err();
    assert!(error.to_string().contains("ask it of the metrics"), "{error}");
    let wanted = Metrics { times: MetricTimes::Instant, exemplars: 0 };
    let traces = parse("{ }").unwrap();
    let error =
        engine.metrics(&store.store, &clock, &request(&store), &traces, &wanted).unwrap_err();
    assert!(error.to_string().contains("add a function of metrics"), "{error}");
}

#[test]
fn memory_and_cancelling_end_a_query() {
    let drawn: Vec<Drawn> = (0..200).map(|at| (at % 8, None, at % 100, at % 20, at % 12)).collect();
    let [store, _] = stores(&spans(&drawn), 50);
    let limits = Limits { memory_max: 1_000, ..Limits::default() };
    let engine = Engine::new(EngineOptions { limits, ..EngineOptions::default() });
    let query = parse("{ } | count_over_time() by (span:id)").unwrap();
    let wanted = Metrics { times: MetricTimes::Range { step_ns: SECOND_NS }, exemplars: 0 };
    let run = |engine: &Engine, request: &Request<'_>| {
        engine
            .metrics(&store.store, &SimClock::new(), request, &query, &wanted)
            .map(|answer| answer.value)
    };
    let error = run(&engine, &request(&store)).unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Limit, "{error}");
    let cancelled = request(&store);
    cancelled.cancel.cancel();
    let error = run(&Engine::default(), &cancelled).unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Cancelled, "{error}");
    assert_eq!(run(&Engine::default(), &request(&store)).unwrap().len(), 200);
}

/// A span with attributes of each type, or without.
fn with_attributes() -> impl Strategy<Value = LoadedSpan> {
    use wire::otlp::{AnyValue, Attribute};
    let value = || {
        prop_oneof![
            (-2i64..3).prop_map(AnyValue::Int),
            (-2i8..3).prop_map(|half| AnyValue::Double(f64::from(half) / 2.0)),
            "[ab]{0,2}".prop_map(|text| AnyValue::Text(text.into())),
            any::<bool>().prop_map(AnyValue::Bool),
            proptest::collection::vec((0i64..3).prop_map(AnyValue::Int), 0..3)
                .prop_map(AnyValue::Array),
        ]
    };
    let attributes = move || {
        proptest::collection::btree_map("[xy]", value(), 0..3).prop_map(|map| {
            map.into_iter()
                .map(|(key, value)| Attribute { key: key.into(), value })
                .collect::<Vec<_>>()
        })
    };
    let events = proptest::collection::vec(("[ab]", 0i64..3, attributes()), 0..3);
    (attributes(), attributes(), attributes(), events, 0u8..6, "[ab]{0,1}").prop_map(
        |(span, resource, scope, events, code, text)| LoadedSpan {
            trace: "t".to_owned(),
            name: text.clone(),
            kind: code,
            status: code % 3,
            length_ns: i64::from(code),
            message: text.clone(),
            attributes: span,
            resource,
            scope: (text, String::new(), scope),
            events,
            ..LoadedSpan::default()
        },
    )
}

fn tests_of_attributes() -> impl Strategy<Value = String> {
    let named = proptest::sample::select(vec![
        "span.x",
        "span.y",
        "resource.x",
        "instrumentation.y",
        "event.x",
        ".x",
        ".y",
    ]);
    let value =
        proptest::sample::select(vec!["1", "0", "0.5", "-1.0", "\"a\"", "\"\"", "true", "nil"]);
    let op = proptest::sample::select(vec!["=", "!=", "<", ">="]);
    let fixed = proptest::sample::select(vec![
        "name = \"a\"",
        "name =~ \"a|b\"",
        "name !~ \"a.*\"",
        "span.x =~ \"a.*\"",
        "resource.y !~ \"b\"",
        "kind != client",
        "status = error",
        "duration > 2ns",
        "duration <= 1.5",
        "statusMessage = \"\"",
        "event:name != \"a\"",
        "event:timeSinceStart > 0s",
        "instrumentation:name = \"\"",
        "span:parentID != \"\"",
        "span.x",
        "resource.y",
    ]);
    prop_oneof![
        (named, op, value).prop_map(|(name, op, value)| format!("{name} {op} {value}")),
        fixed.prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Values of columns in memory and in parts are counted alike, and each side has all of its spans.
    #[test]
    fn comparisons_count_every_span(
        mut spans in proptest::collection::vec(with_attributes(), 1..40), size in 1usize..40,
    ) {
        for (at, span) in spans.iter_mut().enumerate() {
            span.id = format!("s{at}");
            span.trace = format!("t{}", at / 3);
            span.start_ns = at as i64 * SECOND_NS;
        }
        let query = parse("{ kind != client } | compare({ status = error }, 100)").unwrap();
        let wanted = Metrics { times: MetricTimes::Range { step_ns: 7 * SECOND_NS }, exemplars: 0 };
        let found = stores(&spans, size).map(|store| {
            let answer =
                Engine::default().metrics(&store.store, &SimClock::new(), &request(&store), &query, &wanted);
            answer.unwrap().value
        });
        prop_assert_eq!(&found[0], &found[1]);
        let is_counted = |span: &&LoadedSpan| span.kind != Kind::Client as u8;
        for (side, is_selected) in [("baseline", false), ("selection", true)] {
            let of_side = |span: &&LoadedSpan| (span.status == Status::Error as u8) == is_selected;
            let expected = spans.iter().filter(is_counted).filter(of_side).count();
            let is_name = |one: &&Series| {
                let label = &one.labels[0].1;
                *label == FieldValue::Text(side.to_owned()) && one.labels[1].0 == "name"
            };
            let counted: f64 = found[0].iter().filter(is_name).flat_map(|one| &one.values).sum();
            prop_assert_eq!(counted as usize, expected);
        }
    }

    /// What is decided by dictionaries and entities is what each span's own value says.
    #[test]
    fn rows_are_those_whose_values_fulfil_the_test(
        mut spans in proptest::collection::vec(with_attributes(), 1..12),
        texts in proptest::collection::vec(tests_of_attributes(), 1..12),
    ) {
        for (at, span) in spans.iter_mut().enumerate() {
            span.id = format!("s{at}");
        }
        for store in stores(&spans, 100) {
            let time = TimeUnit::Nanos.between(BASE_NS, BASE_NS + SECOND_NS);
            let select = Select { time, trace_id: None, are_whole: true };
            let selection = store.store.select(&store.tenant, &select).unwrap();
            prop_assert_eq!(selection.pieces().len(), 1);
            let piece = selection.read(0).unwrap().unwrap();
            let view = view::View::new(&piece).unwrap();
            for text in &texts {
                // What is refused before it is evaluated.
                let Ok(query) = parse(&format!("{{ {text} }}")) else { continue };
                let Root::Spans(pipeline) = &query.root else { unreachable!("it is a filter") };
                let plan = Plan::new(pipeline, &mut RegexBudget::default()).unwrap();
                let condition::Condition::Test(attribute, test) = plan.only_condition().unwrap() else { continue };
                let rows = plan.only_condition().unwrap().rows(&view).unwrap();
                let source = view.source(attribute).unwrap();
                for row in 0..view.rows {
                    let expected = match (&*source, test.asks_presence()) {
                        (source::Source::Children { ends, columns }, Some(wanted)) => source::children(ends, row)
                            .any(|child| (columns.has(child) || columns.default != source::Default::Nothing) == wanted),
                        (source::Source::Children { ends, columns }, None) => {
                            source::children(ends, row).any(|child| test.holds(columns.cell(child)))
                        }
                        (source, Some(wanted)) => source.has(row) == wanted,
                        (source::Source::First(sources), None) => {
                            let first = sources.iter().find(|source| source.has(row));
                            first.is_some_and(|first| match first {
                                source::Source::Children { ends, columns } => source::children(ends, row)
                                    .any(|child| test.holds(columns.cell(child))),
                                first => test.holds(first.cell(row)),
                            })
                        }
                        (source, None) => test.holds(source.cell(row)),
                    };
                    prop_assert_eq!(rows.contains(row), expected, "{} of row {}", text, row);
                }
            }
        }
    }
}
