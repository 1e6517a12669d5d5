//! Alerts from a request to a receiver: the real server with a configuration of Alertmanager, and a
//! webhook on this machine.

mod clients;
mod kills;
pub(crate) mod sink;

use crate::support::{Folder, Server, ask, command, run, wait_for};
use serde_json::{Value, json};
use sink::Sink;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the configuration and answers its path.
fn configure(folder: &Path, yaml: &str) -> PathBuf {
    let path = folder.join("alertmanager.yml");
    std::fs::write(&path, yaml).unwrap();
    path
}

fn start(folder: &Folder, yaml: &str) -> Server {
    let file = configure(folder.path(), yaml);
    let file = file.display().to_string();
    let external = "alerting.external_url=http://mirador.example/am/";
    let flags = ["--alertmanager-config", &file, "--set", external];
    Server::start_with(&folder.path().join("data"), &flags)
}

/// `2026-…Z`, so many seconds from now.
fn time(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at_ms = i64::try_from(now.as_millis()).unwrap() + seconds * 1_000;
    let time = chrono::DateTime::from_timestamp_millis(at_ms).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn alert(name: &str, labels: &[(&str, &str)], ends_in: i64) -> Value {
    let mut all = json!({ "alertname": name });
    for (name, value) in labels {
        all[*name] = (*value).into();
    }
    json!({
        "labels": all,
        "annotations": { "summary": format!("{name} is down") },
        "startsAt": time(-60),
        "endsAt": time(ends_in),
        "generatorURL": "http://prometheus.example/graph",
    })
}

fn post(server: &Server, alerts: &[Value]) {
    let body = Value::from(alerts.to_vec()).to_string();
    let reply = server.post("/api/v2/alerts", body.as_bytes());
    assert_eq!((reply.status, reply.text()), (200, ""));
}

fn names(payload: &Value) -> Vec<String> {
    let alerts = payload["alerts"].as_array().unwrap().iter();
    let mut names: Vec<String> = alerts
        .map(|alert| {
            let labels = &alert["labels"];
            let (name, host) = (labels["alertname"].as_str().unwrap(), labels["host"].as_str());
            format!("{name}@{} {}", host.unwrap_or("-"), alert["status"].as_str().unwrap())
        })
        .collect();
    names.sort();
    names
}

fn one_receiver(sink: &Sink, route: &str) -> String {
    let url = sink.url();
    format!(
        "route: {{ receiver: 'web.hook', {route} }}\n\
         receivers:\n- name: web.hook\n  webhook_configs: [ {{ url: '{url}' }} ]\n"
    )
}

#[test]
fn alerts_are_grouped_and_told_by_webhook() {
    let (folder, sink) = (Folder::new(), Sink::start());
    let route = "group_by: [job], group_wait: 0s, group_interval: 1s, repeat_interval: 1h";
    let server = start(&folder, &one_receiver(&sink, route));
    let two = [
        alert("Down", &[("job", "api"), ("host", "a")], 3_600),
        alert("Down", &[("job", "api"), ("host", "b")], 3_600),
    ];
    post(&server, &two);
    let payload = sink.wait(0);
    assert_eq!(names(&payload), ["Down@a firing", "Down@b firing"]);
    for (field, expected) in [
        ("version", json!("4")),
        ("groupKey", json!("{}:{job=\"api\"}")),
        ("truncatedAlerts", json!(0)),
        ("receiver", json!("web\\.hook")),
        ("status", json!("firing")),
        ("groupLabels", json!({ "job": "api" })),
        ("commonLabels", json!({ "alertname": "Down", "job": "api" })),
        ("commonAnnotations", json!({ "summary": "Down is down" })),
        ("externalURL", json!("http://mirador.example/am")),
        ("notification_reason", json!("first notification")),
    ] {
        assert_eq!(payload[field], expected, "{field}");
    }
    let first = &payload["alerts"][0];
    assert_eq!(first["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(first["generatorURL"], "http://prometheus.example/graph");
    assert_eq!(first["fingerprint"].as_str().unwrap().len(), 16);

    let groups = ask(server.address, "/alertmanager/api/v2/alerts/groups");
    assert_eq!(groups[0]["labels"], json!({ "job": "api" }));
    assert_eq!(groups[0]["receiver"], json!({ "name": "web.hook" }));
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), 2);

    post(&server, &[alert("Down", &[("job", "api"), ("host", "b")], 0)]);
    let payload = sink.wait(1);
    assert_eq!(names(&payload), ["Down@a firing", "Down@b resolved"]);
    assert_eq!(payload["notification_reason"], "some alerts resolved");
    assert_ne!(payload["alerts"][1]["endsAt"], "0001-01-01T00:00:00Z");
    let shown = ask(server.address, "/api/v2/alerts?filter=host%3D%22a%22");
    assert_eq!(shown.as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(server.metric("mirador_alerting_notifications_total{integration=\"webhook\"}"), 2.0);
}

#[test]
fn a_server_that_fails_is_asked_again_and_one_that_hangs_holds_up_no_other() {
    let (folder, failing, hanging, fine) =
        (Folder::new(), Sink::failing(2), Sink::hanging(), Sink::start());
    let (a, b, c) = (failing.url(), hanging.url(), fine.url());
    let yaml = format!(
        "route: {{ receiver: all, group_wait: 0s, group_interval: 1m }}\n\
         receivers:\n- name: all\n  webhook_configs: [ {{ url: '{a}' }}, {{ url: '{b}' }}, {{ url: '{c}' }} ]\n"
    );
    let server = start(&folder, &yaml);
    post(&server, &[alert("Down", &[], 3_600)]);
    assert_eq!(names(&fine.wait(0)), ["Down@- firing"]);
    // Two answers of 503 come before the one that counts.
    assert_eq!(names(&failing.wait(2)), ["Down@- firing"]);
    wait_for("the delivery that was repeated", || {
        let told = server.metric("mirador_alerting_notifications_total{integration=\"webhook\"}");
        (told == 2.0).then_some(())
    });
    // The server stops although one receiver never answers.
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
}

#[test]
fn silences_keep_quiet_and_outlive_a_crash() {
    let (folder, sink) = (Folder::new(), Sink::start());
    let route = "group_by: ['...'], group_wait: 0s, group_interval: 1s";
    let yaml = one_receiver(&sink, route);
    let server = start(&folder, &yaml);
    let silence = json!({
        "matchers": [{ "name": "alertname", "value": "Quiet.*", "isRegex": true }],
        "startsAt": time(0),
        "endsAt": time(3_600),
        "createdBy": "me",
        "comment": "work on it",
    });
    let reply = server.post("/api/v2/silences", silence.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    let id = serde_json::from_slice::<Value>(&reply.body).unwrap()["silenceID"].clone();
    let id = id.as_str().unwrap().to_owned();
    server.kill();
    let server = start(&folder, &yaml);
    post(&server, &[alert("Quiet1", &[], 3_600), alert("Loud", &[], 3_600)]);
    assert_eq!(names(&sink.wait(0)), ["Loud@- firing"]);
    let alerts = ask(server.address, "/api/v2/alerts?silenced=true&active=false");
    assert_eq!(alerts[0]["status"]["silencedBy"], json!([id]));
    assert_eq!(alerts[0]["status"]["state"], "suppressed");
    let path = format!("/api/v2/silence/{id}");
    assert_eq!(ask(server.address, &path)["status"]["state"], "active");
    assert_eq!(server.connect().send("DELETE", &path, &[], b"").status, 200);
    assert_eq!(ask(server.address, &path)["status"]["state"], "expired");
    assert_eq!(names(&sink.wait(1)), ["Quiet1@- firing"]);
    assert_eq!(server.get("/api/v2/silence/nothing").status, 404);
}

#[test]
fn a_configuration_is_checked_and_read_again() {
    let (folder, first, second) = (Folder::new(), Sink::start(), Sink::start());
    let wrong = configure(folder.path(), "route: { receiver: a }\n");
    let check = |file: &Path| {
        let mut check = command(&folder.path().join("data"), &["check-config"]);
        run(check.arg("--alertmanager-config").arg(file))
    };
    let (code, _, words) = check(&wrong);
    assert_eq!(code, 2);
    assert!(words.contains("line 1: undefined receiver \"a\" used in route"), "{words}");
    let route = "group_by: ['...'], group_wait: 0s";
    let server = start(&folder, &one_receiver(&first, route));
    let file = folder.path().join("alertmanager.yml");
    assert_eq!(check(&file).0, 0);
    let shown = || {
        let status = ask(server.address, "/api/v2/status");
        status["config"]["original"].as_str().unwrap().to_owned()
    };
    assert!(shown().contains("<secret>") && !shown().contains(&first.url()), "{}", shown());

    // A wrong file changes nothing.
    configure(folder.path(), "rout: {}\n");
    let reply = server.post("/alertmanager/-/reload", b"");
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("did you mean `route`?"), "{}", reply.text());
    post(&server, &[alert("A", &[], 3_600)]);
    assert_eq!(names(&first.wait(0)), ["A@- firing"]);

    configure(folder.path(), &one_receiver(&second, &format!("{route}, group_interval: 7m")));
    server.signal("-HUP");
    wait_for("the new configuration", || shown().contains("7m").then_some(()));
    post(&server, &[alert("B", &[], 3_600)]);
    assert_eq!(names(&second.wait(0)), ["B@- firing"]);
    assert_eq!(server.post("/alertmanager/-/reload", b"").status, 200);
}

#[test]
fn without_a_configuration_alerts_are_shown() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    post(&server, &[alert("A", &[], 3_600)]);
    let address: SocketAddr = server.address;
    assert_eq!(ask(address, "/api/v2/alerts")[0]["receivers"], json!([{ "name": "nobody" }]));
    assert_eq!(ask(address, "/api/v2/receivers"), json!([{ "name": "nobody" }]));
    let status = ask(address, "/alertmanager/api/v2/status");
    assert_eq!(status["cluster"]["status"], "disabled");
    // By this Grafana tells an Alertmanager from Mimir's.
    assert_eq!(server.get("/alertmanager/alertmanager/api/v2/status").status, 404);
    assert_eq!(server.get("/alertmanager/api/v1/alerts").status, 410);
    for path in ["healthy", "ready"] {
        assert_eq!(server.get(&format!("/alertmanager/-/{path}")).text(), "OK");
    }
}
