//! From OTLP metrics to series: names, labels, and one sample or several for each point.

use super::delta::{DeltaDraft, Sum};
use super::names::{NameKind, label_name, metric_name, unit_name};
use crate::guard::{ExtraLabels, Window};
use crate::otlp::OtlpSettings;
use model::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, METRIC_NAME, MetricKind, TenantId, stale_marker,
};
use wire::otlp::{
    Attribute, ExponentialBuckets, ExponentialPoint, FLAG_NO_RECORDED_VALUE, HistogramPoint,
    MetricData, MetricsRequest, NumberPoint, OtlpExemplar, OtlpMetric, ResourceMetrics, Scope,
    SummaryPoint, Temporality,
};
use wire::{
    ExemplarRef, HISTOGRAM_KIND, LabelBuffer, LabelLimits, MetadataRef, MetricSink, Rejections,
    check_histogram,
};

/// The width of the zero bucket when the sender names none.
const ZERO_THRESHOLD_DEFAULT: f64 = 1e-128;
/// Native histograms are kept at these scales; finer ones than 8 are merged.
const SCALES: std::ops::RangeInclusive<i32> = -9..=52;
/// Samples of `target_info` that one request may add, whose points may lie far apart in time.
const TARGET_INFO_MAX: usize = 1_000;
/// The prefix of labels that describe the scope.
const SCOPE_PREFIX: &str = "otel_scope_";
/// Characters that all labels of an exemplar may have.
const EXEMPLAR_LENGTH_MAX: usize = 128;

const NS_PER_MS: u64 = 1_000_000;

/// What a translation works with.
pub(super) struct Translator<'s> {
    pub(super) sink: &'s mut dyn MetricSink,
    /// Checked before anything else is done with a point.
    pub(super) window: Window,
    pub(super) settings: &'s OtlpSettings,
    pub(super) limits: LabelLimits,
    /// Half of the lookback: `target_info` at this distance is never missed by a query.
    pub(super) target_info_step_ms: i64,
    pub(super) tenant: &'s TenantId,
    /// The sink adds them to series; here they distinguish the sums of deltas.
    pub(super) extra: &'s ExtraLabels,
    pub(super) deltas: DeltaDraft,
    pub(super) buffer: LabelBuffer,
    /// Points that were rejected.
    pub(super) rejected: Rejections,
}

/// Labels while they are collected; a name may come twice.
#[derive(Clone, Default)]
struct LabelSet(Vec<(String, String)>);

