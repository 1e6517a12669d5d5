//! Pulling metrics end to end: a small exporter on loopback, and exporters as their makers publish them
//! (Debian's node exporter, Python's client), scraped by the real binary into PromQL and its API.

use crate::real_clients::{install, result};
use crate::support::{BINARY, Folder, Server, ask, installed, run, skip, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Answers every request with the page that it has at the moment; without one it hangs up.
pub(crate) struct Exporter {
    pub(crate) address: SocketAddr,
    page: Arc<Mutex<Option<String>>>,
    /// The head of the last request.
    asked: Arc<Mutex<String>>,
}

impl Exporter {
    pub(crate) fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let page = Arc::new(Mutex::new(Some(page.to_owned())));
        let asked = Arc::default();
        let exporter = Self { address, page: Arc::clone(&page), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (page, asked) = (Arc::clone(&page), Arc::clone(&asked));
                std::thread::spawn(move || answer(stream.unwrap(), &page, &asked));
            }
        });
        exporter
    }

    fn show(&self, page: Option<&str>) {
        *self.page.lock().unwrap() = page.map(str::to_owned);
    }
}

/// Serves one connection to its end.
fn answer(stream: TcpStream, page: &Mutex<Option<String>>, asked: &Mutex<String>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        let mut head = String::new();
        loop {
            let line = lines.next()?.ok()?;
            if line.is_empty() {
                break;
            }
            head += &line.to_lowercase();
            head.push('\n');
        }
        *asked.lock().unwrap() = head;
        let text = page.lock().unwrap().clone()?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length:";
        write!(&stream, "{head} {}\r\n\r\n{text}", text.len()).ok()?;
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    // Whole or not at all: the server may read it at any moment.
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(&temporary, path).unwrap();
}

/// A server that scrapes what the file says, which also has jobs in a file of their own.
fn scraping(folder: &Folder, config: &str) -> (Server, PathBuf) {
    let file = folder.path().join("prometheus.yml");
    write(&file, config);
    let data = folder.path().join("data");
    let server = Server::start_with(&data, &["--prometheus-config", file.to_str().unwrap()]);
    (server, file)
}

fn job(name: &str, address: SocketAddr, more: &str) -> String {
    format!(
        "- job_name: {name}\n  scrape_interval: 500ms\n  static_configs: [{{targets: [\"{address}\"]}}]\n{more}"
    )
}

/// The value of the only series of an answer, if there is one.
fn value(server: &Server, query: &str) -> Option<String> {
    let found = result(server.address, query);
    assert!(found.len() <= 1, "{query}: {found:?}");
    found.first().map(|one| one["value"][1].as_str().unwrap().to_owned())
}

pub(crate) fn wait_for_value(server: &Server, query: &str, expected: Option<&str>) {
    wait_for(&format!("{query} = {expected:?}"), || {
        (value(server, query).as_deref() == expected).then_some(())
    });
}

fn target(server: &Server, pool: &str) -> Option<Value> {
    let answer = ask(server.address, &format!("/api/v1/targets?state=active&scrapePool={pool}"));
    answer["data"]["activeTargets"].as_array().unwrap().first().cloned()
}

