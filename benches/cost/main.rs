//! The cost guard: fixed work whose instructions callgrind counts.
//!
//! `.ci/cost` runs every work listed here and compares its instructions with the budgets in
//! `benches/cost-budgets.txt` (docs/benchmarks.md explains how to change one). `cost --list` prints
//! the names, `cost NAME` does one work.
//!
//! Only what `counted_work` calls is counted; everything that a work needs is prepared outside of
//! it. The work is the same in every run: a fixed seed, a simulated disk and clock, one thread.
#![expect(clippy::print_stdout, reason = "a command for people")]

mod load;
mod logs;
mod store;
mod traces;

use load::{Load, SERIES};
use logs::{APPS, LINES, LineLoad, LineStore};
use std::hint::black_box;
use std::process::ExitCode;
use store::Store;
use traces::{SERVICES, SpanLoad, SpanStore, TRACES};

type Work = fn();

const WORKS: [(&str, Work); 17] = [
    ("remote-write", remote_write),
    ("new-series", new_series),
    ("flush", flush),
    ("merge", merge),
    ("sum-by-rate", sum_by_rate),
    ("label-values", label_values),
    ("series", series),
    ("log-push", log_push),
    ("log-flush", log_flush),
    ("log-merge", log_merge),
    ("log-search", log_search),
    ("log-count", log_count),
    ("span-push", span_push),
    ("span-flush", span_flush),
    ("span-merge", span_merge),
    ("span-search", span_search),
    ("span-rate", span_rate),
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        WORKS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    match WORKS.iter().find(|(name, _)| *name == wanted) {
        Some((_, work)) => {
            work();
            ExitCode::SUCCESS
        }
        None => {
            println!("cost NAME, where NAME is one that `cost --list` prints");
            ExitCode::FAILURE
        }
    }
}

/// Callgrind finds this function by its name and counts from its entry to its return. The result
/// passes through `black_box`, so that the call is neither inlined nor turned into a jump.
#[inline(never)]
fn counted_work(work: &mut dyn FnMut() -> usize) -> usize {
    black_box(work())
}

/// Runs the work and checks that it did as much as it should.
fn count(expected: usize, mut work: impl FnMut() -> usize) {
    let done = counted_work(&mut work);
    assert_eq!(done, expected, "the work is not what it was");
}

/// A store with this many scrapes of all series in its head.
fn scraped(load: &mut Load, scrapes: usize) -> Store {
    let mut store = Store::new();
    for _ in 0..scrapes {
        store.write(&load.next_scrape());
    }
    store
}

/// A store with a part for each of `parts` runs of scrapes.
fn in_parts(load: &mut Load, parts: usize, scrapes: usize) -> Store {
    let mut store = Store::new();
    for _ in 0..parts {
        for _ in 0..scrapes {
            store.write(&load.next_scrape());
        }
        store.flush();
    }
    assert_eq!(store.parts(), parts);
    store
}

/// Bodies with series that the store knows: decompressed, decoded, resolved, encoded for the
/// write-ahead log, applied to the head.
fn remote_write() {
    const BODIES: usize = 10;
    let mut load = Load::new();
    let mut store = scraped(&mut load, 2);
    let bodies: Vec<_> = (0..BODIES).map(|_| load.next_scrape()).collect();
    count(BODIES * SERIES, || bodies.iter().map(|body| store.write(body)).sum());
}

/// A body with series that the store does not know, added to a registry that has others.
fn new_series() {
    let mut store = scraped(&mut Load::new(), 1);
    let body = Load::of_other_hosts().next_scrape();
    count(SERIES, || store.write(&body));
}

fn flush() {
    let mut store = scraped(&mut Load::new(), 120);
    count(1, || {
        store.flush();
        store.parts()
    });
}

fn merge() {
    let store = in_parts(&mut Load::new(), 4, 30);
    count(1, || {
        store.merge();
        store.parts()
    });
}

/// A query over an hour of one metric, half of it in parts and half in the head.
fn sum_by_rate() {
    let mut load = Load::new();
    let mut store = in_parts(&mut load, 2, 60);
    for _ in 0..120 {
        store.write(&load.next_scrape());
    }
    let end_ms = load.last_ms();
    let query = "sum by (mode) (rate(node_cpu_seconds_total[5m]))";
    count(load::MODES.len(), || store.range_query(query, end_ms - 3_600_000, end_ms, 15_000));
}

