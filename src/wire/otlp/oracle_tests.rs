//! The hand-written decoder of metrics against the generated types of `crate::proto`: random
//! requests that prost encodes are read into the same values that prost itself reads.

use super::decode_otlp_metrics;
use super::{
    AnyValue, Attribute, ExponentialBuckets, ExponentialPoint, HistogramPoint, MetricData,
};
use super::{MetricsRequest, NumberPoint, NumberValue, OtlpExemplar, OtlpMetric, QuantileValue};
use super::{Resource, ResourceMetrics, Scope, ScopeMetrics, SummaryPoint, Temporality};
use crate::proto::opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
use crate::proto::opentelemetry::proto::common::v1::{self as common, any_value::Value};
use crate::proto::opentelemetry::proto::metrics::v1 as proto;
use crate::proto::opentelemetry::proto::resource::v1 as resource;
use model::Unbounded;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use proto::exponential_histogram_data_point::Buckets;
use proto::metric::Data;
use proto::summary_data_point::ValueAtQuantile;
use proto::{exemplar, number_data_point};

fn value() -> impl Strategy<Value = common::AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,5}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| Some(Value::IntValue(value))),
        any::<f64>().prop_map(|value| Some(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..5).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| common::AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = |values| Value::ArrayValue(common::ArrayValue { values });
        let map = |values| Value::KvlistValue(common::KeyValueList { values });
        let entry = ("[a-z]{0,3}", option::of(inner.clone()))
            .prop_map(|(key, value)| common::KeyValue { key, value });
        prop_oneof![vec(inner, 0..3).prop_map(list), vec(entry, 0..3).prop_map(map)]
            .prop_map(|value| common::AnyValue { value: Some(value) })
    })
}

prop_compose! {
    pub(super) fn attributes()(
        entries in vec(("[a-z.]{0,5}", option::of(value())), 0..3)
    ) -> Vec<common::KeyValue> {
        entries.into_iter().map(|(key, value)| common::KeyValue { key, value }).collect()
    }
}

