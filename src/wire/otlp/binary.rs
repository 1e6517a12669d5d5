//! OTLP's protobuf, read field by field.

use super::common::{AnyValue, Attribute, Resource, Scope};
use super::metrics::*;
use crate::decoding::{Decoding, Result, each_field, packed_length, set};
use crate::protobuf::{Field, ProtobufError, Reader};
use model::Room;
use std::borrow::Cow;

/// How deep lists and maps may nest.
const DEPTH_MAX: usize = 64;

/// Asks `room` for the memory of what it builds, before it takes it.
pub fn decode_otlp_metrics<'a>(
    request: &'a [u8],
    room: &mut dyn Room,
) -> Result<MetricsRequest<'a>> {
    let mut decoding = Decoding::strict(request.len(), room);
    let mut out = MetricsRequest::default();
    each_field(Reader::new(request), |field| match field.number {
        1 => decoding.push(&mut out.resource_metrics, field, resource_metrics),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn text<'a>(field: Field<'a>) -> Result<Cow<'a, str>> {
    Ok(Cow::Borrowed(field.text()?))
}

fn resource_metrics<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<ResourceMetrics<'a>> {
    let mut out = ResourceMetrics::default();
    each_field(reader, |field| match field.number {
        1 => resource(field.message()?, &mut out.resource, decoding),
        2 => decoding.push(&mut out.scope_metrics, field, scope_metrics),
        3 => set(&mut out.schema_url, text(field)),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn resource<'a>(
    reader: Reader<'a>,
    out: &mut Resource<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_field(reader, |field| match field.number {
        1 => decoding.push(&mut out.attributes, field, attribute),
        _ => Ok(()),
    })
}

fn scope_metrics<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<ScopeMetrics<'a>> {
    let mut out = ScopeMetrics::default();
    each_field(reader, |field| match field.number {
        1 => scope(field.message()?, &mut out.scope, decoding),
        2 => decoding.push(&mut out.metrics, field, metric),
        3 => set(&mut out.schema_url, text(field)),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn scope<'a>(reader: Reader<'a>, out: &mut Scope<'a>, decoding: &mut Decoding<'_>) -> Result<()> {
    each_field(reader, |field| match field.number {
        1 => set(&mut out.name, text(field)),
        2 => set(&mut out.version, text(field)),
        3 => decoding.push(&mut out.attributes, field, attribute),
        _ => Ok(()),
    })
}

pub(super) fn attribute<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<Attribute<'a>> {
    attribute_at(reader, decoding, 0)
}

fn attribute_at<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
    depth: usize,
) -> Result<Attribute<'a>> {
    let mut out = Attribute::default();
    each_field(reader, |field| match field.number {
        1 => set(&mut out.key, decoding.text(field)),
        2 => set(&mut out.value, any_value(field.message()?, decoding, depth)),
        _ => Ok(()),
    })?;
    Ok(out)
}

pub(super) fn any_value<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
    depth: usize,
) -> Result<AnyValue<'a>> {
    if depth >= DEPTH_MAX {
        return Err(ProtobufError::Depth.into());
    }
    let mut out = AnyValue::Empty;
    each_field(reader, |field| {
        out = match field.number {
            1 => AnyValue::Text(decoding.text(field)?),
            2 => AnyValue::Bool(field.boolean()?),
            3 => AnyValue::Int(field.signed()?),
            4 => AnyValue::Double(field.double()?),
            5 => AnyValue::Array(array(field, decoding, depth)?),
            6 => AnyValue::Map(map(field, decoding, depth)?),
            7 => AnyValue::Bytes(Cow::Borrowed(field.bytes()?)),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(out)
}

fn array<'a>(
    field: Field<'a>,
    decoding: &mut Decoding<'_>,
    depth: usize,
) -> Result<Vec<AnyValue<'a>>> {
    let mut values = Vec::new();
    each_field(field.message()?, |field| match field.number {
        1 => decoding
            .push(&mut values, field, |reader, decoding| any_value(reader, decoding, depth + 1)),
        _ => Ok(()),
    })?;
    Ok(values)
}

fn map<'a>(
    field: Field<'a>,
    decoding: &mut Decoding<'_>,
    depth: usize,
) -> Result<Vec<Attribute<'a>>> {
    let mut entries = Vec::new();
    each_field(field.message()?, |field| match field.number {
        1 => decoding.push(&mut entries, field, |reader, decoding| {
            attribute_at(reader, decoding, depth + 1)
        }),
        _ => Ok(()),
    })?;
    Ok(entries)
}

