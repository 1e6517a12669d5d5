//! The hand-written decoders against the generated types of `crate::proto`, and against any bytes.

use super::*;
use crate::log_sink::{DecodedLogs, LogSink, StreamLabels};
use crate::proto::logproto::{EntryAdapter, LabelPairAdapter, PushRequest, StreamAdapter};
use model::{Labels, NoRoom, Room, Unbounded};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use prost_types::Timestamp;
use serde_json::{Value, json};

/// Everything that a sink was told, as text.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Vec<String>);

impl LogSink for Heard {
    fn stream(&mut self, labels: &[u8]) {
        let labels = Labels::from_bytes(labels).expect("decoders make canonical bytes");
        self.0.push(labels.to_string());
    }
    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) {
        assert!(fields.iter().all(|(name, _)| !name.is_empty()));
        self.0.push(format!("{time_ns} {:?} {fields:?}", String::from_utf8_lossy(line)));
    }
}

fn decode(bytes: &[u8]) -> (Vec<String>, DecodedLogs) {
    let mut heard = Heard::default();
    let decoded = decode_loki_push(bytes, &mut heard).unwrap();
    (heard.0, decoded)
}

fn decode_json(json: &str) -> Result<(Vec<String>, DecodedLogs), String> {
    let mut heard = Heard::default();
    let decoded = decode_loki_push_json(json.as_bytes(), &mut Unbounded, &mut heard);
    decoded.map(|decoded| (heard.0, decoded)).map_err(|error| error.to_string())
}

prop_compose! {
    fn entry()(
        time in prop::option::of((-1_000i64..2_000_000_000, 0i32..1_000_000_000)),
        line in ".{0,40}",
        fields in vec(("[a-z]{0,3}", ".{0,5}"), 0..3),
    ) -> EntryAdapter {
        let timestamp = time.map(|(seconds, nanos)| Timestamp { seconds, nanos });
        let pair = |(name, value)| LabelPairAdapter { name, value };
        let structured_metadata = fields.into_iter().map(pair).collect();
        EntryAdapter { timestamp, line, structured_metadata }
    }
}

prop_compose! {
    fn request()(
        streams in vec((prop::collection::btree_map("[a-z_]{1,4}", "[ -~]{0,5}|한é", 0..4), vec(entry(), 0..4)), 0..4),
    ) -> PushRequest {
        let stream = |(labels, entries)| StreamAdapter {
            labels: Labels::from_pairs(pairs_of(&labels)).to_string(),
            entries,
        };
        PushRequest { streams: streams.into_iter().map(stream).collect() }
    }
}

fn pairs_of(
    map: &std::collections::BTreeMap<String, String>,
) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn fields_of(entry: &EntryAdapter) -> Vec<(&str, &str)> {
    let pairs = entry.structured_metadata.iter().map(|pair| (&*pair.name, &*pair.value));
    pairs.filter(|(name, _)| !name.is_empty()).collect()
}

fn time_of(entry: &EntryAdapter) -> i64 {
    let time = entry.timestamp.unwrap_or_default();
    time.seconds * 1_000_000_000 + i64::from(time.nanos)
}

/// What the decoder has to tell its sink, by way of prost's own decoding.
fn expected(bytes: &[u8]) -> Vec<String> {
    let request = PushRequest::decode(bytes).unwrap();
    let mut heard = Vec::new();
    for stream in &request.streams {
        heard.push(if stream.labels.is_empty() { "{}".to_owned() } else { stream.labels.clone() });
        for entry in &stream.entries {
            heard.push(format!("{} {:?} {:?}", time_of(entry), entry.line, fields_of(entry)));
        }
    }
    heard
}

