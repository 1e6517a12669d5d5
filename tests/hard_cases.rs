//! Lines and queries of logs that are hard to get right, asked of the real server: bytes that are no text,
//! times in any order, what is too long, too deep or too many, and who may name which tenant.
//!
//! Not here: what single protocols refuse line by line (`protocols`), bombs of packed bodies (`bad_input`,
//! `hostile`).

use crate::client::Reply;
use crate::remote_write::{field, number, snappy};
use crate::support::{Folder, Server, ask, encoded};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    server.connect().send("POST", path, &headers, body)
}

/// A push of one line of JSON, in seconds before now.
fn push(server: &Server, app: &str, age: u64, line: &str, fields: Map<String, Value>) -> Reply {
    let time = format!("{}000000000", now() - age);
    let streams = json!([{ "stream": { "app": app }, "values": [[time, line, fields]] }]);
    post(server, "/loki/api/v1/push", &[], json!({ "streams": streams }).to_string().as_bytes())
}

/// A push in protobuf, whose texts may be any bytes.
fn push_bytes(server: &Server, labels: &str, line: &[u8]) -> Reply {
    let entry = [field(1, &number(1, now() - 1)), field(2, line)].concat();
    let body = field(1, &[field(1, labels.as_bytes()), field(2, &entry)].concat());
    let headers = [("content-type", "application/x-protobuf")];
    server.connect().send("POST", "/loki/api/v1/push", &headers, &snappy(&body))
}

fn query(server: &Server, query: &str, more: &str) -> Reply {
    server.get(&format!("/loki/api/v1/query_range?query={}{more}", encoded(query)))
}

fn lines(server: &Server, query: &str) -> Vec<String> {
    let since = "&since=500h&limit=1000&direction=forward";
    let path = format!("/loki/api/v1/query_range?query={}{since}", encoded(query));
    let answer = ask(server.address, &path);
    let streams = answer["data"]["result"].as_array().unwrap().clone();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
    values.map(|value| value[1].as_str().unwrap().to_owned()).collect()
}

fn refused(reply: &Reply, status: u16, part: &str) {
    let text = String::from_utf8_lossy(&reply.body);
    assert!(reply.status == status && text.contains(part), "{}: {text}", reply.status);
}

#[test]
fn lines_of_any_bytes_and_times_are_kept() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let line = b"a\xff\x00b \x1b[31mred\x1b[0m";
    assert_eq!(push_bytes(&server, "{app=\"bytes\"}", line).status, 204);
    let plain = "a\u{fffd}\0b \u{1b}[31mred\u{1b}[0m";
    for state in ["in memory", "in parts"] {
        assert_eq!(lines(&server, "{app=\"bytes\"}"), [plain], "{state}");
        assert_eq!(lines(&server, "{app=\"bytes\"} | decolorize"), ["a\u{fffd}\0b red"], "{state}");
        assert_eq!(lines(&server, "{app=\"bytes\"} |= `\u{1b}[31m`").len(), 1, "{state}");
        assert_eq!(server.post("/-/flush", b"").status, 200);
    }
    for age in [1, 5 * 3_600, 20 * DAY, 3_600] {
        assert_eq!(push(&server, "order", age, &age.to_string(), Map::new()).status, 204);
    }
    assert_eq!(lines(&server, "{app=\"order\"}"), ["1728000", "18000", "3600", "1"]);
    refused(&push(&server, "order", 40 * DAY, "x", Map::new()), 400, "timestamp too old");
}

#[test]
fn what_is_too_much_is_refused_by_the_name_of_its_limit() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    refused(&push_bytes(&server, "{a=\"1\",a=\"2\"}", b"x"), 400, "has duplicate label name: 'a'");
    let many: Vec<String> = (0..31).map(|label| format!("l{label}=\"v\"")).collect();
    let reply = push_bytes(&server, &format!("{{{}}}", many.join(",")), b"x");
    refused(&reply, 400, "31 label names; limit 30 (logs.max_label_names_per_series)");
    let long = "x".repeat(2 << 20);
    refused(&push(&server, "long", 1, &long, Map::new()), 400, "(logs.max_line_size)");
    let fields = |count: usize| -> Map<String, Value> {
        (0..count).map(|field| (format!("f{field}"), "v".into())).collect()
    };
    let reply = push(&server, "wide", 1, "x", fields(129));
    refused(&reply, 400, "(logs.max_structured_metadata_entries_count)");
    refused(&push(&server, "wide", 1, "x", fields(5_000)), 400, "5000 fields");
    let document = Value::Object(fields(5_000)).to_string();
    let reply = post(
        &server,
        "/elasticsearch/logs/_bulk",
        &[],
        format!("{{\"create\":{{}}}}\n{document}\n").as_bytes(),
    );
    refused(&reply, 200, "(logs.max_structured_metadata_entries_count)");
    assert!(lines(&server, "{service_name=~\".+\"}").is_empty());
}

