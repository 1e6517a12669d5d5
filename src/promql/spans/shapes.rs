//! The names and labels of derived series, and which of them a selector could match.

use model::{Labels, LabelsBuilder, METRIC_NAME, Matcher, MetricKind, format_float_go};
use std::sync::LazyLock;
use trace_store::{EDGE_BUCKETS, LATENCY_BUCKETS, edge_bound_ns, latency_bound_ns};

/// What is counted: spans, or calls between services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesSource {
    Spans,
    Edges,
}

/// Whose duration it is. Spans have one side only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// What the samples of a series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// How many; in the buckets up to this one.
    UpTo(Side, usize),
    /// Seconds.
    Sum(Side),
    Failed,
}

/// The `le` of the last bucket.
const INFINITE: &str = "+Inf";

/// The series that each group of labels has of one metric, and of one bucket.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) metric: &'static str,
    pub(super) le: Option<String>,
    pub(super) value: Value,
}

impl Shape {
    /// Whether it counts some buckets and not all.
    pub(super) fn is_part_of_buckets(&self) -> bool {
        self.le.as_ref().is_some_and(|le| le != INFINITE)
    }

    /// The labels of a group with name and bucket.
    pub(super) fn labels(&self, group: &Labels) -> Labels {
        let mut labels = LabelsBuilder::from_labels(group);
        labels.set(METRIC_NAME, self.metric);
        labels.set("le", self.le.as_deref().unwrap_or(""));
        labels.build()
    }
}

/// A set of the shapes of a source, by their place.
pub(super) type ShapeSet = u64;

const SPAN_LABELS: [&str; 4] = ["service", "span_name", "span_kind", "status_code"];
const EDGE_LABELS: [&str; 3] = ["client", "server", "connection_type"];

/// What all names of derived metrics begin with.
const PREFIX: &str = "traces_";

const CALLS: &str = "traces_spanmetrics_calls_total";
const LATENCY: [&str; 3] = [
    "traces_spanmetrics_latency_bucket",
    "traces_spanmetrics_latency_sum",
    "traces_spanmetrics_latency_count",
];
const REQUESTS: &str = "traces_service_graph_request_total";
const FAILED: &str = "traces_service_graph_request_failed_total";
const SERVER_SECONDS: [&str; 3] = [
    "traces_service_graph_request_server_seconds_bucket",
    "traces_service_graph_request_server_seconds_sum",
    "traces_service_graph_request_server_seconds_count",
];
const CLIENT_SECONDS: [&str; 3] = [
    "traces_service_graph_request_client_seconds_bucket",
    "traces_service_graph_request_client_seconds_sum",
    "traces_service_graph_request_client_seconds_count",
];

/// What is told of a derived metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
}

/// The derived metrics, in order.
pub fn metric_families() -> &'static [MetricFamily] {
    const fn family(name: &'static str, kind: MetricKind, help: &'static str) -> MetricFamily {
        MetricFamily { name, kind, help }
    }
    const FAMILIES: &[MetricFamily] = &[
        family(
            "traces_service_graph_request_client_seconds",
            MetricKind::Histogram,
            "How long calls between services took, as the caller saw it",
        ),
        family(FAILED, MetricKind::Counter, "Calls between services that failed"),
        family(
            "traces_service_graph_request_server_seconds",
            MetricKind::Histogram,
            "How long calls between services took, as the called one saw it",
        ),
        family(REQUESTS, MetricKind::Counter, "Calls between services"),
        family(CALLS, MetricKind::Counter, "Spans"),
        family(
            "traces_spanmetrics_latency",
            MetricKind::Histogram,
            "How long spans took, in seconds",
        ),
    ];
    FAMILIES
}

impl SeriesSource {
    pub(super) fn shapes(self) -> &'static [Shape] {
        static SPANS: LazyLock<Vec<Shape>> = LazyLock::new(|| {
            let bounds: Vec<Option<u64>> = (0..LATENCY_BUCKETS).map(latency_bound_ns).collect();
            let mut shapes = vec![plain(CALLS, all(Side::Server, &bounds))];
            shapes.extend(histogram(LATENCY, Side::Server, &bounds));
            shapes
        });
        static EDGES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
            let bounds: Vec<Option<u64>> = (0..EDGE_BUCKETS).map(edge_bound_ns).collect();
            let mut shapes = vec![plain(REQUESTS, all(Side::Server, &bounds))];
            shapes.push(plain(FAILED, Value::Failed));
            shapes.extend(histogram(SERVER_SECONDS, Side::Server, &bounds));
            shapes.extend(histogram(CLIENT_SECONDS, Side::Client, &bounds));
            shapes
        });
        match self {
            Self::Spans => &SPANS,
            Self::Edges => &EDGES,
        }
    }

    /// The names of the labels of its series.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [METRIC_NAME, "le"].into_iter().chain(self.labels().iter().copied())
    }

    /// The names of its metrics.
    pub fn metrics(&self) -> impl Iterator<Item = &'static str> {
        self.shapes().iter().map(|shape| shape.metric)
    }

    /// Whether some derived series may have a label of this name.
    pub fn is_known(name: &str) -> bool {
        let all = [Self::Spans, Self::Edges];
        all.iter().any(|source| source.names().any(|known| known == name))
    }

    /// How many spans or calls there are.
    pub(super) fn count(self) -> Value {
        let buckets = if self == Self::Spans { LATENCY_BUCKETS } else { EDGE_BUCKETS };
        Value::UpTo(Side::Server, buckets - 1)
    }

    /// The labels of its series beside name and bucket.
    fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &SPAN_LABELS,
            Self::Edges => &EDGE_LABELS,
        }
    }

    /// The shapes that a selector could match, whatever the values of labels are.
    pub(super) fn matching(self, matchers: &[Matcher]) -> ShapeSet {
        if !may_be_named(matchers) {
            return 0;
        }
        let is_known =
            |name: &str| name == METRIC_NAME || name == "le" || self.labels().contains(&name);
        if matchers.iter().any(|matcher| !is_known(&matcher.name) && !matcher.matches("")) {
            return 0;
        }
        let fits = |shape: &Shape| {
            matchers.iter().all(|matcher| match &*matcher.name {
                METRIC_NAME => matcher.matches(shape.metric),
                "le" => matcher.matches(shape.le.as_deref().unwrap_or("")),
                _ => true,
            })
        };
        let shapes = (0..).zip(self.shapes());
        shapes.filter(|(_, shape)| fits(shape)).fold(0, |set, (place, _)| set | 1 << place)
    }
}

