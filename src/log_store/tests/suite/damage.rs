//! Damaged files: a part is quarantined and reported, and the rest is served.

use crate::lines::{Line, Wanted, lines_of, read, sorted};
use crate::world::{DAY_NS, TODAY_NS, World};
use log_store::{NO_TEXTS, Needs, Order, Scratch, Select};
use model::TimeUnit;
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Disk, Random, SeededRandom};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Lines of four templates, one of them rare.
fn lines(from: i64) -> Vec<Line> {
    let line = |n: i64| {
        let text = match n % 50 {
            7 => format!("seldom: {}", "x".repeat(n as usize % 20)),
            n if n % 2 == 0 => format!("request {n} took {}ms", n * 37 % 1_000),
            _ => format!(r#"{{"id":"{:016x}","n":{n}}}"#, n.wrapping_mul(0x1E37_79B9_7F4A_7C15)),
        };
        Line::new((n % 5) as u32, from + n * 1_000, text)
            .with("level", ["info", "error"][(n % 3 / 2) as usize])
            .with("trace_id", &format!("{:016x}", n.wrapping_mul(0x7F4A_7C15_9E37_79B9)))
    };
    (0..400).map(line).collect()
}

struct Parts {
    world: World,
    old: Vec<Line>,
    new: Vec<Line>,
}

/// A merged part for each of two days.
fn two_parts(seed: u64) -> Parts {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), seed).unwrap();
    let (old, new) = (lines(TODAY_NS - DAY_NS), lines(TODAY_NS));
    world.write_lines(&old).unwrap();
    world.flush().unwrap();
    world.write_lines(&new).unwrap();
    world.flush().unwrap();
    world.merge(true).unwrap();
    Parts { world, old, new }
}

/// The files of the parts, by the day of their lines.
fn files(world: &World) -> Vec<String> {
    let mut parts = world.store.parts(&world.tenant);
    parts.sort_by_key(|part| part.time.min);
    let path = |id| format!("blobs/parts/{}/logs/{id}.part", world.tenant);
    parts.iter().map(|part| path(part.id)).collect()
}

/// What is found, with warnings: all that is wanted, or else a warning names what is missing.
fn read_damaged(world: &World, all: &[Line], intact: &[Line], context: &str) -> bool {
    let selection = Wanted::all().select(&world.store, &world.tenant, Order::NewestFirst);
    let found: BTreeSet<Line> = lines_of(&selection).into_iter().collect();
    let known: BTreeSet<Line> = all.iter().cloned().collect();
    assert!(found.is_subset(&known), "{context}: a wrong line");
    assert!(intact.iter().all(|line| found.contains(line)), "{context}: the rest is not served");
    if found.len() == known.len() {
        return false;
    }
    assert!(!selection.warnings().is_empty(), "{context}: no warning");
    let names = selection
        .warnings()
        .iter()
        .any(|warning| warning.contains(".part") || warning.contains("part "));
    assert!(names, "{context}: {:?} name no part", selection.warnings());
    true
}

/// Calls `damage` on the file of the older part, a round each, and reads.
fn rounds(seed: u64, count: u64, mut damage: impl FnMut(&SimDisk, &str, u64)) -> usize {
    let Parts { world, old, new } = two_parts(seed);
    let file = files(&world).swap_remove(0);
    let manifests = format!("blobs/manifests/{}/logs", world.tenant);
    let mut disk = world.disk.crash(CrashPolicy::KeepAll);
    drop(world);
    let whole = disk.contents(&file).unwrap();
    let all = [old, new.clone()].concat();
    let mut noticed = 0;
    for round in 0..count {
        disk.overwrite(&file, &whole).unwrap();
        let known = disk.list(&manifests).unwrap();
        damage(&disk, &file, round);
        let world = World::open(disk.clone(), Arc::new(SimClock::new()), seed).unwrap();
        noticed += usize::from(read_damaged(&world, &all, &new, &format!("round {round}")));
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
    let Parts { mut world, old, new } = two_parts(7);
    let more = lines(TODAY_NS + 600_000_000);
    world.write_lines(&more).unwrap();
    world.flush().unwrap();
    let path = files(&world).pop().unwrap();
    let bits = world.disk.contents(&path).unwrap().len() as u64 * 8;
    world.disk.flip_bit(&path, bits / 3).unwrap();
    world.merge(true).unwrap();
    assert_eq!(world.engine.stats().quarantined, 1);
    let all = [&old[..], &new, &more].concat();
    assert!(read_damaged(&world, &all, &old, "after a merge"));
}

/// A delete asks a field that the query does not: when the column can't be read, nobody knows which
/// lines were deleted.
#[test]
fn a_damaged_field_does_not_bring_deleted_lines_back() {
    let errors = Wanted::all().with_field("level", "error");
    let (mut noticed, needs) = (0, Needs { lines: true, fields: Some(BTreeSet::new()) });
    for at in (0..).step_by(29) {
        let Parts { world, old, new } = two_parts(3);
        world.delete(errors.time, errors.delete()).unwrap();
        let remaining = [old, new].concat().into_iter().filter(|l| l.fields["level"] != "error");
        let expected: BTreeSet<Vec<u8>> = remaining.map(|line| line.text).collect();
        let file = files(&world).swap_remove(0);
        if at >= world.disk.contents(&file).unwrap().len() as u64 {
            break;
        }
        world.disk.flip_bit(&file, at * 8).unwrap();
        let disk = world.disk.crash(CrashPolicy::KeepAll);
        drop(world);
        let world = World::open(disk, Arc::new(SimClock::new()), 4).unwrap();
        let select = Select {
            time: TimeUnit::Nanos.everything(),
            matchers: &[],
            conditions: &[],
            identifier: None,
            texts: &NO_TEXTS,
            order: Order::OldestFirst,
            needs: &needs,
        };
        let selection = world.store.select(&world.tenant, &select).unwrap();
        let mut scratch = Scratch::default();
        for piece in 0..selection.pieces().len() {
            let rows = selection.read(piece, &mut scratch).unwrap();
            for text in rows.lines.iter() {
                assert!(expected.contains(text), "byte {at}: a deleted line is back");
            }
        }
        noticed += usize::from(!selection.warnings().is_empty());
    }
    assert!(noticed > 10, "{noticed} flips were noticed");
}

#[test]
fn what_is_not_damaged_is_read_after_a_merge() {
    let Parts { world, old, new } = two_parts(9);
    let path = files(&world).swap_remove(0);
    world.disk.flip_bit(&path, 1_000).unwrap();
    let disk = world.disk.crash(CrashPolicy::KeepAll);
    drop(world);
    let world = World::open(disk, Arc::new(SimClock::new()), 10).unwrap();
    assert!(read_damaged(&world, &[old, new.clone()].concat(), &new, "the first time"));
    world.merge(true).unwrap();
    let today = TimeUnit::Nanos.between(TODAY_NS, TODAY_NS + DAY_NS - 1);
    assert_eq!(read(&world, &Wanted { time: today, ..Wanted::all() }), sorted(new));
}
