//! From a span of Jaeger to one of OTLP.
//!
//! 1. The process is the resource: its service is `service.name`, and its tags are attributes.
//! 2. Tags that OpenTelemetry's exporters and conventions write become what they stand for: the scope,
//!    kind, status and trace state. Without a status, an HTTP status can be one.
//! 3. Logs are events, named by their field `event`.
//! 4. The parent is the one that the span names, or else its first reference to the same trace, one to
//!    the span that it is a child of before others. All other references are links.

use crate::decoding::{Decoding, Result};
use crate::otlp::{AnyValue, Attribute};
use crate::span_parts::{SpanParts, SpanWriter, kind_of_name, take};
use crate::span_sink::{EventRef, LinkRef, SpanSink};
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// Else it follows from the other span.
    pub(super) is_child: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Process<'a> {
    pub(super) service_name: Cow<'a, str>,
    pub(super) tags: Vec<Attribute<'a>>,
}

/// The span that is being read, and those before.
pub(super) struct Spans<'a, 'r, 's, S: ?Sized> {
    pub(super) decoding: Decoding<'r>,
    pub(super) parts: SpanParts<'a>,
    pub(super) references: Vec<Reference>,
    writer: SpanWriter<'s, S>,
}

impl<'a, 'r, 's, S: SpanSink + ?Sized> Spans<'a, 'r, 's, S> {
    pub(super) fn new(decoding: Decoding<'r>, sink: &'s mut S) -> Self {
        let (parts, references, writer) = (SpanParts::default(), Vec::new(), SpanWriter::new(sink));
        Self { decoding, parts, references, writer }
    }

    /// Tells the sink of the process of the spans that follow.
    pub(super) fn process(&mut self, process: Process<'a>) {
        let Process { service_name, tags: mut attributes } = process;
        rename(&mut attributes, "hostname", "host.name");
        if let Some(AnyValue::Text(version)) = take(&mut attributes, "jaeger.version") {
            let key = Cow::Borrowed("opencensus.exporterversion");
            let value = AnyValue::Text(format!("Jaeger-{version}").into());
            attributes.push(Attribute { key, value });
        }
        if !service_name.is_empty() && service_name != NO_SERVICE {
            let key = Cow::Borrowed("service.name");
            attributes.push(Attribute { key, value: AnyValue::Text(service_name) });
        }
        let has_replaced = self.decoding.take_replaced();
        self.writer.resource(&mut attributes, has_replaced);
    }

    pub(super) fn begin(&mut self) {
        self.parts.clear();
        self.references.clear();
    }

    /// Passes the span on that was read.
    pub(super) fn end(&mut self) -> Result<()> {
        let Self { decoding, parts, references, writer } = self;
        writer.scope_of_tags(parts);
        if let Some(AnyValue::Text(state)) = parts.take_attribute("w3c.tracestate") {
            parts.trace_state = state;
        }
        if let Some(AnyValue::Text(name)) = parts.attribute("span.kind")
            && let Some(kind) = kind_of_name(name)
        {
            parts.kind = kind;
            parts.take_attribute("span.kind");
        }
        status(parts);
        parent(parts, references);
        links(parts, references, decoding)?;
        writer.span(parts, decoding.take_replaced());
        Ok(())
    }

    pub(super) fn finish(self) -> crate::DecodedSpans {
        self.writer.decoded
    }
}

/// What the Collector sends as the service of a resource without one.
const NO_SERVICE: &str = "OTLPResourceNoServiceName";

fn rename(attributes: &mut Vec<Attribute<'_>>, from: &str, to: &'static str) {
    if attributes.iter().any(|attribute| attribute.key == to) {
        return;
    }
    if let Some(value) = take(attributes, from) {
        attributes.push(Attribute { key: to.into(), value });
    }
}

/// An event from the fields of a log.
pub(super) fn event<'a>(time_ns: u64, mut attributes: Vec<Attribute<'a>>) -> EventRef<'a> {
    let is_named = attributes
        .iter()
        .any(|field| field.key == "event" && matches!(field.value, AnyValue::Text(_)));
    let name = match is_named.then(|| take(&mut attributes, "event")).flatten() {
        Some(AnyValue::Text(name)) => name,
        _ => Cow::Borrowed(""),
    };
    EventRef { time_ns, name, attributes, ..EventRef::default() }
}

fn parent(parts: &mut SpanParts<'_>, references: &[Reference]) {
    if parts.parent_span_id != Some([0; 8]) {
        return;
    }
    let same_trace = || references.iter().filter(|one| Some(one.trace_id) == parts.trace_id);
    let parent = same_trace().find(|one| one.is_child).or_else(|| same_trace().next());
    parts.parent_span_id = Some(parent.map_or([0; 8], |parent| parent.span_id));
}

fn links(
    parts: &mut SpanParts<'_>,
    references: &[Reference],
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    for reference in references {
        if reference.is_child && Some(reference.span_id) == parts.parent_span_id {
            continue;
        }
        let mut attributes = parts.list();
        let kind = if reference.is_child { "child_of" } else { "follows_from" };
        let key = Cow::Borrowed("opentracing.ref_type");
        decoding.append(&mut attributes, Attribute { key, value: AnyValue::Text(kind.into()) })?;
        let Reference { trace_id, span_id, .. } = *reference;
        let link = LinkRef { trace_id, span_id, attributes, ..LinkRef::default() };
        decoding.append(&mut parts.links, link)?;
    }
    Ok(())
}

const OK: u8 = 1;
const ERROR: u8 = 2;

/// The tag `error` is the last word; then comes OpenTelemetry's status, then that of HTTP.
fn status(parts: &mut SpanParts<'_>) {
    let has_failed = match parts.attribute("error") {
        Some(AnyValue::Bool(has_failed)) => *has_failed,
        // Clients that know no typed tags.
        Some(AnyValue::Text(text)) => text == "true",
        _ => false,
    };
    let code = parts.attribute("otel.status_code").map(|code| match &*code.as_text() {
        "OK" | "Ok" | "ok" => OK,
        "ERROR" | "Error" | "error" => ERROR,
        _ => 0,
    });
    if !has_failed && code.is_none() {
        return http_status(parts);
    }
    parts.status = code.unwrap_or(0);
    parts.take_attribute("otel.status_code");
    if has_failed {
        parts.status = ERROR;
        parts.take_attribute("error");
    }
    match parts.take_attribute("otel.status_description") {
        Some(AnyValue::Text(message)) => parts.status_message = message,
        _ if has_failed => parts.status_message = http_message(parts),
        _ => {}
    }
}

fn http_message<'a>(parts: &SpanParts<'a>) -> Cow<'a, str> {
    match parts.attribute("http.status_message") {
        Some(AnyValue::Text(message)) => message.clone(),
        _ => Cow::Borrowed(""),
    }
}

/// What a client did wrong is no error of the server's.
fn http_status(parts: &mut SpanParts<'_>) {
    const SERVER: u8 = 2;
    let code = match parts.attribute("http.status_code") {
        Some(AnyValue::Int(code)) => Some(*code),
        Some(AnyValue::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let has_failed = match code {
        None | Some(100..400) => false,
        Some(400..500) => parts.kind != SERVER,
        Some(_) => true,
    };
    if has_failed {
        parts.status = ERROR;
        parts.status_message = http_message(parts);
    }
}
