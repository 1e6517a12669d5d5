//! The tools that operators run beside their server, as Debian packages them: promtool queries,
//! vmagent scrapes and sends, vmalert evaluates rules and restores its state, vmctl imports the
//! history of a Prometheus.

use crate::prometheus::Prometheus;
use crate::real_clients::{result, target};
use crate::support::{Folder, Server, ask, encoded, installed, run, skip, wait_for};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A tool that runs until the test ends.
struct Tool(Child);

impl Tool {
    fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the tool is installed; prints SKIPPED if it is not.
fn has(tool: &str) -> bool {
    let there = installed(tool);
    if !there {
        skip(tool, &format!("there is no {tool} on the PATH"));
    }
    there
}

fn import(server: &Server, text: &str) {
    let reply = server.post("/api/v1/import/prometheus", text.as_bytes());
    assert_eq!(reply.status, 204, "{}", reply.text());
}

/// The value of a series, if it exists.
fn value(address: SocketAddr, query: &str) -> Option<f64> {
    result(address, query).first()?["value"][1].as_str()?.parse().ok()
}

#[test]
fn promtool_asks() {
    if !has("promtool") {
        return;
    }
    let folder = Folder::new();
    let server = Server::start(folder.path());
    import(
        &server,
        "tide{island=\"제주\"} 1.5 1700000000000\ntide{island=\"udo\"} -2 1700000000000\n",
    );
    let url = format!("http://{}/prometheus", server.address);
    let asked = |words: &[&str], rest: &[&str]| {
        let (code, out, complaint) =
            run(Command::new("promtool").arg("query").args(words).arg(&url).args(rest));
        assert_eq!(code, 0, "{words:?}: {complaint}");
        out
    };
    assert_eq!(
        asked(&["instant", "--time=1700000060"], &["sort(tide)"]),
        "tide{island=\"udo\"} => -2 @[1700000060]\ntide{island=\"제주\"} => 1.5 @[1700000060]\n"
    );
    let range = ["range", "--start=1700000000", "--end=1700000120", "--step=60s"];
    assert_eq!(
        asked(&range, &["sum(tide)"]),
        "{} =>\n-0.5 @[1700000000]\n-0.5 @[1700000060]\n-0.5 @[1700000120]\n"
    );
    let series = ["series", "--match=tide", "--start=1699999999", "--end=1700000001"];
    assert_eq!(
        asked(&series, &[]),
        "{__name__=\"tide\", island=\"udo\"}\n{__name__=\"tide\", island=\"제주\"}\n"
    );
    let labels = ["labels", "--start=1699999999", "--end=1700000001"];
    assert_eq!(asked(&labels, &["island"]), "udo\n제주\n");
}

#[test]
fn vmagent_sends_what_it_scrapes() {
    if !has("vmagent") {
        return;
    }
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let scrapes = folder.path().join("scrape.yml");
    let jobs = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: fixed, static_configs: [{{targets: ['{}']}}]}}]\n",
        target()
    );
    std::fs::write(&scrapes, jobs).unwrap();
    let _vmagent = Tool::start(
        Command::new("vmagent")
            .arg(format!("-promscrape.config={}", scrapes.display()))
            .arg(format!("-remoteWrite.url=http://{}/api/v1/write", server.address))
            .arg(format!("-remoteWrite.tmpDataPath={}", folder.path().join("queue").display()))
            .arg("-httpListenAddr="),
    );
    wait_for("three scrapes", || {
        (value(server.address, "count_over_time(up{job=\"fixed\"}[5m])")? >= 3.0).then_some(())
    });
    assert_eq!(value(server.address, "jobs_total{job=\"fixed\",kind=\"a\"}"), Some(17.0));
    assert_eq!(value(server.address, "wait_seconds_bucket{le=\"+Inf\"}"), Some(4.0));
}

