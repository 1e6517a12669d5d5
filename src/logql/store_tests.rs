//! The same answers from the store's columns as from lines in memory, which every stage has looked at.

use crate::{
    Direction, Engine, EngineOptions, LoadedLine, MemoryLogs, Request, Storage, TenantLogs, Value,
};
use engine::Intake;
use log_store::{LogStore, StoreSettings};
use model::{Labels, TenantId, WalPosition};
use parts::Site;
use platform::sim::{SimClock, SimDisk};
use platform::{Blobs, Disk, DiskBlobs, Ids, SeededRandom};
use proptest::prelude::*;
use std::sync::Arc;
use wire::LogSink;

const SECOND: i64 = 1_000_000_000;
const START_NS: i64 = 1_795_219_200_000_000_000;
const TIME_NS: i64 = START_NS + 3_600 * SECOND;

fn store() -> LogStore {
    let (clock, random) = (Arc::new(SimClock::new()), Arc::new(SeededRandom::new(7)));
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let blobs: Arc<dyn Blobs> = Arc::new(DiskBlobs::open(disk, "blobs").unwrap());
    let ids = Arc::new(Ids::new(clock.clone(), random));
    LogStore::open(Site::new(blobs, clock, ids), StoreSettings::default()).unwrap()
}

/// Each of its lines is of one stream, a second behind the one before.
struct Both {
    memory: MemoryLogs,
    store: LogStore,
    tenant: TenantId,
}

