//! `remote_write` end to end: what arrives at one server is sent on to another Mirador and to Debian's
//! Prometheus, over restarts and kills of both sides.

use crate::kill_metrics::{Ledger, SERIES};
use crate::kills;
use crate::prometheus::Prometheus;
use crate::real_clients::result;
use crate::remote_write::{Series, write};
use crate::support::{BINARY, Folder, Server, ask, command, encoded, run, say, skip, wait_for};
use platform::SeededRandom;
use platform::sim::test_seed;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Sends at once.
const QUEUE: &str = "queue_config: {batch_send_deadline: 50ms, max_backoff: 200ms}";

fn config_file(folder: &Folder, text: &str) -> PathBuf {
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A server that sends on what the file says.
fn sender(folder: &Folder, file: &Path, more: &[&str]) -> Server {
    let mut flags = vec!["--prometheus-config", file.to_str().unwrap()];
    flags.extend(more);
    Server::start_with(&folder.path().join("data"), &flags)
}

fn status(server: &Server) -> Value {
    ask(server.address, "/api/v1/status/remote_write")["data"].clone()
}

/// Waits until a destination has everything.
fn wait_until_sent(server: &Server) {
    wait_for("everything to be sent", || {
        let all = status(server);
        let is_done = |one: &Value| one["behindBytes"] == 0 && one["pendingSamples"] == 0;
        all.as_array().unwrap().iter().all(is_done).then_some(())
    });
}

#[test]
fn samples_reach_another_mirador() {
    let (here, there) = (Folder::new(), Folder::new());
    let receiver = Server::start(there.path());
    let base = format!("http://{}", receiver.address);
    let text = |more: &str| {
        format!(
            "global: {{external_labels: {{site: jeju}}}}\nremote_write:\n\
             - {{url: \"{base}/api/v1/write\", name: one, {QUEUE}{more}}}\n\
             - url: {base}/nothing?two=2\n  headers: {{X-Test: a}}\n  {QUEUE}\n  \
             protobuf_message: io.prometheus.write.v2.Request\n  \
             write_relabel_configs: [{{target_label: via, replacement: v2}}]\n"
        )
    };
    let file = config_file(&here, &text(""));
    let (code, out, _) = run(Command::new(BINARY)
        .arg("check-config")
        .args(["--prometheus-config", file.to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
    assert!(!out.contains("has no effect"), "{out}");

    let server = sender(&here, &file, &[]);
    let named = |name: &str| Series::new(&[("__name__", name), ("job", "shop")]);
    write(server.address, &[named("first_total").sample(1_700_000_000_000, 5.0)]);
    // By another protocol.
    let reply = server.post("/api/v1/import/prometheus", b"second{job=\"shop\"} 7 1700000000000\n");
    assert_eq!(reply.status, 204);
    let value = |query: &str| {
        let path = format!("/api/v1/query?query={}&time=1700000001", encoded(query));
        let answer = ask(receiver.address, &path);
        let found = answer["data"]["result"].as_array().unwrap().first().cloned();
        found.map(|one| one["value"][1].as_str().unwrap().to_owned())
    };
    let wait_for_value = |query: &str, expected: &str| {
        wait_for(query, || (value(query)? == expected).then_some(()));
    };
    wait_for_value("first_total{site=\"jeju\",via=\"\"}", "5");
    wait_for_value("second{site=\"jeju\",via=\"\",job=\"shop\"}", "7");

    let all = status(&server);
    assert_eq!(all[0]["name"], "one");
    assert_eq!(all[0]["protobufMessage"], "prometheus.WriteRequest");
    assert_eq!(all[0]["lastFailure"], Value::Null);
    assert_eq!(all[0]["highestSentTimestamp"], "2023-11-14T22:13:20.000Z");
    // There is no such path on the receiver: refused for good, and told.
    let second = wait_for("a refusal", || {
        let second = status(&server)[1].clone();
        second["lastFailure"]["error"].as_str().map(|_| second.clone())
    });
    assert_eq!(second["name"], format!("{base}/nothing"));
    assert!(second["lastFailure"]["error"].as_str().unwrap().starts_with("it answered 404"));
    let sent = "mirador_remote_write_sent_total{destination=\"one\",kind=\"sample\"}";
    assert_eq!(server.metric(sent), 2.0);

    // A reload: the second one gets the right path, the first one drops.
    let drop = ", write_relabel_configs: [{source_labels: [__name__], regex: third, action: drop}]";
    config_file(&here, &text(drop).replace("/nothing?two=2", "/api/v1/write"));
    assert_eq!(server.post("/-/reload", b"").status, 200);
    write(server.address, &[named("third").sample(1_700_000_000_000, 9.0)]);
    wait_for_value("third{via=\"v2\"}", "9");
    wait_until_sent(&server);
    assert_eq!(value("third{via=\"\"}"), None);
    // Neither is sent any more, and their positions are gone.
    config_file(&here, "scrape_configs: []\n");
    assert_eq!(server.post("/-/reload", b"").status, 200);
    assert_eq!(status(&server), Value::Array(vec![]));
    let left = std::fs::read_dir(here.path().join("data/sending")).unwrap().count();
    assert_eq!(left, 0);
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

/// Prometheus takes every sample, though it is killed and started again, and the sender is killed in the
/// middle. It refuses whole requests for one sample that it has already.
#[test]
fn prometheus_misses_nothing_over_kills() {
    let flags = ["--web.enable-remote-write-receiver"];
    let Some(mut prometheus) = Prometheus::start(|_| "global: {}\n".to_owned(), &flags) else {
        return skip("remote_write to prometheus", "prometheus is not installed");
    };
    let folder = Folder::new();
    let url = format!("http://{}/api/v1/write", prometheus.address);
    let file = config_file(&folder, &format!("remote_write:\n- {{url: \"{url}\", {QUEUE}}}\n"));
    let mut server = Some(sender(&folder, &file, &[]));
    const COUNT: i64 = 600;
    let start = now_ms() - COUNT * 1_000;
    for number in 0..COUNT {
        match number {
            150 => prometheus.kill(),
            250 => prometheus.start_again(),
            100 | 200 | 300 | 400 | 500 => {
                server.take().unwrap().kill();
                server = Some(sender(&folder, &file, &[]));
            }
            _ => {}
        }
        let series: Vec<Series> = (0..5)
            .map(|one: i64| {
                let one = one.to_string();
                let series = Series::new(&[("__name__", "kept"), ("n", &one)]);
                series.sample(start + number * 1_000, number as f64)
            })
            .collect();
        write(server.as_ref().unwrap().address, &series);
    }
    let server = server.unwrap();
    wait_until_sent(&server);
    let end = start + COUNT * 1_000;
    let path = format!("/api/v1/query?query=kept[{}s]&time={}", COUNT + 1, end as f64 / 1e3);
    let answer = ask(prometheus.address, &path);
    let found = answer["data"]["result"].as_array().unwrap();
    assert_eq!(found.len(), 5);
    for series in found {
        let values: Vec<i64> = series["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point[1].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(values, (0..COUNT).collect::<Vec<_>>(), "{}", series["metric"]);
    }
    assert!(result(prometheus.address, "up").is_empty());
}

/// A receiver that comes back on its port.
fn receiver(data: &Path, address: SocketAddr) -> Server {
    let like = command(data, &[]);
    let mut again = Command::new(BINARY);
    let args = like.get_args().map(|arg| match arg.to_str() {
        Some("127.0.0.1:0") => address.to_string().into(),
        _ => arg.to_owned(),
    });
    again.args(args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Server::spawn(again).unwrap_or_else(|text| panic!("no start: {text}"))
}

/// The kill ledger of sending on: what a server acknowledged is at the other one in the end, exactly,
/// though both are killed under load, with flushes and merges all the time.
#[test]
fn acknowledged_samples_reach_the_other_server_over_kills() {
    const WRITERS: usize = 3;
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let cycles = kills::cycles(6);
    let (here, there) = (Folder::new(), Folder::new());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/api/v1/write");
    let file = config_file(&here, &format!("remote_write:\n- {{url: \"{url}\", {QUEUE}}}\n"));
    let settings = ["--set", "wal.segment_size=1MiB", "--set", "storage.flush_interval=1s"];
    let ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    let mut other = Some(receiver(there.path(), address));
    for cycle in 0..cycles {
        let server = sender(&here, &file, &settings);
        let own = server.address;
        if cycle % 3 == 1 {
            // It stays away for this load.
            other.take().unwrap().kill();
        }
        kills::load_and_kill(server, &random, WRITERS, |writer, stop| {
            ledgers[writer].write(writer, own, stop);
        });
        other = Some(other.take().unwrap_or_else(|| receiver(there.path(), address)));
    }
    let other = other.unwrap();
    let server = sender(&here, &file, &settings);
    wait_until_sent(&server);
    for (writer, ledger) in ledgers.iter().enumerate() {
        ledger.check(&server, writer, cycles);
        ledger.check(&other, writer, cycles);
    }
    let batches: usize = ledgers.iter().map(|one| one.acknowledged.lock().unwrap().len()).sum();
    assert!(batches > cycles * 10, "only {batches} batches: the test did not load it");
    say(&format!(
        "sending ledger: SEED={seed}, {cycles} kills of the sender, {} acknowledged samples, all at the \
         other server",
        batches * SERIES
    ));
}
