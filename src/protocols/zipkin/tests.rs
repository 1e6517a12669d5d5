//! Requests over HTTP, and what becomes of them.

use crate::testing::TestServer;

const JSON: (&str, &str) = ("content-type", "application/json");
const SPAN: &str = r#"[{"traceId":"0000000000000000abababababababab","id":"0101010101010101","parentId":"02","kind":"CLIENT",
    "name":"get","timestamp":1700000000000000,"duration":5000,"localEndpoint":{"serviceName":"shop"},
    "remoteEndpoint":{"serviceName":"stock","ipv4":"10.0.0.1","port":80},"tags":{"a":"b","error":"boom"},
    "annotations":[{"timestamp":1700000000001000,"value":"sent"}]}]"#;
const STORED: &str = "0101010101010101 parent 0000000000000002 {service.name=\"shop\"} \"get\" kind 3 \
    at 1700000000000000000 for 5000000 status 2 {:statusMessage=\"boom\", a=\"b\", net.peer.ip=\"10.0.0.1\", \
    net.peer.port=80, peer.service=\"stock\"} event {:name=\"sent\", :timeSinceStart=1000000}";

#[test]
fn spans_of_both_versions_are_stored() {
    let server = TestServer::new(|_| {});
    let tenant = ("x-scope-orgid", "blue");
    let answer = server.send("POST /zipkin/api/v2/spans", &[JSON, tenant], SPAN);
    assert_eq!((answer.status.as_u16(), answer.text()), (202, String::new()));
    let version1 = r#"[{"traceId":"0abc","id":"01","name":"v1","timestamp":1700000000000000,"duration":7,
        "annotations":[{"timestamp":1700000000000000,"value":"sr","endpoint":{"serviceName":"shop"}}]}]"#;
    assert_eq!(server.send("POST /zipkin/api/v1/spans", &[JSON], version1).status, 202);
    let mut writer = wire::protobuf::Writer::new();
    writer.message(1, |span| {
        span.bytes(1, &[7; 8]);
        span.bytes(3, &[8; 8]);
        span.double(6, f64::from_bits(1_700_000_000_000_000));
    });
    let protobuf = ("content-type", "application/x-protobuf");
    let body = writer.into_bytes();
    assert_eq!(server.send("POST /zipkin/api/v2/spans", &[protobuf], body).status, 202);
    let expected = [
        format!("[blue] {STORED}"),
        "[default] 0000000000000001 {service.name=\"shop\"} \"v1\" kind 2 at 1700000000000000000 for 7000 status 0 {}".to_owned(),
        "[default] 0808080808080808 {} \"\" kind 0 at 1700000000000000000 for 0 status 0 {}".to_owned(),
    ];
    assert_eq!(server.spans(), expected);
}

#[test]
fn what_can_not_be_stored_is_told_for_now_or_for_good() {
    let server = TestServer::new(|_| {});
    let send = |body: &str| server.send("POST /zipkin/api/v2/spans", &[JSON], body.to_owned());
    let answer = send("{}");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "the body is not the JSON of this protocol: expected a list at byte 0\n"
    );
    let two = SPAN.replacen('[', r#"[{"traceId":"0","id":"1","name":"bad"},"#, 1);
    let answer = send(&two);
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "the span \"bad\" is refused: its trace id is not 16 bytes (32 digits), or is all zeros; stored: 1, refused: 1\n"
    );
    assert_eq!(server.spans(), [format!("[default] {STORED}")], "the rest is stored");
    let thrift = ("content-type", "application/x-thrift");
    assert_eq!(server.send("POST /zipkin/api/v1/spans", &[thrift], "").status, 400);
    let answer = server.send_to_broken_disk("POST /zipkin/api/v2/spans", &[JSON], "[]");
    assert_eq!(answer.status, 202, "there is nothing to store");
    let answer =
        server.send_to_broken_disk("POST /zipkin/api/v2/spans", &[JSON], SPAN.replace("01", "03"));
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "2"));
    assert_eq!(server.send("GET /zipkin/health", &[], "").text(), "{\"status\":\"UP\"}\n");
}

#[test]
fn version_1_comes_in_thrift_too() {
    let server = TestServer::new(|_| {});
    let long = |id: u8, number: u64| [&[10, 0, id][..], &number.to_be_bytes()].concat();
    let fields = [
        &[12, 0, 0, 0, 1][..],
        &long(1, 0xabc),
        &[11, 0, 3, 0, 0, 0, 3],
        b"get",
        &long(4, 1),
        &long(10, 1_700_000_000_000_000),
        &long(11, 7),
        &[0],
    ];
    let thrift = ("content-type", "application/x-thrift");
    let answer = server.send("POST /zipkin/api/v1/spans", &[thrift], fields.concat());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let spans = server.spans();
    assert!(spans[0].contains("\"get\"") && spans[0].contains("for 7000"), "{spans:?}");
}
