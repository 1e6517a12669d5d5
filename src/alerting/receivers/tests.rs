//! What would be sent, kind by kind, and what answers mean.

use super::*;
use crate::alert::KeptAlert;
use crate::config::Config;
use crate::engine::{Delivery, IntegrationId, LogEntry, LogKey, Reason};
use model::{Alert, Labels};
use serde_json::{Value, json};

const NOW: i64 = 1_700_000_000_000;

fn alert(host: &str, ends_at_ms: i64) -> KeptAlert {
    let labels = [("alertname", "Down"), ("host", host), ("job", "api")];
    let alert = Alert {
        labels: Labels::from_pairs(labels),
        annotations: Labels::from_pairs([("summary", "1 < 2"), ("host", host)]),
        starts_at_ms: NOW - 61_500,
        ends_at_ms,
        generator_url: "http://prometheus/graph?a=b&c=d".to_owned(),
    };
    KeptAlert::new(alert, NOW, false)
}

fn delivery_of(alerts: Vec<KeptAlert>) -> Delivery {
    let integration = IntegrationId { receiver: "web.hook".to_owned(), kind: "webhook", index: 0 };
    let key = LogKey { group_key: "{}:{job=\"api\"}".to_owned(), integration };
    Delivery {
        key,
        group_labels: Labels::from_pairs([("job", "api")]),
        alerts,
        reason: Reason::NewAlerts,
        at_ms: NOW,
        deadline_ms: 0,
        entry: LogEntry::default(),
    }
}

/// Two alerts that fire and one that has ended.
pub(crate) fn delivery() -> Delivery {
    delivery_of(vec![alert("a", NOW + 1), alert("b", NOW + 1), alert("c", NOW - 1_000)])
}

fn ended() -> Delivery {
    delivery_of(vec![alert("a", NOW - 1)])
}

