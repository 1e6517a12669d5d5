//! Every function, operator and modifier has its case in `cases/`.

use super::*;
use crate::{EngineOptions, ParseOptions, QueryError, Request, SampleOf};
use model::{LabelsBuilder, SampleValue};
use platform::RealClock;
use platform::threads::Helpers;
use query::{Budget, Slot, StepColumn};
use std::sync::Arc;

const CASES: [(&str, &str); 16] = [
    ("aggregations.test", include_str!("../cases/aggregations.test")),
    ("collisions.test", include_str!("../cases/collisions.test")),
    ("corners.test", include_str!("../cases/corners.test")),
    ("fill.test", include_str!("../cases/fill.test")),
    ("histograms.test", include_str!("../cases/histograms.test")),
    ("info.test", include_str!("../cases/info.test")),
    ("limits.test", include_str!("../cases/limits.test")),
    ("names.test", include_str!("../cases/names.test")),
    ("operators.test", include_str!("../cases/operators.test")),
    ("over_time.test", include_str!("../cases/over_time.test")),
    ("rates.test", include_str!("../cases/rates.test")),
    ("scalars.test", include_str!("../cases/scalars.test")),
    ("staleness.test", include_str!("../cases/staleness.test")),
    ("times.test", include_str!("../cases/times.test")),
    ("trigonometry.test", include_str!("../cases/trigonometry.test")),
    ("types_and_units.test", include_str!("../cases/types_and_units.test")),
];

/// Where it matters when names are dropped.
const CASES_LATE: [(&str, &str); 1] =
    [("names_late.test", include_str!("../cases/names_late.test"))];
const CASES_AT_ONCE: [(&str, &str); 1] =
    [("names_at_once.test", include_str!("../cases/names_at_once.test"))];

fn options() -> EngineOptions {
    EngineOptions {
        parse: ParseOptions::everything(),
        delayed_name_removal: true,
        start_timestamps: true,
        ..EngineOptions::default()
    }
}

fn check(options: &EngineOptions, cases: &[(&str, &str)]) {
    for (name, text) in cases {
        let script = Script::parse(name, text).unwrap();
        let engine = Engine::new(options.clone());
        let report = script.run(&engine, &RealClock::new(), &mut MemoryStorage::new());
        let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{options:?}\n{}", failures.join("\n"));
        assert!(report.passed > 0, "{name} asks nothing");
    }
}

#[test]
fn cases_hold_with_names_dropped_late() {
    check(&options(), &CASES);
    check(&options(), &CASES_LATE);
}

#[test]
fn cases_hold_with_names_dropped_at_once() {
    let options = EngineOptions { delayed_name_removal: false, ..options() };
    check(&options, &CASES);
    check(&options, &CASES_AT_ONCE);
}

#[test]
fn cases_hold_on_several_threads() {
    let helpers = Helpers::start("helper", 3).unwrap();
    check(&EngineOptions { helpers, ..options() }, &CASES);
}

#[test]
fn every_function_has_a_case() {
    let all = CASES.map(|(_, text)| text).concat();
    for function in crate::functions::all() {
        let call = format!("{}(", function.name);
        assert!(all.contains(&call), "no case calls {}", function.name);
    }
    for op in query::AggregateOp::ALL {
        assert!(all.contains(op.as_str()), "no case aggregates with {}", op.as_str());
    }
}

#[test]
fn failures_say_where_and_what() {
    let text = "load 1m\n  x 1 2\n\neval instant at 1m x\n  x 3\n";
    let script = Script::parse("wrong.test", text).unwrap();
    let engine = Engine::new(options());
    let report = script.run(&engine, &RealClock::new(), &mut MemoryStorage::new());
    assert_eq!((report.passed, report.failures.len()), (0, 1));
    let message = report.failures[0].to_string();
    assert!(message.starts_with("wrong.test:4: "), "{message}");
    assert!(message.contains('3') && message.contains('2'), "{message}");
}

