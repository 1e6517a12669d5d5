//! Requests and their answers, in the words of Alertmanager 0.34.

use crate::testing::{Answered, TestServer};
use serde_json::{Value, json};

const YAML: &str = r"
route:
  receiver: all
  group_by: [job]
  routes:
  - matchers: [ team=ops ]
    receiver: ops
receivers:
- name: all
- name: ops
  labels: { owner: ops }
  webhook_configs: [ { url: 'http://example.com/secret' } ]
inhibit_rules:
- { source_matchers: [ alertname=Down ], target_matchers: [ alertname=Slow ], equal: [job] }
";

const JSON: (&str, &str) = ("content-type", "application/json");

struct Api(TestServer);

impl Api {
    fn new() -> Self {
        Self(TestServer::new(|setup| setup.alertmanager = YAML))
    }

    fn send(&self, request: &str, body: &Value) -> Answered {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.0.send(request, &[JSON], body)
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.send(&format!("GET {path}"), &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn names(&self, query: &str) -> Vec<String> {
        let alerts = self.get(&format!("/api/v2/alerts?{query}"));
        let alerts = alerts.as_array().unwrap().iter();
        let mut names: Vec<String> =
            alerts.map(|a| a["labels"]["alertname"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

fn alerts() -> Value {
    json!([
        {
            "labels": { "alertname": "Down", "job": "api", "team": "ops", "empty": "" },
            "annotations": { "summary": "it is down" },
            "startsAt": "2023-11-14T22:10:00.5Z",
            "endsAt": "2023-11-14T23:12:00+01:00",
            "generatorURL": "http://prometheus/graph",
        },
        { "labels": { "alertname": "Down", "job": "api", "team": "ops" } },
        { "labels": { "alertname": "Slow", "job": "api" } },
        { "labels": { "alertname": "Other", "job": "db" }, "startsAt": "0001-01-01T00:00:00Z" },
    ])
}

#[test]
fn alerts_come_in_and_are_shown() {
    let api = Api::new();
    let answer = api.send("POST /alertmanager/api/v2/alerts", &alerts());
    assert_eq!((answer.status.as_u16(), answer.text()), (200, String::new()));
    let shown = api.get("/alertmanager/api/v2/alerts?filter=alertname=Down");
    let expected = json!([{
        "annotations": {},
        "endsAt": "2023-11-14T22:18:20.000Z",
        "fingerprint": shown[0]["fingerprint"],
        "labels": { "alertname": "Down", "job": "api", "team": "ops" },
        "receivers": [{ "name": "ops" }],
        "startsAt": "2023-11-14T22:13:20.000Z",
        "status": { "inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active" },
        "updatedAt": "2023-11-14T22:13:20.000Z",
    }]);
    assert_eq!(shown, expected);
    let slow = api.get("/api/v2/alerts?filter=alertname%3DSlow");
    assert_eq!(slow[0]["status"]["state"], "suppressed");
    assert_eq!(slow[0]["status"]["inhibitedBy"], json!([shown[0]["fingerprint"]]));
    assert_eq!(api.names(""), ["Down", "Other", "Slow"]);
    assert_eq!(api.names("inhibited=false"), ["Down", "Other"]);
    assert_eq!(api.names("active=false"), ["Slow"]);
    assert_eq!(api.names("receiver=op.*"), ["Down"]);
    assert_eq!(api.names("receiver=op"), [""; 0]);
    assert_eq!(api.names("receiver_matchers=owner%3Dops"), ["Down"]);
    assert_eq!(api.names("filter=job%3D%22api%22&filter=team!%3Dops"), ["Slow"]);
    let groups = api.get("/api/v2/alerts/groups");
    let labels: Vec<&Value> = groups.as_array().unwrap().iter().map(|g| &g["labels"]).collect();
    assert_eq!(
        labels,
        [&json!({ "job": "api" }), &json!({ "job": "api" }), &json!({ "job": "db" })]
    );
    assert_eq!(groups[1]["receiver"], json!({ "name": "ops" }));
    assert_eq!(api.get("/api/v2/alerts/groups?receiver=ops").as_array().unwrap().len(), 1);
    // Another tenant has alerts of its own.
    let other = api.0.send("GET /api/v2/alerts", &[("x-scope-orgid", "blue")], "");
    assert_eq!(other.text().trim(), "[]");
}

#[test]
fn wrong_alerts_are_refused_and_the_others_taken() {
    let api = Api::new();
    let sent = json!([
        { "labels": { "alertname": "Good" } },
        { "labels": {} },
        { "labels": { "a": 1 } },
        { "labels": { "a": "b" }, "startsAt": "yesterday" },
        { "labels": { "a": "b" }, "startsAt": "2023-11-14T22:10:00Z", "endsAt": "2023-11-14T22:09:00Z" },
    ]);
    let answer = api.send("POST /api/v2/alerts", &sent);
    assert_eq!(answer.status, 400);
    let expected = "alert 1: at least one label pair required; alert 2: the label \"a\" is not a text; \
                    alert 3: startsAt \"yesterday\": premature end of input; \
                    alert 4: start time must be before end time";
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), expected);
    assert_eq!(api.names(""), ["Good"]);
    for (request, body) in [
        ("POST /api/v2/alerts", json!({})),
        ("POST /api/v2/silences", json!([])),
        ("GET /api/v2/alerts?filter=x", Value::Null),
        ("GET /api/v2/alerts?filter=a%3D~(", Value::Null),
        ("GET /api/v2/alerts?active=perhaps", Value::Null),
        ("GET /api/v2/alerts/groups?receiver=(", Value::Null),
        ("GET /api/v2/silences?filter=x", Value::Null),
        ("GET /api/v2/receivers?receiver_matchers=x", Value::Null),
    ] {
        let answer = api.send(request, &body);
        assert_eq!(answer.status, 400, "{request}: {}", answer.text());
        assert!(serde_json::from_slice::<Value>(&answer.body).unwrap().is_string(), "{request}");
    }
}

fn silence(id: &str, name: &str, ends: &str) -> Value {
    json!({
        "id": id,
        "matchers": [{ "name": "alertname", "value": name, "isRegex": false }],
        "startsAt": "2023-11-14T22:13:20Z",
        "endsAt": ends,
        "createdBy": "me",
        "comment": "known",
    })
}

#[test]
fn silences_are_made_changed_and_ended() {
    let api = Api::new();
    api.send("POST /api/v2/alerts", &alerts());
    let made = api.send("POST /api/v2/silences", &silence("", "Other", "2023-11-14T23:00:00Z"));
    assert_eq!(made.status, 200, "{}", made.text());
    let id = serde_json::from_slice::<Value>(&made.body).unwrap()["silenceID"].clone();
    let id = id.as_str().unwrap();
    let expected = json!({
        "id": id,
        "status": { "state": "active" },
        "updatedAt": "2023-11-14T22:13:20.000Z",
        "comment": "known",
        "createdBy": "me",
        "startsAt": "2023-11-14T22:13:20.000Z",
        "endsAt": "2023-11-14T23:00:00.000Z",
        "matchers": [{ "name": "alertname", "value": "Other", "isRegex": false, "isEqual": true }],
    });
    let path = format!("/alertmanager/api/v2/silence/{id}");
    assert_eq!(api.get(&path), expected);
    assert_eq!(api.names("silenced=false"), ["Down", "Slow"]);
    // A later end changes it, other conditions make a new one.
    let longer = api.send("POST /api/v2/silences", &silence(id, "Other", "2023-11-15T00:00:00Z"));
    assert!(longer.text().contains(id));
    let other = api.send("POST /api/v2/silences", &silence(id, "Down", "2023-11-15T00:00:00Z"));
    assert!(!other.text().contains(id), "{}", other.text());
    assert_eq!(api.names("silenced=false"), ["Other", "Slow"]);
    let states = |query: &str| {
        let silences = api.get(&format!("/api/v2/silences?{query}"));
        let silences = silences.as_array().unwrap().iter();
        silences.map(|one| one["status"]["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(""), ["active", "expired"]);
    assert_eq!(states("expired=false"), ["active"]);
    assert_eq!(states("filter=alertname%3DDown"), ["active"]);
    assert_eq!(states("filter=alertname!%3DDown"), ["expired"]);
    assert_eq!(states("creator=you"), [""; 0]);
    let id = api.get("/api/v2/silences?expired=false")[0]["id"].as_str().unwrap().to_owned();
    let end = format!("DELETE /api/v2/silence/{id}");
    assert_eq!(api.send(&end, &Value::Null).status, 200);
    assert_eq!(api.send(&end, &Value::Null).status, 200, "ended twice is ended");
    assert_eq!(states(""), ["expired", "expired"]);
    assert_eq!(api.send("DELETE /api/v2/silence/x", &Value::Null).status, 404);
    assert_eq!(api.send("GET /api/v2/silence/x", &Value::Null).status, 404);
}

#[test]
fn silences_that_make_no_sense_are_refused() {
    let api = Api::new();
    let refused = |body: Value| {
        let answer = api.send("POST /api/v2/silences", &body);
        (answer.status.as_u16(), answer.text().trim().trim_matches('"').to_owned())
    };
    let (status, why) = refused(silence("x", "A", "2023-11-15T00:00:00Z"));
    assert_eq!((status, why.as_str()), (404, "silence x not found"));
    let past = "Failed to create silence: start time must be before end time";
    assert_eq!(refused(silence("", "A", "2023-11-14T22:00:00Z")), (400, past.to_owned()));
    let empty = "invalid silence: at least one matcher must not match the empty string";
    assert_eq!(refused(silence("", "", "2023-11-15T00:00:00Z")), (400, empty.to_owned()));
    let mut none = silence("", "A", "2023-11-15T00:00:00Z");
    none["matchers"] = json!([]);
    let required = "invalid silence: at least one matcher required";
    assert_eq!(refused(none), (400, required.to_owned()));
    let mut no_comment = silence("", "A", "2023-11-15T00:00:00Z");
    no_comment.as_object_mut().unwrap().remove("comment");
    assert_eq!(refused(no_comment), (400, "comment in body is required".to_owned()));
}

#[test]
fn status_and_receivers_are_those_of_the_configuration() {
    let api = Api::new();
    let status = api.get("/alertmanager/api/v2/status");
    assert_eq!(status["cluster"], json!({ "peers": [], "status": "disabled" }));
    assert_eq!(status["versionInfo"]["version"], "0.34.0");
    assert_eq!(status["uptime"], "2023-11-14T22:13:20.000Z");
    let original = status["config"]["original"].as_str().unwrap();
    assert!(original.contains("<secret>") && !original.contains("example.com"), "{original}");
    let receivers = json!([{ "name": "all" }, { "name": "ops", "labels": { "owner": "ops" } }]);
    assert_eq!(api.get("/api/v2/receivers"), receivers);
    let ops = api.get("/api/v2/receivers?receiver_matchers=owner%3D%22ops%22");
    assert_eq!(ops.as_array().unwrap().len(), 1);
    assert_eq!(api.send("GET /alertmanager/alertmanager/api/v2/status", &Value::Null).status, 404);
    assert_eq!(api.send("GET /alertmanager/api/v1/alerts", &Value::Null).status, 410);
    assert_eq!(api.send("POST /alertmanager/-/reload", &Value::Null).status, 200);
}