prop_compose! {
    fn exemplars()(
        all in vec((any::<u64>(), number(), vec(any::<u8>(), 0..8), attributes()), 0..2)
    ) -> Vec<proto::Exemplar> {
        let exemplar = |(time_unix_nano, number, id, filtered_attributes): (_, _, Vec<u8>, _)| {
            let value = match number {
                Some(Number::Double(value)) => Some(exemplar::Value::AsDouble(value)),
                Some(Number::Int(value)) => Some(exemplar::Value::AsInt(value)),
                None => None,
            };
            let (span_id, trace_id) = (id.clone(), id.repeat(2));
            proto::Exemplar { time_unix_nano, value, span_id, trace_id, filtered_attributes }
        };
        all.into_iter().map(exemplar).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Double(f64),
}

fn number() -> impl Strategy<Value = Option<Number>> {
    option::of(prop_oneof![
        any::<i64>().prop_map(Number::Int),
        any::<f64>().prop_map(Number::Double)
    ])
}

prop_compose! {
    fn number_point()(
        (start_time_unix_nano, time_unix_nano, flags) in any::<(u64, u64, u32)>(),
        number in number(), exemplars in exemplars(), attributes in attributes(),
    ) -> proto::NumberDataPoint {
        let value = match number {
            Some(Number::Double(value)) => Some(number_data_point::Value::AsDouble(value)),
            Some(Number::Int(value)) => Some(number_data_point::Value::AsInt(value)),
            None => None,
        };
        proto::NumberDataPoint {
            start_time_unix_nano, time_unix_nano, value, exemplars, attributes, flags,
        }
    }
}

prop_compose! {
    fn histogram_point()(
        (start_time_unix_nano, time_unix_nano, count, flags) in any::<(u64, u64, u64, u32)>(),
        sum: Option<f64>,
        bucket_counts in vec(any::<u64>(), 0..5),
        explicit_bounds in vec(any::<f64>(), 0..5),
        exemplars in exemplars(),
        attributes in attributes(),
    ) -> proto::HistogramDataPoint {
        proto::HistogramDataPoint {
            start_time_unix_nano, time_unix_nano, count, sum, bucket_counts, explicit_bounds,
            exemplars, attributes, flags,
        }
    }
}

fn buckets() -> impl Strategy<Value = Option<Buckets>> {
    let buckets = (any::<i32>(), vec(any::<u64>(), 0..5));
    option::of(buckets.prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
}

prop_compose! {
    fn exponential_point()(
        (start_time_unix_nano, time_unix_nano, count, flags) in any::<(u64, u64, u64, u32)>(),
        (sum, scale, zero_count, zero_threshold) in any::<(Option<f64>, i32, u64, f64)>(),
        (positive, negative) in (buckets(), buckets()),
        exemplars in exemplars(),
        attributes in attributes(),
    ) -> proto::ExponentialHistogramDataPoint {
        proto::ExponentialHistogramDataPoint {
            start_time_unix_nano, time_unix_nano, count, flags, sum, scale, zero_count,
            zero_threshold, positive, negative, exemplars, attributes,
        }
    }
}

prop_compose! {
    fn summary_point()(
        (start_time_unix_nano, time_unix_nano, count, sum, flags) in any::<(u64, u64, u64, f64, u32)>(),
        quantiles in vec(any::<(f64, f64)>(), 0..3),
        attributes in attributes(),
    ) -> proto::SummaryDataPoint {
        let quantile = |(quantile, value)| ValueAtQuantile { quantile, value };
        let quantile_values = quantiles.into_iter().map(quantile).collect();
        proto::SummaryDataPoint {
            start_time_unix_nano, time_unix_nano, count, sum, quantile_values, attributes, flags,
        }
    }
}

fn data() -> impl Strategy<Value = Option<Data>> {
    let gauge =
        vec(number_point(), 0..3).prop_map(|data_points| Data::Gauge(proto::Gauge { data_points }));
    let sum = (vec(number_point(), 0..3), -1i32..4, any::<bool>()).prop_map(
        |(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(proto::Sum { data_points, aggregation_temporality, is_monotonic })
        },
    );
    let histogram = (vec(histogram_point(), 0..3), 0i32..3).prop_map(
        |(data_points, aggregation_temporality)| {
            Data::Histogram(proto::Histogram { data_points, aggregation_temporality })
        },
    );
    let exponential = (vec(exponential_point(), 0..3), 0i32..3).prop_map(
        |(data_points, aggregation_temporality)| {
            let histogram = proto::ExponentialHistogram { data_points, aggregation_temporality };
            Data::ExponentialHistogram(histogram)
        },
    );
    let summary = vec(summary_point(), 0..3)
        .prop_map(|data_points| Data::Summary(proto::Summary { data_points }));
    option::of(prop_oneof![gauge, sum, histogram, exponential, summary])
}

prop_compose! {
    fn metric()(
        (name, description, unit) in ("[a-z]{0,4}", ".{0,4}", "[a-z]{0,2}"), data in data()
    ) -> proto::Metric {
        proto::Metric { name, description, unit, data }
    }
}

prop_compose! {
    fn scope_metrics()(
        scope in option::of(("[a-z]{0,4}", "[0-9]{0,2}", attributes())),
        metrics in vec(metric(), 0..3),
        schema_url in "[a-z]{0,3}",
    ) -> proto::ScopeMetrics {
        let scope = scope.map(|(name, version, attributes)| {
            common::InstrumentationScope { name, version, attributes }
        });
        proto::ScopeMetrics { scope, metrics, schema_url }
    }
}

prop_compose! {
    fn request()(
        all in vec(
            (option::of(attributes()), vec(scope_metrics(), 0..3), "[a-z]{0,3}"), 0..3
        )
    ) -> ExportMetricsServiceRequest {
        let resource_metrics = |(attributes, scope_metrics, schema_url): (Option<_>, _, _)| {
            let resource = attributes.map(|attributes| resource::Resource { attributes });
            proto::ResourceMetrics { resource, scope_metrics, schema_url }
        };
        let resource_metrics = all.into_iter().map(resource_metrics).collect();
        ExportMetricsServiceRequest { resource_metrics }
    }
}

fn expected_value(value: Option<&common::AnyValue>) -> AnyValue<'_> {
    match value.and_then(|value| value.value.as_ref()) {
        None => AnyValue::Empty,
        Some(Value::StringValue(text)) => AnyValue::Text(text.into()),
        Some(Value::BoolValue(value)) => AnyValue::Bool(*value),
        Some(Value::IntValue(value)) => AnyValue::Int(*value),
        Some(Value::DoubleValue(value)) => AnyValue::Double(*value),
        Some(Value::BytesValue(bytes)) => AnyValue::Bytes(bytes.into()),
        Some(Value::ArrayValue(list)) => {
            AnyValue::Array(list.values.iter().map(|value| expected_value(Some(value))).collect())
        }
        Some(Value::KvlistValue(map)) => AnyValue::Map(expected_attributes(&map.values)),
    }
}

pub(super) fn expected_attributes(attributes: &[common::KeyValue]) -> Vec<Attribute<'_>> {
    let attributes = attributes.iter().map(|entry| Attribute {
        key: (&entry.key).into(),
        value: expected_value(entry.value.as_ref()),
    });
    attributes.collect()
}

fn expected_exemplars(exemplars: &[proto::Exemplar]) -> Vec<OtlpExemplar<'_>> {
    let value = |exemplar: &proto::Exemplar| match exemplar.value {
        None => NumberValue::None,
        Some(exemplar::Value::AsDouble(value)) => NumberValue::Double(value),
        Some(exemplar::Value::AsInt(value)) => NumberValue::Int(value),
    };
    let exemplars = exemplars.iter().map(|exemplar| OtlpExemplar {
        filtered_attributes: expected_attributes(&exemplar.filtered_attributes),
        time_ns: exemplar.time_unix_nano,
        value: value(exemplar),
        span_id: (&exemplar.span_id).into(),
        trace_id: (&exemplar.trace_id).into(),
    });
    exemplars.collect()
}

