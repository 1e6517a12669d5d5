//! Clients that send logs, as their makers publish them: Elasticsearch's and OpenTelemetry's libraries of
//! Python, handlers for Loki and Fluentd, Fluentd's library of Node with acknowledgements and a shared
//! key, and the system's `logger`.

use crate::real_clients::install;
use crate::support::{Folder, Server, ask, encoded, installed, root, run, skip, wait_for};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// An address that is free at the moment.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A server with a listener, and the listener's address.
fn server(folder: &Folder, setting: &str, more: &[&str]) -> (Server, String) {
    let address = free_address();
    let listens = format!("{setting}={address}");
    let mut settings = vec!["--set", &listens];
    settings.extend(more);
    (Server::start_with(folder.path(), &settings), address)
}

/// The texts of the lines of a stream, sorted, once there are so many.
fn lines(server: &Server, selector: &str, count: usize) -> Vec<String> {
    let path = format!("/loki/api/v1/query_range?query={}", encoded(selector));
    wait_for("the lines", || {
        let answer = ask(server.address, &path);
        let streams = answer["data"]["result"].as_array()?.clone();
        let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
        let mut lines: Vec<String> =
            values.map(|value: Value| value[1].as_str().unwrap().to_owned()).collect();
        lines.sort();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn clients_of_python_send_lines() {
    let Some(packages) = install("clients of logs, Python", "python", "python3") else { return };
    let folder = Folder::new();
    let (server, fluent) = server(&folder, "fluent.address", &[]);
    let mut expected = Vec::new();
    for (client, count) in
        [("elasticsearch", 4), ("loki", 1), ("fluent", 2), ("otlp_http", 1), ("otlp_grpc", 1)]
    {
        let mut python = Command::new(packages.join("venv/bin/python"));
        python.args(["-W", "ignore"]).arg(root().join("tests/clients/logs.py")).arg(client);
        python.arg(server.address.to_string()).arg(&fluent);
        let (code, out, words) = run(&mut python);
        assert_eq!((code, out.as_str()), (0, "sent\n"), "{client}: {words}");
        expected.extend(vec![format!("by {client}"); count]);
    }
    expected.sort();
    assert_eq!(lines(&server, "{service_name=\"clients\"}", expected.len()), expected);
}

#[test]
fn the_client_of_elasticsearch_searches() {
    let Some(packages) = install("clients of logs, Python", "python", "python3") else { return };
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for client in ["elasticsearch", "elasticsearch_search"] {
        let mut python = Command::new(packages.join("venv/bin/python"));
        python.args(["-W", "ignore"]).arg(root().join("tests/clients/logs.py")).arg(client);
        let (code, out, words) = run(python.arg(server.address.to_string()));
        assert_eq!((code, out.as_str()), (0, "sent\n"), "{client}: {words}");
    }
}

#[test]
fn fluentds_client_is_acknowledged_in_every_mode() {
    let Some(packages) = install("@fluent-org/logger of npm", "node", "npm") else { return };
    let folder = Folder::new();
    let key = ["--set", "fluent.shared_key=tide"];
    let (server, fluent) = server(&folder, "fluent.address", &key);
    let mut node = Command::new("node");
    let (code, _, words) = run(node.arg(packages.join("node/fluent.mjs")).arg(&fluent).arg("tide"));
    assert_eq!(code, 0, "{words}");
    assert_eq!(
        lines(&server, "{app=\"clients\"}", 4),
        ["by CompressedPackedForward", "by Forward", "by Message", "by PackedForward"]
    );
}

#[test]
fn the_systems_logger_sends_by_every_transport() {
    if !installed("logger") {
        return skip("logger", "there is no logger on the PATH");
    }
    let folder = Folder::new();
    let (udp, format) = (free_address(), "syslog.udp_address");
    let listens = format!("{format}={udp}");
    let (server, tcp) = server(&folder, "syslog.tcp_address", &["--set", &listens]);
    let mut expected = Vec::new();
    for (address, flags) in [
        (&udp, &["--rfc3164", "-d"][..]),
        (&udp, &["--rfc5424", "-d"]),
        (&tcp, &["--rfc5424", "-T"]),
        (&tcp, &["--rfc5424", "-T", "--octet-count"]),
    ] {
        let port = address.rsplit(':').next().unwrap();
        let text = format!("by logger {}", flags.join(" "));
        let mut logger = Command::new("logger");
        logger.args(flags).args(["-n", "127.0.0.1", "-P", port, "-t", "clients", &text]);
        let (code, _, words) = run(&mut logger);
        assert_eq!(code, 0, "{words}");
        expected.push(text);
    }
    expected.sort();
    assert_eq!(lines(&server, "{service_name=\"clients\"}", 4), expected);
}