impl Both {
    fn of(lines: &[(usize, String, Option<&'static str>)]) -> Self {
        let streams = [
            Labels::from_pairs([("app", "a")]),
            Labels::from_pairs([("app", "b"), ("color", "red")]),
        ];
        let (mut memory, store) = (MemoryLogs::new(), store());
        let tenant = TenantId::default_tenant();
        let mut batch = store.batch(&tenant);
        for (index, (stream, line, field)) in lines.iter().enumerate() {
            let time_ns = START_NS + index as i64 * SECOND;
            let fields: Vec<(&str, &str)> = field.iter().map(|value| ("kind", *value)).collect();
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let loaded = LoadedLine {
                time_ns,
                line: line.clone().into_bytes(),
                fields: fields.iter().map(owned).collect(),
            };
            let labels = &streams[*stream];
            memory.add(labels, [loaded]);
            batch.stream(labels.as_bytes());
            batch.line(time_ns, line.as_bytes(), &fields);
        }
        batch.encode(&mut Vec::new()).unwrap();
        batch.apply(WalPosition { segment: 1, offset: 1 }).unwrap();
        Self { memory, store, tenant }
    }

    fn flush(&self) {
        let engine = self.store.engine();
        engine.cut(&self.tenant, WalPosition { segment: 1, offset: 2 });
        engine.flush(&self.tenant).unwrap();
    }

    /// The answer of both, if it is the same one.
    fn ask(&self, query: &str) -> String {
        let stored = TenantLogs { store: &self.store, tenant: &self.tenant };
        let (expected, answer) = (shown(&self.memory, query), shown(&stored, query));
        assert_eq!(answer, expected, "{query}");
        answer
    }
}

fn shown(storage: &dyn Storage, query: &str) -> String {
    let engine = Engine::new(EngineOptions::default());
    match engine.run(storage, &SimClock::new(), &Request::instant(query, TIME_NS)) {
        Ok(result) => match result.value {
            Value::Streams(lines) => format!("{lines:?}"),
            value => format!("{value:?}"),
        },
        // Which of several lines is named is not fixed.
        Err(_) => "an error".to_owned(),
    }
}

const QUERIES: &[&str] = &[
    r#"sum by (status)(count_over_time({app=~".+"} | json status="http.status" [2h]))"#,
    r#"sum by (status, app)(count_over_time({app=~".+"} | json status="http.status", user="user" | __error__="" | status!="200" [2h]))"#,
    r#"sum by (user, http_status)(count_over_time({app=~".+"} | json | __error__="" [2h]))"#,
    r#"sum by (user)(count_over_time({app=~".+"} | json | user=~"u0.*" | took > 2.5 [2h]))"#,
    r#"sum by (color)(count_over_time({app="a"} | json | __error__="" [2h]))"#,
    r#"sum by (color, app)(count_over_time({app=~".+"} | json | __error__="" [2h]))"#,
    r#"sum by (kind)(count_over_time({app=~".+"} | json | __error__="" [2h]))"#,
    r#"sum by (user)(count_over_time({app=~".+"} | logfmt [2h]))"#,
    r#"sum by (dur, user)(count_over_time({app=~".+"} | logfmt dur, user="id", k="k8s" [2h]))"#,
    r#"sum by (k8s)(count_over_time({app=~".+"} | logfmt k8s [2h]))"#,
    r#"sum by (msg)(count_over_time({app=~".+"} | logfmt --strict | __error__="" [2h]))"#,
    r#"sum by (status)(count_over_time({app=~".+"} | pattern `<_> "<_>" <status> <_>` [2h]))"#,
    r#"sum by (path, ip)(count_over_time({app=~".+"} | pattern `<ip> - "<_> <path> <_>" <_> <_>` | path=~"/a.*" [2h]))"#,
    r#"count_over_time({app=~".+"} | pattern `<_>" <status> <_>` [2h])"#,
    r#"quantile_over_time(0.9, {app=~".+"} | json took="took" | __error__="" | unwrap took [2h]) by (app)"#,
    r#"max_over_time({app=~".+"} | json took="took" | unwrap took [2h]) by (app)"#,
    r#"sum_over_time({app=~".+"} | json took="took" | __error__="" | unwrap took [2h])"#,
    r#"min_over_time({app=~".+"} | logfmt | unwrap duration(dur) [2h]) by (user)"#,
    r#"sum_over_time({app=~".+"} | pattern `<_>" <_> <size>` | unwrap bytes(size) [2h]) by (app)"#,
    r#"bytes_over_time({app=~".+"} | json | user="u001" [2h])"#,
    r#"{app=~".+"} | json | user="u001""#,
    r#"{app=~".+"} | json user="user", status="http.status" | status >= 500 or status < 300 | user!="""#,
    r#"{app=~".+"} | json | user="" "#,
    r#"{app=~".+"} | json | msg="a \"b\"""#,
    r#"{app=~".+"} | logfmt | user="u2" | dur > 1ms"#,
    r#"{app=~".+"} | logfmt | kind="x" or kind="y""#,
    r#"{app=~".+"} | pattern `<_>" <status> <_>` | status="404" |= "GET""#,
    r#"{app=~".+"} | json | color="red""#,
];

fn json() -> impl Strategy<Value = String> {
    let user = prop_oneof!["u00[0-9]", Just(String::new()), Just("결제".to_owned())];
    let took = prop_oneof!["[0-9]\\.[0-9]?[1-9]", "[0-9]\\.0", "[0-9]{1,2}", "-?[0-9]e1"];
    let status =
        prop_oneof!["20[0-2]", Just("null".to_owned()), "\"50[0-3]\"", "\\{\"x\":[0-9]\\}"];
    let message = prop_oneof![
        Just("plain".to_owned()),
        "text [0-9]{2}",
        Just(r#"a \"b\""#.to_owned()),
        Just(r"bad \x".to_owned()),
        Just(r"line\nnext".to_owned()),
    ];
    let end = prop_oneof![
        9 => Just("}"), 1 => Just(r#","user":"second"}"#), 1 => Just(""), 1 => Just(r#","x":y5}"#),
    ];
    (user, took, status, message, end, 0..4_u8).prop_map(|(user, took, status, msg, end, order)| {
        let http = format!(r#""http":{{"status":{status},"tags":[1, "a"]}}"#);
        let rest = format!(r#""user":"{user}","took":{took}"#);
        match order {
            0 => format!(r#"{{"msg":"{msg}",{http},{rest}{end}"#),
            1 => format!(r#"{{{rest},{http},"color":"blue"{end}"#),
            2 => format!(r#"{{ "msg": "{msg}", {rest}{end}"#),
            _ => format!(r#"{{{http},{rest},"kind":"z"{end}"#),
        }
    })
}

fn other() -> impl Strategy<Value = String> {
    prop_oneof![
        "user=u[0-9] dur=[0-9]{1,2}(\\.5)?ms id=[0-9]{2} msg=\"took [0-9] steps\"",
        "user=u[0-9] k8s=pod[0-9] dur=[0-9]s( bare[0-9])?",
        "msg=\"a \\\\\"b[0-9]\" user=\"u[0-9]\" dur=\"1m\"",
        "10\\.0\\.0\\.[0-9] - \"(GET|PUT) /a[0-9]?/b HTTP/1\\.1\" (200|404) [0-9]{1,4}",
        "10\\.0\\.0\\.[0-9] - \"GET /x[0-9]\" \"y\" 500 [0-9]{1,3}kB",
        "[a-c0-9\" =.{}]{0,12}",
    ]
}

fn lines() -> impl Strategy<Value = Vec<(usize, String, Option<&'static str>)>> {
    let field = prop_oneof![6 => Just(None), 1 => Just(Some("x"))];
    let line = prop_oneof![3 => json(), 2 => other()];
    // Some lines are of kinds that come often, so that there are columns.
    prop::collection::vec((0..2_usize, line, field), 1..250)
}

const LINE_QUERIES: &[&str] = &[
    r#"{app=~".+"}"#,
    r#"{app=~".+"} |= "user""#,
    r#"{app="a"} |= "0" != "1""#,
    r#"{app=~".+"} |= "e" | kind="x""#,
    r#"{app=~".+"} | color="red" |~ "u[0-9]""#,
    r#"{app=~".+"} |= "GET" | pattern `<_>" <status> <_>` | status="404""#,
];

/// The first lines of the answers, from either end of the time.
fn lines_of(storage: &dyn Storage, query: &str, limit: usize, direction: Direction) -> String {
    let engine = Engine::new(EngineOptions::default());
    let request = Request::range(query, START_NS, TIME_NS, SECOND);
    let request = Request { limit, direction, ..request };
    match engine.run(storage, &SimClock::new(), &request).unwrap().value {
        Value::Streams(lines) => format!("{:?}", lines.entries),
        value => panic!("{query} gives {value:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_first_lines_are_the_same(lines in lines(), limit in 1_usize..60) {
        let both = Both::of(&lines);
        for is_flushed in [false, true] {
            if is_flushed {
                both.flush();
            }
            let stored = TenantLogs { store: &both.store, tenant: &both.tenant };
            for (query, direction) in LINE_QUERIES
                .iter()
                .flat_map(|query| [Direction::Backward, Direction::Forward].map(|it| (query, it)))
            {
                let expected = lines_of(&both.memory, query, limit, direction);
                let answer = lines_of(&stored, query, limit, direction);
                prop_assert_eq!(answer, expected, "{} {:?}", query, direction);
            }
        }
    }

    #[test]
    fn columns_answer_as_lines_do(lines in lines()) {
        let both = Both::of(&lines);
        QUERIES.iter().for_each(|query| { both.ask(query); });
        both.flush();
        QUERIES.iter().for_each(|query| { both.ask(query); });
    }
}

/// Lines of few kinds, all of which can be read, so that nothing but columns is looked at.
#[test]
fn clean_lines_are_answered() {
    let line = |index: usize| {
        let (user, took, status) = (index % 7, index % 50, [200, 404, 503][index % 3]);
        let line = match index % 3 {
            0 => format!("10.0.0.{user} - \"GET /a/b HTTP/1.1\" {status} {took}"),
            1 => format!(r#"{{"user":"u00{user}","took":{took}.5,"http":{{"status":{status}}}}}"#),
            _ => format!("user=u{user} dur={took}ms id=1"),
        };
        (index % 2, line, None)
    };
    let lines: Vec<_> = (0..3_000).map(line).collect();
    let both = Both::of(&lines);
    both.flush();
    for query in QUERIES {
        both.ask(query);
    }
    let json: Vec<_> = lines.into_iter().filter(|(_, line, _)| line.starts_with('{')).collect();
    let both = Both::of(&json);
    both.flush();
    for query in QUERIES.iter().filter(|query| query.contains("json")) {
        both.ask(query);
    }
    let status = r#"sum(count_over_time({app="a"} | json | http_status="404" [2h]))"#;
    assert!(both.ask(status).contains("500"), "{}", both.ask(status));
}
