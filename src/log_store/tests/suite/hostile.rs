//! Pages that say something wrong under checksums that hold, as a hostile hand or a fault of memory
//! makes them: an answer, or a part that is quarantined and named. Never a panic.

use crate::lines::{Line, Wanted};
use crate::world::{TODAY_NS, World};
use log_store::{ABSENT, Condition, Order, Scratch, Selection, Steps};
use model::{Matcher, Signal};
use parts::{Compression, Edit, PartStore, Site};
use platform::sim::{CrashPolicy, SimClock, SimDisk, test_seed};
use platform::{Disk, DiskBlobs, Ids, Random, SeededRandom};
use regex::bytes::Regex;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

fn lines() -> Vec<Line> {
    let line = |n: i64| {
        let text = match n % 5 {
            0 => format!("request {n} took {}ms", n * 37 % 1_000),
            1 => format!(r#"{{"id":"{:016x}","user":"u{}"}}"#, n.wrapping_mul(0x1E37_79B9), n % 4),
            2 => format!("사용자 {} 확인", n % 7),
            3 => format!("ratio {}.{}", n % 10, n % 10 + 1),
            _ => format!("seldom {}", "x".repeat(n as usize % 90)),
        };
        let line = Line::new((n % 5) as u32, TODAY_NS + n * 1_000, text)
            .with("level", ["info", "error"][(n % 3 / 2) as usize])
            .with("trace_id", &format!("{:016x}", n.wrapping_mul(0x7F4A_7C15_9E37_79B9)));
        match n {
            7 => (0..300).fold(line, |line, i| line.with(&format!("f{i}"), "x")),
            _ => line,
        }
    };
    (0..500).map(line).collect()
}

/// The parts of the store's tenant, opened beside it.
fn parts_of(world: &World) -> PartStore {
    let clock = Arc::new(SimClock::new());
    let shared: Arc<dyn Disk> = Arc::new(world.disk.clone());
    let blobs = Arc::new(DiskBlobs::open(shared, "blobs").unwrap());
    let ids = Arc::new(Ids::new(clock.clone(), Arc::new(SeededRandom::new(9))));
    PartStore::open(&Site::new(blobs, clock, ids), world.tenant.clone(), Signal::Logs).unwrap()
}

/// A page as a part has it.
type Page = (u16, Option<u64>, Vec<u8>);

fn pages_of(store: &PartStore) -> Vec<Page> {
    let manifest = store.snapshot();
    let part = store.part(&manifest, manifest.parts[0].id).unwrap();
    let page = |number| {
        let entry = part.entry(number).unwrap();
        (entry.kind, entry.key, part.page(number).unwrap())
    };
    (0..part.page_count().unwrap()).map(page).collect()
}

/// Replaces the part by one with these pages.
fn publish(store: &PartStore, pages: &[Page]) {
    let manifest = store.snapshot();
    let known = store.part(&manifest, manifest.parts[0].id).unwrap().meta().summary.clone();
    let mut writer = store.new_part().unwrap();
    for (kind, key, bytes) in pages {
        writer.page(*kind, *key, bytes, Compression::None).unwrap();
    }
    let part = writer.finish(known).unwrap();
    let remove = vec![manifest.parts[0].id];
    store.update(|_| Ok(Edit { add: vec![part], remove, ..Edit::default() })).unwrap();
}

/// Changes one page: a byte, a number that is as large as can be, an end, or a piece that is repeated.
fn change(pages: &mut [Page], random: &SeededRandom) -> String {
    let number = random.below(pages.len() as u64) as usize;
    let (kind, _, bytes) = &mut pages[number];
    let at = random.below(bytes.len().max(1) as u64) as usize;
    // The beginnings of pages hold the counts.
    let at = if random.below(2) == 0 { at % 16 } else { at }.min(bytes.len());
    let how = random.below(5);
    match how {
        _ if bytes.is_empty() => bytes.push(random.next_u64() as u8),
        0 => bytes.truncate(at),
        1 => drop(bytes.splice(at..at, [0xFF, 0xFF, 0xFF, 0xFF, 0x0F])),
        2 => {
            let piece = bytes[at..].iter().take(9).copied().collect::<Vec<u8>>();
            drop(bytes.splice(at..at, piece));
        }
        _ => {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1 << random.below(8);
        }
    }
    format!("page {number} of kind {kind}, change {how} at {at}")
}

/// Reads in every way; errors and warnings are fine.
fn use_it(world: &World) {
    let regex = Arc::new(Regex::new("took [0-9]+|x{4}").unwrap());
    let any_case = Condition::Contains {
        texts: vec!["확인".to_owned(), "TOOK 3".to_owned()],
        ignore_case: true,
    };
    let all = [
        Wanted::all(),
        Wanted::all().containing("took 37"),
        Wanted::all().containing("1"),
        Wanted::all().with(any_case),
        Wanted::all().with(Condition::Matches { regex, negated: false }),
        Wanted::all().with_field("trace_id", "7f4a7c159e3779b9"),
        Wanted::all().with_field("f3", "x"),
        Wanted { matchers: vec![Matcher::equal("app", "a2")], ..Wanted::all() },
    ];
    let mut scratch = Scratch::default();
    for wanted in all {
        let selection = wanted.select(&world.store, &world.tenant, Order::NewestFirst);
        for piece in 0..selection.pieces().len() {
            let rows = selection.read(piece, &mut scratch).unwrap();
            assert_eq!(
                (rows.streams.len(), rows.lines.len()),
                (rows.times.len(), rows.times.len())
            );
            for field in rows.fields {
                let read = (0..rows.times.len()).filter_map(|row| field.column.get(row));
                let _bytes: usize = read.map(<[u8]>::len).sum();
            }
            rows.streams.iter().for_each(|stream| drop(selection.labels(*stream).clone()));
            count(&selection, piece, &mut scratch);
        }
    }
}

/// What is counted without reading lines names streams, templates and values that there are.
fn count(selection: &Selection, piece: usize, scratch: &mut Scratch) {
    let starts = [TODAY_NS, TODAY_NS + 100_000];
    for steps in [Steps::ONE, Steps(&starts)] {
        for count in selection.count(piece, steps, scratch).unwrap() {
            assert!((count.stream as usize) < selection.stream_count() && count.step < 2);
        }
        let fields = ["level", "f3"];
        let counted = selection.count_templates(piece, &fields, steps, scratch).unwrap();
        for count in &counted.counts {
            assert!((count.template as usize) < counted.templates.len());
            assert!(count.value == ABSENT || (count.value as usize) < counted.values.len());
        }
    }
}

/// A disk with a part that has these pages.
fn disk_with(pages: &[Page]) -> SimDisk {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    world.write_lines(&lines()[..20]).unwrap();
    world.flush().unwrap();
    publish(&parts_of(&world), pages);
    world.disk.crash(CrashPolicy::KeepAll)
}

/// Opens, reads, and merges or deletes. Answers how many parts were quarantined.
fn round(number: u64, disk: SimDisk) -> u64 {
    let mut world = World::open(disk, Arc::new(SimClock::new()), 2).unwrap();
    match number % 3 {
        0 => {
            world.write_lines(&lines()[..9]).unwrap();
            world.flush().unwrap();
            world.merge(true).unwrap();
        }
        1 => {
            let errors = Wanted::all().with_field("level", "error").containing("took");
            world.delete(errors.time, errors.delete()).unwrap();
        }
        _ => {}
    }
    use_it(&world);
    world.engine.stats().quarantined
}

#[test]
fn changed_pages_never_cause_a_panic() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    world.write_lines(&lines()).unwrap();
    world.flush().unwrap();
    let original = pages_of(&parts_of(&world));
    let kinds: BTreeSet<u16> = original.iter().map(|page| page.0).collect();
    assert_eq!(kinds, (1..=13).collect(), "a page of each kind");
    let mut quarantined = 0;
    for number in 0..rounds() {
        let mut pages = original.clone();
        let changes = random.below(2) + 1;
        let changed: Vec<String> = (0..changes).map(|_| change(&mut pages, &random)).collect();
        let run = AssertUnwindSafe(|| round(number, disk_with(&pages)));
        quarantined += catch_unwind(run).unwrap_or_else(|panic| {
            println!("round {number}: {changed:?}");
            resume_unwind(panic)
        });
    }
    assert!(quarantined > rounds() / 4, "{quarantined} changes were noticed");
}

/// `HOSTILE_ROUNDS=20000` changes more pages.
fn rounds() -> u64 {
    std::env::var("HOSTILE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}