/// A recording rule and an alerting rule over `level`, evaluated every second.
fn vmalert(rules: &Path, server: SocketAddr) -> Tool {
    const RULES: &str = "
groups:
- name: levels
  interval: 1s
  rules:
  - record: job:level:sum
    expr: sum by (job) (level)
  - alert: HighLevel
    expr: level > 3
    for: 1s
    labels: {severity: page}
";
    std::fs::write(rules, RULES).unwrap();
    let ways = ["datasource", "remoteRead", "remoteWrite"];
    let mut command = Command::new("vmalert");
    command.args(ways.map(|way| format!("-{way}.url=http://{server}/prometheus")));
    command.arg(format!("-rule={}", rules.display()));
    command.arg(format!("-notifier.url=http://{server}/alertmanager"));
    command.arg("-httpListenAddr=127.0.0.1:0");
    Tool::start(&mut command)
}

#[test]
fn vmalert_records_alerts_and_remembers() {
    if !has("vmalert") {
        return;
    }
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let address = server.address;
    import(&server, "level{job=\"a\",n=\"1\"} 4\nlevel{job=\"a\",n=\"2\"} 1\nlevel{job=\"b\"} 2\n");
    let rules = folder.path().join("rules.yml");
    let first = vmalert(&rules, address);
    wait_for("the alert to fire", || value(address, "ALERTS{alertstate=\"firing\"}"));
    assert_eq!(value(address, "job:level:sum{job=\"a\"}"), Some(5.0));
    assert_eq!(value(address, "job:level:sum{job=\"b\"}"), Some(2.0));
    assert_eq!(result(address, "ALERTS{alertname=\"HighLevel\",n!=\"1\"}").len(), 0);
    let alert = wait_for("the alert to be sent", || {
        ask(address, "/alertmanager/api/v2/alerts").as_array()?.first().cloned()
    });
    assert_eq!(alert["labels"]["alertname"], "HighLevel");
    let active_since = value(address, "ALERTS_FOR_STATE").unwrap();
    drop(first);

    // The second vmalert asks the server since when the alert has been active.
    let last = value(address, "timestamp(ALERTS_FOR_STATE)").unwrap();
    let _second = vmalert(&rules, address);
    wait_for("another evaluation", || {
        (value(address, "timestamp(ALERTS_FOR_STATE)")? > last + 1.0).then_some(())
    });
    assert_eq!(value(address, "ALERTS_FOR_STATE"), Some(active_since));
}

/// Every raw sample of the target up to a time, ordered.
fn samples(address: SocketAddr, until: f64) -> Vec<Value> {
    let query = encoded("{job=\"fixed\"}[1h]");
    let path = format!("/api/v1/query?query={query}&time={until}");
    let mut series = ask(address, &path)["data"]["result"].as_array().unwrap().clone();
    series.sort_by_key(Value::to_string);
    series
}

#[test]
fn vmctl_brings_the_history_of_a_prometheus() {
    if !has("vmctl") || !has("script") {
        return;
    }
    let target = target();
    let config = |_| {
        format!(
            "global: {{scrape_interval: 500ms}}\n\
             scrape_configs: [{{job_name: fixed, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
    };
    let Some(prometheus) = Prometheus::start(config, &["--web.enable-admin-api"]) else {
        skip("vmctl", "there is no prometheus on the PATH");
        return;
    };
    wait_for("five scrapes", || {
        (value(prometheus.address, "count_over_time(up[5m])")? >= 5.0).then_some(())
    });
    let until = value(prometheus.address, "max(timestamp(up))").unwrap();
    let snapshot = prometheus.snapshot();

    let folder = Folder::new();
    let server = Server::start(folder.path());
    // vmctl requires a terminal for its progress; `script` provides one.
    let wanted = format!(
        "vmctl prometheus -s --prom-snapshot '{}' --vm-addr http://{}",
        snapshot.display(),
        server.address
    );
    // Debian's vmctl may omit series at its end and only shows it in its figures.
    wait_for("vmctl to send all that it has read", || {
        let mut script = Command::new("script");
        let (code, out, words) =
            run(script.args(["--quiet", "--return", "--command", &wanted, "/dev/null"]));
        assert_eq!(code, 0, "{out}{words}");
        let figure = |name| out.split(name).nth(1)?.split(['.', ';']).next()?.parse::<usize>().ok();
        let read = figure("\n  samples: ").unwrap_or_else(|| panic!("{out}"));
        (figure("total samples: ") == Some(read)).then_some(())
    });
    let (theirs, ours) = (samples(prometheus.address, until), samples(server.address, until));
    assert!(theirs.len() > 5, "{theirs:?}");
    assert_eq!(theirs, ours);
}
