//! Files of format version 1 must stay readable.
//!
//! `MIRADOR_FREEZE=1 cargo test -p log_store fixtures` writes the folder again; only for a new
//! version, or while version 1 is not released.

use crate::lines::{Line, Wanted, read, sorted};
use crate::world::{TODAY_NS, World};
use engine::testing::thawed;
use platform::sim::{CrashPolicy, SimClock, SimDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// Any digits, the same each time.
fn digits(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ n >> 7
}

/// A number of 10 to 19 digits.
fn block(n: u64) -> u64 {
    1_000_000_000 + (digits(n) >> (n % 30))
}

/// A line whose slots need the form of a column with this number.
fn text(n: u64) -> Vec<u8> {
    let any = digits(n);
    match n % 10 {
        0 => format!("request {n} took {}.{:02} ms", any % 900, any % 100),
        1 => format!(
            "user u{:04} from 10.0.{}.{} wrote blk_{}",
            any % 10_000,
            any % 256,
            any % 100,
            block(n)
        ),
        2 => format!("trace {any:016x} done in {}ms", any % 5_000),
        3 => format!(
            r#"{{"level":"{}","n":{},"ok":true}}"#,
            ["info", "error"][n as usize % 4 / 2],
            any % 77
        ),
        4 => format!("batch 17 of x{}", ["alpha1", "beta2", "gamma3"][any as usize % 3]),
        5 => format!("결제 {}건 완료", any % 9_999),
        6 => format!("seq {:06} v{}", n, ["1.5", "1.25", "2"][any as usize % 3]),
        7 => format!("mixed {}a{} z", any % 7, any % 100_000),
        8 => format!(
            "rare {} words {}",
            ["up", "down", "left"][n as usize / 10 % 3],
            "x".repeat(n as usize / 100)
        ),
        _ => return odd(n),
    }
    .into_bytes()
}

/// Lines that are one slot.
fn odd(n: u64) -> Vec<u8> {
    match n / 10 % 4 {
        0 => Vec::new(),
        1 => vec![b'a', 0, 0xFF, n as u8],
        2 => format!("once {}", (b'a' + (n / 10 % 26) as u8) as char).into_bytes(),
        _ => (0..300).flat_map(|i| format!("{i} ").into_bytes()).collect(),
    }
}

/// Of each flush: so many that columns of merged parts have filters.
const LINES: u64 = 1_300;

fn lines(flush: u64) -> Vec<Line> {
    let line = |n: u64| {
        let time =
            TODAY_NS + (flush * LINES + n) as i64 * 1_000_003 - i64::from(n % 50 == 7) * 60_000_000;
        let line = Line::new((n % 5) as u32, time, text(flush * LINES + n))
            .with("level", ["info", "warn", "error"][n as usize % 7 / 3])
            .with("trace_id", &format!("{:032x}", u128::from(digits(n / 3)) << 40 | 7));
        match n % 100 {
            // More fields than have columns of their own.
            1 => (0..130).fold(line, |line, i| line.with(&format!("f{}", n + i), "")),
            _ if n.is_multiple_of(3) => line.with("note", &format!("n{}", n % 40)),
            _ => line,
        }
    };
    (0..LINES).map(line).collect()
}

fn expected() -> Vec<Line> {
    sorted((0..4).flat_map(lines).collect())
}

/// Parts of two levels, and a write-ahead log with a batch that is in no part.
fn make() -> SimDisk {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    for flush in 0..4 {
        world.write_lines(&lines(flush)).unwrap();
        match flush {
            0 | 2 => world.flush().unwrap(),
            1 => {
                world.flush().unwrap();
                world.merge(true).unwrap();
            }
            _ => {}
        }
    }
    world.disk.crash(CrashPolicy::KeepAll)
}

#[test]
fn fixtures_of_version_1_are_read() {
    let disk = thawed(&folder(), make).unwrap();
    let world = World::open(disk, Arc::new(SimClock::new()), 9).unwrap();
    assert_eq!(world.store.parts(&world.tenant).len(), 3, "two days, and a flushed part");
    let id = &lines(0)[30].fields["trace_id"];
    let block = &format!("blk_{}", block(31))[..13];
    for state in ["unchanged", "merged"] {
        assert!(read(&world, &Wanted::all()) == expected(), "{state}: other lines");
        for (wanted, holds) in [
            (Wanted::all().containing("u0"), find(b"u0")),
            (Wanted::all().containing("완료"), find("완료".as_bytes())),
            (Wanted::all().containing(block), find(block.as_bytes())),
            (Wanted::all().containing("once c"), find(b"once c")),
        ] {
            let found: Vec<Line> = expected().into_iter().filter(|l| holds(&l.text)).collect();
            assert!(!found.is_empty() && read(&world, &wanted) == found, "{state}: {wanted:?}");
        }
        let of_id = expected().into_iter().filter(|line| line.fields["trace_id"] == *id);
        let found = read(&world, &Wanted::all().with_field("trace_id", id));
        assert_eq!(found, of_id.collect::<Vec<_>>(), "{state}");
        assert_eq!(found.len(), 3 * 4);
        world.flush().unwrap();
        world.merge(true).unwrap();
    }
}

fn find(text: &[u8]) -> impl Fn(&[u8]) -> bool + '_ {
    move |line| line.windows(text.len()).any(|piece| piece == text)
}
