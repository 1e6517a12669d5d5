use super::*;
use crate::Piece;
use crate::memory::{LoadedLine, MemoryLogs};
use crate::storage::{Rows, Scratch, Select, Selection, StorageError};
use model::{ErrorKind, Room};
use platform::sim::SimClock;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

const SECOND: i64 = 1_000_000_000;

fn line(second: i64, text: &str, fields: &[(&str, &str)]) -> LoadedLine {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    LoadedLine {
        time_ns: second * SECOND,
        line: text.as_bytes().to_vec(),
        fields: fields.collect(),
    }
}

fn web() -> Labels {
    Labels::from_pairs([("app", "web")])
}

/// A thousand lines, one each second, in pieces of ten.
fn logs() -> MemoryLogs {
    let mut logs = MemoryLogs::with_pieces_of(10);
    logs.add(&web(), (0..1_000).map(|second| line(second, &format!("line {second}"), &[])));
    logs
}

fn run(engine: &Engine, storage: &dyn Storage, request: &Request<'_>) -> Result<QueryResult> {
    engine.run(storage, &SimClock::new(), request)
}

/// Counts pieces that are read, and cancels the query at one of them.
struct Watched<'a> {
    logs: &'a MemoryLogs,
    read: AtomicUsize,
    cancel_at: usize,
    cancel: CancelFlag,
}

impl<'a> Watched<'a> {
    fn new(logs: &'a MemoryLogs) -> Self {
        let (read, cancel) = (AtomicUsize::new(0), CancelFlag::new());
        Self { logs, read, cancel_at: usize::MAX, cancel }
    }

    fn pieces_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }
}

impl Storage for Watched<'_> {
    fn select<'s>(
        &'s self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> std::result::Result<Box<dyn Selection + 's>, StorageError> {
        Ok(Box::new(WatchedSelection { watched: self, inner: self.logs.select(select, room)? }))
    }
}

struct WatchedSelection<'a> {
    watched: &'a Watched<'a>,
    inner: Box<dyn Selection + 'a>,
}

impl Selection for WatchedSelection<'_> {
    fn stream_count(&self) -> usize {
        self.inner.stream_count()
    }

    fn labels(&self, stream: u32) -> &Labels {
        self.inner.labels(stream)
    }

    fn pieces(&self) -> &[Piece] {
        self.inner.pieces()
    }

    fn read<'s>(
        &'s self,
        piece: usize,
        scratch: &'s mut Scratch,
    ) -> std::result::Result<Rows<'s>, StorageError> {
        if self.watched.read.fetch_add(1, Ordering::Relaxed) + 1 == self.watched.cancel_at {
            self.watched.cancel.cancel();
        }
        self.inner.read(piece, scratch)
    }

    fn warnings(&self) -> Vec<String> {
        vec!["a part is damaged".to_owned()]
    }
}

/// Lines that are looked for slice by slice.
struct Sliced<'a>(&'a MemoryLogs);

struct SlicedSelection<'a>(Box<dyn Selection + 'a>);

impl Storage for Sliced<'_> {
    fn select<'s>(
        &'s self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> std::result::Result<Box<dyn Selection + 's>, StorageError> {
        Ok(Box::new(SlicedSelection(self.0.select(select, room)?)))
    }
}

impl Selection for SlicedSelection<'_> {
    fn stream_count(&self) -> usize {
        self.0.stream_count()
    }

    fn labels(&self, stream: u32) -> &Labels {
        self.0.labels(stream)
    }

    fn pieces(&self) -> &[Piece] {
        self.0.pieces()
    }

    fn read<'s>(
        &'s self,
        piece: usize,
        scratch: &'s mut Scratch,
    ) -> std::result::Result<Rows<'s>, StorageError> {
        self.0.read(piece, scratch)
    }

    fn reads_within(&self) -> bool {
        true
    }
}

#[test]
fn reading_ends_when_there_are_enough_lines() {
    let (logs, engine) = (logs(), Engine::default());
    for (limit, filter, pieces) in [(5, "", 1), (10, "", 1), (10, "|= \"5\"", 5), (5_000, "", 100)]
    {
        let watched = Watched::new(&logs);
        let query = format!("{{app=\"web\"}} {filter}");
        let mut request = Request::range(&query, 0, 1_000 * SECOND, SECOND);
        request.limit = limit;
        let result = run(&engine, &watched, &request).unwrap();
        assert_eq!(watched.pieces_read(), pieces, "{filter} {limit}");
        assert_eq!(result.warnings, ["a part is damaged"]);
        let Value::Streams(lines) = &result.value else { panic!("lines") };
        assert_eq!(lines.entries.len(), limit.min(1_000));
        assert_eq!(result.statistics.entries_returned, limit.min(1_000) as u64);
        assert_eq!(result.statistics.lines, 10 * pieces as u64);
    }
}

