//! Clients that send logs, as their makers publish them: Elasticsearch's and OpenTelemetry's libraries of
//! Python, handlers for Loki and Fluentd, Fluentd's library of Node with acknowledgements and a shared
//! key, the system's `logger`, and rsyslog.

use crate::real_clients::install;
use crate::support::{
    Folder, PATIENCE, Server, ask, encoded, installed, root, run, skip, wait_for,
};
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

/// Several connections at once, as fast as the client can.
#[test]
fn what_a_parallel_bulk_was_acknowledged_is_there() {
    const COUNT: usize = 20_000;
    let Some(packages) = install("parallel_bulk of Elasticsearch", "python", "python3") else {
        return;
    };
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let mut python = Command::new(packages.join("venv/bin/python"));
    python.args(["-W", "ignore"]).arg(root().join("tests/clients/bulk.py"));
    python.arg(server.address.to_string()).arg(COUNT.to_string());
    let (code, out, words) = run(&mut python);
    assert_eq!((code, out), (0, format!("{COUNT} acknowledged\n")), "{words}");
    let query = encoded("sum(count_over_time({service_name=\"bulk\"}[1h]))");
    let answer = ask(server.address, &format!("/loki/api/v1/query?query={query}"));
    assert_eq!(answer["data"]["result"][0]["value"][1], COUNT.to_string());
    let one = "{service_name=\"bulk\"} |= \"document 12345 of\"";
    assert_eq!(lines(&server, one, 1), ["document 12345 of a bulk"]);
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

/// Kills a program when the test ends.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What rsyslog is told: every line of a file goes out by each of its ways.
fn rsyslog_settings(folder: &str, certificate: &str, addresses: [&str; 4]) -> String {
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let [http, udp, tcp, tls] = addresses.map(port);
    format!(
        r#"
global(workDirectory="{folder}" defaultNetstreamDriverCAFile="{certificate}")
module(load="imfile" mode="inotify")
module(load="omelasticsearch")
input(type="imfile" File="{folder}/lines.txt" Tag="rsyslog:" Severity="warning" Facility="local3")
template(name="document" type="list" option.jsonf="on") {{
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
  constant(outname="service.name" value="elasticsearch" format="jsonf")
}}
template(name="udp" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% host udp - - - %msg%")
template(name="tcp" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% host tcp - - - %msg%")
action(type="omfwd" target="127.0.0.1" port="{udp}" protocol="udp" template="udp")
action(type="omfwd" target="127.0.0.1" port="{tcp}" protocol="tcp" TCP_Framing="octet-counted" template="tcp")
action(type="omfwd" target="127.0.0.1" port="{tls}" protocol="tcp" StreamDriver="gtls"
  StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid" template="RSYSLOG_TraditionalForwardFormat")
action(type="omelasticsearch" server="127.0.0.1" serverport="{http}" usehttps="on"
  tls.cacert="{certificate}" template="document" searchIndex="logs-rsyslog" searchType="" bulkmode="on"
  action.resumeRetryCount="-1")
"#
    )
}

#[test]
fn rsyslog_forwards_by_every_way() {
    // The tests' own client speaks no TLS.
    if !installed("dpkg") || !installed("curl") {
        return skip("rsyslog", "there is no dpkg or no curl on the PATH");
    }
    let Some(packages) = install("rsyslog", "rsyslog", "apt-get") else { return };
    let folder = Folder::new();
    let (data, work) = (folder.path().join("data"), folder.path().join("rsyslog"));
    std::fs::create_dir_all(&work).unwrap();
    let fixture = |name: &str| root().join("tests/fixtures").join(name).display().to_string();
    let certificate = fixture("tls.crt");
    let (udp, tcp, tls) = (free_address(), free_address(), free_address());
    let mut settings = Vec::new();
    for (name, value) in [
        ("syslog.udp_address", &udp),
        ("syslog.tcp_address", &tcp),
        ("syslog.tls_address", &tls),
        ("tls.cert_file", &certificate),
        ("tls.key_file", &fixture("tls.key")),
    ] {
        settings.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let server = Server::start_with(&data, &settings);
    let address = server.address.to_string();
    let words =
        rsyslog_settings(&work.display().to_string(), &certificate, [&address, &udp, &tcp, &tls]);
    std::fs::write(work.join("conf"), words).unwrap();
    let expected: Vec<String> =
        (0..100).map(|number| format!("line {number:03} of the file")).collect();
    std::fs::write(work.join("lines.txt"), expected.join("\n") + "\n").unwrap();
    let libraries = packages.join("rsyslog/usr/lib/x86_64-linux-gnu");
    let mut rsyslog = Command::new(packages.join("rsyslog/usr/sbin/rsyslogd"));
    rsyslog.arg("-n").arg("-f").arg(work.join("conf")).arg("-i").arg(work.join("pid"));
    rsyslog.arg("-M").arg(libraries.join("rsyslog")).env("LD_LIBRARY_PATH", &libraries);
    let _running = Running(rsyslog.spawn().unwrap());
    for way in ["udp", "tcp", "rsyslog", "elasticsearch"] {
        assert_eq!(lines_over_tls(&server, way, expected.len()), expected, "{way}");
    }
}

/// The texts of the lines of a service, asked for by `curl`.
fn lines_over_tls(server: &Server, service: &str, count: usize) -> Vec<String> {
    let url = format!("https://{}/loki/api/v1/query_range", server.address);
    let query = format!("query={{service_name=\"{service}\"}}");
    let started = std::time::Instant::now();
    loop {
        let mut curl = Command::new("curl");
        curl.args(["-skG", &url, "--data-urlencode", &query, "--data-urlencode", "limit=1000"]);
        let answer: Value = serde_json::from_str(&run(&mut curl).1).unwrap();
        let streams = answer["data"]["result"].as_array().unwrap().clone();
        let values = streams.iter().flat_map(|stream| stream["values"].as_array().unwrap().clone());
        let mut lines: Vec<String> =
            values.map(|value: Value| value[1].as_str().unwrap().trim().to_owned()).collect();
        lines.sort();
        if lines.len() >= count || started.elapsed() > PATIENCE {
            return lines;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
