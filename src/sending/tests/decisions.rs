//! What is decided without a network: requests, answers, waits, shards, positions, labels.

use super::{item, series};
use crate::batcher::{Batcher, Next};
use crate::destination::QueueSettings;
use crate::item::{Item, Tally, Value};
use crate::progress::{Mark, Progress};
use crate::resharding::{EACH, Interval, Resharding};
use crate::retry::{Backoff, Outcome, outcome};
use crate::series::{Epochs, Found, Rewriting};
use hyper::header::{HeaderMap, HeaderName};
use metric_store::Exemplar;
use model::{Labels, WalPosition};
use outbound::{Error, Reason, Response};
use platform::sim::SimClock;
use platform::{Clock, Moment};
use proptest::prelude::*;
use std::time::Duration;
use wire::{Encoding, WriteVersion};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_request_goes_when_it_is_full_or_has_waited() {
    let clock = SimClock::new();
    let mut batcher = Batcher::new(3, seconds(5));
    assert_eq!(batcher.next(clock.now()), Next::Wait(None));
    batcher.push(vec![item("a", 1, 0), item("b", 1, 0)], clock.now());
    clock.advance(seconds(2));
    batcher.push(vec![], clock.now());
    assert_eq!(batcher.next(clock.now()), Next::Wait(Some(seconds(3))));
    clock.advance(seconds(3));
    assert_eq!(batcher.next(clock.now()), Next::Send);
    assert_eq!(batcher.take(clock.now()).len(), 2);
    assert_eq!(batcher.next(clock.now()), Next::Wait(None));

    let five = (0..5).map(|time| item("a", time, 0)).collect();
    batcher.push(five, clock.now());
    assert_eq!(batcher.next(clock.now()), Next::Send);
    let times = |items: Vec<Item>| items.iter().map(Item::time_ms).collect::<Vec<_>>();
    assert_eq!(times(batcher.take(clock.now())), [0, 1, 2]);
    // What is left waits anew.
    assert_eq!(batcher.next(clock.now()), Next::Wait(Some(seconds(5))));
    assert_eq!(times(batcher.take(clock.now())), [3, 4]);
    assert!(batcher.is_empty());
}

#[test]
fn an_exemplar_goes_with_its_sample() {
    let exemplar = Exemplar { labels: Labels::empty(), time_ms: 1, value: 0.0 };
    let follows = Item { value: Value::Exemplar(exemplar.into()), ..item("a", 1, 0) };
    let mut batcher = Batcher::new(1, seconds(5));
    batcher.push(vec![item("a", 1, 0), follows, item("b", 2, 0)], Moment(seconds(0)));
    let tally = Tally { samples: 1, histograms: 0, exemplars: 1 };
    assert_eq!(Tally::of(&batcher.take(Moment(seconds(0)))), tally);
}

#[test]
fn waits_double_up_to_their_bound_and_receivers_may_ask_for_more() {
    let mut backoff = Backoff::new(&QueueSettings::default());
    let waits: Vec<u128> = (0..10).map(|_| backoff.wait(None).as_millis()).collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_840, 5_000, 5_000]);
    assert_eq!(backoff.wait(Some(seconds(60))), seconds(60));
    assert_eq!(backoff.wait(Some(seconds(1))), seconds(5), "never less than its own");
    assert_eq!(backoff.attempts, 12);
}

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Result<Response, Error> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    let encoding = Encoding::Identity;
    Ok(Response { status, headers, body: "because".into(), encoding })
}

fn of(answer: Result<Response, Error>, version: WriteVersion, on_429: bool) -> Outcome {
    let asked = Tally { samples: 5, histograms: 1, exemplars: 2 };
    // 2023-11-14T22:13:20Z
    outcome(answer, version, asked, on_429, 1_700_000_000_000)
}

