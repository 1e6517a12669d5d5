//! OTLP's JSON: lowerCamelCase keys, ids in hex, enums as numbers, 64-bit integers as text or
//! number, bytes in base64. Unknown keys are passed over; the names of enums are refused.
//!
//! serde fills the structs here; each becomes the type that the protobuf decoder yields as well.

use super::common::{AnyValue, Attribute, Resource, Scope};
use super::metrics::*;
use crate::decoding::{MEMORY_FREE, MEMORY_PER_BYTE};
use model::{ErrorKind, NoRoom, Room};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// The memory that one object may take; see `MEMORY_PER_BYTE`.
const OBJECT_SIZE: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum OtlpJsonError {
    #[error("the body is not OTLP in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the body has too many objects for its size")]
    TooMany,
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl OtlpJsonError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(_) => ErrorKind::Invalid,
            Self::TooMany => ErrorKind::Limit,
            Self::NoRoom(error) => error.kind(),
        }
    }
}

/// Asks `room` for the memory of what it builds, before it takes it.
pub fn decode_otlp_metrics_json<'a>(
    request: &'a [u8],
    room: &mut dyn Room,
) -> Result<MetricsRequest<'a>, OtlpJsonError> {
    check_objects(request, room)?;
    let shape: RequestShape<'_> = serde_json::from_slice(request)?;
    Ok(MetricsRequest { resource_metrics: all(shape.resource_metrics) })
}

/// Asks for the memory that the objects of a request may take.
pub(super) fn check_objects(request: &[u8], room: &mut dyn Room) -> Result<(), OtlpJsonError> {
    let objects = request.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if objects * OBJECT_SIZE > request.len() * MEMORY_PER_BYTE + MEMORY_FREE {
        return Err(OtlpJsonError::TooMany);
    }
    Ok(room.take(objects * OBJECT_SIZE)?)
}

fn all<T, U: From<T>>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(U::from).collect()
}

/// `null` is what protobuf's JSON allows in the place of anything.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A 64-bit integer as text or number, signed or not.
#[derive(Clone, Copy, Default)]
pub(super) struct Whole(i128);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Loose::deserialize(deserializer)? {
            Loose::Signed(value) => Ok(Self(value.into())),
            Loose::Unsigned(value) => Ok(Self(value.into())),
            Loose::Double(value) if value.fract() == 0.0 && value.abs() < 1e18 => {
                Ok(Self(value as i128))
            }
            Loose::Double(value) => {
                Err(D::Error::invalid_value(Unexpected::Float(value), &"a whole number"))
            }
            Loose::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a whole number")),
        }
    }
}

impl Whole {
    pub(super) fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }
}

/// A float as number or text (`"NaN"`, `"Infinity"`).
#[derive(Clone, Copy, Default)]
pub(super) struct Real(f64);

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Loose::deserialize(deserializer)? {
            Loose::Signed(value) => Ok(Self(value as f64)),
            Loose::Unsigned(value) => Ok(Self(value as f64)),
            Loose::Double(value) => Ok(Self(value)),
            Loose::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a number")),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Text(String),
}

/// Bytes in hex, as ids are written.
#[derive(Default)]
pub(super) struct Hex(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let digits: Option<Vec<u32>> = text.chars().map(|char| char.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
        let digits = digits
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"hexadecimal bytes"))?;
        Ok(Self(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()))
    }
}

#[derive(Default)]
pub(super) struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(&*text);
        bytes.map(Self).map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"base64"))
    }
}

