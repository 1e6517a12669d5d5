//! Answers as messages of gRPC. What they say is what the answers of HTTP say.

use super::metrics::{TRACE_LABEL, instant_value, points};
use super::search::{Found, root_service, short_id};
use super::tags::{text_of, type_of};
use crate::grpc::push_items;
use crate::traces::json::hex;
use std::collections::BTreeSet;
use traceql::{Answer, FieldValue, SetFound, SpanFound, Statistics, TagNames, TagValues};
use wire::proto::opentelemetry::proto::common::v1::{
    AnyValue, ArrayValue, KeyValue, any_value::Value,
};
use wire::proto::tempopb as pb;

/// A count of messages, whose numbers are shorter than ours.
fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

fn value(of: &FieldValue) -> AnyValue {
    let value = match of {
        FieldValue::Int(number) => Value::IntValue(*number),
        FieldValue::Float(number) => Value::DoubleValue(*number),
        FieldValue::Bool(truth) => Value::BoolValue(*truth),
        FieldValue::List(values) => {
            Value::ArrayValue(ArrayValue { values: values.iter().map(value).collect() })
        }
        other => Value::StringValue(other.to_string()),
    };
    AnyValue { value: Some(value) }
}

fn labels(list: &[(String, FieldValue)]) -> Vec<KeyValue> {
    let label =
        |(key, of): &(String, FieldValue)| KeyValue { key: key.clone(), value: Some(value(of)) };
    list.iter().map(label).collect()
}

/// `is_last`: whether the message ends the answer.
fn statistics(of: &Statistics, traces: usize, is_last: bool) -> pb::SearchMetrics {
    pb::SearchMetrics {
        inspected_traces: count(traces),
        inspected_bytes: of.bytes,
        total_blocks: count(of.pieces),
        completed_jobs: u32::from(is_last),
        total_jobs: 1,
        total_block_bytes: of.bytes,
        inspected_spans: of.spans,
    }
}

fn span(of: &SpanFound) -> pb::Span {
    pb::Span {
        span_id: hex(&of.span_id),
        name: of.name.clone(),
        start_time_unix_nano: of.start_ns,
        duration_nanos: of.duration_ns,
        attributes: labels(&of.attributes),
    }
}

fn set(of: &SetFound) -> pb::SpanSet {
    let (matched, attributes) = (count(of.matched), labels(&of.attributes));
    pb::SpanSet { spans: of.spans.iter().map(span).collect(), matched, attributes }
}

fn trace(of: &traceql::TraceFound, has_sets: bool) -> pb::TraceSearchMetadata {
    let sets = if has_sets { &of.sets[..] } else { &[] };
    let stats = of.services.iter().map(|(service, spans)| {
        let (span_count, error_count) = (count(spans.spans), count(spans.errors));
        (service.clone(), pb::ServiceStats { span_count, error_count })
    });
    pb::TraceSearchMetadata {
        trace_id: short_id(of.trace_id),
        root_service_name: root_service(of).to_owned(),
        root_trace_name: of.root_name.clone().unwrap_or_default(),
        start_time_unix_nano: of.start_ns,
        duration_ms: count(of.duration_ns / 1_000_000),
        span_set: sets.first().map(set),
        span_sets: sets.iter().map(set).collect(),
        service_stats: stats.collect(),
    }
}

pub(super) fn search(out: &mut Vec<u8>, found: &Found) {
    let Found { answer, has_sets } = found;
    let traces = answer.value.iter().map(|found| trace(found, *has_sets));
    push_items(out, traces, |traces, is_last| {
        let metrics = Some(statistics(&answer.statistics, answer.value.len(), is_last));
        pb::SearchResponse { traces, metrics }
    });
}

fn metadata(of: &Statistics) -> Option<pb::MetadataMetrics> {
    Some(pb::MetadataMetrics { inspected_bytes: of.bytes })
}

pub(super) fn names(out: &mut Vec<u8>, found: &Answer<TagNames>) {
    let scope = |(scope, names): (&traceql::TagScope, &BTreeSet<String>)| pb::SearchTagsV2Scope {
        name: scope.as_str().to_owned(),
        tags: names.iter().cloned().collect(),
    };
    push_items(out, found.value.iter().map(scope), |scopes, _| pb::SearchTagsV2Response {
        scopes,
        metrics: metadata(&found.statistics),
    });
}

pub(super) fn names_v1(out: &mut Vec<u8>, found: &Answer<TagNames>) {
    let names: BTreeSet<&String> = found.value.values().flatten().collect();
    push_items(out, names.into_iter().cloned(), |tag_names, _| pb::SearchTagsResponse {
        tag_names,
        metrics: metadata(&found.statistics),
    });
}

pub(super) fn values(out: &mut Vec<u8>, found: &Answer<TagValues>) {
    let value =
        |of: &FieldValue| pb::TagValue { r#type: type_of(of).to_owned(), value: text_of(of) };
    push_items(out, found.value.iter().map(value), |tag_values, _| pb::SearchTagValuesV2Response {
        tag_values,
        metrics: metadata(&found.statistics),
    });
}

pub(super) fn values_v1(out: &mut Vec<u8>, found: &Answer<TagValues>) {
    let texts: BTreeSet<String> = found.value.iter().map(text_of).collect();
    push_items(out, texts, |tag_values, _| pb::SearchTagValuesResponse {
        tag_values,
        metrics: metadata(&found.statistics),
    });
}

fn exemplar(of: &traceql::Exemplar) -> pb::Exemplar {
    let id = FieldValue::Text(hex(&of.trace_id));
    let (key, value) = (TRACE_LABEL.to_owned(), Some(value(&id)));
    pb::Exemplar {
        labels: vec![KeyValue { key, value }],
        value: of.value,
        timestamp_ms: of.time_ns / 1_000_000,
    }
}

fn series(of: &traceql::Series) -> pb::TimeSeries {
    let sample = |(timestamp_ms, value)| pb::Sample { value, timestamp_ms };
    pb::TimeSeries {
        labels: labels(&of.labels),
        samples: points(of).map(sample).collect(),
        exemplars: of.exemplars.iter().map(exemplar).collect(),
    }
}

pub(super) fn range(out: &mut Vec<u8>, found: &Answer<Vec<traceql::Series>>) {
    push_items(out, found.value.iter().map(series), |series, is_last| pb::QueryRangeResponse {
        series,
        metrics: Some(statistics(&found.statistics, 0, is_last)),
    });
}

pub(super) fn instant(out: &mut Vec<u8>, found: &Answer<Vec<traceql::Series>>) {
    let series = found.value.iter().map(|series| pb::InstantSeries {
        labels: labels(&series.labels),
        value: instant_value(series),
    });
    push_items(out, series, |series, is_last| pb::QueryInstantResponse {
        series,
        metrics: Some(statistics(&found.statistics, 0, is_last)),
    });
}
