//! The answers do not depend on where samples are stored: the same queries go to a server that has
//! everything in its head, to one with many parts and a head, and to one that has merged
//! everything. Nor do they depend on whether a range is queried as a whole or in two halves.
//!
//! `DIFFERENTIAL_QUERIES=5000` generates more queries.

use super::answers::{self, TimedQuery, When};
use super::data::{self, BASE, Maker};
use super::{generated, grammar, times};
use crate::remote_write::{self, Histogram, Series};
use crate::support::{Folder, Server, say};
use platform::sim::test_seed;
use platform::{Random, SeededRandom};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a server's samples are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    Head,
    PartsAndHead,
    OnePart,
}

fn start(spread: Spread, slices: &[Vec<Series>]) -> (Server, Folder) {
    let folder = Folder::new();
    let settings = [
        "--set",
        "retention.metrics=0s",
        "--set",
        "promql.experimental=true",
        "--set",
        "metrics.self_interval=0s",
    ];
    let server = Server::start_with(folder.path(), &settings);
    for slice in slices {
        if spread == Spread::PartsAndHead {
            assert_eq!(server.post("/-/flush", b"").status, 200);
        }
        remote_write::write(server.address, slice);
    }
    if spread == Spread::OnePart {
        assert_eq!(server.post("/-/flush", b"").status, 200);
        assert_eq!(server.post("/-/merge", b"").status, 200);
    }
    (server, folder)
}

/// Native histograms that grow, change their scale, and alternate with floats.
fn natives(random: &SeededRandom) -> Vec<Series> {
    let one = |number: u64| {
        let mut series = Series::new(&[("__name__", "native"), ("n", &number.to_string())]);
        let mut buckets = vec![0; 6];
        for step in 0..800_i64 {
            let time = BASE + step * 15_000 + 1 + random.below(998) as i64;
            if number == 2 && step / 50 % 2 == 1 {
                series.samples.push((time, step as f64));
                continue;
            }
            if random.below(150) == 0 {
                buckets = vec![0; 6];
            }
            buckets.iter_mut().for_each(|bucket| *bucket += random.below(4));
            let schema = if number == 1 && step > 400 { 1 } else { 3 };
            let (zero, first) = (buckets[0], -2);
            let sum = buckets.iter().sum::<u64>() as f64 * 0.7;
            let buckets = buckets.clone();
            series.histograms.push(Histogram { time, schema, sum, zero, first, buckets });
        }
        series
    };
    (0..3).map(one).collect()
}

const OF_NATIVES: [&str; 14] = [
    "native",
    "rate(native[5m])",
    "increase(native[1h])",
    "sum(rate(native[2m]))",
    "avg by (n) (native)",
    "histogram_quantile(0.9, sum(rate(native[13m])))",
    "histogram_fraction(0.5, 2, native)",
    "histogram_avg(avg_over_time(native[1h]))",
    "last_over_time(native[3m])",
    "resets(native[1h])",
    "changes(native[1h])",
    "delta(native[5m])",
    "native - native offset 1m",
    "sum_over_time(native[20m:1m])",
];

#[test]
fn answers_do_not_depend_on_where_samples_are_stored() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let everything = [Maker::new(&random).everything(), natives(&random)].concat();
    let mut slices = data::in_order(&everything);
    slices.push(data::late());
    let servers = [Spread::Head, Spread::PartsAndHead, Spread::OnePart]
        .map(|spread| (spread, start(spread, &slices)));
    let mut connections =
        servers.each_ref().map(|(spread, (server, _))| (*spread, server.connect()));
    let mut queries: Vec<String> = OF_NATIVES.map(str::to_owned).to_vec();
    queries.extend((0..generated()).map(|_| grammar::Grammar::new(&random).query()));
    let (mut compared, mut split) = (0, 0);
    for query in &queries {
        let query = &super::known::renamed(query);
        for when in times() {
            let timed = TimedQuery { query: query.clone(), when };
            let texts = connections.each_mut().map(|(spread, connection)| {
                (*spread, connection.send("GET", &timed.path(query), &[], b"").body)
            });
            for (spread, text) in &texts[1..] {
                let [expected, got] = [&texts[0].1, text].map(|text| String::from_utf8_lossy(text));
                assert!(
                    expected == got,
                    "SEED={seed}: {timed:?}\n{:?}: {expected}\n{spread:?}: {got}",
                    texts[0].0
                );
                compared += 1;
            }
            if let When::Range(start, end, step) = when
                && is_divisible(query)
            {
                let middle = start + (end - start) / step / 2 * step;
                let ranges = [(start, end), (start, middle), (middle + step, end)];
                let answers = ranges.map(|(start, end)| {
                    let when = When::Range(start, end, step);
                    let timed = TimedQuery { query: query.clone(), when };
                    answers::ask(&mut connections[1].1, &timed.path(query))
                });
                if answers.iter().all(|answer| answer.status == 200) {
                    let [whole, halves @ ..] = answers.map(|answer| points(&answer.data));
                    assert_eq!(whole, joined(halves), "SEED={seed}: {query} in two halves");
                    split += 1;
                }
            }
        }
    }
    say(&format!(
        "places: SEED={seed}, {} queries, {compared} answers equal, {split} ranges split",
        queries.len()
    ));
    assert!(compared > 500 && split > 100, "too few queries");
}

/// Whether a range may be split. It may not with `@`, which can refer to the range's ends, or if
/// equal values compete, because which one is selected depends on the order in which series were
/// first seen.
fn is_divisible(query: &str) -> bool {
    !["@", "topk", "bottomk"].iter().any(|word| query.contains(word))
}

type Points = BTreeMap<String, Vec<String>>;

fn points(data: &Value) -> Points {
    let series = data["result"].as_array().unwrap();
    let of_one = |one: &Value| {
        let both = ["values", "histograms"].map(|kind| one[kind].as_array().cloned());
        let mut points: Vec<Value> = both.into_iter().flatten().flatten().collect();
        points.sort_by(|left, right| left[0].as_f64().partial_cmp(&right[0].as_f64()).unwrap());
        points.iter().map(ToString::to_string).collect()
    };
    series.iter().map(|one| (one["metric"].to_string(), of_one(one))).collect()
}

fn joined([mut first, second]: [Points; 2]) -> Points {
    for (labels, points) in second {
        first.entry(labels).or_default().extend(points);
    }
    first
}
