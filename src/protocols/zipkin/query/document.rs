//! A trace as Zipkin writes it: a list of spans. What OTLP has fields for and Zipkin has none become the
//! tags and endpoints that are read back where spans come in.

use crate::api::json as write;
use crate::traces::document::{SERVICE_NAME, UNKNOWN_SERVICE};
use crate::traces::json::{Object, hex, plain_map, text_of};
use crate::traces::short_trace_id;
use std::collections::BTreeMap;
use wire::proto::opentelemetry::proto::common::v1::{
    InstrumentationScope, KeyValue, any_value::Value,
};
use wire::proto::opentelemetry::proto::trace::v1::{ResourceSpans, Span, span::Event};

/// By OTLP's numbers; those that Zipkin has no word for are empty.
const KINDS: [&str; 6] = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const INTERNAL: i32 = 1;
const OK: i32 = 1;
const ERROR: i32 = 2;

pub(super) fn trace(out: &mut Vec<u8>, resources: &[ResourceSpans]) {
    let spans = resources.iter().flat_map(|resource| {
        let attributes = resource.resource.as_ref().map_or(&[][..], |of| &of.attributes);
        let scopes = resource.scope_spans.iter();
        scopes.flat_map(move |scope| {
            scope.spans.iter().map(move |span| (attributes, scope.scope.as_ref(), span))
        })
    });
    write::list(out, spans, |out, (resource, scope, one)| span(out, resource, scope, one));
}

type Tags = BTreeMap<String, String>;

fn value_of(attribute: &KeyValue) -> Option<&Value> {
    attribute.value.as_ref()?.value.as_ref()
}

fn span(
    out: &mut Vec<u8>,
    resource: &[KeyValue],
    scope: Option<&InstrumentationScope>,
    span: &Span,
) {
    let mut tags = tags(resource, scope, span);
    let service = tags.remove(SERVICE_NAME).unwrap_or_else(|| UNKNOWN_SERVICE.to_owned());
    let mut object = Object::new(out);
    write::text(object.key("traceId"), &short_trace_id(&span.trace_id));
    object.text("parentId", &hex(&span.parent_span_id));
    write::text(object.key("id"), &hex(&span.span_id));
    let kind = usize::try_from(span.kind).ok().and_then(|kind| KINDS.get(kind));
    object.text("kind", kind.copied().unwrap_or(""));
    object.text("name", &span.name);
    let start = span.start_time_unix_nano;
    number(object.key("timestamp"), start / 1_000);
    let duration = span.end_time_unix_nano.saturating_sub(start);
    if duration > 0 {
        // Zipkin takes 0 for a span that has not ended.
        number(object.key("duration"), (duration / 1_000).max(1));
    }
    endpoint(&mut object, "localEndpoint", service, ["net.host.ip", "net.host.port"], &mut tags);
    let remote = tags.remove("peer.service").unwrap_or_default();
    endpoint(&mut object, "remoteEndpoint", remote, ["net.peer.ip", "net.peer.port"], &mut tags);
    object.list("annotations", &span.events, annotation);
    if !tags.is_empty() {
        let mut list = Object::new(object.key("tags"));
        tags.iter().for_each(|(key, value)| write::text(list.key(key), value));
        list.end();
    }
    object.end();
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The tags of a span: those of its resource, its own, and what is made of other fields. An attribute of
/// the span counts more than one of its resource.
fn tags(resource: &[KeyValue], scope: Option<&InstrumentationScope>, span: &Span) -> Tags {
    let text = |attribute: &KeyValue| (attribute.key.clone(), text_of(value_of(attribute)));
    let mut tags: Tags = resource.iter().map(text).collect();
    let service = tags.get(SERVICE_NAME).cloned();
    tags.extend(span.attributes.iter().map(text));
    // The service is the resource's, whatever a span says.
    match service {
        Some(service) => tags.insert(SERVICE_NAME.to_owned(), service),
        None => tags.remove(SERVICE_NAME),
    };
    let status = span.status.as_ref();
    let (status, message) = status.map_or((0, ""), |status| (status.code, &*status.message));
    let (name, version) = scope.map_or(("", ""), |scope| (&scope.name, &scope.version));
    for (key, text) in [
        ("otel.scope.name", name),
        ("otel.scope.version", version),
        ("w3c.tracestate", &span.trace_state),
        ("span.kind", if span.kind == INTERNAL { "internal" } else { "" }),
        ("otel.status_code", if status == OK { "OK" } else { "" }),
        (
            "error",
            if status != ERROR {
                ""
            } else if message.is_empty() {
                "true"
            } else {
                message
            },
        ),
    ] {
        if !text.is_empty() {
            tags.entry(key.to_owned()).or_insert_with(|| text.to_owned());
        }
    }
    tags
}

/// Takes the address of an endpoint out of the tags; what is no address stays.
fn endpoint(
    object: &mut Object<'_>,
    name: &str,
    service: String,
    [ip, port]: [&str; 2],
    tags: &mut Tags,
) {
    let address = tags.get(ip).and_then(|text| text.parse::<std::net::IpAddr>().ok());
    let number = tags.get(port).and_then(|text| text.parse::<u16>().ok()).filter(|port| *port > 0);
    if service.is_empty() && address.is_none() && number.is_none() {
        return;
    }
    let mut endpoint = Object::new(object.key(name));
    endpoint.text("serviceName", &service);
    if let Some(address) = address {
        let key = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        endpoint.text(key, &address.to_string());
        tags.remove(ip);
    }
    if let Some(number) = number {
        endpoint.count("port", number.into());
        tags.remove(port);
    }
    endpoint.end();
}

/// An event with attributes is the JSON that OpenTelemetry's exporters make of it: `{"name": {"key": 5}}`.
fn annotation(out: &mut Vec<u8>, event: &Event) {
    let mut object = Object::new(out);
    number(object.key("timestamp"), event.time_unix_nano / 1_000);
    let value = object.key("value");
    if event.attributes.is_empty() {
        write::text(value, &event.name);
    } else {
        let mut text = Vec::new();
        let mut named = Object::new(&mut text);
        plain_map(named.key(&event.name), &event.attributes);
        named.end();
        write::text(value, &String::from_utf8_lossy(&text));
    }
    object.end();
}
