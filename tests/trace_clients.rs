//! Clients that send traces, as their makers publish them: OpenTelemetry's libraries of Python and Node
//! with each of their protocols, Zipkin's libraries of both, and Jaeger's.

use crate::log_clients::free_address;
use crate::real_clients::install;
use crate::support::{Folder, Server, ask, root, run, wait_for};
use serde_json::Value;
use std::process::Command;

/// A server with listeners for Jaeger's datagrams, compact and binary, and their addresses.
fn server(folder: &Folder) -> (Server, [String; 2]) {
    let addresses = [free_address(), free_address()];
    let [compact, binary] = ["compact", "binary"].map(|encoding| {
        let address = &addresses[usize::from(encoding == "binary")];
        format!("jaeger.{encoding}_address={address}")
    });
    let server = Server::start_with(folder.path(), &["--set", &compact, "--set", &binary]);
    (server, addresses)
}

/// The spans of a trace once there are two of them, the root first, and what their resource says.
fn trace(server: &Server, id: &str) -> (Value, Value, Value) {
    wait_for("the trace", || {
        let answer = ask(server.address, &format!("/tempo/api/v2/traces/{id}"));
        let resources = answer["trace"]["resourceSpans"].as_array()?.clone();
        let [spans] = &resources[..] else { return None };
        let scopes = spans["scopeSpans"].as_array()?;
        let all: Vec<&Value> =
            scopes.iter().filter_map(|scope| scope["spans"].as_array()).flatten().collect();
        let [root, child] = all[..] else { return None };
        Some((root.clone(), child.clone(), spans["resource"].clone()))
    })
}

/// The value of an attribute, whatever its type.
fn attribute<'v>(of: &'v Value, key: &str) -> Option<&'v Value> {
    let found = of["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
    found["value"].as_object()?.values().next()
}

/// Every client sends the same two spans, as far as its protocol has words for them.
fn check(server: &Server, client: &str, id: &str, number: &Value) {
    let (root, child, resource) = trace(server, id);
    assert_eq!(attribute(&resource, "service.name"), Some(&"clients".into()), "{client}");
    assert_eq!(root["name"], format!("by {client}"));
    assert_eq!(root["kind"], "SPAN_KIND_SERVER", "{client}: {root}");
    assert_eq!(attribute(&root, "number"), Some(number), "{client}: {root}");
    assert!(root.get("parentSpanId").is_none(), "{client}: {root}");
    assert_eq!((&child["name"], &child["kind"]), (&"child".into(), &"SPAN_KIND_CLIENT".into()));
    assert_eq!(child["parentSpanId"], root["spanId"], "{client}");
    assert_eq!(child["status"]["code"], "STATUS_CODE_ERROR", "{client}: {child}");
    assert_eq!(child["events"][0]["name"], "retry", "{client}: {child}");
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let within = |key| time(&root, "startTimeUnixNano") <= time(&child, key);
    assert!(within("startTimeUnixNano") && within("endTimeUnixNano"), "{client}: {root} {child}");
}

#[test]
fn clients_of_python_send_spans() {
    let Some(packages) = install("clients of traces, Python", "python", "python3") else { return };
    let folder = Folder::new();
    let (server, [compact, _]) = server(&folder);
    let (int, text) = (Value::from("7"), Value::from("7"));
    for (client, number) in [
        ("otlp_http", &int),
        ("otlp_json", &int),
        ("otlp_grpc", &int),
        ("otel_zipkin", &text),
        ("zipkin_json", &text),
        ("zipkin_protobuf", &text),
        ("zipkin_version1", &text),
        ("jaeger_client", &int),
        ("jaeger_grpc", &int),
    ] {
        let mut python = Command::new(packages.join("venv/bin/python"));
        python.args(["-W", "ignore"]).arg(root().join("tests/clients/traces.py")).arg(client);
        let (code, id, words) = run(python.arg(server.address.to_string()).arg(&compact));
        assert_eq!(code, 0, "{client}: {words}");
        check(&server, client, id.trim(), number);
    }
}

#[test]
fn clients_of_node_send_spans() {
    let Some(packages) = install("clients of traces, Node", "node", "npm") else { return };
    let folder = Folder::new();
    let (server, [_, binary]) = server(&folder);
    // JavaScript has one kind of numbers; Jaeger's library sends them as floats.
    let (whole, float) = (Value::from("7"), Value::from(7.0));
    for (client, number) in [
        ("otlp_json", &whole),
        ("otlp_protobuf", &whole),
        ("otlp_grpc", &whole),
        ("otel_zipkin", &whole),
        ("zipkin", &whole),
        ("jaeger_http", &float),
        ("jaeger_udp", &float),
    ] {
        let mut node = Command::new("node");
        node.arg(packages.join("node/traces.mjs")).arg(client);
        let (code, id, words) = run(node.arg(server.address.to_string()).arg(&binary));
        assert_eq!(code, 0, "{client}: {words}");
        check(&server, client, id.trim(), number);
    }
}