impl LabelSet {
    /// The values of two attributes whose names become the same label are joined.
    fn join(&mut self, name: String, value: &str) {
        match self.0.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => {
                pair.1.push(';');
                pair.1.push_str(value);
            }
            None => self.0.push((name, value.to_owned())),
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    fn set_missing(&mut self, name: &str, value: &str) {
        if !self.0.iter().any(|pair| pair.0 == name) {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// What all points of a metric share.
struct Family {
    name: String,
    /// The labels from resource and scope.
    shared: LabelSet,
    temporality: Temporality,
}

/// The time of a point, when its count began, and whether it has a value.
#[derive(Clone, Copy)]
struct Moment {
    time_ms: i64,
    start_ms: i64,
    is_stale: bool,
}

impl Moment {
    fn new(time_ns: u64, start_ns: u64, flags: u32) -> Self {
        let millis = |ns: u64| i64::try_from(ns / NS_PER_MS).expect("a 64-bit count of ns / 10^6");
        let is_stale = flags & FLAG_NO_RECORDED_VALUE != 0;
        Self { time_ms: millis(time_ns), start_ms: millis(start_ns), is_stale }
    }

    fn value(self, value: f64) -> f64 {
        if self.is_stale { stale_marker() } else { value }
    }
}

impl Translator<'_> {
    pub(super) fn request(&mut self, request: &MetricsRequest<'_>) {
        for resource in &request.resource_metrics {
            self.resource(resource);
        }
    }

    fn resource(&mut self, from: &ResourceMetrics<'_>) {
        let identity = identity(&from.resource.attributes);
        let promoted = self.promoted(&from.resource.attributes);
        let mut times: Option<(i64, i64)> = None;
        for scope_metrics in &from.scope_metrics {
            let mut shared = promoted.clone();
            let scope = &scope_metrics.scope;
            if self.settings.promote_scope_metadata && !scope.name.is_empty() {
                self.scope_labels(scope, &scope_metrics.schema_url, &mut shared);
            }
            identity.0.iter().for_each(|(name, value)| shared.set(name, value));
            for metric in &scope_metrics.metrics {
                self.metric(metric, &shared);
                for time_ns in point_times(&metric.data) {
                    let time = Moment::new(time_ns, 0, 0).time_ms;
                    if !self.window.admits(time) {
                        continue;
                    }
                    let (first, last) = times.unwrap_or((time, time));
                    times = Some((first.min(time), last.max(time)));
                }
            }
        }
        if let Some(times) = times {
            self.target_info(&from.resource.attributes, &identity, times);
        }
    }

    fn promoted(&self, attributes: &[Attribute<'_>]) -> LabelSet {
        let settings = self.settings;
        let wanted = |key: &str| match settings.promote_all_resource_attributes {
            true => !settings.ignore_resource_attributes.iter().any(|ignored| ignored == key),
            false => settings.promote_resource_attributes.iter().any(|listed| listed == key),
        };
        self.labels_of(attributes.iter().filter(|attribute| wanted(&attribute.key)))
    }

    fn labels_of<'a>(&self, attributes: impl Iterator<Item = &'a Attribute<'a>>) -> LabelSet {
        let mut sorted: Vec<&Attribute<'_>> = attributes.collect();
        sorted.sort_by(|left, right| left.key.cmp(&right.key));
        let mut labels = LabelSet::default();
        for attribute in sorted.into_iter().filter(|attribute| !attribute.key.is_empty()) {
            let name = label_name(&attribute.key, self.settings.translation_strategy);
            labels.join(name, &attribute.value.as_text());
        }
        labels
    }

    fn scope_labels(&self, scope: &Scope<'_>, schema_url: &str, labels: &mut LabelSet) {
        for attribute in &scope.attributes {
            let name = format!("{SCOPE_PREFIX}{}", attribute.key);
            let name = label_name(&name, self.settings.translation_strategy);
            labels.set(&name, &attribute.value.as_text());
        }
        labels.set("otel_scope_name", &scope.name);
        labels.set("otel_scope_version", &scope.version);
        labels.set("otel_scope_schema_url", schema_url);
    }

    fn metric(&mut self, metric: &OtlpMetric<'_>, shared: &LabelSet) {
        let points = metric.data.point_count() as u64;
        let (name_kind, kind) = kinds(&metric.data);
        let strategy = self.settings.translation_strategy;
        let name = metric_name(&metric.name, &metric.unit, name_kind, strategy);
        if metric.name.is_empty() || name.is_empty() {
            (0..points).for_each(|_| self.rejected.add("metric_name", || unnamed(&metric.name)));
            return;
        }
        if points > 0 {
            let unit = &unit_name(&metric.unit, strategy);
            self.sink.metadata(&name, MetadataRef { kind, unit, help: &metric.description });
        }
        let family = |temporality| Family { name, shared: shared.clone(), temporality };
        match &metric.data {
            MetricData::None => {}
            MetricData::Gauge(points) => self.numbers(&family(Temporality::Cumulative), points),
            MetricData::Sum { points, temporality, .. } => {
                self.numbers(&family(*temporality), points);
            }
            MetricData::Histogram { points, temporality } => {
                self.histograms(&family(*temporality), points);
            }
            MetricData::Exponential { points, temporality } => {
                self.exponentials(&family(*temporality), points);
            }
            MetricData::Summary(points) => {
                self.summaries(&family(Temporality::Cumulative), points);
            }
        }
    }

    fn numbers(&mut self, family: &Family, points: &[NumberPoint<'_>]) {
        for point in points {
            let mut moment = Moment::new(point.time_ns, point.start_ns, point.flags);
            if !self.is_timely(family, moment) {
                continue;
            }
            let labels = self.point_labels(family, &point.attributes);
            let times = (point.start_ns, point.time_ns);
            let sum = Sum::Number(point.value.as_f64());
            let added = self.cumulative(family, &labels, times, &mut moment, sum);
            let Some(Sum::Number(value)) = added else { continue };
            if self.series(&family.name, "", &labels, None) {
                self.sink.sample(moment.time_ms, moment.start_ms, moment.value(value));
                point.exemplars.iter().for_each(|exemplar| self.exemplar(exemplar));
            }
        }
    }

    fn histograms(&mut self, family: &Family, points: &[HistogramPoint<'_>]) {
        for point in points {
            let mut moment = Moment::new(point.time_ns, point.start_ns, point.flags);
            if !self.is_timely(family, moment) {
                continue;
            }
            if let Some(reason) = bad_buckets(point) {
                self.rejected
                    .add(HISTOGRAM_KIND, || format!("histogram {:?} {reason}", family.name));
                continue;
            }
            let labels = self.point_labels(family, &point.attributes);
            let times = (point.start_ns, point.time_ns);
            let sum = Sum::Buckets {
                count: point.count,
                sum: point.sum.unwrap_or(0.0),
                counts: point.bucket_counts.clone(),
                bounds: point.explicit_bounds.clone(),
            };
            let added = self.cumulative(family, &labels, times, &mut moment, sum);
            let Some(Sum::Buckets { count, sum, counts, bounds }) = added else { continue };
            let sum = point.sum.map(|_| sum);
            let read = ReadBuckets { count, sum, counts, bounds };
            match self.settings.convert_histograms_to_nhcb {
                true => self.custom_histogram(family, &labels, moment, read, &point.exemplars),
                false => self.classic_histogram(family, &labels, moment, read, &point.exemplars),
            }
        }
    }

    /// `_bucket` with rising `le`, `_sum`, `_count`.
    fn classic_histogram(
        &mut self,
        family: &Family,
        labels: &LabelSet,
        moment: Moment,
        read: ReadBuckets,
        exemplars: &[OtlpExemplar<'_>],
    ) {
        let (time, start) = (moment.time_ms, moment.start_ms);
        let name = &family.name;
        if let Some(sum) = read.sum
            && self.series(name, "_sum", labels, None)
        {
            self.sink.sample(time, start, moment.value(sum));
        }
        if !self.series(name, "_count", labels, None) {
            return;
        }
        self.sink.sample(time, start, moment.value(read.count as f64));
        let mut below = 0u64;
        let mut lower = f64::NEG_INFINITY;
        let bounds = read.bounds.iter().copied().chain([f64::INFINITY]);
        for (index, bound) in bounds.enumerate() {
            below = below.saturating_add(read.counts.get(index).copied().unwrap_or(0));
            let is_last = bound == f64::INFINITY;
            if read.counts.is_empty() && !is_last {
                // Bounds without counts make no buckets.
                continue;
            }
            let value = if is_last { read.count } else { below };
            let shown = if is_last { "+Inf".to_owned() } else { format!("{bound}") };
            if self.series(name, "_bucket", labels, Some(("le", &shown))) {
                self.sink.sample(time, start, moment.value(value as f64));
                let within = |exemplar: &&OtlpExemplar<'_>| {
                    let value = exemplar.value.as_f64();
                    value > lower && value <= bound
                };
                exemplars.iter().filter(within).for_each(|exemplar| self.exemplar(exemplar));
            }
            lower = bound;
        }
    }

    /// A native histogram with the bounds that the sender chose.
    fn custom_histogram(
        &mut self,
        family: &Family,
        labels: &LabelSet,
        moment: Moment,
        read: ReadBuckets,
        exemplars: &[OtlpExemplar<'_>],
    ) {
        // A histogram without buckets has one that holds everything.
        let counts = if read.counts.is_empty() { vec![read.count] } else { read.counts };
        let counted = (0i32..).zip(&counts).filter(|(_, count)| **count > 0);
        let histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: read.count as f64,
            sum: read.sum.unwrap_or(0.0),
            positive: Buckets::from_entries(counted.map(|(index, count)| (index, *count as f64))),
            custom_bounds: if counts.len() > 1 { read.bounds.into() } else { Default::default() },
            ..FloatHistogram::default()
        };
        self.native(family, labels, moment, histogram, exemplars);
    }

    fn exponentials(&mut self, family: &Family, points: &[ExponentialPoint<'_>]) {
        for point in points {
            let mut moment = Moment::new(point.time_ns, point.start_ns, point.flags);
            if !self.is_timely(family, moment) {
                continue;
            }
            let Some(histogram) = exponential(point) else {
                let (name, scale) = (&family.name, point.scale);
                self.rejected.add(HISTOGRAM_KIND, || format!("histogram {name:?} has a scale of {scale}, below -9, or bucket offsets that can't be"));
                continue;
            };
            let labels = self.point_labels(family, &point.attributes);
            let times = (point.start_ns, point.time_ns);
            let added =
                self.cumulative(family, &labels, times, &mut moment, Sum::Native(histogram));
            if let Some(Sum::Native(histogram)) = added {
                self.native(family, &labels, moment, histogram, &point.exemplars);
            }
        }
    }

    fn native(
        &mut self,
        family: &Family,
        labels: &LabelSet,
        moment: Moment,
        mut histogram: FloatHistogram,
        exemplars: &[OtlpExemplar<'_>],
    ) {
        if moment.is_stale {
            histogram = FloatHistogram { sum: stale_marker(), ..FloatHistogram::default() };
        }
        let histogram = match check_histogram(histogram, false) {
            Ok(histogram) => histogram,
            Err(reason) => {
                self.rejected.add(HISTOGRAM_KIND, || format!("{:?}: {reason}", family.name));
                return;
            }
        };
        if self.series(&family.name, "", labels, None) {
            self.sink.histogram(moment.time_ms, moment.start_ms, histogram);
            exemplars.iter().for_each(|exemplar| self.exemplar(exemplar));
        }
    }

    fn summaries(&mut self, family: &Family, points: &[SummaryPoint<'_>]) {
        for point in points {
            let moment = Moment::new(point.time_ns, point.start_ns, point.flags);
            if !self.is_timely(family, moment) {
                continue;
            }
            let (time, start) = (moment.time_ms, moment.start_ms);
            let labels = self.point_labels(family, &point.attributes);
            for (suffix, value) in [("_sum", point.sum), ("_count", point.count as f64)] {
                if self.series(&family.name, suffix, &labels, None) {
                    self.sink.sample(time, start, moment.value(value));
                }
            }
            for quantile in &point.quantiles {
                let shown = format!("{}", quantile.quantile);
                if self.series(&family.name, "", &labels, Some(("quantile", &shown))) {
                    self.sink.sample(time, start, moment.value(quantile.value));
                }
            }
        }
    }

    /// Whether a point's time can be stored. Checked before its delta is added to a sum.
    fn is_timely(&mut self, family: &Family, moment: Moment) -> bool {
        let shown = || format!("a point of {:?}", family.name);
        self.window.check(moment.time_ms, &mut self.rejected, shown)
    }

    fn point_labels(&self, family: &Family, attributes: &[Attribute<'_>]) -> LabelSet {
        let mut labels = self.labels_of(attributes.iter());
        // A point's own attributes replace promoted ones, but not those of its target or scope.
        for (name, value) in &family.shared.0 {
            match name.as_str() {
                "job" | "instance" => labels.set(name, value),
                name if name.starts_with(SCOPE_PREFIX) => labels.set(name, value),
                name => labels.set_missing(name, value),
            }
        }
        labels
    }

    /// Begins a series in the sink; one whose labels are bad is counted.
    fn series(
        &mut self,
        name: &str,
        suffix: &str,
        labels: &LabelSet,
        extra: Option<(&str, &str)>,
    ) -> bool {
        let full_name = format!("{name}{suffix}");
        let mut pairs = labels.pairs();
        pairs.retain(|(label, _)| *label != METRIC_NAME && extra.is_none_or(|e| e.0 != *label));
        pairs.push((METRIC_NAME, &full_name));
        pairs.extend(extra);
        match self.buffer.series(&mut pairs, &self.limits) {
            Ok(bytes) => {
                self.sink.series(bytes);
                true
            }
            Err(reason) => {
                self.rejected.add(reason.kind(), || reason.to_string());
                false
            }
        }
    }

    /// Turns a delta point into a cumulative one; cumulative points are passed on.
    fn cumulative(
        &mut self,
        family: &Family,
        labels: &LabelSet,
        times_ns: (u64, u64),
        moment: &mut Moment,
        sum: Sum,
    ) -> Option<Sum> {
        if family.temporality != Temporality::Delta || moment.is_stale {
            return Some(sum);
        }
        let mut pairs = labels.pairs();
        pairs.retain(|(label, _)| *label != METRIC_NAME);
        pairs.push((METRIC_NAME, &family.name));
        let mut key = match self.buffer.series(&mut pairs, &self.limits) {
            Ok(bytes) => bytes.to_vec(),
            Err(reason) => {
                self.rejected.add(reason.kind(), || reason.to_string());
                return None;
            }
        };
        self.extra.append_to(&mut key);
        match self.deltas.add((self.tenant.clone(), key), times_ns, sum) {
            Ok((sum, start_ns)) => {
                *moment = Moment::new(times_ns.1, start_ns, 0);
                Some(sum)
            }
            Err(reason) => {
                self.rejected.add("delta", || format!("{:?}: {reason}", family.name));
                None
            }
        }
    }

    /// Adds an exemplar to the series that was begun last.
    fn exemplar(&mut self, exemplar: &OtlpExemplar<'_>) {
        let [trace, span] = [&exemplar.trace_id, &exemplar.span_id].map(|id| hex(id));
        let others = self.labels_of(exemplar.filtered_attributes.iter());
        let ids = [("trace_id", trace.as_str()), ("span_id", span.as_str())];
        let mut pairs: Vec<_> = ids.into_iter().filter(|(_, id)| !id.is_empty()).collect();
        let length = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum::<usize>()
        };
        // The ids of trace and span come first; other labels are added as long as they fit.
        for pair in others.pairs() {
            let fits = length(&pairs) + length(&[pair]) <= EXEMPLAR_LENGTH_MAX;
            if fits && !pairs.iter().any(|(name, _)| *name == pair.0) {
                pairs.push(pair);
            }
        }
        if let Ok(labels) = self.buffer.any(&mut pairs, &LabelLimits::NONE) {
            let timestamp_ms = Moment::new(exemplar.time_ns, 0, 0).time_ms;
            self.sink.exemplar(ExemplarRef {
                labels,
                value: exemplar.value.as_f64(),
                timestamp_ms,
            });
        }
    }

    /// Writes what is known about the target as a gauge of 1, often enough for any query to find it.
    fn target_info(
        &mut self,
        attributes: &[Attribute<'_>],
        identity: &LabelSet,
        (first, last): (i64, i64),
    ) {
        let keep = self.settings.keep_identifying_resource_attributes;
        let telling = |attribute: &&Attribute<'_>| !IDENTIFYING.contains(&&*attribute.key);
        if !attributes.iter().any(|attribute| telling(&attribute)) || identity.0.is_empty() {
            return;
        }
        let told = attributes.iter().filter(|attribute| keep || telling(attribute));
        let mut labels = self.labels_of(told);
        identity.0.iter().for_each(|(name, value)| labels.set(name, value));
        if !self.series("target_info", "", &labels, None) {
            return;
        }
        let mut times = (0..TARGET_INFO_MAX as i64)
            .map(|index| first.saturating_add(index.saturating_mul(self.target_info_step_ms)))
            .take_while(|time| *time < last)
            .collect::<Vec<_>>();
        times.push(last);
        times.into_iter().for_each(|time| self.sink.sample(time, 0, 1.0));
        let help = "Target metadata";
        let metadata = MetadataRef { kind: MetricKind::Gauge, unit: "", help };
        self.sink.metadata("target_info", metadata);
    }
}

fn unnamed(name: &str) -> String {
    match name {
        "" => "a metric has no name".to_owned(),
        _ => format!(
            "nothing is left of the metric name {name:?}: set otlp.translation_strategy to one \
             that does not escape"
        ),
    }
}

/// A histogram's point, cumulative.
struct ReadBuckets {
    count: u64,
    sum: Option<f64>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
}

const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// `job` and `instance`.
fn identity(attributes: &[Attribute<'_>]) -> LabelSet {
    let [namespace, name, instance] = IDENTIFYING.map(|key| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        found.map_or(String::new(), |attribute| attribute.value.as_text().into_owned())
    });
    let mut labels = LabelSet::default();
    match (name.is_empty(), namespace.is_empty()) {
        (true, _) => {}
        (false, true) => labels.set("job", &name),
        (false, false) => labels.set("job", &format!("{namespace}/{name}")),
    }
    if !instance.is_empty() {
        labels.set("instance", &instance);
    }
    labels
}

fn kinds(data: &MetricData<'_>) -> (NameKind, MetricKind) {
    match data {
        MetricData::None => (NameKind::Other, MetricKind::Unknown),
        MetricData::Gauge(_) => (NameKind::Gauge, MetricKind::Gauge),
        MetricData::Sum { is_monotonic: true, .. } => (NameKind::Counter, MetricKind::Counter),
        MetricData::Sum { .. } => (NameKind::Other, MetricKind::Gauge),
        MetricData::Histogram { .. } | MetricData::Exponential { .. } => {
            (NameKind::Other, MetricKind::Histogram)
        }
        MetricData::Summary(_) => (NameKind::Other, MetricKind::Summary),
    }
}

fn point_times(data: &MetricData<'_>) -> Vec<u64> {
    match data {
        MetricData::None => Vec::new(),
        MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
            points.iter().map(|point| point.time_ns).collect()
        }
        MetricData::Histogram { points, .. } => points.iter().map(|point| point.time_ns).collect(),
        MetricData::Exponential { points, .. } => {
            points.iter().map(|point| point.time_ns).collect()
        }
        MetricData::Summary(points) => points.iter().map(|point| point.time_ns).collect(),
    }
}

/// One count more than there are bounds, and bounds that rise; or neither.
fn bad_buckets(point: &HistogramPoint<'_>) -> Option<&'static str> {
    let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
    if !counts.is_empty() && counts.len() != bounds.len() + 1 {
        return Some("has not one bucket more than bounds");
    }
    let rising = bounds.is_sorted_by(|left, right| left < right);
    (!rising || bounds.iter().any(|bound| bound.is_nan())).then_some("has bounds that don't rise")
}

/// OTLP's bucket i ends where Prometheus' bucket i + 1 ends.
fn exponential(point: &ExponentialPoint<'_>) -> Option<FloatHistogram> {
    if !SCALES.contains(&point.scale) {
        return None;
    }
    let zero_threshold =
        if point.zero_threshold == 0.0 { ZERO_THRESHOLD_DEFAULT } else { point.zero_threshold };
    let histogram = FloatHistogram {
        schema: point.scale,
        zero_threshold,
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        positive: exponential_side(&point.positive)?,
        negative: exponential_side(&point.negative)?,
        ..FloatHistogram::default()
    };
    Some(histogram.to_schema(8))
}

fn exponential_side(side: &ExponentialBuckets) -> Option<Buckets> {
    let first = side.offset.checked_add(1)?;
    first.checked_add(i32::try_from(side.counts.len()).ok()?)?;
    let counted = (first..).zip(&side.counts).filter(|(_, count)| **count > 0);
    Some(Buckets::from_entries(counted.map(|(index, count)| (index, *count as f64))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