#[test]
fn answers_mean_what_prometheus_means() {
    let v1 = |status, headers: &[_]| of(answer(status, headers), WriteVersion::V1, true);
    let all = Tally { samples: 5, histograms: 1, exemplars: 2 };
    assert_eq!(v1(204, &[]), Outcome::Taken(all));
    for status in [500, 502, 503, 599] {
        let failed = Outcome::Failed(format!("it answered {status}: because"), None);
        assert_eq!(v1(status, &[]), failed);
    }
    for (status, is_of_samples) in
        [(400, true), (422, true), (401, false), (404, false), (302, false)]
    {
        let why = format!("it answered {status}: because");
        assert_eq!(v1(status, &[]), Outcome::Refused { why, is_of_samples });
    }
    for (text, wait) in [
        ("7", Some(seconds(7))),
        ("Tue, 14 Nov 2023 22:13:50 GMT", Some(seconds(30))),
        ("Tue, 14 Nov 2023 22:13:10 GMT", None),
        ("99999999", Some(seconds(3_600))),
        ("soon", None),
    ] {
        let Outcome::Failed(_, after) = v1(429, &[("retry-after", text)]) else { panic!("{text}") };
        assert_eq!(after, wait, "{text}");
    }
    let refused = of(answer(429, &[]), WriteVersion::V1, false);
    assert!(matches!(refused, Outcome::Refused { is_of_samples: false, .. }));
    let lost = Err(Error::new(Reason::Connect, "nobody listens"));
    let failed = Outcome::Failed("nobody listens".to_owned(), None);
    assert_eq!(of(lost, WriteVersion::V1, false), failed);

    let written = [
        ("x-prometheus-remote-write-samples-written", "4"),
        ("x-prometheus-remote-write-histograms-written", "1"),
    ];
    let some = Tally { samples: 4, histograms: 1, exemplars: 0 };
    assert_eq!(of(answer(204, &written), WriteVersion::V2, false), Outcome::Taken(some));
}

/// Shards after each of several equal intervals.
fn reshard(first: usize, interval: Interval, settings: &QueueSettings) -> Vec<usize> {
    let (mut resharding, mut shards) = (Resharding::default(), first);
    let mut decide = || {
        shards = resharding.decide(interval, shards, settings);
        shards
    };
    (0..3).map(|_| decide()).collect()
}

#[test]
fn there_are_as_many_shards_as_samples_need() {
    let settings = QueueSettings { shards_max: 20, ..QueueSettings::default() };
    let seconds = EACH.as_secs_f64();
    // 1,000 samples a second, a millisecond each: one shard is just enough.
    let busy = |shards: f64| Interval {
        received: 1_000.0 * seconds,
        sent: 1_000.0 * seconds,
        busy_seconds: shards * seconds,
        waiting: 0.0,
    };
    assert_eq!(reshard(1, busy(1.0), &settings), [1, 1, 1]);
    assert_eq!(reshard(1, busy(4.0), &settings), [4, 4, 4]);
    assert_eq!(reshard(5, busy(4.0), &settings), [5, 5, 5], "near enough");
    assert_eq!(reshard(9, busy(4.0), &settings), [4, 4, 4]);
    assert_eq!(reshard(1, busy(400.0), &settings), [20, 20, 20]);
    // A backlog of a minute is caught up with more shards, and nobody loses shards meanwhile.
    let late = Interval { waiting: 60_000.0, ..busy(1.0) };
    assert_eq!(reshard(1, late, &settings), [4, 4, 4]);
    assert_eq!(reshard(9, late, &settings), [9, 9, 9]);
    // A receiver that takes nothing is not asked more often.
    assert_eq!(reshard(2, Interval { sent: 0.0, ..late }, &settings), [2, 2, 2]);
    let least = QueueSettings { shards_min: 3, ..settings };
    assert_eq!(reshard(9, busy(0.1), &least), [3, 3, 3]);
}

fn mark(place: u64) -> Mark {
    let sent = WalPosition { segment: 1, offset: place };
    Mark { sent, definitions: WalPosition::START }
}

