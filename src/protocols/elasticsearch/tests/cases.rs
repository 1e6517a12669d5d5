//! Files of cases: lines and documents, and what searches must answer of them, from memory and from parts.
//!
//! A case is a command with what it must answer on the indented lines below it:
//!
//! - `line ID SECONDS LABELS FIELDS TEXT`: a line, so many seconds after the clock's time;
//! - `doc ID SECONDS INDEX DOCUMENT`: a document;
//! - `find TEXT`: the ids of the lines that a text of the query language finds, the oldest first;
//! - `query JSON`: the same for a query;
//! - `aggs JSON`: the aggregations of all lines;
//! - `search INDEX JSON`: what a search of an index answers, without what every answer has.
//!
//! What `find` and `query` find is also asked for in a way of which the store decides nothing.
//!
//! `UPDATE_EXPECT=1` writes what is answered into the files.

use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const JSON: (&str, &str) = ("content-type", "application/json");

fn time_ns(seconds: &str) -> i64 {
    let seconds: f64 = seconds.parse().unwrap();
    NOW_MS * 1_000_000 + (seconds * 1e9).round() as i64
}

pub(super) fn load(server: &TestServer, command: &str) {
    let (kind, rest) = command.split_once(' ').unwrap();
    let (id, rest) = rest.split_once(' ').unwrap();
    let (seconds, rest) = rest.split_once(' ').unwrap();
    if kind == "doc" {
        let (index, document) = rest.split_once(' ').unwrap();
        let mut document: Value = serde_json::from_str(document).unwrap();
        document["@timestamp"] = (time_ns(seconds) / 1_000_000).into();
        let path = format!("POST /{index}/_create/{id}");
        let answer = server.send(&path, &[JSON], document.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
        return;
    }
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
    let labels = values.next().unwrap().unwrap();
    let mut fields = values.next().unwrap().unwrap();
    let line = rest[values.byte_offset()..].trim_start();
    fields["_id"] = id.into();
    let value = json!([time_ns(seconds).to_string(), line, fields]);
    let push = json!({ "streams": [{ "stream": labels, "values": [value] }] });
    let answer = server.send("POST /loki/api/v1/push", &[JSON], push.to_string());
    assert_eq!(answer.status, 204, "{}", answer.text());
}

fn ask(server: &TestServer, index: &str, body: &Value) -> Value {
    let path = format!("POST /elasticsearch/{index}_search");
    let answer = server.send(&path, &[JSON], body.to_string());
    serde_json::from_slice(&answer.body).unwrap()
}

fn error_of(answer: &Value) -> Option<String> {
    let text = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
    answer
        .get("error")
        .map(|_| format!("{} {}: {}", answer["status"], text("type"), text("reason")))
}

fn ids(server: &TestServer, query: &Value) -> String {
    let found = ids_of(server, query);
    // Of alternatives nothing is sure to hold, so nothing goes down to the store.
    let whole = json!({ "bool": { "should": [query, { "term": { "no": "line" } }] } });
    let undecided = ids_of(server, &whole);
    assert_eq!(found, undecided, "the store decides otherwise: {query}");
    found
}

pub(super) fn ids_of(server: &TestServer, query: &Value) -> String {
    let body = json!({ "query": query, "size": 100, "sort": ["@timestamp", "_doc"] });
    let answer = ask(server, "", &body);
    error_of(&answer).unwrap_or_else(|| {
        let hits = answer["hits"]["hits"].as_array().unwrap();
        assert_eq!(answer["hits"]["total"]["value"], hits.len());
        hits.iter().map(|hit| hit["_id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    })
}

fn answer(server: &TestServer, command: &str) -> String {
    let (kind, rest) = command.split_once(' ').unwrap_or((command, ""));
    let json = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    match kind {
        "find" => ids(server, &json!({ "query_string": { "query": rest } })),
        "query" => ids(server, &json(rest)),
        "aggs" => {
            let answer = ask(server, "", &json!({ "size": 0, "aggs": json(rest) }));
            error_of(&answer).unwrap_or_else(|| shown(&answer["aggregations"]))
        }
        "search" => {
            let (index, body) = rest.split_once(' ').unwrap();
            let mut answer = ask(server, &format!("{index}/"), &json(body));
            let object = answer.as_object_mut().unwrap();
            ["took", "timed_out", "_shards"].iter().for_each(|key| drop(object.remove(*key)));
            error_of(&answer).unwrap_or_else(|| shown(&answer))
        }
        _ => panic!("unknown command: {command}"),
    }
}

/// JSON on several lines where it has lists of objects.
fn shown(value: &Value) -> String {
    value.to_string().replace(":[{", ":[\n{").replace("},{", "},\n{")
}

/// Runs a file; answers it with what was answered, and what differed.
fn run(text: &str, name: &str) -> (String, Vec<String>) {
    let server = TestServer::new(|_| {});
    let (mut written, mut wrong, mut is_flushed) = (String::new(), Vec::new(), false);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        written += line;
        written.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with("line ") || line.starts_with("doc ") {
            assert!(!is_flushed, "{name}: lines come before searches");
            load(&server, line);
            continue;
        }
        let mut expected = Vec::new();
        while let Some(answer) = lines.next_if(|next| next.starts_with("    ")) {
            expected.push(answer[4..].to_owned());
        }
        is_flushed = true;
        let answered = answer(&server, line);
        if answered != expected.join("\n") {
            wrong.push(format!(
                "{name}: {line}\nexpected: {}\nanswered: {answered}",
                expected.join("\n")
            ));
        }
        answered.lines().for_each(|line| written += &format!("    {line}\n"));
    }
    // The same from parts.
    server.flush_logs();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', ' '])) {
        if !line.starts_with("line ") && !line.starts_with("doc ") {
            let again = answer(&server, line);
            let block: String = again.lines().map(|line| format!("    {line}\n")).collect();
            let is_same = written.contains(&format!("{line}\n{block}"));
            if !is_same {
                wrong.push(format!("{name}: {line}\nfrom parts: {again}"));
            }
        }
    }
    (written, wrong)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "reads the cases")]
fn cases_are_answered_as_their_files_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("elasticsearch/cases");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut all_wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (written, wrong) = run(&text, &file.file_name().unwrap().to_string_lossy());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, written).unwrap();
        }
        all_wrong.extend(wrong);
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n\n"));
}
