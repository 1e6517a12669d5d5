//! The hitmap and what is under its brush.

use super::{BEGIN_NS, CLIENT, JSON, MS, Sent, ask_twice, number, send, sent, text};
use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};

/// Transactions of two services, and spans that are none.
fn server() -> TestServer {
    let server = TestServer::new(|_| {});
    let failed = Sent {
        is_error: true,
        attributes: vec![("http.response.status_code", number(500)), ("user", text("ada"))],
        ..sent(2, 1, 1_000, 5_250)
    };
    let spans = [
        // Ends at 1.1 s.
        Sent { attributes: vec![("http.status_code", number(204))], ..sent(1, 1, 1_000, 100) },
        Sent { parent: 1, kind: CLIENT, name: "ask", ..sent(1, 2, 1_010, 50) },
        Sent { parent: 2, service: "stock", name: "count", ..sent(1, 3, 1_020, 30) },
        failed,
        // A root of a client is where its trace begins.
        Sent { kind: CLIENT, service: "cron", name: "tick", ..sent(3, 1, 12_000, 90_000) },
        // A span whose parent is not there.
        Sent { parent: 9, kind: 1, ..sent(4, 1, 1_000, 100) },
        // Ends with the second of the first column.
        sent(5, 1, 4_000, 1_000),
    ];
    send(&server, &spans);
    server
}

/// The column and row of each cell, with its hits and errors.
fn cells(grid: &Value) -> Vec<(u64, u64, u64, u64)> {
    let column = |name: &str| grid[name].as_array().unwrap();
    let at = |name: &str, place: usize| column(name)[place].as_u64().unwrap();
    let names = ["column", "row", "hits", "errors"];
    let cell = |place| names.map(|name| at(name, place)).into();
    let count = column("row").len();
    assert!(names.iter().all(|name| column(name).len() == count));
    (0..count).map(cell).collect()
}

const COLUMN_NS: u64 = 5_000 * MS;

#[test]
fn transactions_are_counted_by_their_end_and_duration() {
    assert_eq!(BEGIN_NS % COLUMN_NS, 0);
    let server = server();
    let path = |more: &str| format!("/api/ui/v1/hitmap?{more}");
    let paths = [
        String::new(),
        "service=shop".to_owned(),
        "q={ span.user = \"ada\" }".to_owned(),
        "q={ name = \"ask\" }".to_owned(),
        format!("from={}&to={}", NOW_MS - 600_000, NOW_MS - 595_000),
        "cols=60".to_owned(),
        "from=now-2d".to_owned(),
    ];
    let paths = paths.map(|one| path(&one));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let answers = ask_twice(&server, &paths);
    let [all, shop, ada, none, first, wide, days] = &answers[..] else { panic!("as many") };
    let in_all = [(0, 0, 2, 0), (1, 8, 1, 0), (1, 41, 1, 1), (20, 119, 1, 0)];
    assert_eq!(cells(all), in_all);
    assert_eq!(all["from"], BEGIN_NS / 1_000 / MS);
    assert_eq!(
        (&all["step"], &all["rows"], &all["columns"]),
        (&json!(5), &json!(120), &json!(120))
    );
    assert_eq!(all["stats"]["partial"], false);
    assert_eq!(cells(shop), [(0, 0, 1, 0), (1, 8, 1, 0), (1, 41, 1, 1)]);
    assert_eq!(cells(ada), [(1, 41, 1, 1)]);
    assert_eq!(cells(none), []);
    assert_eq!(cells(first), [(0, 0, 2, 0)]);
    assert_eq!(cells(wide), [(0, 0, 2, 0), (0, 8, 1, 0), (0, 41, 1, 1), (10, 119, 1, 0)]);
    assert_eq!(days["step"], 60);
    let hits = |grid: &Value| cells(grid).iter().map(|cell| cell.2).sum::<u64>();
    assert_eq!((hits(days), hits(all)), (5, 5));
}

fn ids(list: &Value) -> Vec<String> {
    let of = |name: &str| list[name].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
    let last = |id: &str| id.trim_start_matches('0').to_owned();
    of("trace_id").zip(of("span_id")).map(|(trace, span)| last(trace) + "/" + &last(span)).collect()
}

#[test]
fn a_box_lists_the_transactions_of_its_cells() {
    let server = server();
    let path = |more: &str| format!("/api/ui/v1/tx?{more}");
    let (from, to) = (NOW_MS - 595_000, NOW_MS - 590_000);
    let paths = [
        String::new(),
        "sort=duration&limit=2".to_owned(),
        format!("from={from}&to={to}&min=5250ms&max=5.5"),
        format!("from={from}&to={to}&max=5250ms"),
        "status=error".to_owned(),
        "status=ok&service=shop".to_owned(),
        "q={ .user = \"ada\" }&limit=1".to_owned(),
    ];
    let paths = paths.map(|one| path(&one));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let answers = ask_twice(&server, &paths);
    let found: Vec<Vec<String>> = answers.iter().map(ids).collect();
    assert_eq!(found[0], ["3/1", "2/1", "5/1", "1/1", "1/3"], "the latest first");
    assert_eq!(found[1], ["3/1", "2/1"], "the longest first");
    assert_eq!((&answers[1]["more"], &answers[0]["more"]), (&json!(true), &json!(false)));
    assert_eq!(found[2], ["2/1"]);
    assert_eq!(found[3], ["5/1"]);
    assert_eq!(found[4], ["2/1"]);
    assert_eq!(found[5], ["5/1", "1/1"]);
    assert_eq!(found[6], ["2/1"]);
    let all = &answers[0];
    assert_eq!(all["count"], 5);
    assert_eq!(all["service"], json!(["cron", "shop", "shop", "shop", "stock"]));
    assert_eq!(all["name"], json!(["tick", "GET /", "GET /", "GET /", "count"]));
    assert_eq!(all["status"], json!(["unset", "error", "unset", "unset", "unset"]));
    assert_eq!(all["http_status"], json!([null, 500, null, 204, null]));
    assert_eq!(all["duration_ms"], json!([90_000, 5_250, 1_000, 100, 30]));
    let begin = BEGIN_NS / MS;
    let ends = [102_000, 6_250, 5_000, 1_100, 1_050].map(|end| begin + end);
    assert_eq!(all["end_ms"], json!(ends));
}

