//! Whole queues: from the store's batches to a receiver, over failures, restarts and power cuts.

use super::receiver::{Answer, Receiver};
use super::world::{World, destination};
use crate::telemetry::{DROPPED, LOST_BYTES, REFUSED, SENT};
use crate::{Destination, MetadataSettings, QueueSettings};
use model::TenantId;
use platform::sim::{CrashPolicy, SimDisk, test_seed};
use platform::{Disk, Random, SeededRandom};
use std::collections::BTreeSet;
use std::time::Duration;
use wire::WriteVersion;

const SERIES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

fn named(receiver: &Receiver, name: &str) -> Destination {
    Destination { name: name.to_owned(), ..destination(receiver) }
}

/// The times that the receiver has of each series, which must have come in order.
fn times(receiver: &Receiver, series: &str) -> Vec<i64> {
    let key = format!("{{__name__={series:?}}}");
    let samples = receiver.look(|seen| seen.samples.get(&key).cloned().unwrap_or_default());
    assert!(samples.iter().all(|(time, bits)| *bits == (*time as f64).to_bits()));
    samples.into_iter().map(|(time, _)| time).collect()
}

async fn wait_for(receiver: &Receiver, last: i64) {
    receiver
        .wait(&format!("all series up to {last}"), |seen| {
            let has = |name: &&str| {
                let samples = seen.samples.get(&format!("{{__name__={name:?}}}"));
                samples.is_some_and(|of| of.iter().any(|(time, _)| *time == last))
            };
            SERIES.iter().all(has)
        })
        .await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn everything_that_arrives_is_sent_once_and_in_order() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        // A new destination gets what comes from now on, also of series that are known already.
        world.commit(&SERIES, 1).await;
        world.send_to(vec![named(&receiver, "order")]).await;
        for time in 2..300 {
            world.commit(&SERIES, time).await;
            world.commit_as(&TenantId::new("other").unwrap(), &["x"], time).await;
            if time % 100 == 0 {
                world.maintenance.flush(&world.gateway).await.unwrap();
            }
        }
        wait_for(&receiver, 299).await;
        for series in SERIES {
            assert_eq!(times(&receiver, series), (2..300).collect::<Vec<_>>(), "{series}");
        }
        assert_eq!(receiver.look(|seen| seen.samples.len()), SERIES.len());
        assert_eq!(SENT.value(&["order", "sample"]), 298 * 7);
        let head = receiver.look(|seen| seen.heads[0].clone());
        for line in [
            "post /api/v1/write http/1.1",
            "content-type: application/x-protobuf",
            "content-encoding: snappy",
            "x-prometheus-remote-write-version: 0.1.0",
            "x-scope-orgid: 7",
        ] {
            assert!(head.lines().any(|one| one == line), "{line}: {head}");
        }
        let view = world.senders.views().remove(0);
        assert_eq!((view.shards, view.highest_sent_ms, view.failure), (2, 299, None));
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn both_messages_carry_all_kinds() {
    runtime().block_on(async {
        for (version, name) in [(WriteVersion::V1, "kinds1"), (WriteVersion::V2, "kinds2")] {
            let receiver = Receiver::start().await;
            let mut world = World::open(&SimDisk::new(), u64::MAX);
            world.commit_all_kinds(1).await;
            let metadata = MetadataSettings { send: true, ..MetadataSettings::default() };
            world.send_to(vec![Destination { version, metadata, ..named(&receiver, name) }]).await;
            // What metrics mean is known by the time that their samples come.
            receiver
                .wait("metadata", |seen| version == WriteVersion::V2 || !seen.metadata.is_empty())
                .await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.commit_all_kinds(2).await;
            receiver.wait("a histogram", |seen| seen.histograms == 1).await;
            receiver.wait("an exemplar", |seen| !seen.exemplars.is_empty()).await;
            receiver.look(|seen| {
                let exemplar = "{__name__=\"requests_total\"} {trace_id=\"1\"}";
                assert_eq!(seen.exemplars, [exemplar]);
                assert_eq!(seen.metadata[0], "requests_total Counter Answered.");
                let proto = "proto=io.prometheus.write.v2.request";
                let says = seen.heads.iter().all(|head| head.contains(proto));
                assert_eq!(says, version == WriteVersion::V2);
            });
            world.senders.stop(Duration::from_secs(30)).await;
        }
    });
}

#[test]
fn a_destination_may_want_less() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        let text = "[{source_labels: [__name__], regex: a, action: drop}]";
        world
            .send_to(vec![Destination {
                relabel: yaml::Node::parse(text).unwrap().read().unwrap(),
                send_exemplars: false,
                send_native_histograms: false,
                ..named(&receiver, "less")
            }])
            .await;
        world.commit_all_kinds(1).await;
        world.commit(&["a", "b"], 1).await;
        receiver.wait("b", |seen| seen.samples.contains_key("{__name__=\"b\"}")).await;
        receiver.look(|seen| {
            assert_eq!((seen.histograms, seen.exemplars.len()), (0, 0));
            assert!(!seen.samples.contains_key("{__name__=\"a\"}"));
        });
        for reason in ["relabeled", "exemplars_off", "native_histograms_off"] {
            assert_eq!(DROPPED.value(&["less", reason]), 1, "{reason}");
        }
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

/// Errors of the server and of the network are tried again for as long as they last.
#[test]
fn a_receiver_that_fails_gets_everything_later() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        receiver.answer(Answer::Status(503));
        world.send_to(vec![named(&receiver, "later")]).await;
        for time in 1..200 {
            world.commit(&SERIES, time).await;
        }
        receiver.wait("refusals", |seen| seen.refusals > 5).await;
        receiver.answer(Answer::HangUp);
        let requests = receiver.look(|seen| seen.requests);
        receiver.wait("more attempts", |seen| seen.requests > requests + 5).await;
        // Ingest does not wait, and what waits in memory is bounded: the rest is in the write-ahead log.
        let view = world.senders.views().remove(0);
        assert!(view.pending < 7 * 198 / 2 && view.behind_bytes > 0, "{view:?}");
        assert!(view.failure.is_some());
        receiver.answer(Answer::Take);
        wait_for(&receiver, 199).await;
        for series in SERIES {
            assert_eq!(times(&receiver, series), (1..200).collect::<Vec<_>>(), "{series}");
        }
        let retried =
            receiver.look(|seen| seen.heads.iter().any(|h| h.contains("retry-attempt: 2")));
        assert!(retried);
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn what_is_refused_is_counted_and_not_sent_again() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        receiver.answer(Answer::Status(400));
        world.send_to(vec![named(&receiver, "refused")]).await;
        world.commit(&["a"], 1).await;
        receiver.wait("a refusal", |seen| seen.refusals == 1).await;
        receiver.answer(Answer::Take);
        world.commit(&["a"], 2).await;
        receiver.wait("the next", |seen| !seen.samples.is_empty()).await;
        assert_eq!(times(&receiver, "a"), [2]);
        assert_eq!(REFUSED.value(&["refused", "sample"]), 1);
        let failure = world.senders.views()[0].failure.clone().unwrap();
        assert_eq!(failure.1, "it answered 400: ");
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn samples_that_are_too_old_are_not_sent() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        let there = named(&receiver, "age");
        let queue =
            QueueSettings { sample_age_max: Some(Duration::from_secs(3_600)), ..there.queue };
        world.send_to(vec![Destination { queue, ..there }]).await;
        world.commit(&["a"], 1).await;
        let late_ms = 4_000_000_000_000;
        world.commit(&["a"], late_ms).await;
        receiver.wait("a sample", |seen| !seen.samples.is_empty()).await;
        assert_eq!(times(&receiver, "a"), [late_ms]);
        assert_eq!(DROPPED.value(&["age", "too_old"]), 1);
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

/// Restarts, power cuts, flushes, and a receiver that comes and goes: every sample is taken in the end,
/// and those of a series that come again are the only ones out of order.
#[test]
fn nothing_is_lost_over_power_cuts() {
    let random = SeededRandom::new(test_seed());
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        let mut disk = SimDisk::new();
        let mut time = 0;
        for cycle in 0..12 {
            let mut world = World::open(&disk, u64::MAX);
            world.send_to(vec![named(&receiver, "cuts")]).await;
            for _ in 0..random.below(80) {
                time += 1;
                world.commit(&SERIES, time).await;
                match random.below(20) {
                    0 => receiver.answer(Answer::Status(500)),
                    1 => receiver.answer(Answer::HangUp),
                    2..=4 => receiver.answer(Answer::Take),
                    5 => drop(world.maintenance.flush(&world.gateway).await.unwrap()),
                    6 => tokio::time::sleep(Duration::from_millis(30)).await,
                    _ => {}
                }
            }
            let is_orderly = cycle % 3 == 0;
            if is_orderly {
                world.senders.stop(Duration::from_millis(200)).await;
            }
            disk = world.disk.crash(CrashPolicy::LoseUnsynced);
        }
        receiver.answer(Answer::Take);
        let mut world = World::open(&disk, u64::MAX);
        world.send_to(vec![named(&receiver, "cuts")]).await;
        time += 1;
        world.commit(&SERIES, time).await;
        wait_for(&receiver, time).await;
        for series in SERIES {
            let found: BTreeSet<i64> = times(&receiver, series).into_iter().collect();
            assert_eq!(found, (1..=time).collect(), "{series}");
        }
        assert_eq!(LOST_BYTES.value(&["cuts"]), 0);
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

/// A receiver like Prometheus refuses a whole request for one old sample. After a power cut, requests hold
/// what it has and what it has not.
#[test]
fn a_receiver_that_refuses_old_samples_misses_none() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::InOrder);
        let disk = SimDisk::new();
        let mut world = World::open(&disk, u64::MAX);
        // As if the power had gone before the position was written again.
        world.send_to(vec![named(&receiver, "strict")]).await;
        let position: Vec<(String, Vec<u8>)> = world
            .disk
            .list("sending")
            .unwrap()
            .into_iter()
            .map(|entry| format!("sending/{}", entry.name))
            .map(|path| (path.clone(), world.disk.contents(&path).unwrap()))
            .collect();
        for time in 1..=13 {
            world.commit(&SERIES, time).await;
        }
        wait_for(&receiver, 13).await;
        receiver.answer(Answer::Status(500));
        for time in 14..=23 {
            world.commit(&SERIES, time).await;
        }
        let disk = world.disk.crash(CrashPolicy::LoseUnsynced);
        for (name, bytes) in position {
            disk.overwrite(&name, &bytes).unwrap();
        }
        receiver.answer(Answer::InOrder);
        let mut world = World::open(&disk, u64::MAX);
        world.send_to(vec![named(&receiver, "strict")]).await;
        wait_for(&receiver, 23).await;
        for series in SERIES {
            let found: BTreeSet<i64> = times(&receiver, series).into_iter().collect();
            assert_eq!(found, (1..=23).collect(), "{series}");
        }
        assert!(receiver.look(|seen| seen.refusals) > 0, "it has refused some");
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn the_write_ahead_log_waits_and_a_start_does_not_replay_it() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::Status(500));
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        world.send_to(vec![named(&receiver, "wait")]).await;
        for time in 1..=200 {
            world.commit(&SERIES, time).await;
        }
        let before = world.wal_bytes();
        // The store keeps the write-ahead log for the manifest before the newest too.
        world.maintenance.flush(&world.gateway).await.unwrap();
        world.maintenance.flush(&world.gateway).await.unwrap();
        assert!(world.wal_bytes() >= before, "nothing was deleted");
        let disk = world.disk.crash(CrashPolicy::LoseUnsynced);
        let mut world = World::open(&disk, u64::MAX);
        assert!(world.replayed < 200 / 4, "everything is in parts, the last segment is read again");
        receiver.answer(Answer::Take);
        world.send_to(vec![named(&receiver, "wait")]).await;
        wait_for(&receiver, 200).await;
        // What was taken is let go of, a moment after the position is on the disk. Without samples the
        // definitions of the last epoch are not needed either.
        let mut bytes = world.wal_bytes();
        for _ in 0..3_000 {
            world.maintenance.flush(&world.gateway).await.unwrap();
            bytes = world.wal_bytes();
            if bytes < before / 4 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(bytes < before / 4, "{bytes} of {before}");
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn a_backlog_is_bounded_and_what_is_given_up_is_counted() {
    runtime().block_on(async {
        let receiver = Receiver::start().await;
        receiver.answer(Answer::Status(500));
        let most = 16 << 10;
        let mut world = World::open(&SimDisk::new(), most);
        world.send_to(vec![named(&receiver, "bound")]).await;
        for time in 1..=600 {
            world.commit(&SERIES, time).await;
            if time % 50 == 0 {
                world.maintenance.flush(&world.gateway).await.unwrap();
                assert!(world.wal_bytes() <= most + (8 << 10), "{}", world.wal_bytes());
            }
        }
        receiver.answer(Answer::Take);
        world.maintenance.flush(&world.gateway).await.unwrap();
        world.commit(&SERIES, 601).await;
        wait_for(&receiver, 601).await;
        assert!(LOST_BYTES.value(&["bound"]) > 0);
        let first = times(&receiver, "a");
        assert!(first.len() < 601 && first.is_sorted(), "{first:?}");
        world.senders.stop(Duration::from_secs(30)).await;
    });
}

#[test]
fn a_reload_leaves_alone_what_is_the_same() {
    runtime().block_on(async {
        let [stays, goes] = [Receiver::start().await, Receiver::start().await];
        let mut world = World::open(&SimDisk::new(), u64::MAX);
        world.send_to(vec![named(&stays, "stays"), named(&goes, "goes")]).await;
        world.commit(&SERIES, 1).await;
        wait_for(&stays, 1).await;
        wait_for(&goes, 1).await;
        let timeout = Duration::from_secs(7);
        world.send_to(vec![named(&stays, "stays")]).await;
        world.commit(&SERIES, 2).await;
        wait_for(&stays, 2).await;
        assert_eq!(world.senders.views().len(), 1);
        // A changed one goes on where it was; one that comes back begins anew.
        world.commit(&SERIES, 3).await;
        let changed = Destination { timeout, ..named(&stays, "stays") };
        world.send_to(vec![changed, named(&goes, "goes")]).await;
        world.commit(&SERIES, 4).await;
        wait_for(&stays, 4).await;
        wait_for(&goes, 4).await;
        assert_eq!(times(&stays, "a"), [1, 2, 3, 4]);
        assert_eq!(times(&goes, "a"), [1, 4]);
        world.senders.stop(Duration::from_secs(30)).await;
    });
}
