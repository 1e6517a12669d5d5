//! The store against a list of lines: whatever is written, flushed, merged, deleted and read again after
//! a restart, a selection has exactly the lines that the list has.

use crate::lines::{Line, Wanted, labels_of, lines_of, read, sorted};
use crate::world::{DAY_NS, TODAY_NS, World};
use log_store::{Condition, LogDelete, NO_TEXTS, Needs, Order, Scratch, Select, Selection, Steps};
use model::{MatchOp, Matcher, TimeUnit};
use platform::sim::{SimClock, SimDisk};
use proptest::prelude::*;
use regex::bytes::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MINUTE_NS: i64 = 60_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Line>),
    Flush,
    Merge(bool),
    Reopen,
    /// Except for lines of these streams.
    Delete(Wanted, Vec<u32>),
    Select(Wanted),
}

/// Some identifiers, so that several lines have the same one.
const IDS: [&str; 5] = [
    "00c0ffee00c0ffee",
    "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    "1b4e28ba2fa111d2883f0016d3cca427",
    "0123456701234567",
    "abcdefab",
];

fn any_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(IDS.to_vec())
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        5 => 0i64..1_000_000_000,
        3 => (0i64..5, -1i64..3).prop_map(|(minute, more)| minute * MINUTE_NS + more),
        1 => -DAY_NS..DAY_NS,
    ]
    .prop_map(|offset| TODAY_NS + offset)
}

