//! Metrics and their points, as OTLP groups them.

use super::common::{Attribute, Resource, Scope};
use std::borrow::Cow;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsRequest<'a> {
    pub resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceMetrics<'a> {
    pub resource: Resource<'a>,
    pub scope_metrics: Vec<ScopeMetrics<'a>>,
    pub schema_url: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeMetrics<'a> {
    pub scope: Scope<'a>,
    pub metrics: Vec<OtlpMetric<'a>>,
    pub schema_url: Cow<'a, str>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpMetric<'a> {
    pub name: Cow<'a, str>,
    pub description: Cow<'a, str>,
    pub unit: Cow<'a, str>,
    pub data: MetricData<'a>,
}

/// Whether a point counts since the start or since the point before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    #[default]
    Unspecified,
    Delta,
    Cumulative,
}

impl Temporality {
    pub fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => Self::Unspecified,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum MetricData<'a> {
    #[default]
    None,
    Gauge(Vec<NumberPoint<'a>>),
    Sum {
        points: Vec<NumberPoint<'a>>,
        temporality: Temporality,
        is_monotonic: bool,
    },
    Histogram {
        points: Vec<HistogramPoint<'a>>,
        temporality: Temporality,
    },
    Exponential {
        points: Vec<ExponentialPoint<'a>>,
        temporality: Temporality,
    },
    Summary(Vec<SummaryPoint<'a>>),
}

impl MetricData<'_> {
    pub fn point_count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Gauge(points) | Self::Sum { points, .. } => points.len(),
            Self::Histogram { points, .. } => points.len(),
            Self::Exponential { points, .. } => points.len(),
            Self::Summary(points) => points.len(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum NumberValue {
    #[default]
    None,
    Int(i64),
    Double(f64),
}

impl NumberValue {
    pub fn as_f64(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// The flag of a point that says "nothing was recorded".
pub const FLAG_NO_RECORDED_VALUE: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct NumberPoint<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub value: NumberValue,
    pub exemplars: Vec<OtlpExemplar<'a>>,
    pub flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPoint<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub bucket_counts: Vec<u64>,
    pub explicit_bounds: Vec<f64>,
    pub exemplars: Vec<OtlpExemplar<'a>>,
    pub flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    pub offset: i32,
    pub counts: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialPoint<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: Option<f64>,
    pub scale: i32,
    pub zero_count: u64,
    pub zero_threshold: f64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub exemplars: Vec<OtlpExemplar<'a>>,
    pub flags: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuantileValue {
    pub quantile: f64,
    pub value: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SummaryPoint<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub start_ns: u64,
    pub time_ns: u64,
    pub count: u64,
    pub sum: f64,
    pub quantiles: Vec<QuantileValue>,
    pub flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpExemplar<'a> {
    pub filtered_attributes: Vec<Attribute<'a>>,
    pub time_ns: u64,
    pub value: NumberValue,
    pub span_id: Cow<'a, [u8]>,
    pub trace_id: Cow<'a, [u8]>,
}
