//! Native histograms of a page: their limits, and classic histograms that become native ones.

use super::{PageError, PageRules};
use model::{Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram};
use wire::check_histogram;

const SCHEMA_MIN: i32 = -4;
const SCHEMA_MAX: i32 = 8;

/// The histogram as it can be stored: within the job's limits, at a lower resolution if need be.
pub(super) fn checked(
    metric: &str,
    histogram: FloatHistogram,
    is_float: bool,
    rules: &PageRules,
) -> Result<FloatHistogram, PageError> {
    let wrong = |reason| PageError::Histogram { metric: metric.to_owned(), reason };
    let mut histogram = check_histogram(histogram, is_float).map_err(wrong)?;
    let finest = finest_schema(rules.min_bucket_factor);
    if histogram.schema > finest {
        histogram = histogram.to_schema(finest);
    }
    let limit = rules.bucket_limit;
    let over = |histogram: &FloatHistogram| {
        limit > 0 && histogram.positive.counts.len() + histogram.negative.counts.len() > limit
    };
    while over(&histogram) {
        if histogram.uses_custom_buckets() || histogram.schema <= SCHEMA_MIN {
            return Err(PageError::BucketLimit { metric: metric.to_owned(), limit });
        }
        histogram = histogram.to_schema(histogram.schema - 1);
    }
    Ok(histogram)
}

/// The finest schema whose buckets grow by this factor at least.
fn finest_schema(factor: f64) -> i32 {
    if factor <= 1.0 {
        return SCHEMA_MAX;
    }
    let schema = -factor.log2().log2();
    (schema.floor() as i32).clamp(SCHEMA_MIN, SCHEMA_MAX)
}

/// A classic histogram with the bounds of its buckets as custom ones. `buckets` are bounds and
/// cumulative counts. `None` where the buckets are not those of a histogram.
pub(super) fn custom_buckets(
    buckets: &mut Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
) -> Option<FloatHistogram> {
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    if buckets.iter().any(|(bound, _)| bound.is_nan()) {
        return None;
    }
    let last = buckets.last().map_or(0.0, |(_, cumulative)| *cumulative);
    let total = count.unwrap_or(last);
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        buckets.push((f64::INFINITY, total));
    }
    // The last bucket holds all observations.
    if buckets.last().is_some_and(|(_, cumulative)| *cumulative != total) {
        return None;
    }
    let rises = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
    if !buckets.windows(2).all(rises) || total < last {
        return None;
    }
    let mut before = 0.0;
    let counts = buckets.iter().enumerate().map(|(index, (_, cumulative))| {
        let own = cumulative - before;
        before = *cumulative;
        (index as i32, own)
    });
    let positive = Buckets::from_entries(counts.filter(|(_, own)| *own > 0.0));
    let bounds = buckets[..buckets.len() - 1].iter().map(|(bound, _)| *bound);
    Some(FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: total,
        sum,
        positive,
        custom_bounds: bounds.collect(),
        ..FloatHistogram::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_choose_the_resolution() {
        for (factor, schema) in [(0.0, 8), (1.0, 8), (1.1, 2), (2.0, 0), (4.0, -1), (1e300, -4)] {
            assert_eq!(finest_schema(factor), schema, "{factor}");
        }
    }

    #[test]
    fn classic_buckets_become_custom_ones() {
        let mut buckets = vec![(f64::INFINITY, 5.0), (1.0, 2.0), (2.0, 2.0)];
        let histogram = custom_buckets(&mut buckets, Some(5.0), 7.0).unwrap();
        assert_eq!(&histogram.custom_bounds[..], &[1.0, 2.0]);
        assert_eq!(histogram.positive.entries().collect::<Vec<_>>(), [(0, 2.0), (2, 3.0)]);
        assert_eq!(custom_buckets(&mut vec![(1.0, 3.0), (2.0, 2.0)], None, 0.0), None);
    }
}
