//! Records of logs that a `PartialSpanProcessor` of an SDK sends while a span is in flight, and when it
//! stopped: the attribute `partial.event` is `heartbeat` or `stop`, `partial.frequency` says how often, and
//! the body is the span as OTLP's JSON. They are lines like any other as well.

use super::marks::parent_id;
use super::{ActiveSpan, Changes, ToldBy, kept};
use crate::traces::json::KINDS;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::LogSink;

/// The fields of a line that the attributes became.
const EVENT: &str = "partial_event";
const FREQUENCY: &str = "partial_frequency";

/// A longer body is not looked at.
const BODY_MAX: usize = 256 << 10;

/// How often a sender may say that it sends.
const HEARTBEAT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_600);

/// A sink that passes everything on, and learns what records tell of spans in flight.
#[derive(Debug)]
pub(crate) struct Heartbeats<'a, S: ?Sized> {
    sink: &'a mut S,
    changes: Changes,
}

impl<'a, S: LogSink + ?Sized> Heartbeats<'a, S> {
    pub(crate) fn new(sink: &'a mut S) -> Self {
        Self { sink, changes: Changes::default() }
    }

    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }
}

impl<S: LogSink + ?Sized> LogSink for Heartbeats<'_, S> {
    fn stream(&mut self, labels: &[u8]) {
        self.sink.stream(labels);
    }

    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) {
        let field = |name: &str| fields.iter().find(|(known, _)| *known == name);
        if let Some((_, event)) = field(EVENT) {
            let frequency = field(FREQUENCY).and_then(|(_, text)| heartbeat(text));
            learn(&mut self.changes, event, line, frequency);
        }
        self.sink.line(time_ns, line, fields);
    }

    fn dated_on_arrival(&mut self) {
        self.sink.dated_on_arrival();
    }
}

fn heartbeat(text: &str) -> Option<Duration> {
    let millis = model::parse_duration(text).ok()?;
    let duration = Duration::from_millis(u64::try_from(millis).ok()?);
    Some(duration.clamp(*HEARTBEAT.start(), *HEARTBEAT.end()))
}

/// A body that can't be read tells nothing.
fn learn(changes: &mut Changes, event: &str, body: &[u8], heartbeat: Option<Duration>) {
    let is_stop = event == "stop";
    if !(is_stop || event == "heartbeat") || body.len() > BODY_MAX {
        return;
    }
    let Ok(told) = serde_json::from_slice::<Told>(body) else { return };
    for of_resource in told.resource_spans {
        let service = kept(&text(&of_resource.resource.attributes, "service.name"));
        for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
            let Some(active) = span.active(&service, heartbeat) else { continue };
            match is_stop {
                true => changes.ended.push(active.key),
                false => changes.begun.push(active),
            }
        }
    }
}

// OTLP's JSON as protobuf's own library prints it: enums by their names, numbers of 64 bits as texts.

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "resourceSpans")]
    resource_spans: Vec<ToldResource>,
}

#[derive(Deserialize)]
struct ToldResource {
    #[serde(default)]
    resource: ToldAttributes,
    #[serde(default, rename = "scopeSpans")]
    scope_spans: Vec<ToldScope>,
}

#[derive(Default, Deserialize)]
struct ToldAttributes {
    #[serde(default)]
    attributes: Vec<ToldAttribute>,
}

#[derive(Deserialize)]
struct ToldScope {
    #[serde(default)]
    spans: Vec<ToldSpan>,
}

#[derive(Deserialize)]
struct ToldAttribute {
    key: String,
    #[serde(default)]
    value: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToldSpan {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: Value,
    #[serde(deserialize_with = "nanos")]
    start_time_unix_nano: u64,
    #[serde(default)]
    attributes: Vec<ToldAttribute>,
}

/// A number, or a text of one.
fn nanos<'d, D: Deserializer<'d>>(from: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(from)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| serde::de::Error::custom("not a number of nanoseconds"))
}

