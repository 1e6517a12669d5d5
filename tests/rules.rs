//! Recording and alerting rules in the real server: evaluated in time, over restarts and kills.

use crate::remote_write::{HEADERS, Series, request, snappy};
use crate::support::{BINARY, Folder, Server, ask, command, encoded, run, wait_for};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const RULES: &str = r#"
groups:
  - name: fast
    interval: 200ms
    rules:
      - record: job:load:sum
        expr: sum by (job) (load)
      - alert: Loaded
        expr: job:load:sum > 10
        for: 1s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} has {{ $value }}"}
"#;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

fn write_load(server: &Server, value: f64) {
    let series = Series::new(&[("__name__", "load"), ("job", "api")]).sample(now_ms(), value);
    let body = snappy(&request(&[series]));
    let reply = server.connect().send("POST", "/api/v1/write", &HEADERS, &body);
    assert_eq!(reply.status, 204, "{}", reply.text());
}

fn start(folder: &Folder, rules: &Path, more: &[&str]) -> Server {
    let files = format!("rules.files=[\"{}\"]", rules.display());
    let mut settings = vec![
        "--set",
        &files,
        "--set",
        "rules.external_labels={cluster=\"eu\"}",
        "--set",
        "rules.external_url=http://mon",
    ];
    settings.extend_from_slice(more);
    Server::start_with(&folder.path().join("data"), &settings)
}

fn query(server: &Server, text: &str) -> Vec<Value> {
    let path = format!("/api/v1/query?query={}", encoded(text));
    ask(server.address, &path)["data"]["result"].as_array().unwrap().clone()
}

fn alerts(server: &Server) -> Vec<Value> {
    ask(server.address, "/api/v1/alerts")["data"]["alerts"].as_array().unwrap().clone()
}

fn wait_for_state(server: &Server, state: &str) -> Value {
    wait_for(state, || alerts(server).into_iter().find(|alert| alert["state"] == state))
}

fn group(server: &Server) -> Value {
    ask(server.address, "/api/v1/rules")["data"]["groups"][0].clone()
}

#[test]
fn an_alert_goes_pending_firing_and_resolved() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let server = start(&folder, &rules, &[]);
    write_load(&server, 20.0);
    let recorded = wait_for("the recorded series", || query(&server, "job:load:sum").pop());
    assert_eq!(recorded["metric"]["job"], "api");
    assert_eq!(recorded["value"][1], "20");
    wait_for_state(&server, "pending");
    let firing = wait_for_state(&server, "firing");
    assert_eq!(firing["labels"]["alertname"], "Loaded");
    assert_eq!(firing["labels"]["severity"], "page");
    assert_eq!(firing["annotations"]["summary"], "api has 20");
    assert_eq!(firing["value"], "2e+01");
    wait_for("ALERTS", || query(&server, "ALERTS{alertstate=\"firing\"}").pop());
    let shown = group(&server);
    assert_eq!(shown["name"], "fast");
    assert_eq!(shown["file"], rules.display().to_string());
    assert_eq!(shown["interval"], 0.2);
    assert_eq!(shown["rules"][0]["type"], "recording");
    assert_eq!(shown["rules"][0]["health"], "ok");
    assert_eq!(shown["rules"][1]["state"], "firing");
    assert_eq!(shown["rules"][1]["duration"], 1);
    write_load(&server, 1.0);
    wait_for("the end of the alert", || alerts(&server).is_empty().then_some(()));
    wait_for("the end of ALERTS", || query(&server, "ALERTS").is_empty().then_some(()));
    wait_for("the end of ALERTS_FOR_STATE", || {
        query(&server, "ALERTS_FOR_STATE").is_empty().then_some(())
    });
    assert!(server.metric("mirador_rules_alerts_sent_total") >= 2.0);
}