/// What a query answers, without the last digits: sums may be added in another order.
fn answers(helpers: &Helpers, storage: &MemoryStorage, query: &str) -> Vec<(String, Vec<String>)> {
    let engine = Engine::new(EngineOptions { helpers: helpers.clone(), ..options() });
    let request = Request::range(query, 0, 600_000, 30_000);
    let result = engine.run(storage, &RealClock::new(), &request).unwrap();
    let QueryValue::Matrix { series, .. } = result.value else {
        panic!("{query} is no matrix");
    };
    let values = |column: &StepColumn| {
        let steps = (0..column.steps()).map(|step| column.float(step));
        steps.map(|value| format!("{:?}", value.map(|value| format!("{value:.9e}")))).collect()
    };
    series.iter().map(|one| (one.labels.to_string(), values(&one.column))).collect()
}

#[test]
fn threads_do_not_show() {
    let mut storage = MemoryStorage::new();
    for index in 0..500_i64 {
        let labels = LabelsBuilder::default()
            .set("__name__", if index % 3 == 0 { "a_total" } else { "b_total" })
            .set("group", &(index % 7).to_string())
            .set("id", &index.to_string())
            .build();
        for sample in (0..60).filter(|sample| (sample + index) % 11 > 1) {
            let value = ((sample * (index + 1)) % 1009) as f64 * 0.1;
            storage.append(&labels, sample * 10_000, 0, SampleValue::Float(value));
        }
    }
    storage.commit();
    let helpers = Helpers::start("helper", 3).unwrap();
    for query in [
        "a_total",
        "rate(a_total[1m])",
        "sum by (group) (rate(b_total[1m]))",
        "avg(b_total)",
        "stddev by (group) (b_total)",
        "quantile(0.9, b_total)",
        "max without (id) (max_over_time(b_total[1m]))",
        "count(a_total) / group(a_total)",
        "topk(3, b_total)",
        "sum by (group) (a_total) / on (group) sum by (group) (b_total)",
    ] {
        assert_eq!(
            answers(&Helpers::none(), &storage, query),
            answers(&helpers, &storage, query),
            "{query}"
        );
    }
}

/// The loop for pairs of series and the general way through groups must agree: a fill value takes
/// the general way, and where both sides are there it changes nothing.
#[test]
fn pairs_are_what_groups_are() {
    let mut storage = MemoryStorage::new();
    for (name, factor) in [("a", 3), ("b", 5)] {
        for id in 0..20_i64 {
            let labels =
                LabelsBuilder::default().set("__name__", name).set("id", &id.to_string()).build();
            for sample in 0..61 {
                let value = ((sample * factor + id) % 17 - 8) as f64;
                storage.append(&labels, sample * 10_000, 0, SampleValue::Float(value));
            }
        }
    }
    storage.commit();
    for op in ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "> bool", "== bool"] {
        let (quick, general) = (format!("a {op} b"), format!("a {op} fill (0) b"));
        assert_eq!(
            answers(&Helpers::none(), &storage, &quick),
            answers(&Helpers::none(), &storage, &general),
            "{op}"
        );
    }
}

#[test]
fn limits_hold() {
    let mut storage = MemoryStorage::new();
    for id in 0..100_i64 {
        let labels =
            LabelsBuilder::default().set("__name__", "x").set("id", &id.to_string()).build();
        (0..100).for_each(|at| storage.append(&labels, at * 10_000, 0, SampleValue::Float(1.0)));
    }
    storage.commit();
    let ask = |query: &str, options: EngineOptions| {
        let request = Request::range(query, 0, 990_000, 10_000);
        let result = Engine::new(options).run(&storage, &RealClock::new(), &request);
        result.map(|result| result.stats).map_err(|error| error.to_string())
    };
    let few = EngineOptions { samples_max: 15_000, ..options() };
    assert_eq!(ask("x", few.clone()).unwrap().total, 10_000);
    assert_eq!(ask("sum(x) + sum(x) + sum(x)", few.clone()).unwrap().total, 30_000);
    assert!(ask("x + x", few.clone()).unwrap_err().contains("too many samples"));
    assert!(ask("x + x @ 0", few).unwrap_err().contains("too many samples"));
    let small = EngineOptions { memory_max: 50_000, ..options() };
    assert!(ask("x", small.clone()).unwrap_err().contains("memory"));
    ask("sum(x)", small).unwrap();
    assert!(ask("max_over_time(x[10y:1ms])", options()).unwrap_err().contains("too many"));
    assert!(ask("max_over_time(x[100d:1s])", options()).unwrap_err().contains("memory"));
    let late = EngineOptions { timeout_ms: 0, ..options() };
    assert!(ask("x", late).unwrap_err().contains("timed out"));
}