#[test]
fn a_target_is_scraped_ends_and_comes_back() {
    let exporter =
        Exporter::start("# HELP jobs Done.\n# TYPE jobs counter\njobs{kind=\"a\"} 5\ngone 1\n");
    let folder = Folder::new();
    let config = format!("scrape_configs:\n{}", job("shop", exporter.address, ""));
    let (server, _) = scraping(&folder, &config);
    wait_for_value(&server, "jobs", Some("5"));
    wait_for_value(&server, "up", Some("1"));
    let labels = &result(server.address, "jobs")[0]["metric"];
    assert_eq!(labels["job"], "shop");
    assert_eq!(labels["instance"], exporter.address.to_string());
    assert_eq!(labels["kind"], "a");
    wait_for_value(&server, "scrape_samples_scraped", Some("2"));
    let head = exporter.asked.lock().unwrap().clone();
    assert!(head.starts_with("get /metrics http/1.1\n"), "{head}");
    assert!(
        head.contains(
            "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        ),
        "{head}"
    );
    assert!(head.contains("x-prometheus-scrape-timeout-seconds: 0.5\n"), "{head}");

    let is_up = || target(&server, "shop").filter(|found| found["health"] == "up");
    let found = wait_for("a healthy target", is_up);
    assert_eq!(found["scrapeUrl"], format!("http://{}/metrics", exporter.address));
    assert_eq!(found["scrapeInterval"], "500ms");
    assert_eq!(found["discoveredLabels"]["__metrics_path__"], "/metrics");
    let metadata = ask(server.address, "/api/v1/targets/metadata?metric=jobs");
    assert_eq!(metadata["data"][0]["help"], "Done.");
    assert_eq!(
        ask(server.address, "/api/v1/metadata?metric=jobs")["data"]["jobs"][0]["type"],
        "counter"
    );

    // A series that the page no longer has ends at once, not after the lookback.
    exporter.show(Some("jobs{kind=\"a\"} 6\n"));
    wait_for_value(&server, "gone", None);
    wait_for_value(&server, "up", Some("1"));

    exporter.show(None);
    wait_for_value(&server, "up", Some("0"));
    wait_for_value(&server, "jobs", None);
    let is_down = || target(&server, "shop").filter(|found| found["health"] == "down");
    let found = wait_for("a target that is down", is_down);
    assert!(!found["lastError"].as_str().unwrap().is_empty());

    exporter.show(Some("jobs{kind=\"a\"} 7\n"));
    wait_for_value(&server, "jobs", Some("7"));
    assert_eq!(server.metric("mirador_scrape_pools"), 1.0);
}

#[test]
fn a_reload_takes_over_what_changed_and_refuses_what_is_wrong() {
    let (kept, other) = (Exporter::start("a 1\n"), Exporter::start("b 2\n"));
    let folder = Folder::new();
    let of_kept = format!("scrape_configs:\n{}", job("kept", kept.address, ""));
    let (server, file) = scraping(&folder, &of_kept);
    wait_for_value(&server, "a", Some("1"));

    write(&file, &(of_kept.clone() + &job("other", other.address, "")));
    assert_eq!(server.post("/-/reload", b"").status, 200);
    wait_for_value(&server, "b", Some("2"));
    let pools = ask(server.address, "/api/v1/scrape_pools");
    assert_eq!(pools["data"]["scrapePools"], serde_json::json!(["kept", "other"]));

    write(&file, &(of_kept + "- job_name: x\n  scrape_intervall: 1s\n"));
    let refused = server.post("/-/reload", b"");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("did you mean `scrape_interval`?"), "{}", refused.text());
    assert_eq!(ask(server.address, "/api/v1/scrape_pools")["data"], pools["data"]);

    // What is gone ends; SIGHUP does the same as the request.
    let relabel = "  metric_relabel_configs: [{target_label: extra, replacement: x}]\n";
    write(&file, &format!("scrape_configs:\n{}", job("kept", kept.address, relabel)));
    server.signal("-HUP");
    wait_for_value(&server, "b", None);
    wait_for_value(&server, "a{extra=\"x\"}", Some("1"));
    wait_for_value(&server, "a{extra=\"\"}", None);
    let text = ask(server.address, "/api/v1/scrape_pools/config?scrapePool=kept");
    assert!(text["data"]["yaml"].as_str().unwrap().contains("target_label: extra"), "{text}");
}