#[test]
fn a_reload_keeps_state_and_a_wrong_file_changes_nothing() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES.replace("for: 1s", "for: 1h")).unwrap();
    let server = start(&folder, &rules, &[]);
    write_load(&server, 20.0);
    let pending = wait_for_state(&server, "pending");
    // The reload is refused, and says why.
    std::fs::write(&rules, "groups: [{name: a, rules: [{record: b, expr: 'sum('}]}]").unwrap();
    let reply = server.post("/-/reload", b"");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("could not parse expression"), "{}", reply.text());
    assert_eq!(group(&server)["name"], "fast");
    // The alert is the same after its rule has changed.
    std::fs::write(&rules, RULES.replace("> 10", "> 5")).unwrap();
    assert_eq!(server.post("/-/reload", b"").status, 200);
    let firing = wait_for_state(&server, "firing");
    assert_eq!(firing["activeAt"], pending["activeAt"]);
    // By signal as well; what a rule gave that is gone has ended.
    let other = RULES.replace("job:load:sum", "job:load:other");
    std::fs::write(&rules, other).unwrap();
    server.signal("-HUP");
    wait_for("the new series", || query(&server, "job:load:other").pop());
    wait_for("the end of the old one", || query(&server, "job:load:sum").is_empty().then_some(()));
    std::fs::write(&rules, "groups: []").unwrap();
    server.signal("-HUP");
    wait_for("no groups", || group(&server).is_null().then_some(()));
    wait_for("the end of all", || query(&server, "job:load:other").is_empty().then_some(()));
}

/// `for` goes on after the server was killed, from the series that tell of it.
#[test]
fn a_kill_does_not_forget_since_when_an_alert_is_active() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES.replace("for: 1s", "for: 1h")).unwrap();
    let settings = ["--set", "rules.for_grace_period=0s"];
    let server = start(&folder, &rules, &settings);
    write_load(&server, 20.0);
    wait_for_state(&server, "pending");
    let since = wait_for("ALERTS_FOR_STATE", || query(&server, "ALERTS_FOR_STATE").pop());
    let since: f64 = since["value"][1].as_str().unwrap().parse().unwrap();
    // More than a second passes, so that an alert that is restored can be told from a new one.
    wait_for("time to pass", || (now_ms() as f64 / 1e3 > since + 3.0).then_some(()));
    let before = now_ms();
    server.kill();
    let server = start(&folder, &rules, &settings);
    wait_for_state(&server, "pending");
    let restored = wait_for("the restored alert", || {
        let alert = alerts(&server).pop()?;
        let text = alert["activeAt"].as_str().unwrap().to_owned();
        let active = chrono_ms(&text);
        (active < before).then_some(active)
    });
    // The time of the outage does not count, so it is a little later than it was.
    assert!(restored as f64 / 1e3 >= since, "{restored} {since}");
    wait_for("ALERTS_FOR_STATE", || query(&server, "ALERTS_FOR_STATE").pop());
}

/// Milliseconds since 1970 of a time of today's format: `2026-12-01T10:00:00.5Z`.
fn chrono_ms(text: &str) -> i64 {
    let time = Command::new("date").args(["-u", "-d", text, "+%s%3N"]).output().unwrap();
    String::from_utf8(time.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn wrong_rules_stop_the_start_and_commands_say_why() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, "groups:\n  - name: a\n    rules:\n      - record: b\n").unwrap();
    let files = format!("rules.files=[\"{}\"]", rules.display());
    let (code, _, words) = run(&mut command(&folder.path().join("data"), &["--set", &files]));
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("rules.yml: 4:9: group \"a\", rule 1, \"b\": field 'expr'"), "{words}");
    let mirador = |arguments: &[&str]| run(Command::new(BINARY).args(arguments));
    let path = rules.display().to_string();
    let (code, _, words) = mirador(&["check-rules", &path]);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("field 'expr' must be set in rule"), "{words}");
    std::fs::write(&rules, RULES).unwrap();
    let (code, shown, words) = mirador(&["check-rules", &path]);
    assert_eq!((code, &*words), (0, ""));
    assert!(shown.contains("1 group, 2 rules"), "{shown}");
    let tests = folder.path().join("tests.yml");
    let text = "rule_files: [rules.yml]\ntests:\n- input_series: [{series: 'load{job=\"a\"}', \
                values: '7x9'}]\n  promql_expr_test: [{expr: 'job:load:sum', eval_time: 1m, \
                exp_samples: [{labels: 'job:load:sum{job=\"a\"}', value: 7}]}]\n";
    std::fs::write(&tests, text).unwrap();
    let (code, shown, words) = mirador(&["test", "rules", &tests.display().to_string()]);
    assert_eq!(code, 0, "{shown}{words}");
    std::fs::write(&tests, text.replace("value: 7", "value: 8")).unwrap();
    let (code, shown, _) = mirador(&["test", "rules", &tests.display().to_string()]);
    assert_eq!(code, 1);
    assert!(shown.contains("got: {__name__=\"job:load:sum\", job=\"a\"} 7"), "{shown}");
}

