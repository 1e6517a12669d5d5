//! Objects of the Prometheus Operator in files, end to end: the founding documents' own YAML, as it is, from
//! a scraped target to an alert and one webhook; and objects that come, go and are wrong.
//!
//! `PING_STORY=whole` waits also until the group of alerts is looked at again (five minutes, as the YAML
//! says), to see that nobody is told of the end.

use crate::alerts::sink::Sink;
use crate::client::Connection;
use crate::real_clients::install;
use crate::scraping::{Exporter, Program, wait_for_value, write};
use crate::support::{Folder, Server, ask, command, root, run, say, wait_for};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder of objects beside the data folder.
struct Objects {
    folder: Folder,
}

impl Objects {
    fn new() -> Self {
        let objects = Self { folder: Folder::new() };
        std::fs::create_dir_all(objects.path()).unwrap();
        objects
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    fn put(&self, name: &str, text: &str) {
        write(&self.path().join(name), text);
    }

    fn start(&self, more: &[&str]) -> Server {
        let path = self.path().display().to_string();
        let flags = [&["--kubernetes-objects", &path], more].concat();
        Server::start_with(&self.folder.path().join("data"), &flags)
    }
}

/// The endpoints of a service, as an operator writes them where no cluster does.
fn endpoints(name: &str, addresses: &[SocketAddr]) -> String {
    let subsets = addresses.iter().map(|address| {
        let (ip, port) = (address.ip(), address.port());
        format!("- addresses: [{{ip: {ip}}}]\n  ports: [{{name: metrics, port: {port}}}]\n")
    });
    let subsets: String = subsets.collect();
    format!("apiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets:\n{subsets}")
}

/// What the API says of an object.
fn object(server: &Server, kind: &str, name: &str) -> Value {
    let answer = ask(server.address, "/api/ui/v1/objects");
    let all = answer["objects"].as_array().unwrap();
    let found = all.iter().find(|one| one["kind"] == kind && one["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {answer}")).clone()
}

fn targets(server: &Server) -> Vec<Value> {
    let answer = ask(server.address, "/api/v1/targets?state=active");
    answer["data"]["activeTargets"].as_array().unwrap().clone()
}

fn alerts(server: &Server) -> Vec<Value> {
    ask(server.address, "/api/v1/alerts")["data"]["alerts"].as_array().unwrap().clone()
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, labels: {app: shop}}\nspec: {ports: [{name: metrics, port: 80}]}\n";

fn monitor(name: &str, fields: &str) -> String {
    format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {{name: {name}}}\nspec:\n  \
         selector: {{matchLabels: {{app: shop}}}}\n  endpoints:\n  - {{port: metrics, interval: 500ms, {fields}}}\n"
    )
}

const RULE: &str = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: shop}\nspec:\n  \
    groups:\n  - name: orders\n    interval: 500ms\n    rules:\n    - {alert: ManyOrders, expr: orders > 5}\n";

fn receiver(url: &str) -> String {
    format!(
        "apiVersion: monitoring.coreos.com/v1alpha1\nkind: AlertmanagerConfig\nmetadata: {{name: shop}}\nspec:\n  \
         route: {{receiver: hook, groupWait: 0s}}\n  receivers:\n  - name: hook\n    webhookConfigs: [{{url: '{url}'}}]\n"
    )
}

#[test]
fn objects_become_targets_alerts_and_webhooks() {
    let (exporter, sink, objects) = (Exporter::start("orders 6\n"), Sink::start(), Objects::new());
    objects.put("service.yaml", SERVICE);
    objects.put("endpoints.yml", &endpoints("shop", &[exporter.address]));
    objects.put("monitor.yaml", &monitor("shop", ""));
    objects.put("torn.yaml", "kind: [\n");
    objects.put("rule.yaml", RULE);
    objects.put("alerts.yaml", &receiver(&sink.url()));
    objects.put(
        "other.json",
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"shop"}}"#,
    );
    let server = objects.start(&["--set", "kubernetes.namespace=trade"]);
    wait_for_value(
        &server,
        "orders{namespace=\"trade\",service=\"shop\",endpoint=\"metrics\"}",
        Some("6"),
    );
    let payload = sink.wait(0);
    assert_eq!(payload["receiver"], "trade/shop/hook");
    assert_eq!(payload["commonLabels"]["alertname"], "ManyOrders");
    assert_eq!(targets(&server)[0]["scrapePool"], "serviceMonitor/trade/shop/0");

    let shown = ask(server.address, "/api/ui/v1/objects");
    assert_eq!(shown["targets_from"], "files");
    let mistakes = shown["mistakes"].as_array().unwrap();
    assert!(mistakes[0].as_str().unwrap().contains("torn.yaml: line "), "{shown}");
    for (kind, list, names) in [
        ("ServiceMonitor", "jobs", json!(["serviceMonitor/trade/shop/0"])),
        ("PrometheusRule", "rule_groups", json!(["orders"])),
        ("AlertmanagerConfig", "receivers", json!(["trade/shop/hook"])),
    ] {
        let found = object(&server, kind, "shop");
        assert_eq!((&found["state"], &found[list]), (&json!("used"), &names), "{found}");
        assert_eq!((&found["namespace"], &found["line"]), (&json!("trade"), &json!(1)));
    }
    assert_eq!(object(&server, "Endpoints", "shop")["state"], "discovered");
    assert_eq!(object(&server, "Deployment", "shop")["state"], "unused");
}

