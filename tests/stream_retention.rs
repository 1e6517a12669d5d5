//! Single streams that are kept for another time than the rest: what they lose, what they keep, and what
//! is refused when it arrives.

use crate::support::{Folder, Server, ask, encoded, wait_for};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

const RULES: &str = "retention.logs_streams=[\
    { selector = '{app=\"audit\"}', period = \"100d\", priority = 2 }, \
    { selector = '{env=\"test\"}', period = \"1d\", priority = 1 }, \
    { selector = '{app=\"other\"}', period = \"0s\", tenant = \"nobody\" }]";

fn start(folder: &Path, more: &[&str]) -> Server {
    let settings = ["--set", "logs.max_query_length=0s", "--set", "storage.merge_interval=1s"];
    Server::start_with(folder, &[&settings[..], more].concat())
}

fn push(server: &Server, app: &str, env: &str, age: u64) -> (u16, String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = format!(
        r#"{{"streams":[{{"stream":{{"app":"{app}","env":"{env}"}},"values":[["{}000000000","{app} {env} {}h"]]}}]}}"#,
        now - age,
        age / HOUR
    );
    let headers = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/loki/api/v1/push", &headers, body.as_bytes());
    (reply.status, reply.text().to_owned())
}

/// The texts of all lines, sorted.
fn lines(server: &Server) -> Vec<String> {
    let query = encoded("{app=~\".+\"}");
    let answer = ask(
        server.address,
        &format!("/loki/api/v1/query_range?query={query}&start=1000000000&limit=1000"),
    );
    let streams = answer["data"]["result"].as_array().unwrap().clone();
    let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
    let mut lines: Vec<String> =
        values.map(|value| value[1].as_str().unwrap().to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn streams_are_kept_for_their_own_time() {
    let folder = Folder::new();
    let server = start(folder.path(), &["--set", "retention.logs=0s"]);
    for (app, env) in [("audit", "test"), ("web", "test"), ("web", "live"), ("other", "live")] {
        for age in [HOUR, 3 * DAY, 20 * DAY, 200 * DAY] {
            assert_eq!(push(&server, app, env, age).0, 204);
        }
    }
    assert_eq!(lines(&server).len(), 16);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    // One that only the write-ahead log has.
    assert_eq!(push(&server, "late", "test", 4 * DAY).0, 204);
    server.kill();
    let rules = ["--set", "retention.logs=10d", "--set", RULES];
    let server = start(folder.path(), &rules);
    let expected = [
        "audit test 1h",
        "audit test 480h",
        "audit test 72h",
        "other live 1h",
        "other live 72h",
        "web live 1h",
        "web live 72h",
        "web test 1h",
    ];
    wait_for("what is too old to be gone", || (lines(&server) == expected).then_some(()));
    // A delete is listed until the heads that it cut are written, and their files rewritten.
    wait_for("files to be rewritten", || {
        assert_eq!(server.post("/-/flush", b"").status, 200);
        assert_eq!(server.post("/-/merge", b"").status, 200);
        ask(server.address, "/loki/api/v1/delete").as_array().unwrap().is_empty().then_some(())
    });
    assert_eq!(push(&server, "audit", "test", 21 * DAY).0, 204);
    assert_eq!(push(&server, "web", "live", 2 * DAY).0, 204);
    for (app, env, age) in [("web", "test", 2 * DAY), ("web", "live", 11 * DAY)] {
        let (status, answer) = push(&server, app, env, age);
        assert!(status == 400 && answer.contains("timestamp too old"), "{status} {answer}");
    }
    let before = lines(&server);
    assert_eq!(before.len(), expected.len() + 2);
    server.kill();
    assert_eq!(lines(&start(folder.path(), &rules)), before);
}

#[test]
fn a_selector_that_can_not_be_read_is_told_at_the_start() {
    let folder = Folder::new();
    let bad = "retention.logs_streams=[{ selector = '{app=\"a\"} |= \"x\"', period = \"1d\" }]";
    let refused = Server::spawn(crate::support::command(folder.path(), &["--set", bad]));
    let Err(words) = refused else { panic!("it started") };
    assert!(words.contains("asks for more than labels"), "{words}");
}