const GROUP: &str = "name: \"a b\"\ninterval: 200ms\nrules:\n  - record: copy\n    expr: load\n";

fn send(server: &Server, method: &str, path: &str, body: &str) -> (u16, String) {
    let reply = server.connect().send(method, path, &[], body.as_bytes());
    (reply.status, reply.text().to_owned())
}

/// Groups that Mimir's and Loki's rulers are sent are evaluated, and are there after a kill.
#[test]
fn rule_groups_come_through_the_api_and_stay() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    write_load(&server, 3.0);
    let (status, answer) = send(&server, "GET", "/config/v1/rules", "");
    assert_eq!((status, &*answer), (200, "{}\n"));
    let (status, answer) = send(&server, "GET", "/loki/api/v1/rules", "");
    assert_eq!((status, &*answer), (404, "no rule groups found\n"));
    let (status, answer) = send(&server, "POST", "/prometheus/config/v1/rules/team%2Fa", GROUP);
    assert_eq!(status, 202, "{answer}");
    assert!(answer.contains("\"status\":\"success\""), "{answer}");
    let logs = "name: logs\nrules:\n  - alert: Errors\n    expr: sum(count_over_time({app=\"x\"}[5m])) > 0\n";
    assert_eq!(send(&server, "POST", "/loki/api/v1/rules/team", logs).0, 202);
    // What is wrong is refused with its place, and changes nothing.
    let (status, answer) = send(
        &server,
        "POST",
        "/config/v1/rules/team",
        "name: x\nrules: [{record: y, expr: 'sum('}]",
    );
    assert_eq!(status, 400);
    assert!(answer.contains("2:27: group \"x\", rule 1, \"y\": could not parse"), "{answer}");
    wait_for("the recorded series", || query(&server, "copy").pop());
    server.kill();
    let server = Server::start(&data);
    write_load(&server, 4.0);
    wait_for("a new value", || {
        let found = query(&server, "copy").pop()?;
        (found["value"][1] == "4").then_some(())
    });
    let (_, listed) = send(&server, "GET", "/config/v1/rules", "");
    let expected = "team/a:\n    - name: \"a b\"\n      interval: 200ms\n      rules:\n          - record: copy\n            expr: load\n";
    assert_eq!(listed, expected);
    assert_eq!(send(&server, "GET", "/config/v1/rules/team%2Fa", ""), (200, listed));
    let (status, one) = send(&server, "GET", "/config/v1/rules/team%2Fa/a%20b", "");
    assert_eq!((status, one.contains("record: copy")), (200, true));
    assert_eq!(send(&server, "GET", "/config/v1/rules/team%2Fa/c", "").0, 404);
    let (_, listed) = send(&server, "GET", "/api/prom/rules", "");
    assert!(
        listed.starts_with("team:\n    - name: logs\n") && !listed.contains("query_language"),
        "{listed}"
    );
    // Grafana's data source of Loki sees its own rules, the one of Prometheus all.
    let of_loki = ask(server.address, "/loki/prometheus/api/v1/rules");
    assert_eq!(of_loki["data"]["groups"].as_array().unwrap().len(), 1);
    let all = ask(server.address, "/prometheus/api/v1/rules");
    assert_eq!(all["data"]["groups"].as_array().unwrap().len(), 2);
    assert_eq!(send(&server, "DELETE", "/config/v1/rules/team%2Fa/a%20b", "").0, 202);
    assert_eq!(send(&server, "DELETE", "/config/v1/rules/team%2Fa", "").0, 404);
    assert_eq!(send(&server, "DELETE", "/loki/api/v1/rules/team", "").0, 202);
    wait_for("the end of the series", || query(&server, "copy").is_empty().then_some(()));
    assert_eq!(send(&server, "GET", "/config/v1/rules", "").1, "{}\n");
}

