//! Spans of two traces for tests of the query APIs.

use crate::testing::TestServer;

/// A shop calls a stock, twice, the second time in vain; the stock calls nobody. Another trace is of a
/// service without a name.
const SPANS: &str = r#"{"resourceSpans":[
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.cpus","value":{"intValue":"8"}}]},
 "scopeSpans":[{"scope":{"name":"http","version":"1.2"},"spans":[
  {"traceId":"0000000000000000000000000000abcd","spanId":"0000000000000001","name":"GET /cart","kind":2,
   "startTimeUnixNano":"1699999990000000000","endTimeUnixNano":"1699999990500000000","traceState":"a=b",
   "attributes":[{"key":"http.status_code","value":{"intValue":"200"}},{"key":"big","value":{"intValue":"9007199254740993"}},
    {"key":"ratio","value":{"doubleValue":0.5}},{"key":"cached","value":{"boolValue":true}},
    {"key":"list","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"x"}]}}}],
   "events":[{"timeUnixNano":"1699999990100000000","name":"asked","attributes":[{"key":"n","value":{"intValue":"2"}}]}],
   "links":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0000000000000009"}]},
  {"traceId":"0000000000000000000000000000abcd","spanId":"0000000000000002","parentSpanId":"0000000000000001","name":"ask","kind":3,
   "startTimeUnixNano":"1699999990100000000","endTimeUnixNano":"1699999990200000000",
   "attributes":[{"key":"peer.service","value":{"stringValue":"stock"}},{"key":"net.peer.ip","value":{"stringValue":"10.0.0.1"}},{"key":"net.peer.port","value":{"intValue":"80"}}]}]}]},
{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"stock"}}]},
 "scopeSpans":[{"spans":[
  {"traceId":"0000000000000000000000000000abcd","spanId":"0000000000000003","parentSpanId":"0000000000000002","name":"count","kind":2,
   "startTimeUnixNano":"1699999990110000000","endTimeUnixNano":"1699999990150000000"},
  {"traceId":"0000000000000000000000000000abcd","spanId":"0000000000000004","parentSpanId":"0000000000000002","name":"count","kind":2,
   "startTimeUnixNano":"1699999990160000000","endTimeUnixNano":"1699999990190000000","status":{"code":2,"message":"none left"}}]}]},
{"resource":{},"scopeSpans":[{"spans":[
  {"traceId":"0123456789abcdef0123456789abcdef","spanId":"0000000000000009","name":"tick",
   "startTimeUnixNano":"1699999980000000000","endTimeUnixNano":"1699999980000000000"}]}]}]}"#;

impl TestServer {
    pub(crate) fn with_sample() -> Self {
        let server = Self::new(|_| {});
        server.push_sample();
        server
    }

    pub(crate) fn push_sample(&self) {
        let json = ("content-type", "application/json");
        let answer = self.send("POST /v1/traces", &[json], SPANS);
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
        assert_eq!(self.spans().len(), 5);
    }

    /// Asks with `GET`; answers the status and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(&format!("GET {path}"), &[], "");
        (answer.status.as_u16(), answer.text())
    }

    /// The body of an answer with status 200, as JSON.
    pub(crate) fn get_json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}
