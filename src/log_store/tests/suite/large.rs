//! Row groups at their bounds: many rows, many bytes, many streams, many fields, many values.

use crate::lines::{Line, Wanted, labels_of, lines_of, read, sorted};
use crate::world::{TODAY_NS, World};
use log_store::{Order, Piece};
use model::Matcher;
use platform::sim::{SimClock, SimDisk};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::LogSink;

const GROUP_ROWS: u64 = 128 << 10;
const GROUP_BYTES: u64 = 8 << 20;

fn pieces(world: &World, wanted: &Wanted) -> Vec<Piece> {
    wanted.select(&world.store, &world.tenant, Order::OldestFirst).pieces().to_vec()
}

/// The lines from memory, from two parts, and from the part that a merge makes of them. Checks each
/// time that all are there.
fn in_memory_and_in_parts(lines: Vec<Line>, check: impl Fn(&World, &str)) {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    let (first, second) = lines.split_at(lines.len() / 2);
    world.write_lines(first).unwrap();
    world.flush().unwrap();
    world.write_lines(second).unwrap();
    let lines = sorted(lines);
    for state in ["in memory", "flushed", "merged"] {
        assert!(read(&world, &Wanted::all()) == lines, "{state}: other lines");
        check(&world, state);
        world.flush().unwrap();
        if state == "flushed" {
            world.merge(true).unwrap();
            assert_eq!(world.store.parts(&world.tenant).len(), 1);
        }
    }
}