/// Pages, filters, and what is asked wrongly.
#[test]
fn groups_are_filtered_and_shown_in_pages() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    let group = |name: &str| {
        format!(
            "  - name: {name}\n    rules:\n      - {{record: r, expr: up, labels: {{team: {name}}}}}\n      - {{alert: A, expr: up}}\n"
        )
    };
    std::fs::write(&rules, format!("groups:\n{}{}{}", group("a"), group("b"), group("c"))).unwrap();
    let server = start(&folder, &rules, &[]);
    let names = |path: &str| -> Vec<String> {
        let groups = ask(server.address, path)["data"]["groups"].clone();
        let name = |group: &Value| group["name"].as_str().unwrap().to_owned();
        groups.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(names("/api/v1/rules"), ["a", "b", "c"]);
    assert_eq!(names("/api/v1/rules?rule_group[]=b&rule_group[]=c"), ["b", "c"]);
    assert_eq!(names("/api/v1/rules?rule_name[]=nosuch"), [""; 0]);
    assert_eq!(names("/api/v1/rules?file[]=nosuch"), [""; 0]);
    let selector = encoded("{team=~\"a|c\"}");
    assert_eq!(names(&format!("/api/v1/rules?match[]={selector}")), ["a", "c"]);
    let recorded = ask(server.address, "/api/v1/rules?type=record");
    assert_eq!(recorded["data"]["groups"][0]["rules"].as_array().unwrap().len(), 1);
    let unseen = ask(server.address, "/api/v1/rules?type=alert&exclude_alerts=true");
    let alert = &unseen["data"]["groups"][0]["rules"][0];
    assert!(alert["alerts"].is_null());
    assert_eq!(alert["state"], "unknown");
    assert_eq!(alert["lastEvaluation"], "0001-01-01T00:00:00Z");
    let page = ask(server.address, "/api/v1/rules?group_limit=2");
    assert_eq!(page["data"]["groups"].as_array().unwrap().len(), 2);
    let token = page["data"]["groupNextToken"].as_str().unwrap().to_owned();
    let next = format!("/api/v1/rules?group_limit=2&group_next_token={token}");
    assert_eq!(names(&next), ["c"]);
    assert!(ask(server.address, &next)["data"]["groupNextToken"].is_null());
    for wrong in [
        "type=x",
        "group_limit=0",
        "group_next_token=x",
        "group_limit=1&group_next_token=x",
        "exclude_alerts=x",
        "match[]={",
    ] {
        assert_eq!(server.get(&format!("/api/v1/rules?{wrong}")).status, 400, "{wrong}");
    }
}

/// Rules of LogQL and TraceQL write series of metrics as well.
#[test]
fn rules_are_written_in_any_of_the_languages() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    let text = r#"
groups:
  - name: languages
    interval: 1s
    query_offset: 1s
    rules:
      - record: app:errors:count5m
        query_language: logql
        expr: sum by (app) (count_over_time({app="web"} |= "error" [5m]))
      - alert: Errors
        query_language: logql
        expr: sum by (app) (count_over_time({app="web"} |= "error" [5m])) > 1
      - record: spans:count
        query_language: traceql
        expr: '{ name = "GET /" } | count_over_time() by (resource.service.name)'
