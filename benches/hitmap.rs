//! How long the grid of transactions takes, and the list under its brush, in memory, in parts and in merged
//! parts.
//!
//! `cargo bench -p benches --bench hitmap [-- --bodies 334 --runs 20]` makes 100 traces of six spans a body,
//! 20 ms apart, of which half are transactions. All is in memory: this measures the code, not the disk.
#![expect(clippy::print_stdout, reason = "a bench is for reading")]

#[allow(dead_code, reason = "others use the rest")]
mod shared;
#[allow(dead_code, reason = "others use the rest")]
#[path = "cost/traces.rs"]
mod traces;

use platform::{Clock, RealClock};
use shared::Arguments;
use traces::{SpanLoad, SpanStore};

fn main() {
    let arguments = Arguments::read();
    let (bodies, runs) = (arguments.get("bodies", 334), arguments.get("runs", 20));
    let (mut load, mut store) = (SpanLoad::new(), SpanStore::new());
    for body in 0..bodies {
        store.write(&load.next_body());
        // As often as a server flushes, roughly.
        if body % 50 == 49 {
            measure("head", &store, load.end_ns(), runs * usize::from(body < 50));
            store.flush();
        }
    }
    store.flush();
    measure("parts", &store, load.end_ns(), runs);
    store.merge();
    measure("merged", &store, load.end_ns(), runs);
}

fn measure(name: &str, store: &SpanStore, end_ns: i64, runs: usize) {
    if runs == 0 {
        return;
    }
    let ask = |what: &str, ask: &dyn Fn() -> usize| {
        let clock = RealClock::new();
        let mut millis: Vec<f64> = Vec::new();
        let mut found = 0;
        for _ in 0..runs {
            let start = clock.now();
            found = ask();
            millis.push(clock.now().since(start).as_secs_f64() * 1_000.0);
        }
        millis.sort_by(f64::total_cmp);
        let (least, median) = (millis[0], millis[millis.len() / 2]);
        println!(
            "{name:>7} {what:<28} {least:8.2} ms least, {median:8.2} ms median, {found} found"
        );
    };
    ask("grid", &|| store.hitmap(None, "", end_ns));
    ask("grid of a service", &|| store.hitmap(None, "service2", end_ns));
    let query = "{ span.http.request.method = \"GET\" }";
    ask("grid of a query", &|| store.hitmap(Some(query), "", end_ns));
    ask("list, latest 1,000", &|| store.transactions(1_000_000_000, end_ns));
}
