//! Deletes over HTTP: what goes, what is listed, what is refused.

use super::reading::{get, push};
use crate::testing::TestServer;
use model::TenantId;
use serde_json::{Value, json};

fn lines(server: &TestServer) -> Vec<String> {
    let text = |line: String| line.split('"').nth(3).unwrap_or_default().to_owned();
    server.lines().into_iter().map(text).collect()
}

fn delete(server: &TestServer, method: &str, parameters: &str) -> (u16, String) {
    let answer = server.send(&format!("{method} /loki/api/v1/delete?{parameters}"), &[], "");
    (answer.status.as_u16(), answer.text())
}

#[test]
fn lines_are_gone_at_once_and_deletes_listed_until_files_are_rewritten() {
    let server = TestServer::new(|setup| {
        setup.settings.logs.discover_service_name.clear();
        setup.settings.logs.discover_log_levels = false;
    });
    push(&server, &json!({"app": "a"}), &[(-90, "old secret"), (-30, "secret one")]);
    server.flush_logs();
    push(&server, &json!({"app": "a"}), &[(-20, "secret 2"), (-10, "public"), (-5, "SECRET")]);
    push(&server, &json!({"app": "b"}), &[(-20, "secret of b")]);
    let query = r#"query={app="a"} |~ "(?i)secret" != "one"&start=1699999960"#;
    assert_eq!(delete(&server, "POST", query), (204, String::new()));
    assert_eq!(lines(&server), ["old secret", "secret one", "public", "secret of b"]);
    let list = get(&server, "/loki/api/v1/delete");
    let id = list[0]["request_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 26);
    assert_eq!(
        list,
        json!([{
            "request_id": id, "start_time": 1_699_999_960, "end_time": 1_700_000_000,
            "created_at": 1_700_000_000, "query": r#"{app="a"} |~ "(?i)secret" != "one""#,
            "status": "received",
        }])
    );
    let (status, text) = delete(&server, "DELETE", &format!("request_id={id}"));
    assert_eq!(status, 400);
    assert!(text.contains("takes effect at once"), "{text}");
    assert_eq!(delete(&server, "DELETE", "request_id=x").0, 404);
    push(&server, &json!({"app": "a"}), &[(-20, "a secret that came later")]);
    server.flush_logs();
    server.logs.store.erase_deleted(&TenantId::default_tenant()).unwrap();
    assert_eq!(get(&server, "/loki/api/v1/delete"), Value::Array(Vec::new()));
    assert_eq!(lines(&server).len(), 5);
    assert_eq!(delete(&server, "PUT", r#"query={app=~"a|b"}&start=0&end=1700000000"#).0, 204);
    assert_eq!(lines(&server), Vec::<String>::new());
}

#[test]
fn what_can_not_be_deleted_is_refused() {
    let server = TestServer::new(|_| {});
    push(&server, &json!({"app": "a"}), &[(-30, "x")]);
    for (parameters, expected) in [
        ("start=0", "query not set"),
        (r#"query={app="a"}"#, "start time not set"),
        (r#"query={app="a"}&start=1700000001"#, "start time can't be greater"),
        (r#"query={app="a"}&start=0&end=1700000001"#, "in the future"),
        (r#"query=rate({app="a"}[1m])&start=0"#, "only log selector"),
        (r#"query={app="a"} | json&start=0"#, "only |=, !=, |~ and !~"),
        (r#"query={app="a"} | level="x"&start=0"#, "only |=, !=, |~ and !~"),
        (r#"query={app="a"} |= ip("10.0.0.1")&start=0"#, "only |=, !=, |~ and !~"),
        (r#"query={app=~".*"}&start=0"#, "at least one"),
    ] {
        let (status, text) = delete(&server, "POST", parameters);
        assert!(status == 400 && text.contains(expected), "{parameters}: {status} {text}");
    }
    let refused = [("x-test-refuse", "scope")];
    let answer = server.send("POST /loki/api/v1/delete?query={a=\"b\"}&start=0", &refused, "");
    assert_eq!(answer.status, 403);
    assert_eq!(server.lines().len(), 1);
}