"#;
    std::fs::write(&rules, text).unwrap();
    let server = start(&folder, &rules, &[]);
    let now = now_ms();
    let lines = format!(
        "{{\"streams\":[{{\"stream\":{{\"app\":\"web\"}},\"values\":[[\"{now}000000\",\"error 1\"],\
         [\"{now}000001\",\"error 2\"],[\"{now}000002\",\"fine\"]]}}]}}"
    );
    let json = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/loki/api/v1/push", &json, lines.as_bytes());
    assert_eq!(reply.status, 204, "{}", reply.text());
    let recorded = wait_for("the series of logs", || query(&server, "app:errors:count5m").pop());
    assert_eq!(recorded["metric"]["app"], "web");
    assert_eq!(recorded["value"][1], "2");
    let firing = wait_for_state(&server, "firing");
    assert_eq!(firing["labels"]["app"], "web");
    let counted = wait_for("the series of spans", || {
        // Each evaluation looks at the time since the one before, so that spans must go on coming.
        let micros = now_ms() * 1_000;
        let spans = format!(
            "[{{\"traceId\":\"{micros:032x}\",\"id\":\"{micros:016x}\",\"name\":\"GET /\",\
             \"timestamp\":{micros},\"duration\":10,\"localEndpoint\":{{\"serviceName\":\"web\"}}}}]"
        );
        let sent = server.connect().send("POST", "/zipkin/api/v2/spans", &json, spans.as_bytes());
        assert_eq!(sent.status, 202, "{}", sent.text());
        query(&server, "spans:count").pop()
    });
    assert_eq!(counted["metric"]["resource_service_name"], "web", "{counted}");
    let shown = group(&server);
    assert_eq!(shown["rules"][0]["health"], "ok");
    assert_eq!(shown["rules"][2]["health"], "ok", "{shown}");
}

/// Recording rules over the past, which the running server evaluates while the command tells how far it is.
#[test]
fn recording_rules_are_evaluated_over_the_past() {
    let folder = Folder::new();
    let rules = folder.path().join("rules.yml");
    let text = "groups:\n  - name: past\n    interval: 10s\n    rules:\n      - {record: twice, expr: 'old * 2'}\n      - {record: four_times, expr: 'twice * 2'}\n      - {alert: Old, expr: 'old > 0'}\n";
    std::fs::write(&rules, text).unwrap();
    let server = start(&folder, &rules, &[]);
    let begin = now_ms() / 1_000 - 3_600;
    let mut series = Series::new(&[("__name__", "old")]);
    for minute in 0..10 {
        series = series.sample((begin + minute * 60) * 1_000, minute as f64);
    }
    let body = snappy(&request(&[series]));
    assert_eq!(server.connect().send("POST", "/api/v1/write", &HEADERS, &body).status, 204);
    let data = folder.path().join("data");
    let backfill = |more: &[&str]| {
        let mut command = Command::new(BINARY);
        command.arg("--data").arg(&data).args(["backfill", "rules"]).args(more);
        run(&mut command)
    };
    let (begin_text, end_text) = (begin.to_string(), (begin + 600).to_string());
    let (code, _, words) = backfill(&["--start", &end_text, "--end", &begin_text]);
    assert_eq!((code, words.contains("the end is before the start")), (1, true), "{words}");
    let (code, _, words) = backfill(&["--start", "1h", "--group", "nosuch"]);
    assert_eq!((code, words.contains("no group with recording rules")), (1, true), "{words}");
    let (code, shown, words) = backfill(&["--start", &begin_text, "--end", &end_text]);
    assert_eq!(code, 0, "{shown}{words}");
    assert!(shown.trim_end().ends_with("done: 60 of 60 time slots"), "{shown}");
    // The second rule has seen what the first one wrote.
    let path = format!("/api/v1/query?query=four_times&time={}", begin + 330);
    let found = ask(server.address, &path)["data"]["result"].clone();
    assert_eq!(found[0]["value"][1], "20", "{found}");
    let path = format!("/api/v1/query?query=count_over_time(twice%5B1h%5D)&time={}", begin + 3_000);
    let count = ask(server.address, &path)["data"]["result"][0]["value"][1].clone();
    assert_eq!(count, "60");
    assert!(query(&server, "ALERTS").is_empty());
}
