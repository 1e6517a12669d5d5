//! amtool, as Debian packages it (Alertmanager 0.25), against this server.

use super::{Sink, one_receiver, start};
use crate::prometheus::Prometheus;
use crate::real_clients::install;
use crate::support::{Folder, run, skip, wait_for};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn amtool(program: &Path, words: &[&str]) -> (i32, String, String) {
    run(Command::new(program).args(words).env("HOME", "/nonexistent"))
}

#[test]
fn amtool_works_on_alerts_and_silences() {
    let Some(folder) = install("amtool", "alertmanager", "apt-get") else { return };
    let program = folder.join("alertmanager/usr/bin/amtool");
    let (data, sink) = (Folder::new(), Sink::start());
    let server = start(&data, &one_receiver(&sink, "group_wait: 0s"));
    let url = format!("--alertmanager.url=http://{}/alertmanager", server.address);
    let ask = |words: &[&str]| {
        let (code, out, complaints) = amtool(&program, &[&[url.as_str()], words].concat());
        assert_eq!(code, 0, "{words:?}: {complaints}");
        out
    };
    ask(&["alert", "add", "Tide", "island=jeju", "--annotation=summary=high"]);
    let payload = sink.wait(0);
    assert_eq!(payload["commonLabels"], json!({ "alertname": "Tide", "island": "jeju" }));
    let alerts: Value =
        serde_json::from_str(&ask(&["alert", "query", "island=~j.*", "-o", "json"])).unwrap();
    assert_eq!(alerts[0]["annotations"]["summary"], "high");
    let id = ask(&["silence", "add", "island=jeju", "--author=me", "--comment=known"]);
    let id = id.trim();
    let silences: Value = serde_json::from_str(&ask(&["silence", "query", "-o", "json"])).unwrap();
    assert_eq!((&silences[0]["id"], &silences[0]["comment"]), (&json!(id), &json!("known")));
    assert_eq!(ask(&["alert", "query", "-o", "simple"]).lines().count(), 1, "only a head is left");
    assert_eq!(ask(&["alert", "query", "--silenced", "-o", "simple"]).lines().count(), 2);
    ask(&["silence", "update", id, "--duration=3h", "--comment=longer"]);
    ask(&["silence", "expire", id]);
    wait_for("the silence to end", || {
        let left = ask(&["silence", "query", "-q"]);
        left.trim().is_empty().then_some(())
    });
    assert!(ask(&["config", "show"]).contains("web.hook"));
    // The files that both read, and what they say of routes.
    let file = data.path().join("alertmanager.yml");
    let file = file.to_str().unwrap();
    let (code, out, _) = amtool(&program, &["check-config", file]);
    assert_eq!(code, 0, "{out}");
    let flag = format!("--config.file={file}");
    let (_, receiver, _) = amtool(&program, &["config", "routes", "test", &flag, "island=jeju"]);
    assert_eq!(receiver.trim(), "web.hook");
}

#[test]
fn a_prometheus_sends_its_alerts_here() {
    let (data, sink) = (Folder::new(), Sink::start());
    let server = start(&data, &one_receiver(&sink, "group_wait: 0s"));
    let rules = data.path().join("rules.yml");
    let rule = "groups: [ { name: g, rules: [ { alert: Always, expr: 'vector(1) > 0', labels: { a: b }, annotations: { summary: 'v {{ $value }}' } } ] } ]";
    std::fs::write(&rules, rule).unwrap();
    let config = |_| {
        format!(
            "global: {{ evaluation_interval: 1s, external_labels: {{ site: jeju }} }}\n\
             rule_files: [ '{}' ]\n\
             alerting: {{ alertmanagers: [ {{ path_prefix: /alertmanager, static_configs: [ {{ targets: [ '{}' ] }} ] }} ] }}\n",
            rules.display(),
            server.address
        )
    };
    let Some(_prometheus) = Prometheus::start(config, &["--rules.alert.resend-delay=1s"]) else {
        return skip("Prometheus as a sender", "there is no prometheus on the PATH");
    };
    let payload = sink.wait(0);
    let labels = json!({ "alertname": "Always", "a": "b", "site": "jeju" });
    assert_eq!(payload["commonLabels"], labels);
    assert_eq!(payload["commonAnnotations"], json!({ "summary": "v 1" }));
    assert!(payload["alerts"][0]["generatorURL"].as_str().unwrap().contains("/graph?"));
}
