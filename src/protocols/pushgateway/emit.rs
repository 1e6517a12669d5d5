//! What queries see of groups: their samples, written again and again as a scrape would write them, and
//! the ends of series that went away.

use super::group::Group;
use super::page::{Family, Value};
use metric_store::MetricBatch;
use model::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, MetricKind, stale_marker};
use std::collections::BTreeSet;
use wire::{MetadataRef, MetricSink};

const PUSH_TIME: &str = "push_time_seconds";
const PUSH_TIME_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway succeeded.";
const FAILURE_TIME: &str = "push_failure_time_seconds";
const FAILURE_TIME_HELP: &str =
    "Last Unix time when changing this group in the Pushgateway failed.";

/// The two gauges that the Pushgateway has of each group: name, help, labels, value.
pub(super) fn gauges(group: &Group) -> [(&'static str, &'static str, Labels, f64); 2] {
    let gauge = |name, help, time_ms: i64| {
        let mut labels = LabelsBuilder::from_labels(&group.labels);
        (name, help, labels.set(METRIC_NAME, name).build(), time_ms as f64 / 1000.0)
    };
    [
        gauge(PUSH_TIME, PUSH_TIME_HELP, group.push_ms),
        gauge(FAILURE_TIME, FAILURE_TIME_HELP, group.failure_ms),
    ]
}

/// The samples of a group at a time.
pub(super) fn samples(group: &Group, time_ms: i64, batch: &mut MetricBatch) {
    for (name, family) in &group.families {
        describe(name, family, batch);
        for series in &family.series {
            batch.series(series.labels.as_bytes());
            match &series.value {
                Value::Float(value) => batch.sample(time_ms, series.start_ms, *value),
                Value::Histogram(histogram) => {
                    batch.histogram(time_ms, series.start_ms, FloatHistogram::clone(histogram));
                }
            }
        }
    }
    for (name, help, labels, value) in gauges(group) {
        batch.metadata(name, MetadataRef { kind: MetricKind::Gauge, unit: "", help });
        batch.series(labels.as_bytes());
        batch.sample(time_ms, 0, value);
    }
}

fn describe(name: &str, family: &Family, batch: &mut MetricBatch) {
    if family.kind != MetricKind::Unknown || !family.help.is_empty() {
        let Family { kind, unit, help, .. } = family;
        batch.metadata(name, MetadataRef { kind: *kind, unit, help });
    }
}

/// Ends the series that a group had and has no more.
pub(super) fn ends(before: &Group, after: Option<&Group>, time_ms: i64, batch: &mut MetricBatch) {
    let kept: BTreeSet<Labels> = after.map_or_else(BTreeSet::new, series_of);
    for labels in series_of(before).difference(&kept) {
        batch.series(labels.as_bytes());
        batch.sample(time_ms, 0, stale_marker());
    }
}

fn series_of(group: &Group) -> BTreeSet<Labels> {
    let of_families = group.families.values().flat_map(|family| &family.series);
    let labels = of_families.map(|series| series.labels.clone());
    labels.chain(gauges(group).into_iter().map(|(_, _, labels, _)| labels)).collect()
}
