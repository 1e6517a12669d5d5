//! A trace as Jaeger writes it. What OTLP has fields for and Jaeger has none become the tags that the
//! OpenTelemetry Collector makes of them, which are read back where spans come in.

use crate::api::json as write;
use crate::traces::document::{SERVICE_NAME, UNKNOWN_SERVICE};
use crate::traces::json::{Object, double, hex, text_of};
use crate::traces::short_trace_id;
use wire::proto::opentelemetry::proto::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use wire::proto::opentelemetry::proto::resource::v1::Resource;
use wire::proto::opentelemetry::proto::trace::v1::{
    ResourceSpans, Span,
    span::{Event, Link},
};

/// By OTLP's numbers.
const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
const STATUSES: [&str; 3] = ["", "OK", "ERROR"];
const ERROR: i32 = 2;

const REFERENCE_TYPE: &str = "opentracing.ref_type";

pub(super) fn trace(out: &mut Vec<u8>, resources: &[ResourceSpans]) {
    let spans = resources.iter().zip(1..).flat_map(|(resource, number)| {
        let scopes = resource.scope_spans.iter();
        scopes.flat_map(move |scope| {
            scope.spans.iter().map(move |span| (number, scope.scope.as_ref(), span))
        })
    });
    let spans: Vec<(usize, Option<&InstrumentationScope>, &Span)> = spans.collect();
    let mut object = Object::new(out);
    let id = spans.first().map_or_else(String::new, |(.., span)| short_trace_id(&span.trace_id));
    write::text(object.key("traceID"), &id);
    write::list(object.key("spans"), spans, |out, (process, scope, one)| {
        span(out, process, scope, one);
    });
    let mut processes = Object::new(object.key("processes"));
    for (resource, number) in resources.iter().zip(1..) {
        process(processes.key(&process_id(number)), resource.resource.as_ref());
    }
    processes.end();
    object.key("warnings").extend_from_slice(b"null");
    object.end();
}

fn process_id(number: usize) -> String {
    format!("p{number}")
}

fn process(out: &mut Vec<u8>, resource: Option<&Resource>) {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let service = attributes.iter().find(|attribute| attribute.key == SERVICE_NAME);
    let service =
        service.map_or_else(|| UNKNOWN_SERVICE.to_owned(), |name| text_of(value_of(name)));
    let mut object = Object::new(out);
    write::text(object.key("serviceName"), &service);
    let others = attributes.iter().filter(|attribute| attribute.key != SERVICE_NAME);
    write::list(object.key("tags"), others, tag);
    object.end();
}

fn span(out: &mut Vec<u8>, process: usize, scope: Option<&InstrumentationScope>, span: &Span) {
    let mut object = Object::new(out);
    write::text(object.key("traceID"), &short_trace_id(&span.trace_id));
    write::text(object.key("spanID"), &hex(&span.span_id));
    write::text(object.key("operationName"), &span.name);
    references(object.key("references"), span);
    number(object.key("startTime"), span.start_time_unix_nano / 1_000);
    let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    number(object.key("duration"), duration / 1_000);
    let (made, attributes) = (made_tags(scope, span), span.attributes.iter());
    // What was sent as an attribute counts more than what is made of another field.
    let is_sent = |key: &str| span.attributes.iter().any(|attribute| attribute.key == key);
    let made = made.iter().filter(|tag| !is_sent(&tag.key));
    write::list(object.key("tags"), attributes.chain(made), tag);
    write::list(object.key("logs"), &span.events, log);
    write::text(object.key("processID"), &process_id(process));
    object.key("warnings").extend_from_slice(b"null");
    object.end();
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn references(out: &mut Vec<u8>, span: &Span) {
    let parent = (!span.parent_span_id.is_empty()).then_some((
        "CHILD_OF",
        &span.trace_id,
        &span.parent_span_id,
    ));
    let links = span.links.iter().map(|link| (kind_of(link), &link.trace_id, &link.span_id));
    write::list(out, parent.into_iter().chain(links), |out, (kind, trace_id, span_id)| {
        let mut object = Object::new(out);
        write::text(object.key("refType"), kind);
        write::text(object.key("traceID"), &short_trace_id(trace_id));
        write::text(object.key("spanID"), &hex(span_id));
        object.end();
    });
}

fn kind_of(link: &Link) -> &'static str {
    let kind = link.attributes.iter().find(|attribute| attribute.key == REFERENCE_TYPE);
    match kind.and_then(value_of) {
        Some(Value::StringValue(kind)) if kind == "child_of" => "CHILD_OF",
        _ => "FOLLOWS_FROM",
    }
}

fn made_tags(scope: Option<&InstrumentationScope>, span: &Span) -> Vec<KeyValue> {
    let mut tags = Vec::new();
    let mut add = |key: &str, value: Value| {
        tags.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) });
    };
    let code = |names: &'static [&str], code: i32| {
        usize::try_from(code).ok().and_then(|code| names.get(code)).copied().unwrap_or("")
    };
    let (name, version) = scope.map_or(("", ""), |scope| (&scope.name, &scope.version));
    let status = span.status.as_ref();
    let (status, message) = status.map_or((0, ""), |status| (status.code, &*status.message));
    for (key, text) in [
        ("otel.scope.name", name),
        ("otel.scope.version", version),
        ("span.kind", code(&KINDS, span.kind)),
        ("otel.status_code", code(&STATUSES, status)),
        ("otel.status_description", message),
        ("w3c.tracestate", &span.trace_state),
    ] {
        if !text.is_empty() {
            add(key, Value::StringValue(text.to_owned()));
        }
    }
    if status == ERROR {
        add("error", Value::BoolValue(true));
    }
    tags
}

fn log(out: &mut Vec<u8>, event: &Event) {
    let mut object = Object::new(out);
    number(object.key("timestamp"), event.time_unix_nano / 1_000);
    let value = Some(AnyValue { value: Some(Value::StringValue(event.name.clone())) });
    let name = KeyValue { key: "event".to_owned(), value };
    let name = (!event.name.is_empty()).then_some(&name);
    write::list(object.key("fields"), name.into_iter().chain(&event.attributes), tag);
    object.end();
}

fn value_of(attribute: &KeyValue) -> Option<&Value> {
    attribute.value.as_ref()?.value.as_ref()
}

/// Numbers beyond this are not exact in a browser: Jaeger writes them as texts.
const EXACT_MAX: u64 = (1 << 53) - 1;

fn tag(out: &mut Vec<u8>, attribute: &KeyValue) {
    let mut object = Object::new(out);
    write::text(object.key("key"), &attribute.key);
    let value = value_of(attribute);
    let kind = match value {
        Some(Value::BoolValue(_)) => "bool",
        Some(Value::IntValue(_)) => "int64",
        Some(Value::DoubleValue(_)) => "float64",
        Some(Value::BytesValue(_)) => "binary",
        // Lists and maps are their JSON.
        _ => "string",
    };
    write::text(object.key("type"), kind);
    let out = object.key("value");
    match value {
        Some(Value::BoolValue(truth)) => out.extend_from_slice(truth.to_string().as_bytes()),
        Some(Value::IntValue(number)) if number.unsigned_abs() <= EXACT_MAX => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Some(Value::DoubleValue(number)) => double(out, *number),
        value => write::text(out, &text_of(value)),
    }
    object.end();
}
