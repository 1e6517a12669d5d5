//! From a span of Zipkin to one of OTLP.
//!
//! 1. The service of the local endpoint, and tags whose keys belong to resources, are the resource.
//! 2. Tags that OpenTelemetry's exporters write become what they stand for: the scope, kind, status and
//!    trace state.
//! 3. Addresses become `net.host.…` and `net.peer.…`, the remote service `peer.service`; all other tags
//!    are attributes.
//! 4. Annotations are events.
//! 5. A span without a time begins with its first annotation, or else now.

use super::json::scalar;
use crate::decoding::{DecodeError, Decoding, Result};
use crate::json::{JsonKind, JsonReader, JsonText};
use crate::otlp::{AnyValue, Attribute};
use crate::span_parts::{SpanParts, SpanWriter, kind_of_name};
use crate::span_sink::{EventRef, SpanSink};
use std::borrow::Cow;

#[derive(Clone, Debug, Default)]
pub(super) struct Endpoint<'a> {
    pub(super) service_name: Cow<'a, str>,
    pub(super) ipv4: Cow<'a, str>,
    pub(super) ipv6: Cow<'a, str>,
    pub(super) port: u16,
}

/// What a span has beside its parts; its tags and annotations are the parts' attributes and events.
#[derive(Clone, Debug, Default)]
pub(super) struct Around<'a> {
    /// 0: unknown.
    pub(super) start_us: u64,
    pub(super) duration_us: u64,
    pub(super) local: Endpoint<'a>,
    pub(super) remote: Endpoint<'a>,
    /// When the first and the last annotation were.
    annotated_us: Option<(u64, u64)>,
}

impl Around<'_> {
    pub(super) fn annotated(&mut self, time_us: u64) {
        let (first, last) = self.annotated_us.unwrap_or((time_us, time_us));
        self.annotated_us = Some((first.min(time_us), last.max(time_us)));
    }
}

/// The span that is being read, and those before.
pub(super) struct Spans<'a, 'r, 's, S: ?Sized> {
    pub(super) decoding: Decoding<'r>,
    pub(super) parts: SpanParts<'a>,
    pub(super) around: Around<'a>,
    writer: SpanWriter<'s, S>,
    /// The resource that the sink was told last, and whether there was one.
    told: (Vec<Attribute<'a>>, bool),
    /// The memory of another resource.
    resource: Vec<Attribute<'a>>,
    now_ns: u64,
}

impl<'a, 'r, 's, S: SpanSink + ?Sized> Spans<'a, 'r, 's, S> {
    pub(super) fn new(decoding: Decoding<'r>, now_ns: u64, sink: &'s mut S) -> Self {
        Self {
            decoding,
            parts: SpanParts::default(),
            around: Around::default(),
            writer: SpanWriter::new(sink),
            told: (Vec::new(), false),
            resource: Vec::new(),
            now_ns,
        }
    }

    pub(super) fn begin(&mut self) {
        self.parts.clear();
        self.around = Around::default();
    }

    pub(super) fn tag(&mut self, key: Cow<'a, str>, value: AnyValue<'a>) -> Result<()> {
        self.decoding.append(&mut self.parts.attributes, Attribute { key, value })
    }

    pub(super) fn annotation(&mut self, time_us: u64, value: Cow<'a, str>) -> Result<()> {
        self.around.annotated(time_us);
        let time_ns = nanoseconds(time_us);
        let mut attributes = self.parts.list();
        let name = match named(&value, &mut attributes, &mut self.decoding)? {
            Some(name) => Cow::Owned(name),
            None => value,
        };
        let event = EventRef { time_ns, name, attributes, ..EventRef::default() };
        self.decoding.append(&mut self.parts.events, event)
    }

    /// Passes the span on that was read.
    pub(super) fn end(&mut self) -> Result<()> {
        self.resource()?;
        let Self { parts, around, writer, now_ns, .. } = self;
        writer.scope_of_tags(parts);
        if parts.parent_span_id == parts.span_id {
            parts.parent_span_id = Some([0; 8]);
        }
        if let Some(AnyValue::Text(state)) = parts.take_attribute("w3c.tracestate") {
            parts.trace_state = state;
        }
        kind(parts);
        status(parts);
        times(parts, around, *now_ns);
        addresses(parts, std::mem::take(around));
        let has_replaced = self.decoding.take_replaced();
        self.writer.span(&mut self.parts, has_replaced);
        Ok(())
    }

