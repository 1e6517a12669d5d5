//! OTLP's messages of traces as JSON: as OTLP writes them, with ids in hexadecimal and enums as numbers,
//! or as Tempo does, with ids in base64 and enums by their names.

use crate::api::json as write;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use wire::proto::opentelemetry::proto::common::v1::{KeyValue, any_value::Value};
use wire::proto::opentelemetry::proto::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};

/// How ids and enums are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Otlp,
    Tempo,
}

/// The names of kinds, as OTLP numbers them.
pub(crate) const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

/// Writes an object field by field.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true }
    }

    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b',');
        }
        write::text(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Empty texts are left out.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            write::text(self.key(name), text);
        }
    }

    /// Zero is left out.
    pub(crate) fn count(&mut self, name: &str, count: u32) {
        if count != 0 {
            let out = self.key(name);
            out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
        }
    }

    /// A number of 64 bits, which is a text in JSON.
    fn long(&mut self, name: &str, number: u64) {
        write::text(self.key(name), itoa::Buffer::new().format(number));
    }

    pub(crate) fn list<T>(&mut self, name: &str, items: &[T], each: impl FnMut(&mut Vec<u8>, &T)) {
        if !items.is_empty() {
            write::list(self.key(name), items, each);
        }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

impl Style {
    fn id(self, object: &mut Object<'_>, name: &str, id: &[u8]) {
        if id.is_empty() {
            return;
        }
        let text = match self {
            Self::Tempo => BASE64.encode(id),
            Self::Otlp => hex(id),
        };
        write::text(object.key(name), &text);
    }

    fn code(self, object: &mut Object<'_>, name: &str, code: i32, names: &[&str]) {
        let known = usize::try_from(code).ok().and_then(|code| names.get(code));
        match (self, known) {
            (_, _) if code == 0 && self == Self::Otlp => {}
            (Self::Tempo, Some(word)) => write::text(object.key(name), word),
            _ => {
                let out = object.key(name);
                out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
            }
        }
    }

    /// A list of resources with their spans.
    pub(crate) fn resource_spans(self, out: &mut Vec<u8>, list: &[ResourceSpans]) {
        write::list(out, list, |out, of| {
            let mut object = Object::new(out);
            let mut resource = Object::new(object.key("resource"));
            let attributes = of.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            resource.list("attributes", attributes, key_value);
            resource.end();
            object.list("scopeSpans", &of.scope_spans, |out, of| self.scope_spans(out, of));
            object.end();
        });
    }

    fn scope_spans(self, out: &mut Vec<u8>, of: &ScopeSpans) {
        let mut object = Object::new(out);
        let mut scope = Object::new(object.key("scope"));
        if let Some(of) = &of.scope {
            scope.text("name", &of.name);
            scope.text("version", &of.version);
            scope.list("attributes", &of.attributes, key_value);
        }
        scope.end();
        object.list("spans", &of.spans, |out, span| self.span(out, span));
        object.end();
    }

    fn span(self, out: &mut Vec<u8>, span: &Span) {
        let mut object = Object::new(out);
        self.id(&mut object, "traceId", &span.trace_id);
        self.id(&mut object, "spanId", &span.span_id);
        object.text("traceState", &span.trace_state);
        self.id(&mut object, "parentSpanId", &span.parent_span_id);
        object.text("name", &span.name);
        self.code(&mut object, "kind", span.kind, &KINDS);
        object.long("startTimeUnixNano", span.start_time_unix_nano);
        object.long("endTimeUnixNano", span.end_time_unix_nano);
        object.list("attributes", &span.attributes, key_value);
        object.count("droppedAttributesCount", span.dropped_attributes_count);
        object.list("events", &span.events, event);
        object.count("droppedEventsCount", span.dropped_events_count);
        object.list("links", &span.links, |out, link| self.link(out, link));
        object.count("droppedLinksCount", span.dropped_links_count);
        self.status(object.key("status"), span.status.as_ref());
        object.count("flags", span.flags);
        object.end();
    }

    fn status(self, out: &mut Vec<u8>, status: Option<&Status>) {
        let mut object = Object::new(out);
        if let Some(status) = status {
            object.text("message", &status.message);
            if status.code != 0 {
                self.code(&mut object, "code", status.code, &STATUSES);
            }
        }
        object.end();
    }

    fn link(self, out: &mut Vec<u8>, link: &Link) {
        let mut object = Object::new(out);
        self.id(&mut object, "traceId", &link.trace_id);
        self.id(&mut object, "spanId", &link.span_id);
        object.text("traceState", &link.trace_state);
        object.list("attributes", &link.attributes, key_value);
        object.count("droppedAttributesCount", link.dropped_attributes_count);
        object.count("flags", link.flags);
        object.end();
    }
}

fn event(out: &mut Vec<u8>, event: &Event) {
    let mut object = Object::new(out);
    object.long("timeUnixNano", event.time_unix_nano);
    object.text("name", &event.name);
    object.list("attributes", &event.attributes, key_value);
    object.count("droppedAttributesCount", event.dropped_attributes_count);
    object.end();
}

pub(crate) fn key_value(out: &mut Vec<u8>, of: &KeyValue) {
    let mut object = Object::new(out);
    write::text(object.key("key"), &of.key);
    value(object.key("value"), of.value.as_ref().and_then(|value| value.value.as_ref()));
    object.end();
}

/// Depth is bounded where values come in.
pub(crate) fn value(out: &mut Vec<u8>, value_of: Option<&Value>) {
    let mut object = Object::new(out);
    match value_of {
        None => {}
        Some(Value::StringValue(text)) => write::text(object.key("stringValue"), text),
        Some(Value::BoolValue(truth)) => {
            object.key("boolValue").extend_from_slice(truth.to_string().as_bytes());
        }
        Some(Value::IntValue(number)) => {
            write::text(object.key("intValue"), itoa::Buffer::new().format(*number));
        }
        Some(Value::DoubleValue(number)) => double(object.key("doubleValue"), *number),
        Some(Value::BytesValue(bytes)) => {
            write::text(object.key("bytesValue"), &BASE64.encode(bytes));
        }
        Some(Value::ArrayValue(list)) => {
            let mut array = Object::new(object.key("arrayValue"));
            array.list("values", &list.values, |out, item| value(out, item.value.as_ref()));
            array.end();
        }
        Some(Value::KvlistValue(list)) => {
            let mut entries = Object::new(object.key("kvlistValue"));
            entries.list("values", &list.values, key_value);
            entries.end();
        }
        #[allow(unreachable_patterns, reason = "further kinds of values may be added to OTLP")]
        Some(_) => {}
    }
    object.end();
}

/// A value as JSON without its type; what JSON has no number for is a text, and so are bytes, in base64.
pub(crate) fn plain(out: &mut Vec<u8>, value_of: Option<&Value>) {
    match value_of {
        Some(Value::StringValue(text)) => write::text(out, text),
        Some(Value::BoolValue(truth)) => out.extend_from_slice(truth.to_string().as_bytes()),
        Some(Value::IntValue(number)) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Some(Value::DoubleValue(number)) => double(out, *number),
        Some(Value::BytesValue(bytes)) => write::text(out, &BASE64.encode(bytes)),
        Some(Value::ArrayValue(list)) => write::list(out, &list.values, |out, item| {
            plain(out, item.value.as_ref());
        }),
        Some(Value::KvlistValue(list)) => plain_map(out, &list.values),
        _ => out.extend_from_slice(b"null"),
    }
}

/// Attributes as an object of plain values.
pub(crate) fn plain_map(out: &mut Vec<u8>, entries: &[KeyValue]) {
    let mut object = Object::new(out);
    for entry in entries {
        let value = entry.value.as_ref().and_then(|value| value.value.as_ref());
        plain(object.key(&entry.key), value);
    }
    object.end();
}

/// A value as a text, for APIs that know no other: a text as it is, all else as [`plain`] writes it.
pub(crate) fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BytesValue(bytes)) => BASE64.encode(bytes),
        Some(Value::DoubleValue(number)) if !number.is_finite() => word_of(*number).to_owned(),
        None => String::new(),
        value => {
            let mut out = Vec::new();
            plain(&mut out, value);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

/// A number; what JSON has no number for is a text, as protobuf's JSON has it.
pub(crate) fn double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        return out.extend_from_slice(serde_json::json!(number).to_string().as_bytes());
    }
    write::text(out, word_of(number));
}

fn word_of(number: f64) -> &'static str {
    match number {
        number if number.is_nan() => "NaN",
        number if number > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// An id in hexadecimal.
pub(crate) fn hex(id: &[u8]) -> String {
    let mut text = Vec::with_capacity(id.len() * 2);
    columns::ids_to_hex(id, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