proptest! {
    /// Whatever the order of answers, the mark stands behind the last batch before which all is settled.
    #[test]
    fn a_mark_moves_over_settled_batches_only(
        counts in prop::collection::vec(0usize..4, 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let progress = Progress::new(mark(0));
        let mut open: Vec<Item> = Vec::new();
        for (index, count) in counts.iter().enumerate() {
            let number = progress.begin(mark(index as u64 + 1));
            open.extend((0..*count).map(|time| item("a", time as i64, number)));
            progress.read(*count as u64, true);
        }
        let mut left: Vec<usize> = counts;
        let check = |left: &[usize]| {
            let settled = left.iter().take_while(|count| **count == 0).count() as u64;
            assert_eq!(progress.mark(), mark(settled));
            assert_eq!(progress.pending(), left.iter().sum::<usize>() as u64);
        };
        check(&left);
        for at in order {
            if open.is_empty() {
                break;
            }
            let item = open.swap_remove(at.index(open.len()));
            left[item.batch as usize] -= 1;
            progress.settle(&[item]);
            check(&left);
        }
    }
}

#[test]
fn a_place_that_was_passed_counts_when_all_before_it_is_settled() {
    let progress = Progress::new(mark(0));
    progress.pass(mark(1));
    assert_eq!(progress.mark(), mark(1));
    let number = progress.begin(mark(2));
    progress.read(1, false);
    progress.pass(mark(3));
    progress.settle(&[item("a", 0, number)]);
    assert_eq!(progress.mark(), mark(1), "more of the batch will be read");
    progress.read(1, true);
    progress.pass(mark(4));
    progress.settle(&[item("a", 0, number)]);
    assert_eq!(progress.mark(), mark(4));
}

fn rules(text: &str) -> relabel::Rules {
    yaml::Node::parse(text).unwrap().read().unwrap()
}

#[test]
fn labels_are_added_before_relabeling_and_own_ones_win() {
    let rewriting = Rewriting {
        external: Labels::from_pairs([("site", "jeju"), ("job", "outside")]),
        relabel: rules(
            "[{source_labels: [site, job], regex: 'jeju;noise', action: drop},\
             {source_labels: [site], target_label: copy}]",
        ),
    };
    let apply = |pairs: &[(&str, &str)]| {
        let labels = Labels::from_pairs(pairs.iter().copied());
        rewriting.apply(&labels).map(|series| series.labels.to_string())
    };
    assert_eq!(
        apply(&[("__name__", "up"), ("job", "own")]).unwrap(),
        "{__name__=\"up\", copy=\"jeju\", job=\"own\", site=\"jeju\"}"
    );
    assert_eq!(apply(&[("__name__", "up"), ("job", "noise")]), None);
}

#[test]
fn a_number_means_a_series_of_its_epoch() {
    let rewriting = Rewriting {
        external: Labels::empty(),
        relabel: rules("[{source_labels: [__name__], regex: b, action: drop}]"),
    };
    let mut epochs = Epochs::new(rewriting);
    let named = |name| Labels::from_pairs([("__name__", name)]);
    let at = |offset| WalPosition { segment: 1, offset };
    epochs.define(7, at(10), &[(0, named("a")), (1, named("b"))]);
    epochs.define(8, at(20), &[(0, named("c"))]);
    let name = |epoch, number| match epochs.find(epoch, number) {
        Found::Series(series) => series.labels.metric_name().to_owned(),
        Found::Dropped => "dropped".to_owned(),
        Found::Unknown => "unknown".to_owned(),
    };
    assert_eq!([name(7, 0), name(7, 1), name(7, 2)], ["a", "dropped", "unknown"]);
    assert_eq!([name(8, 0), name(8, 1)], ["c", "unknown"]);
    assert_eq!((epochs.start(), epochs.newest()), (Some(at(20)), Some(8)));
    epochs.define(9, at(30), &[]);
    assert!(matches!(epochs.find(7, 0), Found::Unknown), "two epochs are kept");
    assert_eq!(series("a").hash, series("a").hash);
}
