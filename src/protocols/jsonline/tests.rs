//! Lines of JSON over HTTP, and what becomes of them.

use crate::testing::TestServer;

const INSERT: &str = "POST /insert/jsonline";

#[test]
fn fields_have_their_usual_places() {
    let server = TestServer::new(|_| {});
    let body = concat!(
        r#"{"_time":"2023-11-14T22:13:20Z","_msg":"an error","app":"shop","user":{"id":7}}"#,
        "\n\n",
        r#"{"timestamp":1699999999,"a":"b"}"#,
        "\r\n",
    );
    let answer = server.send(INSERT, &[], body);
    assert_eq!((answer.status.as_u16(), answer.text()), (200, String::new()));
    assert_eq!(
        server.lines(),
        [
            r#"{app="shop", service_name="shop"} 1700000000000000000 "an error" detected_level="error" user.id="7""#,
            r#"{service_name="unknown_service"} 1699999999000000000 "{\"timestamp\":1699999999,\"a\":\"b\"}" a="b" detected_level="unknown""#,
        ]
    );
}

#[test]
fn parameters_and_headers_give_fields_other_places() {
    let server = TestServer::new(|_| {});
    let line = r#"{"t":"1700000000000","text":"hello","app":"shop","k":{"ns":"eu"},"secret":"x"}"#;
    let with_parameters = format!(
        "{INSERT}?_msg_field=text&_time_field=t&_stream_fields=k.ns,none&ignore_fields=secret&extra_fields=dc%3Dseoul"
    );
    assert_eq!(server.send(&with_parameters, &[], line).status, 200);
    server.forget_repeats();
    let headers = [
        ("vl-msg-field", "no,text"),
        ("vl-time-field", "t"),
        ("vl-stream-fields", "k.ns"),
        ("vl-ignore-fields", "secret"),
        ("vl-extra-fields", "dc=seoul"),
    ];
    assert_eq!(server.send(INSERT, &headers, line).status, 200);
    let expected = r#"{k_ns="eu", service_name="unknown_service"} 1700000000000000000 "hello" app="shop" dc="seoul" detected_level="unknown""#;
    assert_eq!(server.lines(), [expected, expected]);
}

/// Without a time in the line, nobody can tell a line that arrives again from another one.
#[test]
fn lines_that_are_dated_on_arrival_count_each() {
    let server = TestServer::new(|_| {});
    for _ in 0..2 {
        assert_eq!(server.send(INSERT, &[], r#"{"_msg":"x"}"#).status, 200);
        let dated = r#"{"_msg":"dated","_time":"2023-11-14T22:13:20Z"}"#;
        assert_eq!(server.send(INSERT, &[], dated).status, 200);
    }
    assert_eq!(server.lines().len(), 3);
}

#[test]
fn lines_that_can_not_be_stored_are_reported() {
    let server = TestServer::new(|_| {});
    let good = r#"{"_msg":"x"}"#;
    let bad = "\n{\"_msg\":\"y\",\"_time\":\"never\"}\nno json\n[1]\n{\"_msg\":\"old\",\"_time\":\"2100-01-01T00:00:00Z\"}\n";
    let answer = server.send(INSERT, &[], format!("{good}{bad}"));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        "{\"errors\":[\
         {\"error\":\"the time in field \\\"_time\\\" is \\\"never\\\": expected RFC 3339 or a number of seconds or milliseconds since 1970\",\"line\":2},\
         {\"error\":\"this is no object of JSON: expected an object at byte 0\",\"line\":3},\
         {\"error\":\"this is no object of JSON: expected an object at byte 0\",\"line\":4},\
         {\"error\":\"entry for stream '{}' has timestamp too new: 2100-01-01T00:00:00Z (logs.creation_grace_period)\",\"line\":5}],\
         \"refused\":4,\"stored\":1}\n"
    );
    let answer = server.send(INSERT, &[], bad);
    assert_eq!(answer.status, 400);
    assert_eq!(server.lines().len(), 1);
    let answer = server.send_to_broken_disk(INSERT, &[], good);
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
}