#[test]
fn objects_that_are_wrong_stop_nobody_and_a_reload_takes_over_what_changed() {
    let (exporter, first, second) = (Exporter::start("orders 6\n"), Sink::start(), Sink::start());
    let objects = Objects::new();
    objects.put("service.yaml", SERVICE);
    objects.put("endpoints.yaml", &endpoints("shop", &[exporter.address]));
    objects.put("good.yaml", &monitor("good", ""));
    objects.put("bad.yaml", &monitor("<b>bad", "paht: /x"));
    objects.put("rule.yaml", &RULE.replace("orders > 5", "orders >"));
    objects.put("alerts.yaml", &receiver("no url"));
    let server = objects.start(&[]);
    wait_for_value(&server, "orders", Some("6"));
    let why = |kind: &str, name: &str| {
        object(&server, kind, name)["why"].as_str().unwrap_or("").to_owned()
    };
    for (kind, name, expected) in [
        (
            "ServiceMonitor",
            "<b>bad",
            "bad.yaml: line 7: `paht` is not a field of an endpoint; did you mean `path`?",
        ),
        (
            "PrometheusRule",
            "shop",
            "rule.yaml: 9:33: group \"orders\", rule 1, \"ManyOrders\": could not parse expression",
        ),
        ("AlertmanagerConfig", "shop", "alerts.yaml: line 8: "),
    ] {
        assert!(why(kind, name).contains(expected), "{}", why(kind, name));
    }
    let page = server.get("/objects").text().to_owned();
    assert!(page.contains("became jobs: serviceMonitor/default/good/0"), "{page}");
    assert!(page.contains("<td>&lt;b&gt;bad</td>") && !page.contains("<b>bad"), "{page}");
    let korean = [("accept-language", "ko-KR")];
    let korean = server.connect().send("GET", "/objects", &korean, b"");
    assert!(korean.text().contains("사용할 수 없습니다: "), "{}", korean.text());

    // What was wrong is right, what was there is gone.
    std::fs::remove_file(objects.path().join("good.yaml")).unwrap();
    objects.put(
        "bad.yaml",
        &monitor("mended", "metricRelabelings: [{targetLabel: mended, replacement: x}]"),
    );
    objects.put("rule.yaml", RULE);
    objects.put("alerts.yaml", &receiver(&first.url()));
    let reloaded = server.post("/-/reload", b"");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    let answer: Value = serde_json::from_slice(&reloaded.body).unwrap();
    assert_eq!(answer, json!({ "status": "reloaded", "refused": [] }));
    wait_for_value(&server, "orders{mended=\"x\"}", Some("6"));
    wait_for_value(&server, "orders{mended=\"\"}", None);
    assert_eq!(first.wait(0)["receiver"], "default/shop/hook");
    // The Alertmanager's own reload keeps the receivers.
    assert_eq!(server.post("/alertmanager/-/reload", b"").status, 200);
    let receivers = ask(server.address, "/api/v2/receivers");
    assert_eq!(receivers, json!([{ "name": "null" }, { "name": "default/shop/hook" }]));

    // Only endpoints change: the job stays as it is, and its targets move.
    let other = Exporter::start("orders 7\n");
    objects.put("endpoints.yaml", &endpoints("shop", &[other.address]));
    objects.put("alerts.yaml", &receiver(&second.url()));
    server.signal("-HUP");
    wait_for_value(&server, "orders", Some("7"));
    wait_for("the other webhook", || {
        let text = ask(server.address, "/api/v2/status")["config"]["original"].to_string();
        text.contains("default/shop/hook").then_some(())
    });

    // A folder that is not there changes nothing.
    std::fs::rename(objects.path(), objects.folder.path().join("away")).unwrap();
    let refused = server.post("/-/reload", b"");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("can't read the objects in "), "{}", refused.text());
    wait_for_value(&server, "orders", Some("7"));
    assert!(server.get("/objects").text().contains("The last reload did not take everything over"));
    assert_eq!(object(&server, "ServiceMonitor", "mended")["state"], "used");
}

#[test]
fn a_folder_of_objects_is_checked_before_it_is_used() {
    let objects = Objects::new();
    let check = || {
        let mut check = command(objects.folder.path(), &["check-config"]);
        run(check.arg("--kubernetes-objects").arg(objects.path()))
    };
    objects.put("service.yaml", SERVICE);
    objects.put("monitor.yaml", &monitor("shop", "paht: /x"));
    objects.put("rule.yaml", RULE);
    let (code, _, words) = check();
    assert_eq!(code, 2);
    assert!(
        words.contains("monitor.yaml: line 7: `paht` is not a field of an endpoint"),
        "{words}"
    );
    objects.put("monitor.yaml", &monitor("shop", ""));
    let (code, out, words) = check();
    assert_eq!(code, 0, "{words}");
    assert!(out.contains("is good: 1 jobs") && out.contains("is good: 3 objects"), "{out}");
    std::fs::remove_dir_all(objects.path()).unwrap();
    let (code, _, words) = check();
    assert_eq!(code, 2);
    assert!(words.contains("this is not a folder"), "{words}");
}

