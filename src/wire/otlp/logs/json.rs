//! OTLP's JSON of logs. serde fills the structs here, as it does for metrics.

use super::super::common::{AnyValue, Attribute};
use super::super::json::{
    AttributeShape, Hex, OtlpJsonError, ResourceShape, ScopeShape, ValueShape, Whole,
    check_objects, or_default, shape,
};
use super::lines::{Lines, OtlpLogOptions, Record};
use crate::log_sink::{DecodedLogs, LogSink};
use model::Room;
use serde::Deserialize;
use std::borrow::Cow;

shape!(RequestShape<'a> { resource_logs: Vec<ResourceLogsShape<'a>>, });
shape!(ResourceLogsShape<'a> {
    resource: ResourceShape<'a>,
    scope_logs: Vec<ScopeLogsShape<'a>>,
});
shape!(ScopeLogsShape<'a> { scope: ScopeShape<'a>, log_records: Vec<RecordShape<'a>>, });
shape!(RecordShape<'a> {
    time_unix_nano: Whole,
    observed_time_unix_nano: Whole,
    severity_number: i32,
    severity_text: Cow<'a, str>,
    body: ValueShape<'a>,
    attributes: Vec<AttributeShape<'a>>,
    dropped_attributes_count: u32,
    flags: u32,
    trace_id: Hex,
    span_id: Hex,
    event_name: Cow<'a, str>,
});

/// Passes every record of a request to `sink`. Asks `room` for the memory of what it builds, before it
/// takes it.
pub fn decode_otlp_logs_json(
    request: &[u8],
    options: &OtlpLogOptions<'_>,
    room: &mut dyn Room,
    sink: &mut (impl LogSink + ?Sized),
) -> Result<DecodedLogs, OtlpJsonError> {
    check_objects(request, room)?;
    let shape: RequestShape<'_> = serde_json::from_slice(request)?;
    let mut lines = Lines::new(options, sink);
    for ResourceLogsShape { resource, scope_logs } in shape.resource_logs {
        lines.begin_resource();
        each(resource.attributes, |attribute| lines.resource_attribute(attribute));
        lines.end_resource();
        for ScopeLogsShape { scope, log_records } in scope_logs {
            lines.begin_scope();
            each(scope.attributes, |attribute| lines.scope_attribute(attribute));
            lines.scope(&scope.name, &scope.version);
            log_records.into_iter().for_each(|shape| log_record(shape, &mut lines));
        }
    }
    Ok(lines.decoded)
}

fn each(shapes: Vec<AttributeShape<'_>>, mut take: impl FnMut(&Attribute<'_>)) {
    shapes.into_iter().for_each(|shape| take(&shape.into()));
}

fn log_record<S: LogSink + ?Sized>(shape: RecordShape<'_>, lines: &mut Lines<'_, '_, S>) {
    lines.begin_record();
    each(shape.attributes, |attribute| lines.record_attribute(attribute));
    lines.end_record(&Record {
        time_ns: shape.time_unix_nano.unsigned(),
        observed_ns: shape.observed_time_unix_nano.unsigned(),
        severity_number: shape.severity_number,
        severity_text: &shape.severity_text,
        body: AnyValue::from(shape.body),
        dropped_attributes: shape.dropped_attributes_count,
        flags: shape.flags,
        trace_id: &shape.trace_id.0,
        span_id: &shape.span_id.0,
        event_name: &shape.event_name,
    });
}