/// A shape: every field may be missing or null.
macro_rules! shape {
    ($name:ident $(<$life:lifetime>)? { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        pub(super) struct $name $(<$life>)? {
            $(
                #[serde(deserialize_with = "or_default")]
                pub(super) $field: $kind,
            )*
        }
    };
}
pub(super) use shape;

shape!(RequestShape<'a> { resource_metrics: Vec<ResourceMetricsShape<'a>>, });
shape!(ResourceMetricsShape<'a> {
    resource: ResourceShape<'a>,
    scope_metrics: Vec<ScopeMetricsShape<'a>>,
    schema_url: Cow<'a, str>,
});
shape!(ResourceShape<'a> { attributes: Vec<AttributeShape<'a>>, });
shape!(ScopeMetricsShape<'a> {
    scope: ScopeShape<'a>,
    metrics: Vec<MetricShape<'a>>,
    schema_url: Cow<'a, str>,
});
shape!(ScopeShape<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    attributes: Vec<AttributeShape<'a>>,
});
shape!(MetricShape<'a> {
    name: Cow<'a, str>,
    description: Cow<'a, str>,
    unit: Cow<'a, str>,
    gauge: Option<DataShape<NumberShape<'a>>>,
    sum: Option<DataShape<NumberShape<'a>>>,
    histogram: Option<DataShape<HistogramShape<'a>>>,
    exponential_histogram: Option<DataShape<ExponentialShape<'a>>>,
    summary: Option<DataShape<SummaryShape<'a>>>,
});
shape!(AttributeShape<'a> { key: Cow<'a, str>, value: ValueShape<'a>, });
shape!(ValueShape<'a> {
    string_value: Option<Cow<'a, str>>,
    bool_value: Option<bool>,
    int_value: Option<Whole>,
    double_value: Option<Real>,
    array_value: Option<ArrayShape<'a>>,
    kvlist_value: Option<MapShape<'a>>,
    bytes_value: Option<Base64>,
});
shape!(ArrayShape<'a> { values: Vec<ValueShape<'a>>, });
shape!(MapShape<'a> { values: Vec<AttributeShape<'a>>, });
shape!(NumberShape<'a> {
    attributes: Vec<AttributeShape<'a>>,
    start_time_unix_nano: Whole,
    time_unix_nano: Whole,
    as_int: Option<Whole>,
    as_double: Option<Real>,
    exemplars: Vec<ExemplarShape<'a>>,
    flags: u32,
});
shape!(HistogramShape<'a> {
    attributes: Vec<AttributeShape<'a>>,
    start_time_unix_nano: Whole,
    time_unix_nano: Whole,
    count: Whole,
    sum: Option<Real>,
    bucket_counts: Vec<Whole>,
    explicit_bounds: Vec<Real>,
    exemplars: Vec<ExemplarShape<'a>>,
    flags: u32,
});
shape!(BucketsShape { offset: i32, bucket_counts: Vec<Whole>, });
shape!(ExponentialShape<'a> {
    attributes: Vec<AttributeShape<'a>>,
    start_time_unix_nano: Whole,
    time_unix_nano: Whole,
    count: Whole,
    sum: Option<Real>,
    scale: i32,
    zero_count: Whole,
    zero_threshold: Real,
    positive: BucketsShape,
    negative: BucketsShape,
    exemplars: Vec<ExemplarShape<'a>>,
    flags: u32,
});
shape!(QuantileShape { quantile: Real, value: Real });
shape!(SummaryShape<'a> {
    attributes: Vec<AttributeShape<'a>>,
    start_time_unix_nano: Whole,
    time_unix_nano: Whole,
    count: Whole,
    sum: Real,
    quantile_values: Vec<QuantileShape>,
    flags: u32,
});
shape!(ExemplarShape<'a> {
    filtered_attributes: Vec<AttributeShape<'a>>,
    time_unix_nano: Whole,
    as_int: Option<Whole>,
    as_double: Option<Real>,
    span_id: Hex,
    trace_id: Hex,
});

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "P: Deserialize<'de>")]
pub(super) struct DataShape<P> {
    #[serde(default = "Vec::new", deserialize_with = "or_default")]
    data_points: Vec<P>,
    #[serde(default, deserialize_with = "or_default")]
    aggregation_temporality: i64,
    #[serde(default, deserialize_with = "or_default")]
    is_monotonic: bool,
}

impl<P> DataShape<P> {
    fn temporality(&self) -> Temporality {
        Temporality::from_number(self.aggregation_temporality)
    }
}

impl<'a> From<ResourceMetricsShape<'a>> for ResourceMetrics<'a> {
    fn from(shape: ResourceMetricsShape<'a>) -> Self {
        Self {
            resource: Resource { attributes: all(shape.resource.attributes) },
            scope_metrics: all(shape.scope_metrics),
            schema_url: shape.schema_url,
        }
    }
}

impl<'a> From<ScopeMetricsShape<'a>> for ScopeMetrics<'a> {
    fn from(shape: ScopeMetricsShape<'a>) -> Self {
        let ScopeShape { name, version, attributes } = shape.scope;
        Self {
            scope: Scope { name, version, attributes: all(attributes) },
            metrics: all(shape.metrics),
            schema_url: shape.schema_url,
        }
    }
}

impl<'a> From<MetricShape<'a>> for OtlpMetric<'a> {
    fn from(mut shape: MetricShape<'a>) -> Self {
        let [name, description, unit] =
            [&mut shape.name, &mut shape.description, &mut shape.unit].map(std::mem::take);
        Self { name, description, unit, data: shape.into() }
    }
}

impl<'a> From<MetricShape<'a>> for MetricData<'a> {
    fn from(shape: MetricShape<'a>) -> Self {
        if let Some(gauge) = shape.gauge {
            return Self::Gauge(all(gauge.data_points));
        }
        if let Some(sum) = shape.sum {
            let (temporality, is_monotonic) = (sum.temporality(), sum.is_monotonic);
            return Self::Sum { points: all(sum.data_points), temporality, is_monotonic };
        }
        if let Some(histogram) = shape.histogram {
            let temporality = histogram.temporality();
            return Self::Histogram { points: all(histogram.data_points), temporality };
        }
        if let Some(exponential) = shape.exponential_histogram {
            let temporality = exponential.temporality();
            return Self::Exponential { points: all(exponential.data_points), temporality };
        }
        shape.summary.map_or(Self::None, |summary| Self::Summary(all(summary.data_points)))
    }
}