/// The server of the founding documents, with the client library of npm.
fn ping_server(packages: &Path) -> (Program, SocketAddr) {
    let mut command = Command::new("node");
    command.arg(packages.join("node/ping.mjs")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Program(child), ([127, 0, 0, 1], line.trim().parse().unwrap()).into())
}

fn ping(address: SocketAddr, times: usize) {
    for _ in 0..times {
        assert_eq!(Connection::open(address).send("GET", "/ping", &[], b"").text(), "pong");
    }
}

/// All alerts once there are so many in a state.
fn wait_for_alerts(server: &Server, state: &str, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} alerts that are {state}"), || {
        let all = alerts(server);
        let found = all.iter().filter(|alert| alert["state"] == state).count();
        (found == count && all.len() == count).then_some(all)
    })
}

/// Deployment, Service, ServiceMonitor, AlertmanagerConfig and PrometheusRule as they are, and the endpoints
/// that a cluster would add. The receiver is elsewhere: a proxy of this machine stands for it.
#[test]
fn the_ping_story_ends_in_one_webhook() {
    let Some(packages) = install("the ping story", "node", "npm") else { return };
    let (one, two) = (ping_server(&packages), ping_server(&packages));
    let (sink, objects) = (Sink::elsewhere(), Objects::new());
    for name in ["Deployment", "Service", "ServiceMonitor", "alertmanagerconfig", "prometheusrule"]
    {
        let file = root().join("tests/fixtures/objects").join(format!("{name}.yaml"));
        objects.put(&format!("{name}.yaml"), &std::fs::read_to_string(file).unwrap());
    }
    objects.put("endpoints.yaml", &endpoints("prom-example", &[one.1, two.1]));
    let beside = |name: &str, text: &str| {
        let path = objects.folder.path().join(name);
        write(&path, text);
        path.display().to_string()
    };
    let prometheus = beside("prometheus.yml", "global: {evaluation_interval: 1s}\n");
    let proxy = sink.proxy_url();
    let alertmanager = beside(
        "alertmanager.yml",
        &format!(
            "global: {{http_config: {{proxy_url: '{proxy}', tls_config: {{insecure_skip_verify: true}}}}}}\n\
             route: {{receiver: others}}\nreceivers: [{{name: others}}]\n"
        ),
    );
    let server = objects.start(&[
        "--prometheus-config",
        &prometheus,
        "--alertmanager-config",
        &alertmanager,
        "--set",
        "kubernetes.namespace=qks-monitoring",
    ]);
    ping(one.1, 6);
    ping(two.1, 7);
    wait_for("both targets to be scraped", || {
        let up = targets(&server).iter().filter(|target| target["health"] == "up").count();
        (up == 2).then_some(())
    });
    wait_for("an alert that waits", || {
        alerts(&server).into_iter().find(|alert| alert["state"] == "pending")
    });
    let firing = wait_for_alerts(&server, "firing", 2);
    let labels = json!({
        "alertname": "CountGreaterThan5", "endpoint": "metrics", "job": "prom-example",
        "namespace": "qks-monitoring", "service": "prom-example",
        "instance": firing[0]["labels"]["instance"],
    });
    assert_eq!(firing[0]["labels"], labels);

    // Both are told at once, thirty seconds after the first.
    let payload = sink.wait(0);
    assert_eq!(sink.hosts(), ["webhook.site:443"]);
    assert_eq!(payload["receiver"], "qks-monitoring/config-example/webhook");
    assert_eq!(payload["groupLabels"], json!({ "job": "prom-example" }));
    let told = payload["alerts"].as_array().unwrap();
    let mut instances: Vec<&str> =
        told.iter().map(|alert| alert["labels"]["instance"].as_str().unwrap()).collect();
    instances.sort_unstable();
    let mut expected = [one.1.to_string(), two.1.to_string()];
    expected.sort_unstable();
    assert_eq!(instances, expected);
    assert!(told.iter().all(|alert| alert["status"] == "firing"), "{payload}");

    // The end is seen, and nobody is told of it (send_resolved: false).
    drop((one, two));
    wait_for("the end of both alerts", || alerts(&server).is_empty().then_some(()));
    if std::env::var_os("PING_STORY").is_some() {
        let flushes = "the group to be gone";
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_secs(310) {
            std::thread::sleep(Duration::from_secs(1));
        }
        wait_for(flushes, || {
            let groups = ask(server.address, "/api/v2/alerts/groups");
            groups.as_array().unwrap().is_empty().then_some(())
        });
        say("the group was looked at again after five minutes");
    }
    assert_eq!(sink.received().len(), 1);
}