/// The values of a label, among all series and among those of one metric.
fn label_values() {
    let store = half_flushed();
    count(2 * load::HOSTS, || {
        store.label_values("instance", None)
            + store.label_values("instance", Some(load::CPU_METRIC))
    });
}

/// The labels of every series of a metric.
fn series() {
    let store = half_flushed();
    count(load::HOSTS * load::CPU_SERIES, || store.series(load::CPU_METRIC));
}

fn half_flushed() -> Store {
    let mut load = Load::new();
    let mut store = in_parts(&mut load, 1, 4);
    store.write(&load.next_scrape());
    store
}

/// Bodies of Loki's push: decompressed, decoded, encoded for the write-ahead log, applied to the head.
fn log_push() {
    const BODIES: usize = 10;
    let mut load = LineLoad::new();
    let mut store = LineStore::new();
    let bodies: Vec<_> = (0..BODIES).map(|_| load.next_body()).collect();
    count(BODIES * LINES, || bodies.iter().map(|body| store.write(body)).sum());
}

fn log_flush() {
    let (mut load, mut store) = (LineLoad::new(), LineStore::new());
    for _ in 0..20 {
        store.write(&load.next_body());
    }
    count(1, || {
        store.flush();
        store.parts()
    });
}

/// A store with a part for each of four runs of bodies.
fn lines_in_parts(load: &mut LineLoad) -> LineStore {
    let mut store = LineStore::new();
    for _ in 0..4 {
        for _ in 0..10 {
            store.write(&load.next_body());
        }
        store.flush();
    }
    store
}

fn log_merge() {
    let store = lines_in_parts(&mut LineLoad::new());
    count(1, || {
        store.merge();
        store.parts()
    });
}

/// Counts lines that hold a text, by app.
fn log_search() {
    let mut load = LineLoad::new();
    let store = lines_in_parts(&mut load);
    store.merge();
    let query = "sum by (app) (count_over_time({cluster=\"one\"} |= \"from 10.0.3.77 took\" [1h]))";
    count(APPS / 2, || store.query(query, load.end_ns()));
}

/// Counts all lines by a field and in windows that cut row groups.
fn log_count() {
    let mut load = LineLoad::new();
    let store = lines_in_parts(&mut load);
    store.merge();
    let query = "sum by (app, level) (count_over_time({cluster=\"one\"}[50s]))";
    count(APPS * 3, || store.query(query, load.end_ns()));
}

/// Exports of OTLP: decoded, encoded for the write-ahead log, applied to the head.
fn span_push() {
    const BODIES: usize = 20;
    let (mut load, mut store) = (SpanLoad::new(), SpanStore::new());
    let bodies: Vec<_> = (0..BODIES).map(|_| load.next_body()).collect();
    let spans = BODIES * TRACES * SERVICES;
    count(spans, || bodies.iter().map(|body| store.write(body)).sum());
}

fn span_flush() {
    let (mut load, mut store) = (SpanLoad::new(), SpanStore::new());
    for _ in 0..40 {
        store.write(&load.next_body());
    }
    count(1, || {
        store.flush();
        store.parts()
    });
}

/// A store with a part for each of four runs of exports.
fn spans_in_parts(load: &mut SpanLoad) -> SpanStore {
    let mut store = SpanStore::new();
    for _ in 0..4 {
        for _ in 0..20 {
            store.write(&load.next_body());
        }
        store.flush();
    }
    store
}

fn span_merge() {
    let store = spans_in_parts(&mut SpanLoad::new());
    count(1, || {
        store.merge();
        store.parts()
    });
}

/// The newest traces in which a service calls another one that fails.
fn span_search() {
    let mut load = SpanLoad::new();
    let store = spans_in_parts(&mut load);
    store.merge();
    let query = "{ resource.service.name = \"service0\" } >> { status = error }";
    count(20, || store.search(query, load.end_ns()));
}

/// Rates by service, and by an attribute that no counts are kept of.
fn span_rate() {
    let mut load = SpanLoad::new();
    let store = spans_in_parts(&mut load);
    store.merge();
    let by_service = "{ } | rate() by (resource.service.name)";
    let by_method = "{ } | rate() by (span.http.request.method)";
    count(SERVICES + 2, || {
        store.metrics(by_service, load.end_ns()) + store.metrics(by_method, load.end_ns())
    });
}