/// Decides quickly for nearly all selectors, which name another metric.
fn may_be_named(matchers: &[Matcher]) -> bool {
    let names = matchers.iter().filter(|matcher| matcher.is_metric_name());
    names.into_iter().all(|matcher| match (matcher.literals(), matcher.prefix()) {
        (Some(literals), _) => literals.iter().any(|name| name.starts_with(PREFIX)),
        (None, Some(prefix)) => prefix.starts_with(PREFIX) || PREFIX.starts_with(prefix),
        (None, None) => true,
    })
}

pub(super) fn may_match(matchers: &[Matcher]) -> bool {
    [SeriesSource::Spans, SeriesSource::Edges]
        .into_iter()
        .any(|source| source.matching(matchers) != 0)
}

/// Whether a metric of this name may be derived from spans.
pub(super) fn is_derived(metric: &str) -> bool {
    let named = |source: SeriesSource| source.shapes().iter().any(|shape| shape.metric == metric);
    metric.starts_with(PREFIX) && (named(SeriesSource::Spans) || named(SeriesSource::Edges))
}

fn plain(metric: &'static str, value: Value) -> Shape {
    Shape { metric, le: None, value }
}

/// The number of all.
fn all(side: Side, bounds: &[Option<u64>]) -> Value {
    Value::UpTo(side, bounds.len() - 1)
}

fn histogram(
    [bucket, sum, count]: [&'static str; 3],
    side: Side,
    bounds: &[Option<u64>],
) -> Vec<Shape> {
    let le = |bound: &Option<u64>| bound.map_or(f64::INFINITY, |ns| ns as f64 / 1e9);
    let of_bucket = |(place, bound): (usize, &Option<u64>)| Shape {
        metric: bucket,
        le: Some(format_float_go(le(bound))),
        value: Value::UpTo(side, place),
    };
    let mut shapes: Vec<Shape> = bounds.iter().enumerate().map(of_bucket).collect();
    shapes.push(plain(sum, Value::Sum(side)));
    shapes.push(plain(count, all(side, bounds)));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_selector;
    use query::RegexBudget;

    fn matched(selector: &str) -> [u32; 2] {
        let matchers = parse_selector(selector, &mut RegexBudget::default()).unwrap();
        let found = [SeriesSource::Spans, SeriesSource::Edges]
            .map(|source| source.matching(&matchers).count_ones());
        assert_eq!(may_match(&matchers), found != [0, 0]);
        found
    }

    #[test]
    fn selectors_find_the_series_that_they_could_match() {
        for (selector, found) in [
            ("up", [0, 0]),
            (r#"{job="api"}"#, [0, 0]),
            (r#"{__name__=~"node_.*"}"#, [0, 0]),
            ("traces_other_total", [0, 0]),
            (r#"traces_spanmetrics_calls_total{job=""}"#, [1, 0]),
            (r#"traces_spanmetrics_calls_total{client="x"}"#, [0, 0]),
            (r#"{__name__=~"up|traces_spanmetrics_latency_sum"}"#, [1, 0]),
            (r#"traces_spanmetrics_latency_bucket{le=~"0.002|0.004"}"#, [2, 0]),
            (r#"{__name__=~"traces_.*"}"#, [18, 24]),
            (r#"{__name__=~"t.*_count"}"#, [1, 2]),
            (r#"{__name__!="up"}"#, [18, 24]),
            (r#"{service="x"}"#, [18, 0]),
            (r#"{connection_type="database"}"#, [0, 24]),
        ] {
            assert_eq!(matched(selector), found, "{selector}");
        }
    }

    #[test]
    fn buckets_are_written_as_prometheus_writes_them() {
        let bounds = |source: SeriesSource| {
            let bounds = source.shapes().iter().filter_map(|shape| shape.le.clone());
            bounds.collect::<Vec<_>>().join(" ")
        };
        let spans = "0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512 1.024 2.048 4.096 8.192 16.384 +Inf";
        assert_eq!(bounds(SeriesSource::Spans), spans);
        let edges = "0.1 0.2 0.4 0.8 1.6 3.2 6.4 12.8 +Inf";
        assert_eq!(bounds(SeriesSource::Edges), format!("{edges} {edges}"));
    }
}