#[test]
fn samples_are_counted_where_they_are_read_and_where_they_are_looked_at() {
    let mut storage = MemoryStorage::new();
    let labels = LabelsBuilder::default().set("__name__", "x").build();
    (0..11).for_each(|at| storage.append(&labels, at * 60_000, 0, SampleValue::Float(1.0)));
    storage.commit();
    let ask = |query: &str| {
        let request = Request::range(query, 240_000, 360_000, 60_000);
        Engine::new(options()).run(&storage, &RealClock::new(), &request).unwrap().stats
    };
    let stats = ask("x");
    assert_eq!((stats.total, stats.read()), (3, 3));
    // One after the other, and all steps at once.
    for query in ["sum_over_time(x[3m])", "max_over_time(x[3m])", "sum(increase(x[3m]))"] {
        let stats = ask(query);
        assert_eq!((stats.total, stats.per_step.clone()), (9, vec![3, 3, 3]), "{query}");
        assert_eq!((stats.read(), stats.read_per_step()), (5, vec![3, 1, 1]), "{query}");
    }
    // Of the subquery 5 samples, of which the first window has 3; of its windows 9.
    let stats = ask("sum_over_time(x[3m:1m])");
    assert_eq!((stats.total, stats.per_step.clone()), (14, vec![6, 4, 4]));
    assert_eq!((stats.read(), stats.read_per_step()), (10, vec![6, 2, 2]));
    let stats = ask("sum_over_time(x[3m] @ 240)");
    assert_eq!((stats.total, stats.per_step.clone()), (9, vec![3, 3, 3]));
    assert_eq!((stats.read(), stats.read_per_step()), (3, vec![3, 0, 0]));
}

#[test]
fn queries_share_memory() {
    let mut storage = MemoryStorage::new();
    let labels = LabelsBuilder::default().set("__name__", "x").build();
    storage.append(&labels, 0, 0, SampleValue::Float(1.0));
    storage.commit();
    let all = Arc::new(Budget::new(20_000));
    let ask = |query: &str| {
        let memory = Some(Arc::clone(&all));
        let request = Request { memory, ..Request::range(query, 0, 999, 1) };
        Engine::new(options()).run(&storage, &RealClock::new(), &request)
    };
    let first = ask("x").unwrap();
    let second = ask("x").unwrap();
    assert!(all.held() > 16_000, "results are held as long as they are there");
    assert!(matches!(
        ask("x").unwrap_err(),
        QueryError::Evaluation(query::QueryError::Busy { limit: 20_000, .. })
    ));
    drop(first);
    ask("x").unwrap();
    drop(second);
    assert_eq!(all.held(), 0);
}

/// A hundred series with labels of 100 KB each.
fn long_labels() -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    for id in 0..100_i64 {
        let mut builder = LabelsBuilder::default();
        builder.set("id", &id.to_string()).set("le", "+Inf").set("instance", &id.to_string());
        let short = builder.set("__name__", "short").build();
        let info = builder.set("__name__", "target_info").set("data", &"i".repeat(50_000)).build();
        builder.remove("data");
        let long = builder.set("__name__", "long").set("text", &"x".repeat(100_000)).build();
        for labels in [short, long, info] {
            storage.append(&labels, 0, 0, SampleValue::Float(1.0));
        }
    }
    storage.commit();
    storage
}

