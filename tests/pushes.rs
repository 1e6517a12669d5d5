//! The Pushgateway with the real server: Prometheus' own library pushes, groups outlive a kill, and the
//! answers are those of Debian's Pushgateway to the same requests.

use crate::real_clients::{install, result};
use crate::support::{Folder, Server, ask, installed, run, skip, wait_for};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

fn values(address: SocketAddr, query: &str) -> Vec<(String, String)> {
    let found = result(address, query);
    let of =
        |one: &Value| (one["metric"].to_string(), one["value"][1].as_str().unwrap().to_owned());
    let mut found: Vec<_> = found.iter().map(of).collect();
    found.sort();
    found
}

/// A server that takes pushes.
fn started(folder: &Folder) -> Server {
    let server = Server::start(folder.path());
    let ready = || (server.get("/pushgateway/-/ready").status == 200).then_some(());
    wait_for("the groups to be read", ready);
    server
}

#[test]
fn a_job_pushes_with_the_library_of_prometheus() {
    let test = "pushes with Prometheus' library";
    let Some(packages) = install(test, "python", "python3") else { return };
    let folder = Folder::new();
    let server = started(&folder);
    let script = crate::support::root().join("tests/clients/push.py");
    let gateway = format!("http://{}/pushgateway", server.address);
    let mut python = Command::new(packages.join("venv/bin/python"));
    let (code, out, words) = run(python.arg(script).arg(gateway));
    assert_eq!(code, 0, "{out}{words}");
    let labels = "{\"__name__\":\"job_bytes\",\"job\":\"backup\",\"path\":\"/var/lib\"}";
    assert_eq!(values(server.address, "job_bytes"), [(labels.to_owned(), "4096".to_owned())]);
    let quantile = values(server.address, "histogram_quantile(0.5, job_seconds_bucket)");
    assert_eq!(quantile.len(), 1);
    assert_eq!(values(server.address, "job_seconds_bucket{le=\"5.0\"}")[0].1, "1");
    assert!(values(server.address, "{job=\"gone\"}").is_empty());

    // A killed server still has the group, and writes its samples again.
    server.kill();
    let restart = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let server = started(&folder);
    let pushed = wait_for("the groups to be read", || {
        let answer = ask(server.address, "/pushgateway/api/v1/metrics");
        let group = answer["data"].as_array()?.first()?.clone();
        Some(group["job_bytes"]["metrics"][0]["value"].clone())
    });
    assert_eq!(pushed, "4096");
    let since = format!("timestamp(job_bytes) > bool {restart}");
    wait_for("the group to be written again", || {
        (values(server.address, &since).first()?.1 == "1").then_some(())
    });
}

struct Debian(Child, SocketAddr);

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's Pushgateway, if it is installed.
fn debian() -> Option<Debian> {
    if !installed("prometheus-pushgateway") {
        return None;
    }
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus-pushgateway");
    command.arg(format!("--web.listen-address={address}")).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let debian = Debian(child, address);
    wait_for("Debian's Pushgateway to listen", || std::net::TcpStream::connect(address).ok());
    Some(debian)
}

/// Requests whose answers and effects must be alike.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("PUT", "/metrics/job/a/instance/x", "# TYPE m counter\nm{l=\"1\"} 1\nm{l=\"2\"} 2\n"),
    ("POST", "/metrics/job/a/instance/x", "n 5\n"),
    (
        "PUT",
        "/metrics/job@base64/L3Zhci90bXA/x@base64/eQ",
        "# HELP g A gauge.\n# TYPE g gauge\ng 1e-9\n",
    ),
    ("PUT", "/metrics/job/b", "m 1 1700000000000\n"),
    ("PUT", "/metrics/job/b", "m{ 1\n"),
    ("PUT", "/metrics/job/b", "m 1\nm 1\n"),
    ("PUT", "/metrics/job/b/c", "m 1\n"),
    ("POST", "/metrics/job/b/__x/c", "m 1\n"),
    (
        "PUT",
        "/metrics/job/c/job_name/d",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
    ),
    ("DELETE", "/metrics/job/nobody", ""),
    ("PUT", "/metrics/job/d", "z 1\n"),
    ("DELETE", "/metrics/job/d", ""),
    ("PUT", "/metrics/job/e", "a_metric{job=\"theirs\",instance=\"i\"} +Inf\n"),
];

fn status_of(address: SocketAddr, (method, path, body): (&str, &str, &str)) -> u16 {
    let mut connection = crate::client::Connection::open(address);
    connection.send(method, path, &[], body.as_bytes()).status
}

/// The lines of a page with values, but for the times of pushes and the server's own metrics.
fn page(address: SocketAddr, path: &str) -> Vec<String> {
    let mut connection = crate::client::Connection::open(address);
    let reply = connection.send("GET", path, &[], b"");
    let page = reply.text();
    let is_ours = |line: &&str| {
        let is_own = ["go_", "process_", "pushgateway_", "push_", "#", "promhttp_"];
        !is_own.iter().any(|prefix| line.starts_with(prefix)) && !line.is_empty()
    };
    let mut lines: Vec<String> = page.lines().filter(is_ours).map(sorted_labels).collect();
    lines.sort();
    lines
}

/// The order of labels in a line is the server's own; so is how a float is written.
fn sorted_labels(line: &str) -> String {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    let labels = labels.join(",").replace("le=\"1.0\"", "le=\"1\"");
    let value: f64 = value.parse().unwrap();
    format!("{name}{{{labels}}} {value:?}")
}

#[test]
fn answers_are_those_of_debians_pushgateway() {
    let Some(debian) = debian() else {
        return skip(
            "the Pushgateway beside Debian's",
            "there is no prometheus-pushgateway on the PATH",
        );
    };
    let folder = Folder::new();
    let server = started(&folder);
    for (method, path, body) in REQUESTS {
        let theirs = status_of(debian.1, (method, path, body));
        let ours = status_of(server.address, (method, &format!("/pushgateway{path}"), body));
        assert_eq!(ours, theirs, "{method} {path} {body:?}");
    }
    assert_eq!(page(server.address, "/pushgateway/metrics"), page(debian.1, "/metrics"));
}
