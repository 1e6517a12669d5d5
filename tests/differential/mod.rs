//! Sends the same samples and the same queries to Debian's Prometheus and to the server, and
//! compares the answers.
//!
//! `queries.txt` has queries written by hand; as many again are generated from a seed (`grammar`),
//! and as many regular expressions (`patterns`). Prometheus 2 and Prometheus 3, whose language the
//! server implements, answer some queries differently: these differences are in one table
//! (`known`). Each of its entries must occur, so that the table does not go stale.
//!
//! `DIFFERENTIAL_QUERIES=5000` generates more queries.

mod answers;
mod data;
mod grammar;
mod known;
mod lists;
mod patterns;
mod places;

use crate::prometheus::{self, Prometheus};
use crate::remote_write;
use crate::support::{Folder, Server, say, skip};
use answers::{Answer, TimedQuery, When};
use data::{BASE, END, Maker};
use known::Known;
use platform::SeededRandom;
use platform::sim::test_seed;
use std::collections::BTreeMap;

/// The version for which the table of known differences is written.
const ORACLE: &str = "2.42.";

fn generated() -> usize {
    let given = std::env::var("DIFFERENTIAL_QUERIES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(300)
}

const MINUTE: i64 = 60;

/// Both servers, with the same data.
struct Pair {
    prometheus: Prometheus,
    mirador: Server,
    _folder: Folder,
}

impl Pair {
    fn start(random: &SeededRandom) -> Self {
        let config = |_| "storage:\n  tsdb:\n    out_of_order_time_window: 1h\n".to_owned();
        let flags = [
            "--web.enable-remote-write-receiver",
            "--enable-feature=exemplar-storage",
            "--storage.tsdb.retention.time=100y",
        ];
        let prometheus = Prometheus::start(config, &flags).expect("it is there");
        let folder = Folder::new();
        let settings = ["--set", "retention.metrics=0s", "--set", "promql.experimental=true"];
        let mirador = Server::start_with(folder.path(), &settings);
        let pair = Self { prometheus, mirador, _folder: folder };
        pair.fill(random);
        pair
    }

    fn fill(&self, random: &SeededRandom) {
        let slices = data::in_order(&Maker::new(random).everything());
        let half = slices.len() / 2;
        for (number, slice) in slices.iter().enumerate() {
            remote_write::write(self.prometheus.address, slice);
            remote_write::write(self.mirador.address, slice);
            if number == half {
                // From here on, answers combine parts and head.
                assert_eq!(self.mirador.post("/-/flush", b"").status, 200);
            }
        }
        let late = data::late();
        remote_write::write(self.prometheus.address, &late);
        remote_write::write(self.mirador.address, &late);
    }
}

/// Seven seconds past ten, where no grid of a subquery begins.
fn times() -> Vec<When> {
    let (base, end) = (BASE / 1_000 + 7, END / 1_000 + 7);
    vec![
        When::Instant(base + 101 * MINUTE),
        When::Instant(base + 30 * MINUTE + 130),
        When::Range(base + 55 * MINUTE, base + 125 * MINUTE, 70),
        When::Range(base - 10 * MINUTE, end + 10 * MINUTE, 450),
    ]
}

/// One query per line; empty lines and lines with `#` are for the reader.
fn written_by_hand() -> Vec<String> {
    let lines = include_str!("queries.txt").lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn prometheus_answers_the_same() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let version = prometheus::version().unwrap_or_default();
    if !version.starts_with(ORACLE) {
        skip("differential", &format!("Prometheus {ORACLE}x is the oracle, here is {version:?}"));
        return;
    }
    let pair = Pair::start(&random);
    let generated = generated();
    let mut queries = written_by_hand();
    let by_hand = queries.len();
    queries.extend((0..generated).map(|_| grammar::Grammar::new(&random).query()));
    let mut tally = Tally::default();
    for query in &queries {
        for when in times() {
            tally.look(&pair, &TimedQuery { query: query.clone(), when });
        }
    }
    lists::compare(&pair, &mut tally);
    patterns::compare(&pair, &random, &mut tally);
    say(&format!(
        "differential: SEED={seed}, Prometheus {version}, {by_hand} queries by hand and {generated} generated, \
         {} answers equal ({} of them errors, {} empty), known to differ: {:?}",
        tally.equal, tally.errors, tally.empty, tally.known
    ));
    let shown: Vec<&str> = tally.unknown.iter().take(200).map(|(_, text)| text.as_str()).collect();
    assert!(
        shown.is_empty(),
        "{} queries are answered differently:\n{}",
        tally.unknown.len(),
        shown.join("\n\n")
    );
    assert!(tally.equal > 1_000 && tally.errors > 50, "too few queries, or too few with errors");
    for known in known::TABLE {
        assert!(tally.known.contains_key(known.name), "{} no longer differs", known.name);
    }
}

#[derive(Default)]
struct Tally {
    equal: usize,
    errors: usize,
    empty: usize,
    known: BTreeMap<&'static str, usize>,
    /// The query, the request, and how the answers differ.
    unknown: Vec<(String, String)>,
}

impl Tally {
    fn look(&mut self, pair: &Pair, timed: &TimedQuery) {
        let theirs = ask(pair.prometheus.address, &timed.path(&timed.query));
        let ours = ask(pair.mirador.address, &timed.path(&known::renamed(&timed.query)));
        if known::renamed(&timed.query) != timed.query {
            *self.known.entry(known::RENAMED).or_default() += 1;
        }
        let mut theirs = theirs;
        if matches!(timed.when, When::Range(..)) && theirs.status == 400 {
            theirs.error = format!("{}{}", known::QUERY_PARAMETER, theirs.error);
        }
        let ordered = is_ordered(timed);
        self.note(&theirs, &ours, ordered, &format!("{timed:?}"), &timed.query);
    }

    fn note(&mut self, theirs: &Answer, ours: &Answer, ordered: bool, what: &str, query: &str) {
        let Some(text) = answers::difference(theirs, ours, ordered) else {
            self.equal += 1;
            self.errors += usize::from(theirs.status != 200);
            let nothing = theirs.data["result"].as_array().is_some_and(Vec::is_empty);
            self.empty += usize::from(nothing);
            return;
        };
        let applies = |known: &&Known| (known.applies)(query, theirs, ours);
        match known::TABLE.iter().find(applies) {
            Some(known) => *self.known.entry(known.name).or_default() += 1,
            // One failure per query is enough to see what is wrong.
            None if self.unknown.last().is_some_and(|(last, _)| last == query) => {}
            None => self.unknown.push((query.to_owned(), format!("{what}\n  {text}"))),
        }
    }
}

fn ask(address: std::net::SocketAddr, path: &str) -> Answer {
    answers::ask(&mut answers::connect(address), path)
}

/// The order is part of the answer if the outermost operation sorts, and in every range query.
fn is_ordered(timed: &TimedQuery) -> bool {
    let sorts = ["sort(", "sort_desc("];
    match timed.when {
        When::Range(..) => true,
        When::Instant(_) => sorts.iter().any(|word| timed.query.starts_with(word)),
    }
}