#[test]
fn what_was_read_is_counted() {
    let mut logs = MemoryLogs::new();
    logs.add(&web(), [line(1, "abc", &[("user", "u1")]), line(2, "de", &[])]);
    let request = Request::range("{app=\"web\"} |= \"a\"", 0, 9 * SECOND, SECOND);
    let statistics = run(&Engine::default(), &logs, &request).unwrap().statistics;
    let expected = Statistics {
        lines: 2,
        bytes: 5,
        metadata_bytes: 6,
        lines_after_filters: 1,
        entries_returned: 1,
        streams: 1,
    };
    assert_eq!(statistics, expected);
}

#[test]
fn a_query_ends_soon_after_it_was_cancelled() {
    let (logs, engine) = (logs(), Engine::default());
    for query in
        ["{app=\"web\"} |= \"nosuch\"", "sum(count_over_time({app=\"web\"} | logfmt [1m]))"]
    {
        let mut watched = Watched::new(&logs);
        watched.cancel_at = 7;
        let mut request = Request::range(query, 0, 1_000 * SECOND, 10 * SECOND);
        request.cancel = watched.cancel.clone();
        let error = run(&engine, &watched, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(watched.pieces_read(), 7);
    }
}

#[test]
fn memory_is_bounded() {
    let mut logs = MemoryLogs::new();
    let lines = (0..20_000).map(|n| line(n % 900, &format!("{n} text"), &[("id", &n.to_string())]));
    logs.add(&web(), lines);
    let mut options = EngineOptions::default();
    options.limits.memory_max = 4 << 20;
    let engine = Engine::new(options);
    for query in [
        "topk(5, count_over_time({app=\"web\"}[1h]))",
        "topk(5, sum by (id) (count_over_time({app=\"web\"} | drop nosuch [1h])))",
        "topk(5, sum by (id) (sum_over_time({app=\"web\"} | unwrap id [1h])))",
    ] {
        let error =
            run(&engine, &logs, &Request::range(query, 0, 900 * SECOND, SECOND)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{query}: {error}");
        assert!(error.to_string().contains("logs.max_memory"), "{error}");
    }
    let fine = "sum(count_over_time({app=\"web\"}[1h]))";
    assert!(run(&engine, &logs, &Request::instant(fine, 3_600 * SECOND)).is_ok());
}

#[test]
fn an_answer_has_at_most_so_many_series() {
    let mut logs = MemoryLogs::new();
    logs.add(&web(), (0..501).map(|n| line(n, "x", &[("id", &n.to_string())])));
    let many = Request::instant("count_over_time({app=\"web\"}[1h])", 600 * SECOND);
    let error = run(&Engine::default(), &logs, &many).unwrap_err().to_string();
    assert!(
        error.starts_with("maximum number of series (500) reached for a single query"),
        "{error}"
    );
    let few = Request::instant("topk(3, count_over_time({app=\"web\"}[1h]))", 600 * SECOND);
    assert!(run(&Engine::default(), &logs, &few).is_ok());
}

type Row = (u8, i64, u8, Option<u8>);

/// Lines of three streams with a field, in pieces.
fn stored(rows: &[Row], pieces_of: usize) -> MemoryLogs {
    let mut logs = MemoryLogs::with_pieces_of(pieces_of);
    for (number, (stream, second, text, level)) in rows.iter().enumerate() {
        let labels = Labels::from_pairs([("app", "web"), ("pod", &stream.to_string())]);
        let level = level.map(|level| level.to_string());
        let fields: Vec<(&str, &str)> =
            level.iter().map(|level| ("level", level.as_str())).collect();
        logs.add(&labels, [line(*second, &format!("{text} {number}"), &fields)]);
    }
    logs
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0_u8..3, 0_i64..200, 0_u8..3, prop::option::of(0_u8..3));
    prop::collection::vec(row, 0..60)
}

fn shown(result: &QueryResult) -> Vec<String> {
    let Value::Matrix { series, .. } = &result.value else { panic!("a matrix") };
    let shown = |one: &Series| {
        let values: Vec<_> = (0..one.column.steps()).map(|step| one.column.float(step)).collect();
        format!("{} {values:?}", one.labels)
    };
    series.iter().map(shown).collect()
}

#[test]
fn many_values_of_a_field_count_as_rows_do() {
    let mut logs = MemoryLogs::with_pieces_of(200);
    for second in 0..1_000 {
        let labels = Labels::from_pairs([("app", "web"), ("pod", &(second % 3).to_string())]);
        let id = (second * 7 % 90).to_string();
        let kind = ["a", "b", ""][second as usize % 7 % 3];
        let fields: &[(&str, &str)] = match second % 5 {
            0 => &[("kind", kind)],
            1 => &[("id", &id)],
            _ => &[("id", &id), ("kind", kind)],
        };
        logs.add(&labels, [line(second, "x", fields)]);
    }
    let answer = |names: &str, stage: &str| {
        let query = format!("sum by ({names}) (count_over_time({{app=\"web\"}} {stage} [90s]))");
        let request = Request::range(&query, 0, 1_000 * SECOND, 50 * SECOND);
        shown(&run(&Engine::default(), &logs, &request).unwrap())
    };
    assert_eq!(answer("id", "").len(), 73);
    for names in ["id", "kind", "kind, id", "kind, pod", "id, pod", "id, kind, pod, nosuch"] {
        for filter in ["", "| kind=\"a\""] {
            let by_rows = answer(names, &format!("{filter} | drop nosuch"));
            assert_eq!(answer(names, filter), by_rows, "{names} {filter}");
        }
    }
}

proptest! {
    /// A stage that does nothing makes the rows go one by one.
    #[test]
    fn columns_count_as_rows_do(
        rows in rows(), pieces_of in 1_usize..30, range in 1_i64..400, step in 1_i64..60,
        start in -50_i64..100, function in prop::sample::select(vec!["count", "bytes"]),
        around in prop::sample::select(vec!["@", "sum(@)", "sum by (level) (@)", "sum by (pod) (@)",
            "sum by (pod, level) (@)", "sum without (pod) (@)", "max by (pod) (@)", "count(@)",
            "sum by (level, nosuch) (@)", "count(sum by (level) (@))", "count(sum by (pod, level) (@))", "count(max(@))"]),
        filter in prop::sample::select(vec!["", "|= \"1 \"", "| level=\"1\"", "!= \"2 \" | level!=\"0\""]),
    ) {
        let logs = stored(&rows, pieces_of);
        let answer = |stage: &str| {
            let inner = format!("{function}_over_time({{app=\"web\"}} {filter} {stage} [{range}s])");
            let query = around.replace('@', &inner);
            let request =
                Request::range(&query, start * SECOND, (start + 150) * SECOND, step * SECOND);
            shown(&run(&Engine::default(), &logs, &request).unwrap())
        };
        prop_assert_eq!(answer(""), answer("| drop nosuch"));
    }

    #[test]
    fn the_first_lines_are_the_first_of_all(
        rows in rows(), pieces_of in 1_usize..30, limit in 1_usize..20, backward in any::<bool>(),
        filter in prop::sample::select(vec!["", "|= \"1 1\"", "!= \"2 \"", "| json | a=\"\""]),
        (start, length) in (-10_i64..150, 1_i64..250),
    ) {
        let logs = stored(&rows, pieces_of);
        let query = format!("{{app=\"web\"}} {filter}");
        let answer = |storage: &dyn Storage, limit: usize| {
            let (start, end) = (start * SECOND, (start + length) * SECOND);
            let mut request = Request::range(&query, start, end, SECOND);
            request.limit = limit;
            request.direction = if backward { Direction::Backward } else { Direction::Forward };
            let result = run(&Engine::default(), storage, &request).unwrap();
            let Value::Streams(lines) = result.value else { panic!("lines") };
            let shown = |one: &crate::LogEntry| (one.time_ns, one.line.clone());
            (lines.entries.iter().map(shown).collect::<Vec<_>>(), result.statistics.lines)
        };
        let ((some, _), (all, of_all)) = (answer(&logs, limit), answer(&logs, 5_000));
        prop_assert_eq!(&some[..], &all[..limit.min(all.len())]);
        let (sliced, of_slices) = answer(&Sliced(&logs), limit);
        prop_assert_eq!(some, sliced);
        prop_assert!(of_slices <= of_all, "no line counts twice");
    }

    #[test]
    fn any_lines_are_an_answer_or_an_error(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
        texts in prop::collection::vec("[{}\\[\\]\"=:,a1. _\\\\-]{0,30}", 1..8),
        stages in prop::collection::vec(prop::sample::select(vec![
            "| json", "| json a=\"b[0].c\"", "| logfmt", "| logfmt --strict --keep-empty", "| unpack",
            "| pattern \"<a>=<b> <_>\"", "| regexp \"(?P<a>.)(?P<c>.*)\"", "| decolorize", "| a > 1",
            "| a < 1s or b >= 1KB", "| a=ip(\"::/0\")", "|= ip(\"1.0.0.0/8\")", "|> \"<_>a<_>\"",
            "| line_format \"{{.a}}{{__line__ | trunc 3}}\"", "| label_format a=b, c=\"{{.a | upper}}\"",
            "| drop a", "| keep a, b=~\".+\"", "!~ \"(?i)a\"", "| __error__=\"\"",
        ]), 0..5),
    ) {
        let mut logs = MemoryLogs::with_pieces_of(3);
        let texts = texts.into_iter().map(String::into_bytes);
        let lines = lines.into_iter().chain(texts).enumerate();
        let lines = lines.map(|(second, line)| LoadedLine {
            time_ns: second as i64 * SECOND,
            line,
            fields: vec![("b".to_owned(), "1".to_owned())],
        });
        logs.add(&web(), lines);
        let pipeline = format!("{{app=\"web\"}} {}", stages.join(" "));
        for query in [
            pipeline.clone(),
            format!("sum by (a) (count_over_time({pipeline} [5s]))"),
            format!("max_over_time({pipeline} | unwrap a | __error__=\"\" [5s]) by (b)"),
        ] {
            let _ = run(&Engine::default(), &logs, &Request::range(&query, 0, 20 * SECOND, SECOND));
        }
    }
}