#[test]
fn streams_are_bounded_until_the_next_flush() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "logs.max_streams=10"]);
    for app in 0..10 {
        assert_eq!(push(&server, &format!("a{app}"), 1, "x", Map::new()).status, 204);
    }
    let reply = push(&server, "a10", 1, "x", Map::new());
    refused(&reply, 503, "limit `logs.max_streams` reached: tenant default writes to 10 streams");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(push(&server, "a3", 2, "x", Map::new()).status, 204, "known streams go on");
    assert_eq!(server.post("/-/flush", b"").status, 200);
    assert_eq!(push(&server, "a10", 1, "x", Map::new()).status, 204);
}

#[test]
fn a_line_may_have_thousands_of_fields_where_that_is_set() {
    let folder = Folder::new();
    let more = [
        "--set",
        "logs.max_structured_metadata_entries_count=4096",
        "--set",
        "logs.max_structured_metadata_size=1MiB",
    ];
    let server = Server::start_with(folder.path(), &more);
    let fields = (0..4_000).map(|field| (format!("f{field}"), format!("v{field}").into()));
    assert_eq!(push(&server, "wide", 1, "wide", fields.collect()).status, 204);
    for state in ["in memory", "in parts"] {
        assert_eq!(
            lines(&server, "{app=\"wide\"} | f3999=\"v3999\" | f0=\"v0\""),
            ["wide"],
            "{state}"
        );
        assert!(lines(&server, "{app=\"wide\"} | f3999=\"v0\"").is_empty(), "{state}");
        assert_eq!(server.post("/-/flush", b"").status, 200);
    }
}

#[test]
fn documents_with_repeated_names_or_of_great_depth() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let insert = |body: &str| post(&server, "/insert/jsonline", &[], body.as_bytes());
    assert_eq!(insert(r#"{"_msg":"twice","k":"1","k":"2"}"#).status, 200);
    assert_eq!(
        lines(&server, "{service_name=~\".+\"} | k=\"2\""),
        ["twice"],
        "the last one counts"
    );
    assert!(lines(&server, "{service_name=~\".+\"} | k=\"1\"").is_empty());
    let nested = |depth: usize| {
        format!(r#"{{"_msg":"deep","k":{}1{}}}"#, r#"{"a":"#.repeat(depth), "}".repeat(depth))
    };
    assert_eq!(insert(&nested(100)).status, 200);
    refused(&insert(&nested(200)), 400, "expected less nesting than 128 levels");
    assert_eq!(push(&server, "deep", 1, &nested(5_000), Map::new()).status, 204);
    assert_eq!(query(&server, "{app=\"deep\"} | json", "").status, 200);
}

#[test]
fn queries_that_ask_too_much_are_refused() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    assert_eq!(push(&server, "a", 1, "x", Map::new()).status, 204);
    let long = format!("query={}", encoded(&format!("{{app=\"{}\"}}", "x".repeat(131_072))));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = "/loki/api/v1/query_range";
    refused(
        &server.connect().send("POST", path, &form, long.as_bytes()),
        400,
        "input size too long",
    );
    for (text, more, part) in [
        ("{app=~\".*\"}", "", "at least one regexp or equality matcher"),
        ("{app=\"a\"}", "&limit=5001", "(5001 > 5000)"),
        ("{app=\"a\"}", "&start=1000000000&end=1700000000", "exceeds the limit"),
        ("{app=\"a\"} |~ `(?i)(\\pL{500}){500}`", "", "expression is too large"),
        ("{app=\"a\"} |~ `(`", "", "error parsing regexp"),
    ] {
        refused(&query(&server, text, more), 400, part);
    }
    let huge = "{app=\"a\"} | line_format `{{ repeat 1000000000 \"xxxxxxxxxx\" }}`";
    refused(&query(&server, huge, ""), 200, "TemplateFormatErr");
}

#[test]
fn tenants_have_names_that_are_no_paths() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for name in ["../x", "a/b", "", &"x".repeat(151)] {
        let tenant = [("x-scope-orgid", name)];
        let reply = post(&server, "/loki/api/v1/push", &tenant, b"{\"streams\":[]}");
        refused(&reply, 400, "X-Scope-OrgID: tenant id");
    }
}