fn any_line() -> impl Strategy<Value = Line> {
    let text = prop_oneof![
        "(user|User) [a-c][0-9]{1,2} from 10\\.0\\.[0-9]\\.[0-9]( 결제가)?"
            .prop_map(String::into_bytes),
        r#"\{"level":"(info|error)","n":[0-9]{1,4},"id":"[0-9a-f]{8}"\}"#
            .prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
        (any_id(), "[ =x_-]")
            .prop_map(|(id, before)| format!("pod{before}{id} is up").into_bytes()),
        any_id().prop_map(|id| format!(r#"{{"id":"{id}","{id}":1}}"#).into_bytes()),
    ];
    let value = prop_oneof!["info|error|[0-9a-f]{16}|", any_id().prop_map(str::to_owned)];
    let fields = prop::collection::btree_map("level|trace_id|x", value, 0..3);
    (0u32..5, any_time(), text, fields).prop_map(|(app, time, text, fields)| Line {
        app,
        time,
        text,
        fields,
    })
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let matcher = prop_oneof![
        Just(Matcher::new(MatchOp::Regex, "app", "a.*").unwrap()),
        (0u32..6).prop_map(|app| Matcher::equal("app", &format!("a{app}"))),
        Just(Matcher::not_equal("level", "label")),
    ];
    let text = prop_oneof![
        9 => "user|r [a-c]|10\\.0|0\\.[0-9]|결제|error|\"n\":|[0-9a-f]{2}|",
        1 => any_id().prop_map(str::to_owned),
    ];
    let texts = prop::collection::vec(text, 1..3);
    let patterns = [
        "(?i)USER",
        "user [a-b]1",
        "from .* 결",
        "\"n\":[0-9]{3}",
        "^$",
        "k",
        "(?i)ERROR",
        "a|[0-9]+",
    ];
    let regex = prop::sample::select(patterns.to_vec())
        .prop_map(|pattern| Arc::new(Regex::new(pattern).unwrap()));
    let value = prop_oneof!["info|error|label|[0-9a-f]{16}|", any_id().prop_map(str::to_owned)];
    let field = ("level|trace_id|x|none", value)
        .prop_map(|(name, value)| Condition::Field(Matcher::equal(&name, &value)));
    let condition = prop_oneof![
        (texts.clone(), any::<bool>())
            .prop_map(|(texts, ignore_case)| Condition::Contains { texts, ignore_case }),
        texts.prop_map(|texts| Condition::Lacks { texts }),
        (regex, any::<bool>()).prop_map(|(regex, negated)| Condition::Matches { regex, negated }),
        field,
    ];
    let conditions = prop::collection::vec(condition, 0..3);
    let identifier = prop::option::weighted(0.2, any_id().prop_map(bytes_of));
    let matchers = prop::collection::vec(matcher, 0..2);
    (any_time(), any_time(), matchers, conditions, identifier).prop_map(
        |(one, other, matchers, conditions, identifier)| Wanted {
            time: TimeUnit::Nanos.between(one.min(other), one.max(other)),
            matchers,
            conditions,
            identifier,
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => prop::collection::vec(any_line(), 1..60).prop_map(Step::Write),
        2 => Just(Step::Flush),
        2 => any::<bool>().prop_map(Step::Merge),
        1 => Just(Step::Reopen),
        1 => (any_wanted(), prop::collection::vec(0u32..6, 0..3)).prop_map(|(wanted, except)| {
            Step::Delete(Wanted { identifier: None, ..wanted }, except)
        }),
        4 => any_wanted().prop_map(Step::Select),
    ]
}

fn contains(line: &[u8], text: &str, ignore_case: bool) -> bool {
    let pattern = regex::escape(text);
    let pattern = if ignore_case { format!("(?i){pattern}") } else { pattern };
    Regex::new(&pattern).unwrap().is_match(line)
}

fn holds(condition: &Condition, line: &Line) -> bool {
    match condition {
        Condition::Contains { texts, ignore_case } => {
            texts.iter().any(|text| contains(&line.text, text, *ignore_case))
        }
        Condition::Lacks { texts } => !texts.iter().any(|text| contains(&line.text, text, false)),
        Condition::Matches { regex, negated } => regex.is_match(&line.text) != *negated,
        Condition::Field(matcher) => {
            let value = line.fields.get(&matcher.name).map_or("", String::as_str);
            labels_of(line.app).get(&matcher.name).is_some() || matcher.matches(value)
        }
    }
}

/// The bytes that the digits of an identifier stand for.
fn bytes_of(id: &str) -> Vec<u8> {
    let digits: Vec<u32> = id.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Whether a line has an identifier as a word, or a field has it.
fn carries(identifier: &[u8], line: &Line) -> bool {
    let is_one = |text: &str| IDS.contains(&text) && bytes_of(text) == identifier;
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let words = Regex::new(&format!(r"(?-u)\b(?:{uuid}\b|[0-9A-Za-z_\x80-\xff]+)")).unwrap();
    words.find_iter(&line.text).any(|word| is_one(&String::from_utf8_lossy(word.as_bytes())))
        || line.fields.values().any(|value| is_one(value))
}

fn wants(wanted: &Wanted, line: &Line) -> bool {
    wanted.time.contains(line.time)
        && wanted.matchers.iter().all(|matcher| matcher.matches_labels(&labels_of(line.app)))
        && wanted.conditions.iter().all(|condition| holds(condition, line))
        && wanted.identifier.as_ref().is_none_or(|id| carries(id, line))
}

/// Checks of a piece that reading a part of the time gives the lines of that time, and that what is known
/// of a field without reading lines is what they say.
fn check_piece(selection: &Selection, piece: usize, scratch: &mut Scratch) {
    let rows = selection.read(piece, scratch).unwrap();
    let lines: Vec<(i64, Vec<u8>)> =
        rows.times.iter().copied().zip(rows.lines.iter().map(<[u8]>::to_vec)).collect();
    let mut of_values: BTreeMap<Option<Vec<u8>>, u64> = BTreeMap::new();
    let level = rows.fields.iter().find(|field| field.name == "level");
    for row in 0..lines.len() {
        let value = level.and_then(|level| Some(level.column.get(row)?.to_vec()));
        *of_values.entry(value).or_default() += 1;
    }
    for (start, end) in [(0, 0), (0, lines.len() / 2), (lines.len() / 3, lines.len().max(1) - 1)] {
        let (Some(start), Some(end)) = (lines.get(start), lines.get(end)) else { continue };
        let time = TimeUnit::Nanos.between(start.0, end.0);
        let inside = lines.iter().filter(|line| time.contains(line.0));
        let inside: Vec<(i64, &[u8])> = inside.map(|line| (line.0, &line.1[..])).collect();
        let rows = selection.read_within(piece, time, scratch).unwrap();
        let read: Vec<(i64, &[u8])> = rows.times.iter().copied().zip(rows.lines.iter()).collect();
        assert_eq!(read, inside);
        let fields = format!("{:?}", rows.fields);
        let everything = TimeUnit::Nanos.everything();
        let found = selection.find_within(piece, everything, scratch).unwrap();
        assert_eq!(found.times, lines.iter().map(|line| line.0).collect::<Vec<_>>());
        let rows = selection.read_found(found, time, scratch).unwrap();
        let read: Vec<(i64, &[u8])> = rows.times.iter().copied().zip(rows.lines.iter()).collect();
        assert_eq!((read, format!("{:?}", rows.fields)), (inside, fields));
    }
    if let Some(known) = selection.lines_with_values(piece, "level", scratch).unwrap() {
        let values = known.values.iter().map(|value| Some(value.to_vec()));
        let lines = known.lines.iter().map(|lines| u64::from(*lines));
        let mut found: BTreeMap<Option<Vec<u8>>, u64> = values.zip(lines).collect();
        found.extend((known.without > 0).then_some((None, known.without)));
        assert_eq!(found, of_values);
    }
}

/// The lines of a selection, sorted, whose pieces are in order.
fn read_in(world: &World, wanted: &Wanted, order: Order) -> Vec<Line> {
    let selection = wanted.select(&world.store, &world.tenant, order);
    let pieces = selection.pieces();
    match order {
        Order::NewestFirst => assert!(pieces.is_sorted_by(|a, b| a.time.max >= b.time.max)),
        Order::OldestFirst => assert!(pieces.is_sorted_by(|a, b| a.time.min <= b.time.min)),
    }
    let lines = lines_of(&selection);
    let mut scratch = Scratch::default();
    (0..pieces.len()).for_each(|piece| check_piece(&selection, piece, &mut scratch));
    assert_eq!(selection.warnings(), Vec::<String>::new());
    lines
}

type Counted = BTreeMap<(u32, usize), (u64, u64)>;

/// Lines and bytes by stream and step, as they are counted without reading lines.
fn check_counts(world: &World, wanted: &Wanted, expected: &[Line]) {
    let needs = Needs { lines: false, fields: Some(BTreeSet::new()) };
    let select = Select {
        time: wanted.time,
        matchers: &wanted.matchers,
        conditions: &wanted.conditions,
        identifier: wanted.identifier.as_deref(),
        texts: &NO_TEXTS,
        order: Order::NewestFirst,
        needs: &needs,
    };
    let (first, last) = (wanted.time.min, wanted.time.max);
    let whole = first.div_euclid(MINUTE_NS) * MINUTE_NS + 1;
    let minutes: Vec<i64> = (0..6).map(|minute| whole + minute * MINUTE_NS).collect();
    for starts in [&[][..], &[first, first + (last - first) / 2], &minutes] {
        let steps = Steps(starts);
        let mut counted = Counted::new();
        for line in expected {
            let (rows, bytes) = counted.entry((line.app, steps.of(line.time))).or_default();
            (*rows, *bytes) = (*rows + 1, *bytes + line.text.len() as u64);
        }
        let selection = world.store.select(&world.tenant, &select).unwrap();
        let app = |stream: u32| selection.labels(stream).value("app")[1..].parse::<u32>().unwrap();
        let (mut scratch, mut found) = (Scratch::default(), Counted::new());
        let mut templates = Counted::new();
        for piece in 0..selection.pieces().len() {
            let counts = selection.count(piece, steps, &mut scratch).unwrap();
            let mut without_bytes = counts.clone();
            without_bytes.iter_mut().for_each(|count| count.bytes = 0);
            let lines = selection.count_lines(piece, steps, &mut scratch).unwrap();
            assert_eq!(lines, without_bytes);
            for count in counts {
                let (rows, bytes) = found.entry((app(count.stream), count.step)).or_default();
                (*rows, *bytes) = (*rows + count.rows, *bytes + count.bytes);
            }
            let of_piece =
                selection.count_templates(piece, &["level"], steps, &mut scratch).unwrap();
            for count in &of_piece.counts {
                assert!((count.template as usize) < of_piece.templates.len());
                templates.entry((app(count.stream), count.step)).or_default().0 += count.rows;
            }
        }
        assert_eq!(found, counted);
        let rows =
            |counted: &Counted| counted.iter().map(|(key, (rows, _))| (*key, *rows)).collect();
        let (left, right): (BTreeMap<_, u64>, BTreeMap<_, u64>) =
            (rows(&templates), rows(&counted));
        assert_eq!(left, right);
    }
}

fn run(steps: Vec<Step>, seed: u64) {
    let (clock, disk) = (Arc::new(SimClock::new()), SimDisk::new());
    let mut world = World::open(disk.clone(), clock.clone(), seed).unwrap();
    let mut lines: Vec<Line> = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(more) => {
                world.write_lines(&more).unwrap();
                lines.extend(more);
            }
            Step::Flush => world.flush().unwrap(),
            Step::Merge(full) => drop(world.merge(full).unwrap()),
            Step::Reopen => {
                drop(world);
                world = World::open(disk.clone(), clock.clone(), seed + number as u64 + 1).unwrap();
            }
            Step::Delete(wanted, except) => {
                let of_app = |app: &u32| vec![Matcher::equal("app", &format!("a{app}"))];
                let delete =
                    LogDelete { except: except.iter().map(of_app).collect(), ..wanted.delete() };
                world.delete(wanted.time, delete).unwrap();
                lines.retain(|line| !wants(&wanted, line) || except.contains(&line.app));
            }
            Step::Select(wanted) => {
                let mut expected: Vec<Line> =
                    lines.iter().filter(|line| wants(&wanted, line)).cloned().collect();
                expected.sort();
                assert_eq!(read_in(&world, &wanted, Order::NewestFirst), expected);
                assert_eq!(read_in(&world, &wanted, Order::OldestFirst), expected);
                check_counts(&world, &wanted, &expected);
            }
        }
    }
    assert_eq!(read(&world, &Wanted::all()), sorted(lines));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_selection_has_the_lines_that_were_written(
        steps in prop::collection::vec(any_step(), 1..25), seed in 0u64..1_000,
    ) {
        run(steps, seed);
    }
}
