//! Native histograms written as classic series (`_count`, `_sum` and a `_bucket` for every bound), for
//! formats that have no native histograms.
//!
//! Invariant: a bound that occurs in any histogram of a series is written for all of its histograms,
//! so that rates and quantiles of the buckets equal those of the histogram. Where a histogram has
//! wider buckets than others, a bucket counts at bounds from its own upper bound on.

use super::envelope::ApiError;
use model::{FloatHistogram, Labels, LabelsBuilder, METRIC_NAME};
use wire::float_text;

/// A time and a histogram.
pub(super) type At<'a> = (i64, &'a FloatHistogram);

/// Histograms that are written at the same time.
const SAMPLES_MAX: usize = 10_000;

/// Calls `take` with the points of each classic series; series with many samples come in pieces.
pub(super) fn classic_series(
    labels: &Labels,
    samples: &[At<'_>],
    mut take: impl FnMut(&Labels, &[(i64, f64)]) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let bounds = bounds_of(samples);
    for samples in samples.chunks(SAMPLES_MAX) {
        let each = |value: fn(&FloatHistogram) -> f64| -> Vec<(i64, f64)> {
            samples.iter().map(|(time, histogram)| (*time, value(histogram))).collect()
        };
        let counts = each(|histogram| histogram.count);
        take(&named(labels, "_count", None), &counts)?;
        take(&named(labels, "_sum", None), &each(|histogram| histogram.sum))?;
        buckets(samples, &bounds, |bound, points| {
            take(&named(labels, "_bucket", Some(bound)), points)
        })?;
        take(&named(labels, "_bucket", Some(f64::INFINITY)), &counts)?;
    }
    Ok(())
}

/// The finite upper bounds of all buckets, sorted.
fn bounds_of(samples: &[At<'_>]) -> Vec<f64> {
    let mut bounds: Vec<f64> = Vec::new();
    for (_, histogram) in samples {
        let known = bounds.len();
        let uppers = histogram.all_buckets().map(|bucket| bucket.upper);
        bounds.extend(uppers.filter(|upper| upper.is_finite()));
        if bounds.len() > known {
            bounds.sort_unstable_by(f64::total_cmp);
            bounds.dedup();
        }
    }
    bounds
}

/// How many observations of each sample lie at or below each bound.
fn buckets(
    samples: &[At<'_>],
    bounds: &[f64],
    mut take: impl FnMut(f64, &[(i64, f64)]) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let mut points: Vec<(i64, f64)> = samples.iter().map(|(time, _)| (*time, 0.0)).collect();
    let mut rest: Vec<_> =
        samples.iter().map(|(_, histogram)| histogram.all_buckets().peekable()).collect();
    for bound in bounds {
        for ((_, below), buckets) in points.iter_mut().zip(&mut rest) {
            while let Some(bucket) = buckets.next_if(|bucket| bucket.upper <= *bound) {
                *below += bucket.count;
            }
        }
        take(*bound, &points)?;
    }
    Ok(())
}

fn named(labels: &Labels, suffix: &str, bound: Option<f64>) -> Labels {
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(METRIC_NAME, &format!("{}{suffix}", labels.metric_name()));
    if let Some(bound) = bound {
        builder.set("le", &float_text(bound));
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{BucketSpan, Buckets};

    fn histogram(schema: i32, offset: i32, counts: &[f64], zero_count: f64) -> FloatHistogram {
        let spans = vec![BucketSpan { offset, length: counts.len() as u32 }];
        FloatHistogram {
            schema,
            zero_threshold: 0.001,
            zero_count,
            count: zero_count + counts.iter().sum::<f64>(),
            sum: 7.0,
            positive: Buckets { spans, counts: counts.to_vec() },
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn every_bound_is_there_at_all_times() {
        let labels = Labels::from_pairs([("__name__", "h"), ("job", "x")]);
        let (early, late) =
            (histogram(0, 1, &[1.0, 2.0], 0.0), histogram(1, 1, &[1.0, 0.0, 4.0], 3.0));
        let mut lines = Vec::new();
        classic_series(&labels, &[(10, &early), (20, &late)], |labels, points| {
            let values: Vec<String> =
                points.iter().map(|(at, value)| format!("{at}:{value}")).collect();
            let name = labels.metric_name();
            lines.push(format!("{name} {} {}", labels.value("le"), values.join(" ")));
            assert_eq!(labels.value("job"), "x");
            Ok(())
        })
        .unwrap();
        let expected = [
            "h_count  10:3 20:8",
            "h_sum  10:7 20:7",
            "h_bucket 0.001 10:0 20:3",
            "h_bucket 1.414213562373095 10:0 20:4",
            "h_bucket 2.0 10:1 20:4",
            "h_bucket 2.82842712474619 10:1 20:8",
            "h_bucket 4.0 10:3 20:8",
            "h_bucket +Inf 10:3 20:8",
        ];
        assert_eq!(lines, expected);
    }
}