    pub(super) fn finish(self) -> crate::DecodedSpans {
        self.writer.decoded
    }

    /// Tells the sink of the span's resource, where it is another than that of the span before.
    fn resource(&mut self) -> Result<()> {
        let Self { decoding, parts, around, resource, .. } = self;
        let source = parts.take_attribute(SERVICE_NAME_SOURCE);
        resource.clear();
        let service = std::mem::take(&mut around.local.service_name);
        if !service.is_empty() {
            let key = match source {
                Some(AnyValue::Text(key)) => key,
                _ => Cow::Borrowed("service.name"),
            };
            let value = AnyValue::Text(service);
            decoding.append(resource, Attribute { key, value })?;
        }
        let moved = parts.attributes.extract_if(.., |tag| is_of_resources(&tag.key));
        for attribute in moved {
            decoding.append(resource, attribute)?;
        }
        let (told, is_told) = &mut self.told;
        if !*is_told || told != resource {
            self.writer.resource(resource, false);
            std::mem::swap(told, resource);
            *is_told = true;
        }
        Ok(())
    }
}

fn times(parts: &mut SpanParts<'_>, around: &Around<'_>, now_ns: u64) {
    let (start_ns, end_ns) = match (around.start_us, around.annotated_us) {
        (0, Some((first, last))) if first > 0 => (nanoseconds(first), nanoseconds(last)),
        (0, _) => {
            let key = Cow::Borrowed(START_ABSENT);
            parts.attributes.push(Attribute { key, value: AnyValue::Bool(true) });
            (now_ns, now_ns)
        }
        (start_us, _) => (nanoseconds(start_us), nanoseconds(start_us)),
    };
    parts.start_ns = start_ns;
    parts.end_ns = match around.duration_us {
        0 => end_ns,
        duration_us => start_ns.saturating_add(nanoseconds(duration_us)),
    };
}

