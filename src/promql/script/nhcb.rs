//! Classic histograms as native ones with custom buckets.

use super::series::LoadedSample;
use super::series::LoadedSeries;
use model::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, SampleValue,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found of one histogram at one time.
#[derive(Default)]
struct Parts {
    /// Bound and cumulative count.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native twins of all classic histograms among the series.
pub(super) fn converted(series: &[LoadedSeries]) -> Vec<LoadedSeries> {
    let mut parts: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for one in series {
        collect(one, &mut parts);
    }
    let converted = parts.into_iter().map(|(labels, times)| {
        let samples = times.into_iter().filter_map(|(time_ms, parts)| {
            let value = SampleValue::Histogram(Arc::new(parts.into_histogram()?));
            Some(LoadedSample { time_ms, start_ms: 0, value })
        });
        LoadedSeries { labels, samples: samples.collect() }
    });
    converted.collect()
}

fn collect(series: &LoadedSeries, parts: &mut BTreeMap<Labels, BTreeMap<i64, Parts>>) {
    let name = series.labels.metric_name();
    let suffixes = ["_bucket", "_count", "_sum"];
    let Some(suffix) = suffixes.into_iter().find(|suffix| name.ends_with(suffix)) else {
        return;
    };
    let mut builder = LabelsBuilder::from_labels(&series.labels);
    builder.set(METRIC_NAME, &name[..name.len() - suffix.len()]).remove("le");
    let bound = series.labels.value("le").trim_start_matches('+').parse::<f64>();
    if suffix == "_bucket" && !bound.as_ref().is_ok_and(|bound| !bound.is_nan()) {
        return;
    }
    let times = parts.entry(builder.build()).or_default();
    for sample in &series.samples {
        let SampleValue::Float(value) = sample.value else { continue };
        let parts = times.entry(sample.time_ms).or_default();
        match (suffix, &bound) {
            ("_bucket", Ok(bound)) => parts.buckets.push((*bound, value)),
            ("_count", _) => parts.count = Some(value),
            _ => parts.sum = value,
        }
    }
}

impl Parts {
    /// `None` where the counts fall or are no numbers.
    fn into_histogram(mut self) -> Option<FloatHistogram> {
        self.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        let highest = self.buckets.last().map(|bucket| bucket.1);
        let count = self.count.or(highest)?;
        if self.buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let mut counts = Vec::new();
        for (_, cumulative) in &self.buckets {
            if *cumulative < below || cumulative.is_nan() {
                return None;
            }
            counts.push(cumulative - below);
            below = *cumulative;
        }
        let bounds = self.buckets[..self.buckets.len() - 1].iter().map(|bucket| bucket.0);
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive: Buckets::from_entries((0..).zip(counts)),
            custom_bounds: bounds.collect(),
            ..FloatHistogram::default()
        };
        histogram.compact();
        Some(histogram)
    }
}