impl<'a> From<AttributeShape<'a>> for Attribute<'a> {
    fn from(shape: AttributeShape<'a>) -> Self {
        Self { key: shape.key, value: shape.value.into() }
    }
}

impl<'a> From<ValueShape<'a>> for AnyValue<'a> {
    fn from(shape: ValueShape<'a>) -> Self {
        let text = shape.string_value.map(Self::Text);
        text.or(shape.bool_value.map(Self::Bool))
            .or(shape.int_value.map(|value| Self::Int(value.signed())))
            .or(shape.double_value.map(|value| Self::Double(value.0)))
            .or(shape.array_value.map(|array| Self::Array(all(array.values))))
            .or(shape.kvlist_value.map(|map| Self::Map(all(map.values))))
            .or(shape.bytes_value.map(|bytes| Self::Bytes(bytes.0.into())))
            .unwrap_or_default()
    }
}

fn number(int: Option<Whole>, double: Option<Real>) -> NumberValue {
    match (int, double) {
        (Some(int), _) => NumberValue::Int(int.signed()),
        (None, Some(double)) => NumberValue::Double(double.0),
        (None, None) => NumberValue::None,
    }
}

impl<'a> From<NumberShape<'a>> for NumberPoint<'a> {
    fn from(shape: NumberShape<'a>) -> Self {
        Self {
            attributes: all(shape.attributes),
            start_ns: shape.start_time_unix_nano.unsigned(),
            time_ns: shape.time_unix_nano.unsigned(),
            value: number(shape.as_int, shape.as_double),
            exemplars: all(shape.exemplars),
            flags: shape.flags,
        }
    }
}

fn counts(list: Vec<Whole>) -> Vec<u64> {
    list.into_iter().map(Whole::unsigned).collect()
}

impl<'a> From<HistogramShape<'a>> for HistogramPoint<'a> {
    fn from(shape: HistogramShape<'a>) -> Self {
        Self {
            attributes: all(shape.attributes),
            start_ns: shape.start_time_unix_nano.unsigned(),
            time_ns: shape.time_unix_nano.unsigned(),
            count: shape.count.unsigned(),
            sum: shape.sum.map(|sum| sum.0),
            bucket_counts: counts(shape.bucket_counts),
            explicit_bounds: shape.explicit_bounds.into_iter().map(|bound| bound.0).collect(),
            exemplars: all(shape.exemplars),
            flags: shape.flags,
        }
    }
}

impl From<BucketsShape> for ExponentialBuckets {
    fn from(shape: BucketsShape) -> Self {
        Self { offset: shape.offset, counts: counts(shape.bucket_counts) }
    }
}

impl<'a> From<ExponentialShape<'a>> for ExponentialPoint<'a> {
    fn from(shape: ExponentialShape<'a>) -> Self {
        Self {
            attributes: all(shape.attributes),
            start_ns: shape.start_time_unix_nano.unsigned(),
            time_ns: shape.time_unix_nano.unsigned(),
            count: shape.count.unsigned(),
            sum: shape.sum.map(|sum| sum.0),
            scale: shape.scale,
            zero_count: shape.zero_count.unsigned(),
            zero_threshold: shape.zero_threshold.0,
            positive: shape.positive.into(),
            negative: shape.negative.into(),
            exemplars: all(shape.exemplars),
            flags: shape.flags,
        }
    }
}

impl From<QuantileShape> for QuantileValue {
    fn from(shape: QuantileShape) -> Self {
        Self { quantile: shape.quantile.0, value: shape.value.0 }
    }
}

impl<'a> From<SummaryShape<'a>> for SummaryPoint<'a> {
    fn from(shape: SummaryShape<'a>) -> Self {
        Self {
            attributes: all(shape.attributes),
            start_ns: shape.start_time_unix_nano.unsigned(),
            time_ns: shape.time_unix_nano.unsigned(),
            count: shape.count.unsigned(),
            sum: shape.sum.0,
            quantiles: all(shape.quantile_values),
            flags: shape.flags,
        }
    }
}

impl<'a> From<ExemplarShape<'a>> for OtlpExemplar<'a> {
    fn from(shape: ExemplarShape<'a>) -> Self {
        Self {
            filtered_attributes: all(shape.filtered_attributes),
            time_ns: shape.time_unix_nano.unsigned(),
            value: number(shape.as_int, shape.as_double),
            span_id: shape.span_id.0.into(),
            trace_id: shape.trace_id.0.into(),
        }
    }
}