#[test]
fn targets_come_from_files_and_through_relabeling() {
    let exporter = Exporter::start("a 1\n");
    let folder = Folder::new();
    let list = folder.path().join("targets.json");
    let target = exporter.address;
    let config = "scrape_configs:\n- job_name: files\n  scrape_interval: 500ms\n  \
                  file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n  relabel_configs:\n  \
                  - {source_labels: [role], regex: off, action: drop}\n  \
                  - {source_labels: [role], target_label: part}\n";
    write(
        &list,
        &format!(
            "[{{\"targets\": [\"{target}\"], \"labels\": {{\"role\": \"on\"}}}}, {{\"targets\": [\"x:1\"], \"labels\": {{\"role\": \"off\"}}}}]"
        ),
    );
    let (server, _) = scraping(&folder, config);
    wait_for_value(&server, "a{part=\"on\"}", Some("1"));
    let dropped = ask(server.address, "/api/v1/targets?state=dropped");
    assert_eq!(dropped["data"]["droppedTargets"][0]["discoveredLabels"]["role"], "off");
    assert_eq!(dropped["data"]["droppedTargetCounts"]["files"], 1);
    assert!(dropped["data"]["activeTargets"].as_array().unwrap().is_empty());
    let steps = ask(
        server.address,
        "/api/v1/targets/relabel_steps?scrapePool=files&labels=%7B%22role%22%3A%22on%22%7D",
    );
    assert_eq!(steps["data"]["steps"][1]["output"]["part"], "on");
    assert_eq!(steps["data"]["steps"][1]["keep"], true);

    write(&list, "[]");
    wait_for_value(&server, "a", None);
    wait_for_value(&server, "up", None);
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let folder = Folder::new();
    let file = folder.path().join("prometheus.yml");
    let check = || {
        let mut command = Command::new(BINARY);
        run(command.arg("check-config").arg("--prometheus-config").arg(&file))
    };
    write(&file, "scrape_configs:\n- job_name: a\n  scrape_intervall: 1s\n");
    let (code, _, words) = check();
    assert_eq!(code, 2);
    let expected = "line 3: `scrape_intervall` is not a field of a scrape_config; did you mean `scrape_interval`?";
    assert!(words.contains(expected), "{words}");
    write(&file, "scrape_configs: [{job_name: a}]\nruntime: {gogc: 5}\n");
    let (code, out, words) = check();
    assert_eq!(code, 0, "{words}");
    assert!(out.contains("prometheus.yml is good: 1 jobs"), "{out}");
    assert!(out.contains("line 2: runtime has no effect: "), "{out}");
}

/// A program that is killed when the test ends.
pub(crate) struct Program(pub(crate) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Scrapes a program on a port, and waits for its first samples.
fn scrape_program(folder: &Folder, port: u16, more: &str) -> Server {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let config = format!("scrape_configs:\n{}", job("program", address, more));
    let (server, _) = scraping(folder, &config);
    wait_for_value(&server, "up", Some("1"));
    server
}

#[test]
fn debians_node_exporter_is_scraped() {
    let mut binary = PathBuf::from("prometheus-node-exporter");
    if !installed("prometheus-node-exporter") {
        let Some(packages) = install("node exporter", "node_exporter", "apt-get") else { return };
        binary = packages.join("node_exporter/usr/bin/prometheus-node-exporter");
    }
    let port = free_port();
    let mut command = Command::new(binary);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        return skip("node exporter", "its binary does not run here");
    };
    let _exporter = Program(child);
    let folder = Folder::new();
    let server = scrape_program(&folder, port, "  scrape_timeout: 500ms\n");
    wait_for("seconds of processors", || value(&server, "count(node_cpu_seconds_total) > 3"));
    // Every sample of the page is a series.
    let same = "scrape_samples_scraped == on() count({job=\"program\",__name__!~\"up|scrape_.*\"})";
    wait_for("as many series as samples", || value(&server, same));
    wait_for_value(&server, "count(go_gc_duration_seconds{quantile=\"0.0\"})", Some("1"));
}

#[test]
fn pythons_client_is_scraped_as_openmetrics() {
    let Some(packages) = install("prometheus_client", "python", "python3") else { return };
    let port = free_port();
    let script = format!(
        "import time\nfrom prometheus_client import Counter, Histogram, start_http_server\n\
         c = Counter('orders', 'Orders.', ['kind'])\nc.labels('book').inc(3, exemplar={{'trace_id': 'abc'}})\n\
         h = Histogram('wait_seconds', 'Waits.', buckets=(0.5, 1))\nh.observe(0.7)\n\
         start_http_server({port}, addr='127.0.0.1')\ntime.sleep(600)\n"
    );
    let mut command = Command::new(packages.join("venv/bin/python"));
    let child = command.arg("-c").arg(script).stderr(Stdio::null()).spawn().unwrap();
    let _exporter = Program(child);
    let folder = Folder::new();
    let server = scrape_program(&folder, port, "");
    wait_for_value(&server, "orders_total{kind=\"book\"}", Some("3"));
    wait_for_value(&server, "wait_seconds_bucket{le=\"1.0\"}", Some("1"));
    let metadata = ask(server.address, "/api/v1/targets/metadata?metric=orders");
    assert_eq!(metadata["data"][0]["type"], "counter");
    let path = "/api/v1/query_exemplars?query=orders_total&start=0&end=9999999999";
    let exemplars = ask(server.address, path);
    assert_eq!(exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"], "abc");
}
