//! Thrift in both protocols against protobuf by way of the generated types, what becomes of spans, and
//! any bytes.

use super::*;
use crate::otlp::HeardSpans;
use crate::proto::jaeger::api_v2::{
    Batch, KeyValue, Log, PostSpansRequest, Process, Span, SpanRef, ValueType,
};
use crate::span_sink::DecodedSpans;
use model::Unbounded;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use prost_types::{Duration, Timestamp};

/// Writes Thrift, with the fields of a struct in the order of the calls.
struct Thrift {
    bytes: Vec<u8>,
    is_compact: bool,
    last: i16,
}

impl Thrift {
    fn new(is_compact: bool) -> Self {
        Self { bytes: Vec::new(), is_compact, last: 0 }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn zigzag(&mut self, value: i64) {
        self.varint((value << 1) as u64 ^ (value >> 63) as u64);
    }

    /// `kinds`: the number of the type in the binary and the compact protocol.
    fn head(&mut self, id: i16, kinds: [u8; 2]) {
        if !self.is_compact {
            self.bytes.push(kinds[0]);
            self.bytes.extend(id.to_be_bytes());
            return;
        }
        match id - self.last {
            step @ 1..16 => self.bytes.push((step as u8) << 4 | kinds[1]),
            _ => {
                self.bytes.push(kinds[1]);
                self.zigzag(id.into());
            }
        }
        self.last = id;
    }

    fn i32(&mut self, id: i16, value: i32) {
        self.head(id, [8, 5]);
        match self.is_compact {
            true => self.zigzag(value.into()),
            false => self.bytes.extend(value.to_be_bytes()),
        }
    }

    fn i64(&mut self, id: i16, value: i64) {
        self.head(id, [10, 6]);
        match self.is_compact {
            true => self.zigzag(value),
            false => self.bytes.extend(value.to_be_bytes()),
        }
    }

    fn double(&mut self, id: i16, value: f64) {
        self.head(id, [4, 7]);
        self.bytes.extend(if self.is_compact { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    fn boolean(&mut self, id: i16, value: bool) {
        self.head(id, [2, if value { 1 } else { 2 }]);
        if !self.is_compact {
            self.bytes.push(value.into());
        }
    }

    fn string(&mut self, id: i16, value: &[u8]) {
        self.head(id, [11, 8]);
        self.count(value.len());
        self.bytes.extend(value);
    }

    fn count(&mut self, count: usize) {
        match self.is_compact {
            true => self.varint(count as u64),
            false => self.bytes.extend((count as u32).to_be_bytes()),
        }
    }

    fn structure(&mut self, build: impl FnOnce(&mut Self)) {
        let last = std::mem::take(&mut self.last);
        build(self);
        self.bytes.push(0);
        self.last = last;
    }

    fn field(&mut self, id: i16, build: impl FnOnce(&mut Self)) {
        self.head(id, [12, 12]);
        self.structure(build);
    }

    fn list<T>(&mut self, id: i16, all: &[T], build: impl Fn(&mut Self, &T)) {
        self.head(id, [15, 9]);
        match self.is_compact {
            true if all.len() < 15 => self.bytes.push((all.len() as u8) << 4 | 12),
            true => {
                self.bytes.push(0xfc);
                self.varint(all.len() as u64);
            }
            false => {
                self.bytes.push(12);
                self.count(all.len());
            }
        }
        for one in all {
            self.structure(|out| build(out, one));
        }
    }
}

fn tag(out: &mut Thrift, tag: &KeyValue) {
    out.string(1, tag.key.as_bytes());
    let kinds = [0, 2, 3, 1, 4];
    out.i32(2, kinds[tag.v_type as usize]);
    match tag.v_type() {
        ValueType::String => out.string(3, tag.v_str.as_bytes()),
        ValueType::Float64 => out.double(4, tag.v_float64),
        ValueType::Bool => out.boolean(5, tag.v_bool),
        ValueType::Int64 => out.i64(6, tag.v_int64),
        ValueType::Binary => out.string(7, &tag.v_binary),
    }
}

fn halves(id: &[u8]) -> [i64; 2] {
    let half = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().unwrap());
    [half(&id[..8]), half(&id[8..])]
}

fn microseconds(seconds: i64, nanos: i32) -> i64 {
    seconds * 1_000_000 + i64::from(nanos) / 1_000
}

/// The batch in Thrift; `spans_first` puts the process behind.
fn batch(out: &mut Thrift, batch: &Batch, spans_first: bool) {
    let process = |out: &mut Thrift| {
        let process = batch.process.clone().unwrap_or_default();
        out.field(1, |out| {
            out.string(1, process.service_name.as_bytes());
            out.list(2, &process.tags, tag);
        });
    };
    if !spans_first {
        process(out);
    }
    out.list(2, &batch.spans, |out, span| {
        let [high, low] = halves(&span.trace_id);
        out.i64(1, low);
        out.i64(2, high);
        out.i64(3, i64::from_be_bytes(span.span_id[..].try_into().unwrap()));
        out.i64(4, 0);
        out.string(5, span.operation_name.as_bytes());
        out.list(6, &span.references, |out, one| {
            let [high, low] = halves(&one.trace_id);
            out.i32(1, one.ref_type);
            out.i64(2, low);
            out.i64(3, high);
            out.i64(4, i64::from_be_bytes(one.span_id[..].try_into().unwrap()));
        });
        out.i32(7, span.flags as i32);
        let start = span.start_time.unwrap();
        out.i64(8, microseconds(start.seconds, start.nanos));
        let duration = span.duration.unwrap();
        out.i64(9, microseconds(duration.seconds, duration.nanos));
        out.list(10, &span.tags, tag);
        out.list(11, &span.logs, |out, log| {
            let time = log.timestamp.unwrap();
            out.i64(1, microseconds(time.seconds, time.nanos));
            out.list(2, &log.fields, tag);
        });
    });
    if spans_first {
        process(out);
    }
    out.i64(3, 7);
}

fn over_http(sent: &Batch, spans_first: bool) -> Vec<u8> {
    let mut out = Thrift::new(false);
    out.structure(|out| batch(out, sent, spans_first));
    out.bytes
}

fn as_datagram(sent: &Batch, encoding: JaegerDatagram) -> Vec<u8> {
    let mut out = Thrift::new(encoding == JaegerDatagram::Compact);
    match encoding {
        JaegerDatagram::Compact => out.bytes.extend(b"\x82\x81\x00\x09emitBatch"),
        JaegerDatagram::Binary => {
            out.bytes.extend(b"\x80\x01\x00\x04\x00\x00\x00\x09emitBatch\x00\x00\x00\x00");
        }
    }
    out.structure(|out| out.field(1, |out| batch(out, sent, false)));
    out.bytes
}

fn in_protobuf(sent: &Batch) -> Vec<u8> {
    PostSpansRequest { batch: Some(sent.clone()) }.encode_to_vec()
}

fn heard(
    read: impl FnOnce(&mut HeardSpans) -> crate::decoding::Result<DecodedSpans>,
) -> (Vec<String>, DecodedSpans) {
    let mut heard = HeardSpans::default();
    let decoded = read(&mut heard).unwrap();
    (heard.0, decoded)
}

fn decode(sent: &Batch) -> (Vec<String>, DecodedSpans) {
    heard(|sink| decode_jaeger_protobuf(&in_protobuf(sent), &mut Unbounded, sink))
}

const KEYS: &str = "[a-z]{1,3}|error|event|hostname|jaeger.version|span.kind|otel.status_code|\
    otel.status_description|otel.scope.name|http.status_code|http.status_message|w3c.tracestate";

prop_compose! {
    fn key_value()(
        key in KEYS, v_type in 0i32..5, v_str in "OK|ERROR|true|client|404|.{0,4}", v_bool: bool,
        v_int64 in prop_oneof![any::<i64>(), 200i64..600], v_binary: Vec<u8>,
        // prost leaves -0.0 out.
        v_float64 in any::<f64>().prop_map(|value| value + 0.0),
    ) -> KeyValue {
        KeyValue { key, v_type, v_str, v_bool, v_int64, v_float64, v_binary }
    }
}

fn time() -> impl Strategy<Value = (i64, i32)> {
    (0i64..1 << 33, 0i32..1_000_000).prop_map(|(seconds, micros)| (seconds, micros * 1_000))
}

prop_compose! {
    fn reference()(
        trace in prop_oneof![Just(vec![3; 16]), vec(any::<u8>(), 16..17)],
        span_id in vec(any::<u8>(), 8..9), ref_type in 0i32..2,
    ) -> SpanRef {
        SpanRef { trace_id: trace, span_id, ref_type }
    }
}

prop_compose! {
    fn span()(
        trace_id in prop_oneof![4 => Just(vec![3; 16]), 1 => Just(vec![0; 16])],
        span_id in vec(any::<u8>(), 8..9), operation_name in ".{0,5}",
        references in vec(reference(), 0..3), flags in 0u32..4,
        start in time(), duration in time(), tags in vec(key_value(), 0..5),
        logs in vec((time(), vec(key_value(), 0..3)), 0..3),
    ) -> Span {
        let log = |((seconds, nanos), fields)| {
            Log { timestamp: Some(Timestamp { seconds, nanos }), fields }
        };
        Span {
            trace_id, span_id, operation_name, references, flags, tags,
            start_time: Some(Timestamp { seconds: start.0, nanos: start.1 }),
            duration: Some(Duration { seconds: duration.0, nanos: duration.1 }),
            logs: logs.into_iter().map(log).collect(),
            ..Span::default()
        }
    }
}

prop_compose! {
    fn any_batch()(
        service_name in "shop|", tags in vec(key_value(), 0..3), spans in vec(span(), 0..4),
    ) -> Batch {
        Batch { process: Some(Process { service_name, tags }), spans }
    }
}

proptest! {
    #[test]
    fn all_encodings_are_the_same_spans(sent in any_batch(), spans_first: bool) {
        let expected = decode(&sent);
        let thrift = over_http(&sent, spans_first);
        let by_http = heard(|sink| decode_jaeger_thrift(&thrift, &mut Unbounded, sink));
        prop_assert_eq!(&by_http, &expected);
        for encoding in [JaegerDatagram::Compact, JaegerDatagram::Binary] {
            let datagram = as_datagram(&sent, encoding);
            let read = heard(|sink| decode_jaeger_datagram(&datagram, encoding, &mut Unbounded, sink));
            prop_assert_eq!(&read, &expected);
        }
        let is_valid = |span: &&Span| span.trace_id != [0; 16] && span.span_id != [0; 8];
        prop_assert_eq!(expected.1.spans, sent.spans.iter().filter(is_valid).count() as u64);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, sent in any_batch(), at in 0usize..600, byte: u8) {
        use JaegerDatagram::{Binary, Compact};
        let mut all = [
            bytes, in_protobuf(&sent), over_http(&sent, false), as_datagram(&sent, Compact),
            as_datagram(&sent, Binary),
        ];
        for whole in &mut all {
            if let Some(place) = whole.get_mut(at) {
                *place = byte;
            }
        }
        for bytes in &all {
            for bytes in [&bytes[..], &bytes[..at.min(bytes.len())]] {
                let mut sink = HeardSpans::default();
                drop(decode_jaeger_protobuf(bytes, &mut Unbounded, &mut sink));
                drop(decode_jaeger_thrift(bytes, &mut Unbounded, &mut sink));
                drop(decode_jaeger_datagram(bytes, Compact, &mut Unbounded, &mut sink));
                drop(decode_jaeger_datagram(bytes, Binary, &mut Unbounded, &mut sink));
            }
        }
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), v_str: value.to_owned(), ..KeyValue::default() }
}

fn number(key: &str, value: i64) -> KeyValue {
    let v_type = ValueType::Int64.into();
    KeyValue { key: key.to_owned(), v_type, v_int64: value, ..KeyValue::default() }
}

fn boolean(key: &str, value: bool) -> KeyValue {
    let v_type = ValueType::Bool.into();
    KeyValue { key: key.to_owned(), v_type, v_bool: value, ..KeyValue::default() }
}

fn one(span: Span) -> Batch {
    let span = Span { trace_id: vec![3; 16], span_id: vec![4; 8], ..span };
    Batch { spans: vec![span], process: None }
}

#[test]
fn processes_are_resources() {
    let tags = vec![text("hostname", "h"), text("jaeger.version", "Go-2.30"), number("n", 5)];
    let process = |service: &str, tags| Some(Process { service_name: service.to_owned(), tags });
    let own = Span {
        trace_id: vec![3; 16],
        span_id: vec![4; 8],
        process: process("own", Vec::new()),
        ..Span::default()
    };
    let shared = Span { process: None, ..own.clone() };
    let (heard, _) = decode(&Batch { process: process("shop", tags), spans: vec![own, shared] });
    let shop = concat!(
        r#"resource [Attribute { key: "n", value: Int(5) }, Attribute { key: "host.name", value: Text("h") }, "#,
        r#"Attribute { key: "opencensus.exporterversion", value: Text("Jaeger-Go-2.30") }, "#,
        r#"Attribute { key: "service.name", value: Text("shop") }]"#,
    );
    let resources: Vec<_> = heard.iter().filter(|line| line.starts_with("resource")).collect();
    let own = r#"resource [Attribute { key: "service.name", value: Text("own") }]"#;
    assert_eq!(resources, [shop, own, shop]);
}

#[test]
fn tags_become_what_they_stand_for() {
    for (tags, part) in [
        (vec![text("span.kind", "client")], "kind: 3"),
        (vec![text("span.kind", "odd")], r#"key: "span.kind", value: Text("odd")"#),
        (vec![boolean("error", true)], "status: 2, status_message: \"\""),
        (
            vec![boolean("error", true), text("otel.status_description", "why")],
            "status: 2, status_message: \"why\"",
        ),
        (
            vec![boolean("error", true), text("http.status_message", "Bad Gateway")],
            "status: 2, status_message: \"Bad Gateway\"",
        ),
        (vec![text("error", "true")], "status: 2"),
        (vec![boolean("error", false)], r#"key: "error", value: Bool(false)"#),
        (vec![boolean("error", true), text("otel.status_code", "OK")], "status: 2"),
        (vec![text("otel.status_code", "OK")], "status: 1"),
        (
            vec![text("otel.status_code", "ERROR"), text("otel.status_description", "d")],
            "status: 2, status_message: \"d\"",
        ),
        (vec![number("http.status_code", 404), text("span.kind", "client")], "status: 2"),
        (vec![number("http.status_code", 404), text("span.kind", "server")], "status: 0"),
        (vec![text("http.status_code", "503"), text("span.kind", "server")], "status: 2"),
        (vec![number("http.status_code", 301)], "status: 0"),
        (vec![text("w3c.tracestate", "a=b")], "trace_state: \"a=b\""),
    ] {
        let (heard, _) = decode(&one(Span { tags: tags.clone(), ..Span::default() }));
        assert!(heard[2].contains(part), "{tags:?} {part}\n{}", heard[2]);
    }
    let scope = vec![text("otel.library.name", "lib"), text("otel.library.version", "1")];
    let (heard, _) = decode(&one(Span { tags: scope, ..Span::default() }));
    assert_eq!(heard[1], "scope \"lib\" \"1\" []");
    assert!(heard[2].contains("attributes: []"), "{heard:?}");
}

#[test]
fn logs_are_events_and_references_parents_or_links() {
    let log = Log {
        timestamp: Some(Timestamp { seconds: 1, nanos: 5 }),
        fields: vec![text("event", "retry"), number("attempt", 2)],
    };
    let reference = |trace: u8, span: u8, ref_type| SpanRef {
        trace_id: vec![trace; 16],
        span_id: vec![span; 8],
        ref_type,
    };
    let references = vec![reference(9, 1, 0), reference(3, 5, 1), reference(3, 6, 0)];
    let span =
        Span { logs: vec![log], references, warnings: vec!["w".to_owned()], ..Span::default() };
    let (heard, _) = decode(&one(span));
    for part in [
        "parent_span_id: [6, 6, 6, 6, 6, 6, 6, 6]",
        r#"attributes: [Attribute { key: "jaeger.warning", value: Text("w") }]"#,
        r#"events: [EventRef { time_ns: 1000000005, name: "retry", dropped_attributes: 0, attributes: [Attribute { key: "attempt", value: Int(2) }] }]"#,
        r#"attributes: [Attribute { key: "opentracing.ref_type", value: Text("child_of") }] }, LinkRef { trace_id: [3, "#,
        r#"attributes: [Attribute { key: "opentracing.ref_type", value: Text("follows_from") }] }] }"#,
    ] {
        assert!(heard[2].contains(part), "{part}\n{}", heard[2]);
    }
}

#[test]
fn what_is_no_batch_is_refused() {
    let read = |bytes: &[u8]| {
        let sink = &mut HeardSpans::default();
        decode_jaeger_datagram(bytes, JaegerDatagram::Compact, &mut Unbounded, sink)
    };
    let other = b"\x82\x81\x00\x04ping\x00";
    let error = "the body is not a Thrift message of the compact protocol";
    assert_eq!(read(other).unwrap_err().to_string(), error);
    assert_eq!(read(b"{}").unwrap_err().to_string(), error);
    let json = decode_jaeger_thrift(b"{\"a\":1}", &mut Unbounded, &mut HeardSpans::default());
    assert_eq!(
        json.unwrap_err().to_string(),
        "the Thrift message has a value of an unknown type (123)"
    );
    let invalid = [&[11, 0, 1, 0, 0, 0, 1, 0xff][..], &[0]].concat();
    let process = [&[12, 0, 1][..], &invalid, &[0]].concat();
    let (heard, _) = heard(|sink| decode_jaeger_thrift(&process, &mut Unbounded, sink));
    assert!(heard[0].contains("invalid_utf8"), "{heard:?}");
}