/// Each of these made gigabytes, or could have, while only its columns were counted.
#[test]
fn labels_count_in_the_memory_of_a_query() {
    let storage = long_labels();
    let all = Arc::new(Budget::new(1 << 30));
    let ask = |query: &str, memory_max: usize| {
        let options = EngineOptions { memory_max, delayed_name_removal: false, ..options() };
        let request = Request { memory: Some(Arc::clone(&all)), ..Request::instant(query, 0) };
        Engine::new(options).run(&storage, &RealClock::new(), &request)
    };
    let nested = |call: &str, rest: &str| {
        (0..20).fold("short".to_owned(), |inner, _| format!("{call}({inner}, {rest})"))
    };
    for (query, enough) in [
        (nested("label_replace", r#""id", "$1$1", "id", "(.*)""#), 8 << 30),
        (nested("label_join", r#""id", "", "id", "id""#), 8 << 30),
        (r#"label_replace(long, "copy", "$1", "text", "(.*)")"#.to_owned(), 64 << 20),
        (r#"label_join(long, "copy", "", "text")"#.to_owned(), 64 << 20),
        (r#"sum by (id, text) (long)"#.to_owned(), 64 << 20),
        (r#"sum by (id, text) (-long)"#.to_owned(), 64 << 20),
        (r#"quantile by (id, text) (0.5, long)"#.to_owned(), 64 << 20),
        (r#"topk by (id, text) (1, long)"#.to_owned(), 64 << 20),
        (r#"count_values by (id, text) ("value", long)"#.to_owned(), 64 << 20),
        (r#"long * on (id) group_left () short"#.to_owned(), 64 << 20),
        (r#"short * on (id) group_left (text) long"#.to_owned(), 64 << 20),
        (r#"long and on (text, id) long"#.to_owned(), 64 << 20),
        (r#"histogram_quantile(0.5, long)"#.to_owned(), 64 << 20),
        (r#"histogram_quantiles(long, "q", 0.1, 0.2)"#.to_owned(), 96 << 20),
        (r#"info(long)"#.to_owned(), 64 << 20),
        (r#"sort_by_label(long, "text") or short"#.to_owned(), 64 << 20),
    ] {
        let short = query.chars().rev().take(60).collect::<Vec<_>>();
        let short: String = short.into_iter().rev().collect();
        let refused = ask(&query, 14 << 20).map(|result| result.stats);
        let refused = refused.expect_err(&short).to_string();
        assert!(refused.contains("promql.max_memory"), "{short}: {refused}");
        if enough < 1 << 30 {
            ask(&query, enough).expect(&short);
        }
        assert_eq!(all.held(), 0, "{short}");
    }
    ask("long", 14 << 20).unwrap();
}

/// Series of every kind under the names that random queries ask for.
const MIXTURE: &str = r#"
load 30s
  up{a="", le="0.1"} 1+1x30
  up{a="b", le="+Inf"} 4 NaN 5 stale 6 _ 7 +Inf -Inf 1 2 3
  up{a="c"} {{schema:0 count:3 sum:4 buckets:[1 2]}}+{{schema:0 count:1 sum:2 buckets:[1]}}x20
  up{a="d"} 1 2 {{schema:-53 count:3 sum:4 custom_values:[1 2] buckets:[1 2]}}x5 3 4
  a:b{le="1"} 10-1x40
  a:b{le="2", b="x"} {{schema:3 count:2 sum:1 z_bucket:1 z_bucket_w:0.01 n_buckets:[1]}}x10
  x.y{a="b"} 3x30
  sum{a="b"} {{schema:1 count:3 sum:4 buckets:[1 2]}} {{schema:0 count:1 sum:4 buckets:[1]}}x9
  by{on="1"} 0 10 3 0 8 _x4 stale 2
  target_info{a="b", version="1"} 1x20
"#;

fn mixture() -> MemoryStorage {
    let mut storage = MemoryStorage::new();
    let script = Script::parse("mixture", &MIXTURE.replace("x.y{", "{\"x.y\", ")).unwrap();
    let report = script.run(&Engine::default(), &RealClock::new(), &mut storage);
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    storage
}

#[test]
#[expect(clippy::print_stdout, reason = "shown where the test fails")]
fn no_query_panics() {
    let storage = mixture();
    let (seed, writer) = crate::parse::tests::Writer::seeded();
    let quick = EngineOptions { memory_max: 10 << 20, timeout_ms: 2_000, ..options() };
    let engines = [
        Engine::new(quick.clone()),
        Engine::new(EngineOptions { delayed_name_removal: false, ..quick }),
    ];
    let mut answered = 0;
    for _ in 0..1_500 {
        let query = writer.vector(3);
        // On failure the query was the last to be printed.
        println!("SEED={seed}: {query}");
        for engine in &engines {
            let at = Request::instant(&query, 300_000);
            let over = Request::range(&query, -60_000, 600_000, 45_000);
            for request in [at, over] {
                answered += u32::from(engine.run(&storage, &RealClock::new(), &request).is_ok());
            }
        }
    }
    assert!(answered > 1_000, "SEED={seed}: only {answered} queries had an answer");
}

/// Twelve digits: `topk` orders an instant by value, and sums round by the order.
fn digits(value: f64) -> String {
    format!("{value:.12e}")
}

fn shown(value: &SampleOf) -> String {
    match value {
        SampleOf::Float(value) => digits(*value),
        SampleOf::Histogram(histogram) => format!("{histogram}"),
    }
}

/// Only an instant can be put in another order; what is then picked of it hangs on the order, and so
/// do the last digits of sums, which decide comparisons.
fn puts_in_order(query: &str) -> bool {
    ["topk", "bottomk", "limitk", "sort"].iter().any(|word| query.contains(word))
}

/// Windows that slide from step to step must find what a query of that step alone finds.
#[test]
fn a_step_of_a_range_is_an_instant() {
    let storage = mixture();
    let (seed, writer) = crate::parse::tests::Writer::seeded();
    // With names dropped late, what a series keeps depends on the first step it is seen at.
    let options = EngineOptions { delayed_name_removal: false, timeout_ms: 2_000, ..options() };
    let engine = Engine::new(options);
    let mut compared = 0;
    for _ in 0..1_500 {
        let query = writer.vector(3);
        let knows_range =
            ["start()", "end()", "range()", "step()"].iter().any(|word| query.contains(word));
        if knows_range || puts_in_order(&query) {
            continue;
        }
        let over = Request::range(&query, -30_000, 600_000, 45_000);
        let Ok(over) = engine.run(&storage, &RealClock::new(), &over) else { continue };
        let QueryValue::Matrix { times_ms, series } = over.value else { continue };
        for (step, time_ms) in times_ms.iter().enumerate() {
            let at = Request::instant(&query, *time_ms);
            let Ok(at) = engine.run(&storage, &RealClock::new(), &at) else { continue };
            let QueryValue::Vector(samples) = at.value else { continue };
            let mut alone: Vec<String> = samples
                .iter()
                .map(|sample| format!("{} {}", sample.labels, shown(&sample.value)))
                .collect();
            let slots = series.iter().filter_map(|one| Some((one, one.column.get(step)?)));
            let mut among: Vec<String> = slots
                .map(|(one, slot)| match slot {
                    Slot::Float(value) => format!("{} {}", one.labels, digits(value)),
                    Slot::Histogram(histogram) => format!("{} {histogram}", one.labels),
                })
                .collect();
            alone.sort();
            among.sort();
            assert_eq!(alone, among, "SEED={seed}: {query} at {time_ms}");
            compared += 1;
        }
    }
    assert!(compared > 1_000, "SEED={seed}: only {compared} steps were compared");
}
