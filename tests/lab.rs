//! Three services that call each other and a database, with OpenTelemetry's own libraries, as operators meet
//! them in training: a check of health, lines of log, a slow statement, and computing. Each is found where
//! an operator would look.

use crate::real_clients::install;
use crate::support::{Folder, Server, ask, encoded, root, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SLOW_SECONDS: &str = "4";

/// The services, which do what they are told by lines.
struct Lab {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Lab {
    fn start(server: &Server) -> Option<Self> {
        let packages = install("the lab", "python", "python3")?;
        let mut python = Command::new(packages.join("venv/bin/python"));
        python.args(["-W", "ignore"]).arg(root().join("tests/clients/lab.py"));
        python.arg(server.address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // At its end the libraries complain about each other.
        python.stderr(Stdio::null());
        let mut child = python.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, input, output })
    }

    /// What the lab answers to a line.
    fn tell(&mut self, line: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        let answer = answer.trim().to_owned();
        assert!(!answer.is_empty(), "the lab ended at {line}");
        answer
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

/// The nodes of a trace's map, each as its kind, service and name, in order.
fn nodes(map: &Value) -> Vec<String> {
    let nodes = &map["nodes"];
    let text = |key: &str, node: usize| nodes[key][node].as_str().unwrap_or_default().to_owned();
    let node = |node: usize| ["kind", "service", "name"].map(|key| text(key, node)).join(" ");
    let mut list: Vec<String> = (0..count(map, "nodes")).map(node).collect();
    list.sort();
    list
}

fn count(answer: &Value, of: &str) -> usize {
    answer[of]["count"].as_u64().unwrap() as usize
}

fn map_of(server: &Server, trace_id: &str, nodes: usize) -> Value {
    wait_for("the trace's services", || {
        let reply = server.get(&format!("/api/ui/v1/trace/{trace_id}/map"));
        let map: Value = serde_json::from_slice(&reply.body).ok()?;
        (reply.status == 200 && count(&map, "nodes") == nodes).then_some(map)
    })
}

fn active(server: &Server) -> Value {
    ask(server.address, "/api/ui/v1/active?inferred=0")
}

/// The value of the only series that a query finds.
fn number(server: &Server, query: &str) -> Option<f64> {
    let path = format!("/prometheus/api/v1/query?query={}", encoded(query));
    let answer = ask(server.address, &path);
    let [series] = &answer["data"]["result"].as_array()?[..] else { return None };
    series["value"][1].as_str()?.parse().ok()
}

#[test]
fn the_lab_is_seen_end_to_end() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let Some(mut lab) = Lab::start(&server) else { return };
    health(&server, &mut lab);
    lines_of_log(&server, &mut lab);
    slow_statement(&server, &mut lab);
    let trace_id = lab.tell("cpu");
    let map = map_of(&server, &trace_id, 2);
    assert_eq!(nodes(&map), ["service callee GET /callee/cpu", "service caller GET /cpu"]);
    graph(&server);
}

fn health(server: &Server, lab: &mut Lab) {
    let trace_id = lab.tell("health");
    let map = map_of(server, &trace_id, 2);
    assert_eq!(nodes(&map), ["service callee GET /callee/health", "service caller GET /health"]);
    assert_eq!(count(&map, "edges"), 1);
    assert_eq!(active(server)["total"], 0);
}

fn lines_of_log(server: &Server, lab: &mut Lab) {
    let trace_id = lab.tell("log");
    let map = map_of(server, &trace_id, 4);
    let expected = [
        "database postgresql demo",
        "service callee GET /callee/log",
        "service callee-with-db GET /callee-with-db/log",
        "service caller GET /log",
    ];
    assert_eq!(nodes(&map), expected);
    let answer = ask(server.address, &format!("/api/ui/v1/trace/{trace_id}/logs"));
    let mut lines: Vec<&str> = answer["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].as_str().unwrap())
        .collect();
    lines.sort_unstable();
    let expected =
        ["callee", "callee-with-db", "caller"].map(|name| format!("{name} was called for log"));
    assert_eq!(lines, expected);
}

fn slow_statement(server: &Server, lab: &mut Lab) {
    assert_eq!(lab.tell(&format!("slow {SLOW_SECONDS}")), "started");
    // While it runs.
    let seen = wait_for("the statement", || {
        let active = active(server);
        let text = active.to_string();
        text.contains("SELECT pg_sleep($)").then_some(active)
    });
    assert_eq!(seen["total"], 1, "{seen}");
    assert!(seen.to_string().contains("GET /slow"), "{seen}");
    assert_eq!(lab.tell("wait"), "ended");
    assert_eq!(active(server)["total"], 0);
    let path = format!(
        "/tempo/api/search?q={}&limit=5",
        encoded(
            r#"{name="GET /slow"} >> {span.db.query.text="SELECT pg_sleep($)" && duration>=4s}"#
        )
    );
    let found = ask(server.address, &path);
    assert_eq!(found["traces"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["traces"][0]["serviceStats"].as_object().unwrap().len(), 3, "{found}");
    let slow = ask(server.address, "/api/ui/v1/tx?min=4s&sort=duration");
    assert_eq!(slow["count"], 3, "{slow}");
}

/// The calls between the services, as series.
fn graph(server: &Server) {
    for (client, called, calls) in [
        ("caller", "callee", 4.0),
        ("callee", "callee-with-db", 2.0),
        ("callee-with-db", "database", 2.0),
    ] {
        let query = format!(
            r#"sum(traces_service_graph_request_total{{client="{client}",server="{called}"}})"#
        );
        let found =
            wait_for("the calls", || number(server, &query).filter(|found| *found == calls));
        assert_eq!(found, calls);
    }
}