fn sendings(kind: &str, fields: &str, delivery: &Delivery) -> Vec<Sending> {
    let yaml = format!(
        "route: {{ receiver: a }}\nreceivers:\n- name: a\n  {kind}_configs: [ {{ {fields} }} ]\n"
    );
    let config = Config::parse(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    let templates = Templates::new([]).unwrap();
    let data = Arc::new(NoticeData::new(delivery, "http://mirador"));
    let means =
        Means { templates: &templates, data: &data, now_ms: NOW, folder: Path::new("/nowhere") };
    requests(&config.receivers[0].integrations[0].settings, &means).unwrap().unwrap()
}

fn body(kind: &str, fields: &str, delivery: &Delivery) -> Value {
    serde_json::from_slice(&sendings(kind, fields, delivery)[0].body).unwrap()
}

#[test]
fn webhooks_get_version_4() {
    let sent = body("webhook", "url: 'http://x/y', max_alerts: 1", &delivery());
    let fingerprint = crate::Fingerprint::of(&alert("a", 0).alert.labels).to_string();
    let expected = json!({
        "version": "4",
        "groupKey": "{}:{job=\"api\"}",
        "truncatedAlerts": 2,
        "receiver": "web\\.hook",
        "status": "firing",
        "alerts": [{
            "status": "firing",
            "labels": { "alertname": "Down", "host": "a", "job": "api" },
            "annotations": { "summary": "1 < 2", "host": "a" },
            "startsAt": "2023-11-14T22:12:18.5Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph?a=b&c=d",
            "fingerprint": fingerprint,
        }],
        "groupLabels": { "job": "api" },
        "commonLabels": { "alertname": "Down", "job": "api" },
        "commonAnnotations": { "summary": "1 < 2" },
        "externalURL": "http://mirador",
        "notification_reason": "new alerts added",
    });
    assert_eq!(sent, expected);
    let sent = body("webhook", "url: 'http://x/y'", &ended());
    assert_eq!((&sent["status"], &sent["truncatedAlerts"]), (&json!("resolved"), &json!(0)));
    assert_eq!(sent["alerts"][0]["endsAt"], "2023-11-14T22:13:19.999Z");
}

#[test]
fn slack_gets_an_attachment() {
    let fields = "api_url: 'http://slack/x', channel: '#ops', fields: [ { title: T, value: '{{ len .Alerts }}' } ], \
                  actions: [ { type: button, text: Go, url: 'http://go' } ], short_fields: true";
    let sent = body("slack", fields, &delivery());
    let expected = json!({
        "channel": "#ops",
        "username": "Alertmanager",
        "attachments": [{
            "color": "danger",
            "title": "[FIRING:2] api (Down)",
            "title_link": "http://mirador/#/alerts?receiver=web%5C.hook",
            "fallback": "[FIRING:2] api (Down) | http://mirador/#/alerts?receiver=web%5C.hook",
            "fields": [{ "title": "T", "value": "3", "short": true }],
            "actions": [{ "type": "button", "text": "Go", "url": "http://go" }],
            "mrkdwn_in": ["fallback", "pretext", "text"],
        }],
    });
    assert_eq!(sent, expected);
    let app = &sendings("slack", "app_token: t, channel: c", &ended())[0];
    assert_eq!(app.url, "https://slack.com/api/chat.postMessage");
    assert_eq!(app.headers[1], ("authorization", "Bearer t".to_owned()));
    let judged =
        |status, body: &str| (app.judge)(status, body.as_bytes()).map_err(|e| (e.retry, e.message));
    assert_eq!(judged(200, "ok"), Ok(()));
    assert_eq!(judged(200, "{\"ok\":true}"), Ok(()));
    let wrong = Err((false, "error response from Slack: channel_not_found".to_owned()));
    assert_eq!(judged(200, "{\"ok\":false,\"error\":\"channel_not_found\"}"), wrong);
    assert!(judged(429, "").unwrap_err().0 && judged(503, "").unwrap_err().0);
    assert!(!judged(404, "no_team").unwrap_err().0);
}

#[test]
fn pagerduty_gets_events_of_both_versions() {
    let sent = body("pagerduty", "routing_key: k, class: c, details: { a: b }", &delivery());
    assert_eq!(sent["event_action"], "trigger");
    assert_eq!(sent["dedup_key"].as_str().unwrap().len(), 64);
    let payload = &sent["payload"];
    assert_eq!(payload["summary"], "[FIRING:2] api (Down)");
    assert_eq!((&payload["severity"], &payload["class"]), (&json!("error"), &json!("c")));
    assert_eq!(payload["source"], "Alertmanager");
    let details = &payload["custom_details"];
    assert_eq!((&details["num_firing"], &details["num_resolved"]), (&json!("2"), &json!("1")));
    assert_eq!(details["a"], "b");
    let firing = details["firing"].as_str().unwrap();
    assert!(firing.starts_with("Labels:\n - alertname = Down\n - host = a\n - job = api\nAnnotations:\n - host = a\n - summary = 1 < 2\nSource: http://prometheus/graph?a=b&c=d\nLabels:\n"), "{firing}");
    let old = &sendings("pagerduty", "service_key: k", &ended())[0];
    assert!(old.url.ends_with("create_event.json"));
    let sent: Value = serde_json::from_slice(&old.body).unwrap();
    assert_eq!((&sent["event_type"], &sent["client"]), (&json!("resolve"), &Value::Null));
    assert!((old.judge)(403, b"").unwrap_err().retry && !(old.judge)(400, b"").unwrap_err().retry);
}

#[test]
fn opsgenie_gets_alerts_made_and_closed() {
    let fields = "api_key: k, api_url: 'http://og', tags: 'a, b', update_alerts: true, \
                  responders: [ { name: 'x, y', type: teams }, { username: u, type: user } ]";
    let made = sendings("opsgenie", fields, &delivery());
    let urls: Vec<(&str, &str)> = made.iter().map(|one| (one.method, one.url.as_str())).collect();
    let alias = hashed("{}:{job=\"api\"}");
    assert_eq!(urls[0], ("POST", "http://og/v2/alerts"));
    let update = format!("http://og/v2/alerts/{alias}/message?identifierType=alias");
    assert_eq!(urls[1], ("PUT", update.as_str()));
    assert_eq!(made[0].headers[1], ("authorization", "GenieKey k".to_owned()));
    let body: Value = serde_json::from_slice(&made[0].body).unwrap();
    assert_eq!(body["alias"], alias);
    assert_eq!(body["tags"], json!(["a", "b"]));
    assert_eq!(body["details"], json!({ "alertname": "Down", "job": "api" }));
    let responders = json!([
        { "name": "x", "type": "team" },
        { "name": "y", "type": "team" },
        { "username": "u", "type": "user" },
    ]);
    assert_eq!(body["responders"], responders);
    let description = body["description"].as_str().unwrap();
    assert!(description.starts_with("1 < 2\nAlerts Firing:\nLabels:\n"), "{description}");
    let closed = sendings("opsgenie", "api_key: k", &ended());
    let close = format!("https://api.opsgenie.com/v2/alerts/{alias}/close?identifierType=alias");
    assert_eq!((closed.len(), closed[0].url.as_str()), (1, close.as_str()));
}

#[test]
fn chats_get_what_they_take() {
    let telegram =
        &sendings("telegram", "bot_token: t, chat_id: -5, message_thread_id: 3", &delivery())[0];
    assert_eq!(telegram.url, "https://api.telegram.org/bott/sendMessage");
    let sent: Value = serde_json::from_slice(&telegram.body).unwrap();
    assert_eq!((&sent["chat_id"], &sent["parse_mode"]), (&json!(-5), &json!("HTML")));
    let text = sent["text"].as_str().unwrap();
    assert!(text.contains("Alerts Firing:\nLabels:\n") && text.contains("1 &lt; 2"), "{text}");
    let sent = body("discord", "webhook_url: 'http://d'", &ended());
    assert_eq!(sent["embeds"][0]["title"], "[RESOLVED] api (Down a)");
    assert_eq!(sent["embeds"][0]["color"], GREEN);
    let sent = body("msteams", "webhook_url: 'http://d'", &delivery());
    assert_eq!((&sent["@type"], &sent["themeColor"]), (&json!("MessageCard"), &json!("8C1A1A")));
    let teams = &sendings("msteamsv2", "webhook_url: 'http://d'", &delivery())[0];
    let sent: Value = serde_json::from_slice(&teams.body).unwrap();
    let card = &sent["attachments"][0]["content"];
    assert_eq!(
        (&card["type"], &card["body"][0]["color"]),
        (&json!("AdaptiveCard"), &json!("attention"))
    );
    let limited = b"Webhook message delivery failed with error: HTTP error 429";
    assert!((teams.judge)(200, limited).unwrap_err().retry);
}

const GREEN: u32 = 0x2e_cc_71;

#[test]
fn secrets_in_files_are_read_when_they_are_needed() {
    let templates = Templates::new([]).unwrap();
    let data = Arc::new(NoticeData::new(&delivery(), ""));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let means = Means { templates: &templates, data: &data, now_ms: NOW, folder: &folder };
    let read = |path: &str| means.secret(&SecretSource::File(path.to_owned()));
    assert!(read("secrets.yml").unwrap().starts_with("global:"));
    let error = read("missing").unwrap_err();
    assert!(error.retry && error.message.contains("missing"));
}