fn text(attributes: &[ToldAttribute], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let text = found.and_then(|attribute| attribute.value.get("stringValue")?.as_str());
    text.unwrap_or_default().to_owned()
}

impl ToldSpan {
    fn active(&self, service: &Arc<str>, heartbeat: Option<Duration>) -> Option<ActiveSpan> {
        let trace_id = u128::from_str_radix(&self.trace_id, 16).ok().filter(|id| *id != 0)?;
        let is_named = |name: &&str| self.kind.as_str() == Some(*name);
        let kind = match self.kind.as_u64() {
            Some(number) => number,
            None => KINDS.iter().position(is_named)? as u64,
        };
        Some(ActiveSpan {
            key: (trace_id.to_be_bytes(), parent_id(&self.span_id)?),
            parent_id: parent_id(&self.parent_span_id),
            service: Arc::clone(service),
            name: kept(&self.name),
            detail: kept(&self.detail()),
            kind: u8::try_from(kind).unwrap_or_default(),
            start_ns: self.start_time_unix_nano,
            told_by: ToldBy::Heartbeat,
            heartbeat,
        })
    }

    fn detail(&self) -> String {
        let texts = super::marks::DETAILS.iter().map(|name| text(&self.attributes, name));
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(usize);

    impl LogSink for Heard {
        fn stream(&mut self, _: &[u8]) {}
        fn line(&mut self, _: i64, _: &[u8], _: &[(&str, &str)]) {
            self.0 += 1;
        }
    }

    /// A body as Python's processor writes it.
    const BODY: &str = r#"{"resourceSpans":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"scope":{"name":"lib"},"spans":[{"traceId":"000000000000000000000000000000ab",
        "spanId":"0000000000000002","parentSpanId":"0000000000000001","name":"SELECT","kind":"SPAN_KIND_CLIENT",
        "startTimeUnixNano":"1700000000000000000","attributes":[
        {"key":"db.query.text","value":{"stringValue":"SELECT pg_sleep($1)"}}],"status":{}}]}]}]}"#;

    fn learned(body: &str, fields: &[(&str, &str)]) -> Changes {
        let mut heard = Heard::default();
        let mut heartbeats = Heartbeats::new(&mut heard);
        heartbeats.line(1, body.as_bytes(), fields);
        let changes = heartbeats.into_changes();
        assert_eq!(heard.0, 1, "every line is passed on");
        changes
    }

    #[test]
    fn heartbeats_tell_of_a_span_and_stops_of_its_end() {
        let beat = [("partial_event", "heartbeat"), ("partial_frequency", "5000ms")];
        let changes = learned(BODY, &beat);
        let span = &changes.begun[0];
        assert_eq!(span.key, (0xabu128.to_be_bytes(), 2u64.to_be_bytes()));
        assert_eq!((span.parent_id, span.kind), (Some(1u64.to_be_bytes()), 3));
        assert_eq!((&*span.service, &*span.name), ("shop", "SELECT"));
        assert_eq!(&*span.detail, "SELECT pg_sleep($1)");
        assert_eq!(span.start_ns, 1_700_000_000_000_000_000);
        assert_eq!(span.heartbeat, Some(Duration::from_secs(5)));
        let changes = learned(BODY, &[("partial_event", "stop")]);
        assert_eq!(changes.ended, [span.key]);
        assert_eq!(changes.begun, []);
    }

    #[test]
    fn what_can_not_be_read_tells_nothing() {
        let beat = [("partial_event", "heartbeat")];
        for body in
            ["", "{}", "[", &BODY.replace("00ab", "00xy"), &BODY.replace("KIND_CLIENT", "X")]
        {
            let changes = learned(body, &beat);
            assert!(changes.begun.is_empty() && changes.ended.is_empty(), "{body}");
        }
        assert!(learned(BODY, &[("event", "heartbeat")]).begun.is_empty());
        assert!(learned(BODY, &[("partial_event", "other")]).begun.is_empty());
    }
}