fn id(n: i64) -> String {
    format!("{:016x}", (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A row group ends by its rows; a field may have as many values as there are rows.
#[test]
fn many_rows_with_a_value_each() {
    let line = |n: i64| {
        let text = format!("request {n} of user {}", n % 1_000);
        Line::new(0, TODAY_NS + n, text).with("trace_id", &id(n)).with("key", &format!("k{n}"))
    };
    in_memory_and_in_parts((0..200_000).map(line).collect(), |world, state| {
        if state == "merged" {
            let pieces = pieces(world, &Wanted::all());
            assert!(pieces.iter().all(|piece| piece.rows <= GROUP_ROWS));
            assert_eq!(pieces.len() as u64, 200_000 / GROUP_ROWS + 1);
            let of_id = Wanted::all().with_field("trace_id", &id(77_777));
            let pieces_of_id = self::pieces(world, &of_id).len();
            assert!((1..=2).contains(&pieces_of_id));
        }
        for n in [0, 131_071, 131_072, 150_000, 199_999] {
            let expected = [line(n)];
            let found = |wanted: Wanted| read(world, &wanted);
            assert_eq!(found(Wanted::all().with_field("trace_id", &id(n))), expected, "{state}");
            assert_eq!(found(Wanted::all().with_field("key", &format!("k{n}"))), expected);
            assert_eq!(found(Wanted::all().containing(&format!("request {n} "))), expected);
        }
        assert_eq!(read(world, &Wanted::all().with_field("trace_id", &id(200_000))), []);
    });
}

/// A row group ends by its bytes.
#[test]
fn lines_of_a_mebibyte() {
    let line = |n: i64| {
        let mut text = format!("{n} ");
        // Words with and without digits, and words that no other line has.
        for i in 0.. {
            text.push_str(&format!("word {} {} ", i * n, ["up", "down"][i as usize % 2]));
            if text.len() >= 1 << 20 {
                break;
            }
        }
        text.truncate(1 << 20);
        Line::new((n % 2) as u32, TODAY_NS + n, text).with("n", &n.to_string())
    };
    let lines: Vec<Line> = (0..24).map(line).collect();
    let size = lines[0].text.len() as u64;
    in_memory_and_in_parts(lines, |world, state| {
        let pieces = pieces(world, &Wanted::all());
        if state == "merged" {
            assert!(pieces.iter().all(|piece| piece.bytes < GROUP_BYTES + size));
            assert!(pieces.len() >= 3, "{}", pieces.len());
        }
        let wanted = Wanted::all().containing("17 word 0 up word 17 down");
        assert_eq!(read(world, &wanted), [line(17)], "{state}");
    });
}

/// Small streams share row groups.
#[test]
fn a_hundred_thousand_streams() {
    let line = |app: u32, n: i64| Line::new(app, TODAY_NS + n, format!("line {n} of {app}"));
    let lines: Vec<Line> =
        (0..100_000).flat_map(|app| [line(app, 1), line(app, i64::from(app))]).collect();
    in_memory_and_in_parts(lines, |world, state| {
        if state == "merged" {
            let of_all = pieces(world, &Wanted::all());
            assert_eq!(of_all.len() as u64, 200_000 / GROUP_ROWS + 1);
            assert!(pieces(world, &Wanted::of_app(70_000)).len() <= 2);
        }
        for app in [0, 1, 49_999, 50_000, 99_999] {
            let expected = [line(app, 1), line(app, i64::from(app))];
            let expected = sorted(expected.to_vec());
            assert_eq!(read(world, &Wanted::of_app(app)), expected, "{state}");
        }
        assert_eq!(read(world, &Wanted::of_app(100_000)), []);
    });
}

/// The fields that most lines have get columns of their own, the others share a page.
#[test]
fn fields_beyond_those_with_columns_of_their_own() {
    let line = |n: i64| {
        let mut line = Line::new(0, TODAY_NS + n, format!("line {n}"));
        // Of f0 to f399 the later ones are rarer.
        for field in (0..400).filter(|field| n % (field / 40 + 1) == 0) {
            line = line.with(&format!("f{field}"), &format!("v{}", (n / 10 + field) % 7));
        }
        line
    };
    in_memory_and_in_parts((0..1_000).map(line).collect(), |world, state| {
        for field in [0, 255, 256, 399] {
            let (name, value) = (format!("f{field}"), "v3".to_owned());
            let has = |line: &Line| line.fields.get(&name) == Some(&value);
            let expected = sorted((0..1_000).map(line).filter(has).collect());
            assert!(expected.len() > 10);
            let found = read(world, &Wanted::all().with_field(&name, &value));
            assert!(found == expected, "{state}: {name}");
        }
    });
}

#[test]
fn a_line_with_thousands_of_fields() {
    let mut long = Line::new(0, TODAY_NS + 500, "has many");
    for field in 0..5_000 {
        long = long.with(&format!("field_{field}"), &id(field % 1_000));
    }
    let mut lines: Vec<Line> = (0..1_000).map(|n| Line::new(0, TODAY_NS + n, "has none")).collect();
    lines.push(long.clone());
    in_memory_and_in_parts(lines, |world, state| {
        let found = read(world, &Wanted::all().with_field("field_4321", &id(321)));
        assert_eq!(found, [long.clone()], "{state}");
    });
}

/// Names that never come again, such as keys that are ids. What a reader has to hold is the rows of a
/// piece times its fields.
#[test]
fn fields_with_new_names_in_every_line() {
    let line = |n: i64| {
        let mut line = Line::new(0, TODAY_NS + n, format!("line {n}"));
        for field in 0..16 {
            line = line.with(&format!("f{}", n * 16 + field), &format!("{field}"));
        }
        line
    };
    in_memory_and_in_parts((0..4_000).map(line).collect(), |world, state| {
        let selection = Wanted::all().select(&world.store, &world.tenant, Order::OldestFirst);
        let mut scratch = log_store::Scratch::default();
        for piece in 0..selection.pieces().len() {
            let rows = selection.read(piece, &mut scratch).unwrap();
            let cells = rows.times.len() * rows.fields.len();
            assert!(cells <= 16 << 20, "{state}: {cells} cells");
        }
        let found = read(world, &Wanted::all().with_field("f55555", "3"));
        assert_eq!(found, [line(55_555 / 16)], "{state}");
    });
}

/// A larger line could not be written into a part: it is refused, and its batch is.
#[test]
fn lines_that_no_page_could_hold() {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    let short = |n: i64| Line::new(0, TODAY_NS + n, "short");
    let field = "x".repeat(20 << 20);
    let line = Line::new(0, TODAY_NS, vec![b'y'; 20 << 20]).with("field", &field);
    let error = world.write_lines(&[short(1), line, short(2)]).unwrap_err().to_string();
    assert!(error.contains("most is 33554432") && error.contains("41943045"), "{error}");
    let lines: Vec<Line> = (0..3)
        .map(|n| Line::new(n, TODAY_NS, vec![b'a'; 16 << 20]).with("field", &field[..12 << 20]))
        .collect();
    lines.iter().for_each(|line| world.write_lines(std::slice::from_ref(line)).unwrap());
    for _ in 0..2 {
        assert!(read(&world, &Wanted::all()) == lines);
        world.flush().unwrap();
    }
}

/// Of repeated names the last value counts, also among very many.
#[test]
fn repeated_fields() {
    let mut world = World::open(SimDisk::new(), Arc::new(SimClock::new()), 1).unwrap();
    let names: Vec<String> = (0..3_000).map(|n| format!("f{}", n % 1_000)).collect();
    let values: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    for count in [3, 3_000] {
        let fields = names.iter().zip(&values).map(|(name, value)| (&**name, &**value));
        let mut fields: Vec<(&str, &str)> = fields.take(count).collect();
        fields.push(("f1", "last"));
        let write = |batch: &mut log_store::LogBatch| {
            batch.stream(labels_of(0).as_bytes());
            batch.line(TODAY_NS, count.to_string().as_bytes(), &fields);
        };
        world.write(write).unwrap();
        let expected: BTreeMap<String, String> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for state in ["in memory", "flushed"] {
            let mut wanted = Wanted::all().containing(&count.to_string());
            wanted.matchers.push(Matcher::equal("app", "a0"));
            let selection = wanted.select(&world.store, &world.tenant, Order::NewestFirst);
            let found = lines_of(&selection).swap_remove(0);
            assert!(found.fields == expected, "{state}, {count} fields");
            world.flush().unwrap();
        }
    }
}