/// The same request in JSON.
fn in_json(request: &PushRequest, lines_first: bool) -> String {
    let streams = request.streams.iter().map(|stream| {
        let mut labels = StreamLabels::default();
        parse_stream_labels(&stream.labels, &mut labels).unwrap();
        let labels = Labels::from_bytes(labels.canonical().unwrap()).unwrap();
        let labels: Value =
            labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let values = stream.entries.iter().map(|entry| {
            // Two fields of one name are one in JSON as serde writes it.
            let pairs = entry.structured_metadata.iter();
            let fields = pairs.map(|pair| format!("{}:{}", json!(pair.name), json!(pair.value)));
            let fields = fields.collect::<Vec<_>>().join(",");
            format!("[\"{}\",{},{{{fields}}}]", time_of(entry), json!(entry.line))
        });
        let values = values.collect::<Vec<_>>().join(", ");
        match lines_first {
            true => format!("{{\"values\": [{values}], \"stream\": {labels}}}"),
            false => format!("{{\"stream\": {labels}, \"more\": [1], \"values\": [{values}]}}"),
        }
    });
    format!("{{\"streams\": [{}]}}", streams.collect::<Vec<_>>().join(","))
}

proptest! {
    #[test]
    fn requests_are_read_as_prost_reads_them(request in request()) {
        let bytes = request.encode_to_vec();
        let (heard, decoded) = decode(&bytes);
        prop_assert_eq!(&heard, &expected(&bytes));
        let lines: usize = request.streams.iter().map(|stream| stream.entries.len()).sum();
        prop_assert_eq!((decoded.streams, decoded.lines), (request.streams.len() as u64, lines as u64));
    }

    #[test]
    fn json_is_the_same_in_either_order(request in request(), lines_first: bool) {
        let (heard, _) = decode(&request.encode_to_vec());
        prop_assert_eq!(decode_json(&in_json(&request, lines_first)).unwrap().0, heard);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[{}\\[\\]\":,a-z0-9 ]{0,60}", labels: String) {
        let mut heard = Heard::default();
        drop(decode_loki_push(&bytes, &mut heard));
        drop(decode_loki_push_json(&bytes, &mut Unbounded, &mut heard));
        drop(decode_loki_push_json(text.as_bytes(), &mut Unbounded, &mut heard));
        drop(parse_stream_labels(&labels, &mut StreamLabels::default()));
        let broken = [&request_with_labels("{a=\"b\"}")[..], &bytes].concat();
        drop(decode_loki_push(&broken, &mut heard));
    }
}

fn request_with_labels(labels: &str) -> Vec<u8> {
    let entry = EntryAdapter { line: "x".to_owned(), ..EntryAdapter::default() };
    let stream = StreamAdapter { labels: labels.to_owned(), entries: vec![entry.clone(), entry] };
    PushRequest { streams: vec![stream] }.encode_to_vec()
}

#[test]
fn labels_as_senders_write_them() {
    for (text, expected) in [
        ("{}", "{}"),
        ("{ app = \"shop\" , ns=`a\\b`, }", r#"{app="shop", ns="a\\b"}"#),
        (r#"{b="\u00e9\n\"", a=""}"#, "{b=\"é\\n\\\"\"}"),
    ] {
        assert_eq!(decode(&request_with_labels(text)).0[0], expected, "{text}");
    }
}

#[test]
fn a_stream_with_bad_labels_is_left_out_with_a_reason() {
    for (text, reason) in [
        ("", r#"error parsing labels "": expected '{' at byte 0"#),
        ("{a}", r#"error parsing labels "{a}": expected '=' at byte 2"#),
        ("{a.b=\"c\"}", r#"error parsing labels "{a.b=\"c\"}": expected '=' at byte 2"#),
        (
            "{a=\"b}",
            r#"error parsing labels "{a=\"b}": expected the end of a value in quotes at byte 3"#,
        ),
        ("{a=\"b\"} x", r#"error parsing labels "{a=\"b\"} x": expected the end at byte 7"#),
        ("{a=\"1\",a=\"2\"}", r#"stream '{a="1", a="2"}' has duplicate label name: 'a'"#),
    ] {
        let (heard, decoded) = decode(&request_with_labels(text));
        assert_eq!((heard.len(), decoded.lines, decoded.rejected.count), (0, 0, 2), "{text}");
        assert_eq!(decoded.rejected.reasons[0], reason);
        assert_eq!(decoded.rejected.kinds, [("labels", 2)]);
    }
}

#[test]
fn lines_keep_their_bytes_and_fields_become_text() {
    let mut writer = crate::protobuf::Writer::new();
    writer.message(1, |stream| {
        stream.message(2, |entry| {
            entry.bytes(2, b"a\xff\x00b");
            entry.message(3, |pair| {
                pair.bytes(1, b"k");
                pair.bytes(2, b"v\xff");
            });
        });
        stream.text(1, "{a=\"b\"}");
    });
    struct Bytes(Vec<(Vec<u8>, String)>);
    impl LogSink for Bytes {
        fn stream(&mut self, _: &[u8]) {}
        fn line(&mut self, _: i64, line: &[u8], fields: &[(&str, &str)]) {
            self.0.push((line.to_vec(), fields[0].1.to_owned()));
        }
    }
    let mut bytes = Bytes(Vec::new());
    decode_loki_push(&writer.into_bytes(), &mut bytes).unwrap();
    let json =
        b"{\"streams\":[{\"stream\":{},\"values\":[[\"1\",\"a\xff\x00b\",{\"k\":\"v\xff\"}]]}]}";
    decode_loki_push_json(json, &mut Unbounded, &mut bytes).unwrap();
    let line = (b"a\xff\x00b".to_vec(), "v\u{fffd}".to_owned());
    assert_eq!(bytes.0, [line.clone(), line]);
}

#[test]
fn json_in_the_old_form() {
    let json = r#"{"streams":[{"labels":"{a=\"b\"}","entries":[{"ts":"2023-11-14T22:13:20Z","line":"x"}]}]}"#;
    assert_eq!(decode_json(json).unwrap().0, ["{a=\"b\"}", "1700000000000000000 \"x\" []"]);
}

#[test]
fn json_that_is_no_push_says_what_was_expected() {
    for (json, error) in [
        ("", "expected an object at byte 0"),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}"#,
            "expected a time as a text of nanoseconds (\"1700000000000000000\") at byte 43",
        ),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[["1.5","x"]]}]}"#,
            "expected a time as a text of nanoseconds (\"1700000000000000000\") at byte 43",
        ),
        (
            r#"{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}"#,
            "expected a time and a line in the list before at byte 47",
        ),
        (r#"{"streams":[{"stream":{"a":1},"values":[]}]}"#, "expected a text at byte 27"),
        (
            r#"{"streams":[{"stream":{},"values":[["1","x",{"a":1}]]}]}"#,
            "expected a text at byte 49",
        ),
    ] {
        let expected = format!("the body is not a push in JSON: {error}");
        assert_eq!(decode_json(json).unwrap_err(), expected, "{json}");
    }
    let (_, decoded) =
        decode_json(r#"{"streams":[{"stream":{"a.b":"c"},"values":[["1","x"]]}]}"#).unwrap();
    assert_eq!(decoded.rejected.count, 1);
    assert_eq!(decode_json(r#"{"streams":null}"#).unwrap().1, DecodedLogs::default());
}

#[test]
fn memory_is_asked_for_and_fields_are_bounded() {
    struct Full;
    impl Room for Full {
        fn take(&mut self, _: usize) -> Result<(), NoRoom> {
            Err(NoRoom::Busy("full".to_owned()))
        }
    }
    let error = decode_loki_push_json(b"{}", &mut Full, &mut Heard::default()).unwrap_err();
    assert_eq!(error.kind(), model::ErrorKind::Overloaded);
    let field = LabelPairAdapter { name: "a".to_owned(), value: String::new() };
    let entry = EntryAdapter { structured_metadata: vec![field; 5_000], ..EntryAdapter::default() };
    let request = PushRequest {
        streams: vec![StreamAdapter { labels: "{a=\"b\"}".to_owned(), entries: vec![entry] }],
    };
    for rejected in [
        decode(&request.encode_to_vec()).1.rejected,
        decode_json(&in_json(&request, false)).unwrap().1.rejected,
    ] {
        assert_eq!(
            rejected.reasons,
            ["a line has 5000 fields of structured metadata, more than 4096"]
        );
    }
}