/// OpenTelemetry's exporters write an event with attributes as JSON: `{"name": {"key": 5}}`. Answers its
/// name; `None` for any other text.
fn named(
    text: &str,
    attributes: &mut Vec<Attribute<'_>>,
    decoding: &mut Decoding<'_>,
) -> Result<Option<String>> {
    if !text.starts_with('{') {
        return Ok(None);
    }
    let mut reader = JsonReader::new(text.as_bytes());
    let mut name = None;
    let mut read = || -> Result<()> {
        reader.object(|reader, key| {
            if name.is_some() || reader.kind()? != JsonKind::Object {
                return Err(reader.error("the attributes of one event").into());
            }
            name = Some(decoding.json_text(key)?.into_owned());
            reader.object(|reader, key| {
                let attribute = event_attribute(reader, key, decoding)?;
                decoding.append(attributes, attribute)
            })
        })?;
        Ok(reader.end()?)
    };
    match read() {
        Ok(()) => Ok(name),
        Err(DecodeError::Json(_)) => {
            attributes.clear();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Lists are their JSON.
fn event_attribute(
    reader: &mut JsonReader<'_>,
    key: JsonText<'_>,
    decoding: &mut Decoding<'_>,
) -> Result<Attribute<'static>> {
    let key = decoding.json_text(key)?.into_owned();
    let value = match reader.kind()? {
        JsonKind::Array | JsonKind::Object => {
            AnyValue::Text(String::from_utf8_lossy(reader.skip()?).into_owned().into())
        }
        _ => match scalar(reader, decoding)? {
            AnyValue::Text(text) => AnyValue::Text(text.into_owned().into()),
            AnyValue::Bool(value) => AnyValue::Bool(value),
            AnyValue::Int(value) => AnyValue::Int(value),
            AnyValue::Double(value) => AnyValue::Double(value),
            _ => AnyValue::Empty,
        },
    };
    if let AnyValue::Text(text) = &value {
        decoding.take(text.len())?;
    }
    Ok(Attribute { key: key.into(), value })
}

/// The Collector's tag that names the attribute of the resource that was the service's name.
const SERVICE_NAME_SOURCE: &str = "otlp.service.name.source";
/// The Collector's attribute of a span that was sent without a time.
const START_ABSENT: &str = "otel.zipkin.absentField.startTime";

fn nanoseconds(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1_000)
}

/// Whether OpenTelemetry's conventions know a key as one of resources. What they know of spans as well
/// is not.
fn is_of_resources(key: &str) -> bool {
    const BEGINNINGS: [&str; 15] = [
        "service.",
        "telemetry.",
        "host.",
        "k8s.",
        "cloud.",
        "container.",
        "deployment.",
        "os.",
        "process.",
        "device.",
        "webengine.",
        "aws.ecs.",
        "aws.eks.",
        "aws.log.",
        "browser.",
    ];
    const NAMES: [&str; 6] = [
        "faas.name",
        "faas.id",
        "faas.version",
        "faas.instance",
        "faas.max_memory",
        "opencensus.exporterversion",
    ];
    BEGINNINGS.iter().any(|beginning| key.starts_with(beginning)) || NAMES.contains(&key)
}

fn kind(parts: &mut SpanParts<'_>) {
    let named = match parts.attribute("span.kind") {
        Some(AnyValue::Text(name)) if parts.kind == 0 => kind_of_name(name),
        _ => return,
    };
    if let Some(kind) = named {
        parts.kind = kind;
        parts.take_attribute("span.kind");
    }
}

/// The tag `error` is the last word: whatever its value but "false", the span failed, and a value that is
/// not "true" says why.
fn status(parts: &mut SpanParts<'_>) {
    const ERROR: u8 = 2;
    let code = match parts.attribute("otel.status_code").map(AnyValue::as_text).as_deref() {
        Some("OK" | "STATUS_CODE_OK") => Some(1),
        Some("ERROR" | "STATUS_CODE_ERROR") => Some(ERROR),
        Some("UNSET" | "STATUS_CODE_UNSET") => Some(0),
        _ => None,
    };
    if let Some(code) = code {
        parts.status = code;
        parts.take_attribute("otel.status_code");
        if let Some(AnyValue::Text(message)) = parts.take_attribute("otel.status_description") {
            parts.status_message = message;
        }
    }
    match parts.attribute("error") {
        None | Some(AnyValue::Bool(false)) => return,
        Some(AnyValue::Text(text)) if text == "false" => return,
        Some(_) => {}
    }
    parts.status = ERROR;
    if let Some(AnyValue::Text(text)) = parts.take_attribute("error")
        && text != "true"
        && parts.status_message.is_empty()
    {
        parts.status_message = text;
    }
}

fn addresses<'a>(parts: &mut SpanParts<'a>, around: Around<'a>) {
    let Around { local, remote, .. } = around;
    let ip = |endpoint: &Endpoint<'a>| match endpoint.ipv4.is_empty() {
        true => endpoint.ipv6.clone(),
        false => endpoint.ipv4.clone(),
    };
    add(parts, "net.host.ip", ip(&local));
    add_port(parts, "net.host.port", local.port);
    add(parts, "net.peer.ip", ip(&remote));
    add_port(parts, "net.peer.port", remote.port);
    add(parts, "peer.service", remote.service_name);
}

/// A tag of that name counts more.
fn add<'a>(parts: &mut SpanParts<'a>, key: &'static str, text: Cow<'a, str>) {
    if !text.is_empty() && parts.attribute(key).is_none() {
        parts.attributes.push(Attribute { key: key.into(), value: AnyValue::Text(text) });
    }
}

/// The endpoint's number counts more than a tag, which is a text.
fn add_port(parts: &mut SpanParts<'_>, key: &'static str, port: u16) {
    if port > 0 {
        let value = AnyValue::Int(port.into());
        parts.attributes.push(Attribute { key: key.into(), value });
    }
}

/// An id of at most `N` bytes in hex, without the zeros that it begins with.
pub(super) fn id<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (at, digit) in digits.iter().rev().enumerate() {
        let digit = char::from(*digit).to_digit(16)? as u8;
        id[N - 1 - at / 2] |= digit << (4 * (at % 2));
    }
    Some(id)
}