fn expected_numbers(points: &[proto::NumberDataPoint]) -> Vec<NumberPoint<'_>> {
    let value = |point: &proto::NumberDataPoint| match point.value {
        None => NumberValue::None,
        Some(number_data_point::Value::AsDouble(value)) => NumberValue::Double(value),
        Some(number_data_point::Value::AsInt(value)) => NumberValue::Int(value),
    };
    let points = points.iter().map(|point| NumberPoint {
        attributes: expected_attributes(&point.attributes),
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        value: value(point),
        exemplars: expected_exemplars(&point.exemplars),
        flags: point.flags,
    });
    points.collect()
}

fn expected_histogram(point: &proto::HistogramDataPoint) -> HistogramPoint<'_> {
    HistogramPoint {
        attributes: expected_attributes(&point.attributes),
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts.clone(),
        explicit_bounds: point.explicit_bounds.clone(),
        exemplars: expected_exemplars(&point.exemplars),
        flags: point.flags,
    }
}

fn expected_buckets(buckets: Option<&Buckets>) -> ExponentialBuckets {
    buckets.map_or_else(ExponentialBuckets::default, |buckets| ExponentialBuckets {
        offset: buckets.offset,
        counts: buckets.bucket_counts.clone(),
    })
}

fn expected_exponential(point: &proto::ExponentialHistogramDataPoint) -> ExponentialPoint<'_> {
    ExponentialPoint {
        attributes: expected_attributes(&point.attributes),
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: expected_buckets(point.positive.as_ref()),
        negative: expected_buckets(point.negative.as_ref()),
        exemplars: expected_exemplars(&point.exemplars),
        flags: point.flags,
    }
}

fn expected_summary(point: &proto::SummaryDataPoint) -> SummaryPoint<'_> {
    let quantile =
        |pair: &ValueAtQuantile| QuantileValue { quantile: pair.quantile, value: pair.value };
    SummaryPoint {
        attributes: expected_attributes(&point.attributes),
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        quantiles: point.quantile_values.iter().map(quantile).collect(),
        flags: point.flags,
    }
}

fn expected_data(data: Option<&Data>) -> MetricData<'_> {
    let temporality = |number: i32| Temporality::from_number(number.into());
    match data {
        None => MetricData::None,
        Some(Data::Gauge(gauge)) => MetricData::Gauge(expected_numbers(&gauge.data_points)),
        Some(Data::Sum(sum)) => MetricData::Sum {
            points: expected_numbers(&sum.data_points),
            temporality: temporality(sum.aggregation_temporality),
            is_monotonic: sum.is_monotonic,
        },
        Some(Data::Histogram(histogram)) => MetricData::Histogram {
            points: histogram.data_points.iter().map(expected_histogram).collect(),
            temporality: temporality(histogram.aggregation_temporality),
        },
        Some(Data::ExponentialHistogram(histogram)) => MetricData::Exponential {
            points: histogram.data_points.iter().map(expected_exponential).collect(),
            temporality: temporality(histogram.aggregation_temporality),
        },
        Some(Data::Summary(summary)) => {
            MetricData::Summary(summary.data_points.iter().map(expected_summary).collect())
        }
    }
}

fn expected_scope_metrics(scope_metrics: &proto::ScopeMetrics) -> ScopeMetrics<'_> {
    let scope = scope_metrics.scope.as_ref().map_or_else(Scope::default, |scope| Scope {
        name: (&scope.name).into(),
        version: (&scope.version).into(),
        attributes: expected_attributes(&scope.attributes),
    });
    let metrics = scope_metrics.metrics.iter().map(|metric| OtlpMetric {
        name: (&metric.name).into(),
        description: (&metric.description).into(),
        unit: (&metric.unit).into(),
        data: expected_data(metric.data.as_ref()),
    });
    let schema_url = (&scope_metrics.schema_url).into();
    ScopeMetrics { scope, metrics: metrics.collect(), schema_url }
}

fn expected(request: &ExportMetricsServiceRequest) -> MetricsRequest<'_> {
    let resource_metrics = request.resource_metrics.iter().map(|metrics| ResourceMetrics {
        resource: metrics.resource.as_ref().map_or_else(Resource::default, |resource| Resource {
            attributes: expected_attributes(&resource.attributes),
        }),
        scope_metrics: metrics.scope_metrics.iter().map(expected_scope_metrics).collect(),
        schema_url: (&metrics.schema_url).into(),
    });
    MetricsRequest { resource_metrics: resource_metrics.collect() }
}

proptest! {
    #[test]
    fn metrics_are_read_as_prost_reads_them(request in request()) {
        let bytes = request.encode_to_vec();
        let by_prost = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
        prop_assert_eq!(decode_otlp_metrics(&bytes, &mut Unbounded).unwrap(), expected(&by_prost));
    }
}
