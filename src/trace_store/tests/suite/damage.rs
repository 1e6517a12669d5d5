//! Damaged files: a part is quarantined and reported, and the rest is served.

use crate::spans::{Shown, Span, fill, open, read_with_warnings, whole};
use engine::testing::{DAY_NS, TODAY_NS, World};
use model::TimeUnit;
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Disk, Random, SeededRandom};
use std::collections::BTreeSet;
use std::sync::Arc;
use trace_store::{Select, TraceStore};

/// Traces of four spans each.
fn spans(from: i64) -> Vec<Span> {
    let span = |n: u64| Span {
        trace: (n / 4 % 50) as u8 + 1,
        id: (n % 4) as u8 + 1,
        parent: (n % 4) as u8,
        start: from as u64 + n * 1_000,
        length: (n * 37 % 1_000) as i64,
        name: format!("name {}", n % 7),
        kind: (n % 6) as u8,
        status: (n % 3) as u8,
        resource: Shown::from([("service.name".to_owned(), format!("text:s{}", n % 5))]),
        scope: Shown::new(),
        attributes: Shown::from([
            ("user".to_owned(), format!("text:u{:06}", n * 7_919 % 100_000)),
            ("code".to_owned(), format!("int:{}", 200 + n % 4)),
        ]),
        events: if n.is_multiple_of(9) { vec![Shown::new()] } else { Vec::new() },
        links: Vec::new(),
    };
    (0..200).map(span).collect()
}

fn write(store: &TraceStore, world: &mut World, spans: &[Span]) {
    let mut batch = store.batch(&world.tenant);
    fill(&mut batch, spans);
    world.write(batch).unwrap();
    world.flush().unwrap();
}

struct Parts {
    store: TraceStore,
    world: World,
    old: Vec<Span>,
    new: Vec<Span>,
}

/// A merged part for each of two days. The traces of both have other ids.
fn two_parts(seed: u64) -> Parts {
    let (store, mut world) = open(&SimDisk::new(), &Arc::new(SimClock::new()), seed).unwrap();
    let (old, mut new) = (spans(TODAY_NS - 2 * DAY_NS), spans(TODAY_NS));
    new.iter_mut().for_each(|span| span.trace += 100);
    write(&store, &mut world, &old);
    write(&store, &mut world, &new);
    world.merge(true).unwrap();
    Parts { store, world, old, new }
}

/// The files of the parts, by their day.
fn files(store: &TraceStore, world: &World) -> Vec<String> {
    let mut parts = store.parts(&world.tenant);
    parts.sort_by_key(|part| part.time.min);
    let path = |id| format!("blobs/parts/{}/traces/{id}.part", world.tenant);
    parts.iter().map(|part| path(part.id)).collect()
}

/// What is found: all that is wanted, or else a warning names what is missing.
fn read_damaged(
    parts: (&TraceStore, &World),
    all: &[Span],
    intact: &[Span],
    context: &str,
) -> bool {
    let (store, world) = parts;
    let wanted = whole(TimeUnit::Nanos.everything());
    let (found, warnings) = read_with_warnings(store, &world.tenant, &wanted);
    let found: BTreeSet<Span> = found.into_iter().collect();
    let known: BTreeSet<Span> = all.iter().cloned().collect();
    assert!(found.is_subset(&known), "{context}: a wrong span");
    assert!(intact.iter().all(|span| found.contains(span)), "{context}: the rest is not served");
    if found.len() == known.len() {
        return false;
    }
    assert!(warnings.iter().any(|warning| warning.contains("part")), "{context}: {warnings:?}");
    true
}

/// Calls `damage` on the file of the older part, a round each, and reads.
fn rounds(seed: u64, count: u64, mut damage: impl FnMut(&SimDisk, &str, u64)) -> usize {
    let Parts { store, world, old, new } = two_parts(seed);
    let file = files(&store, &world).swap_remove(0);
    let manifests = format!("blobs/manifests/{}/traces", world.tenant);
    let mut disk = world.disk.crash(CrashPolicy::KeepAll);
    drop((store, world));
    let whole = disk.contents(&file).unwrap();
    let all = [old, new.clone()].concat();
    let mut noticed = 0;
    for round in 0..count {
        disk.overwrite(&file, &whole).unwrap();
        let known = disk.list(&manifests).unwrap();
        damage(&disk, &file, round);
        let (store, world) = open(&disk, &Arc::new(SimClock::new()), seed).unwrap();
        let context = format!("round {round}");
        noticed += usize::from(read_damaged((&store, &world), &all, &new, &context));
        disk = world.disk.crash(CrashPolicy::KeepAll);
        // The generation that quarantined the part is deleted, so that the next round begins like
        // this one.
        for entry in disk.list(&manifests).unwrap() {
            if !known.iter().any(|before| before.name == entry.name) {
                disk.remove(&format!("{manifests}/{}", entry.name)).unwrap();
            }
        }
    }
    noticed
}

#[test]
fn a_flipped_bit_never_changes_an_answer() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let noticed = rounds(seed, 200, |disk, file, _| {
        let bits = disk.contents(file).unwrap().len() as u64 * 8;
        disk.flip_bit(file, random.below(bits)).unwrap();
    });
    assert!(noticed > 100, "{noticed} flips were noticed");
}

#[test]
fn a_part_that_ends_early_or_is_gone_is_named() {
    let noticed = rounds(5, 30, |disk, file, round| {
        let whole = disk.contents(file).unwrap();
        match round {
            0 => disk.remove(file).unwrap(),
            _ => disk.overwrite(file, &whole[..whole.len() * round as usize / 30]).unwrap(),
        }
    });
    assert_eq!(noticed, 30);
}

#[test]
fn damage_that_a_merge_finds_quarantines_the_part() {
    let Parts { store, mut world, old, new } = two_parts(7);
    let mut more = spans(TODAY_NS + 600_000_000);
    more.iter_mut().for_each(|span| span.trace += 160);
    write(&store, &mut world, &more);
    let path = files(&store, &world).pop().unwrap();
    let bits = world.disk.contents(&path).unwrap().len() as u64 * 8;
    world.disk.flip_bit(&path, bits / 3).unwrap();
    world.merge(true).unwrap();
    assert_eq!(world.engine.stats().quarantined, 1);
    let all = [&old[..], &new, &more].concat();
    assert!(read_damaged((&store, &world), &all, &old, "after a merge"));
}

/// A trace of which one fragment can't be read is answered without it, and a warning.
#[test]
fn a_damaged_fragment_is_missed_with_a_warning() {
    let (store, mut world) = open(&SimDisk::new(), &Arc::new(SimClock::new()), 3).unwrap();
    let spans = spans(TODAY_NS);
    let (first, second): (Vec<Span>, Vec<Span>) =
        spans.iter().cloned().partition(|span| span.id < 3);
    write(&store, &mut world, &first);
    write(&store, &mut world, &second);
    let path = files(&store, &world).swap_remove(0);
    world.disk.flip_bit(&path, 8_000).unwrap();
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    drop((store, world));
    let (store, world) = open(&disk, &Arc::new(SimClock::new()), 4).unwrap();
    let time = TimeUnit::Nanos.everything();
    for trace in [1, 17] {
        let wanted = Select { time, trace_id: Some([trace; 16]), are_whole: true };
        let (found, warnings) = read_with_warnings(&store, &world.tenant, &wanted);
        assert!(found.iter().all(|span| spans.contains(span)));
        assert!(found.len() == 4 || !warnings.is_empty());
    }
    read_damaged((&store, &world), &spans, &second, "whole traces");
}