fn metric<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<OtlpMetric<'a>> {
    let mut out = OtlpMetric::default();
    each_field(reader, |field| match field.number {
        1 => set(&mut out.name, text(field)),
        2 => set(&mut out.description, text(field)),
        3 => set(&mut out.unit, text(field)),
        5 | 7 | 9 | 10 | 11 => set(&mut out.data, data(field, decoding)),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn data<'a>(field: Field<'a>, decoding: &mut Decoding<'_>) -> Result<MetricData<'a>> {
    Ok(match field.number {
        5 => MetricData::Gauge(points(field, decoding, number_point)?.points),
        7 => {
            let Points { points, temporality, is_monotonic } =
                points(field, decoding, number_point)?;
            MetricData::Sum { points, temporality, is_monotonic }
        }
        9 => {
            let Points { points, temporality, .. } = points(field, decoding, histogram_point)?;
            MetricData::Histogram { points, temporality }
        }
        10 => {
            let Points { points, temporality, .. } = points(field, decoding, exponential_point)?;
            MetricData::Exponential { points, temporality }
        }
        _ => MetricData::Summary(points(field, decoding, summary_point)?.points),
    })
}

/// All kinds of data number their fields alike.
struct Points<T> {
    points: Vec<T>,
    temporality: Temporality,
    is_monotonic: bool,
}

fn points<'a, T>(
    field: Field<'a>,
    decoding: &mut Decoding<'_>,
    read: impl Fn(Reader<'a>, &mut Decoding<'_>) -> Result<T>,
) -> Result<Points<T>> {
    let mut out =
        Points { points: Vec::new(), temporality: Temporality::default(), is_monotonic: false };
    each_field(field.message()?, |field| match field.number {
        1 => decoding.push(&mut out.points, field, &read),
        2 => set(&mut out.temporality, field.signed().map(Temporality::from_number)),
        3 => set(&mut out.is_monotonic, field.boolean()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn number_point<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<NumberPoint<'a>> {
    let mut out = NumberPoint::default();
    each_field(reader, |field| match field.number {
        2 => set(&mut out.start_ns, field.fixed64()),
        3 => set(&mut out.time_ns, field.fixed64()),
        4 => set(&mut out.value, field.double().map(NumberValue::Double)),
        5 => decoding.push(&mut out.exemplars, field, exemplar),
        6 => set(&mut out.value, field.fixed64().map(|bits| NumberValue::Int(bits as i64))),
        7 => decoding.push(&mut out.attributes, field, attribute),
        8 => set(&mut out.flags, field.uint32()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn histogram_point<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<HistogramPoint<'a>> {
    let mut out = HistogramPoint::default();
    each_field(reader, |field| match field.number {
        2 => set(&mut out.start_ns, field.fixed64()),
        3 => set(&mut out.time_ns, field.fixed64()),
        4 => set(&mut out.count, field.fixed64()),
        5 => set(&mut out.sum, field.double().map(Some)),
        6 => {
            decoding.take(packed_length(field))?;
            Ok(field.each_fixed64(|count| out.bucket_counts.push(count))?)
        }
        7 => {
            decoding.take(packed_length(field))?;
            Ok(field.each_fixed64(|bits| out.explicit_bounds.push(f64::from_bits(bits)))?)
        }
        8 => decoding.push(&mut out.exemplars, field, exemplar),
        9 => decoding.push(&mut out.attributes, field, attribute),
        10 => set(&mut out.flags, field.uint32()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn exponential_point<'a>(
    reader: Reader<'a>,
    decoding: &mut Decoding<'_>,
) -> Result<ExponentialPoint<'a>> {
    let mut out = ExponentialPoint::default();
    each_field(reader, |field| match field.number {
        1 => decoding.push(&mut out.attributes, field, attribute),
        2 => set(&mut out.start_ns, field.fixed64()),
        3 => set(&mut out.time_ns, field.fixed64()),
        4 => set(&mut out.count, field.fixed64()),
        5 => set(&mut out.sum, field.double().map(Some)),
        6 => set(&mut out.scale, field.zigzag32()),
        7 => set(&mut out.zero_count, field.fixed64()),
        8 => buckets(field, &mut out.positive, decoding),
        9 => buckets(field, &mut out.negative, decoding),
        10 => set(&mut out.flags, field.uint32()),
        11 => decoding.push(&mut out.exemplars, field, exemplar),
        14 => set(&mut out.zero_threshold, field.double()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn buckets(
    field: Field<'_>,
    out: &mut ExponentialBuckets,
    decoding: &mut Decoding<'_>,
) -> Result<()> {
    each_field(field.message()?, |field| match field.number {
        1 => set(&mut out.offset, field.zigzag32()),
        2 => {
            decoding.take(packed_length(field) * size_of::<u64>())?;
            Ok(field.each_varint(|count| out.counts.push(count))?)
        }
        _ => Ok(()),
    })
}

fn summary_point<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<SummaryPoint<'a>> {
    let mut out = SummaryPoint::default();
    each_field(reader, |field| match field.number {
        2 => set(&mut out.start_ns, field.fixed64()),
        3 => set(&mut out.time_ns, field.fixed64()),
        4 => set(&mut out.count, field.fixed64()),
        5 => set(&mut out.sum, field.double()),
        6 => decoding.push(&mut out.quantiles, field, quantile),
        7 => decoding.push(&mut out.attributes, field, attribute),
        8 => set(&mut out.flags, field.uint32()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn quantile(reader: Reader<'_>, _: &mut Decoding<'_>) -> Result<QuantileValue> {
    let mut out = QuantileValue::default();
    each_field(reader, |field| match field.number {
        1 => set(&mut out.quantile, field.double()),
        2 => set(&mut out.value, field.double()),
        _ => Ok(()),
    })?;
    Ok(out)
}

fn exemplar<'a>(reader: Reader<'a>, decoding: &mut Decoding<'_>) -> Result<OtlpExemplar<'a>> {
    let mut out = OtlpExemplar::default();
    each_field(reader, |field| match field.number {
        2 => set(&mut out.time_ns, field.fixed64()),
        3 => set(&mut out.value, field.double().map(NumberValue::Double)),
        4 => set(&mut out.span_id, field.bytes().map(Cow::Borrowed)),
        5 => set(&mut out.trace_id, field.bytes().map(Cow::Borrowed)),
        6 => set(&mut out.value, field.fixed64().map(|bits| NumberValue::Int(bits as i64))),
        7 => decoding.push(&mut out.filtered_attributes, field, attribute),
        _ => Ok(()),
    })?;
    Ok(out)
}