#[test]
fn more_pieces_than_one_are_searched_to_the_floor() {
    let server = TestServer::new(|_| {});
    for number in 1..=30 {
        send(&server, &[sent(number, 1, 1_000 * number, (31 - number) * 10)]);
        if number % 5 == 0 {
            server.flush_traces();
        }
    }
    let ends = server.get_json("/api/ui/v1/tx?limit=7");
    assert_eq!(ids(&ends), ["1e/1", "1d/1", "1c/1", "1b/1", "1a/1", "19/1", "18/1"]);
    assert_eq!(ends["more"], true);
    let durations = server.get_json("/api/ui/v1/tx?limit=3&sort=duration");
    assert_eq!(ids(&durations), ["1/1", "2/1", "3/1"]);
    assert_eq!(server.get_json("/api/ui/v1/tx")["count"], 30);
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let server = server();
    let bad = [
        ("hitmap?q={ status", "parse error"),
        ("hitmap?q={} | rate()", "answers numbers"),
        ("hitmap?from=soon", "is no time"),
        ("hitmap?from=20&to=10", "no time between"),
        ("hitmap?cols=0", "from 1 to"),
        ("hitmap?from=0&q={ .a =~ \"(\" }", "missing closing )"),
        ("tx?limit=10001", "from 1 to"),
        ("tx?min=long", "no duration"),
        ("tx?min=2&max=1", "no duration between"),
        ("tx?status=bad", "neither"),
        ("tx?sort=bad", "neither"),
        ("trace/xyz/map", "hexadecimal"),
        ("active?limit=0", "from 1 to"),
    ];
    for (path, expected) in bad {
        let (status, body) = server.get(&format!("/api/ui/v1/{path}"));
        assert_eq!(status, 400, "{path}: {body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(error["kind"], "invalid", "{path}: {body}");
        let message = error["error"].as_str().unwrap();
        assert!(message.contains(expected), "{path}: {message}");
    }
    let (_, body) = server.get("/api/ui/v1/tx?q={ status = }");
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&error["line"], &error["column"]), (&json!(1), &json!(12)), "{body}");
}

#[test]
fn tenants_and_rights_are_kept_apart() {
    let server = server();
    let get = |headers: &[(&str, &str)]| server.send("GET /api/ui/v1/tx", headers, "");
    let other: Value = serde_json::from_str(&get(&[("x-scope-orgid", "other")]).text()).unwrap();
    assert_eq!(other["count"], 0);
    assert_eq!(get(&[("x-test-refuse", "missing")]).status, 401);
    assert_eq!(server.send("POST /api/ui/v1/tx", &[JSON], "{}").status, 405);
}

#[test]
fn calls_between_operations_are_counted() {
    let server = server();
    let answers = ask_twice(
        &server,
        &[
            "/api/ui/v1/edges",
            "/api/ui/v1/edges?service=stock",
            "/api/ui/v1/edges?op=tick&limit=1",
            "/api/ui/v1/edges?limit=1",
            "/api/ui/v1/edges?from=now-1d&to=now-12h",
        ],
    );
    let [all, stock, tick, first, before] = &answers[..] else { panic!("as many") };
    let columns =
        ["caller_service", "caller_op", "service", "op", "calls", "errors", "total_ms", "max_ms"];
    let row = |answer: &Value, place: usize| {
        columns.map(|name| answer[name].as_array().unwrap()[place].clone())
    };
    let from_outside = [
        json!(null),
        json!(null),
        json!("shop"),
        json!("GET /"),
        json!(3),
        json!(1),
        json!(6_350),
        json!(5_250),
    ];
    let of_cron = [
        json!(null),
        json!(null),
        json!("cron"),
        json!("tick"),
        json!(1),
        json!(0),
        json!(90_000),
        json!(90_000),
    ];
    let of_stock = [
        json!("shop"),
        json!("GET /"),
        json!("stock"),
        json!("count"),
        json!(1),
        json!(0),
        json!(30),
        json!(30),
    ];
    assert_eq!((all["count"].clone(), all["more"].clone()), (json!(3), json!(false)));
    assert_eq!(
        [row(all, 0), row(all, 1), row(all, 2)],
        [from_outside.clone(), of_cron.clone(), of_stock.clone()]
    );
    assert_eq!((stock["count"].clone(), row(stock, 0)), (json!(1), of_stock));
    assert_eq!((tick["count"].clone(), row(tick, 0)), (json!(1), of_cron));
    assert_eq!((first["more"].clone(), row(first, 0)), (json!(true), from_outside));
    assert_eq!(before["count"], 0);
}
