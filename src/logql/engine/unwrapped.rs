//! Functions of the values in a window.

use super::windows::Windows;
use crate::ast::RangeOp;
use query::aggregate::quantile;
use query::{Bitmap, StepColumn, Stop};

/// A value and its time, in nanoseconds.
pub(crate) type Sample = (i64, f64);

/// The function's value in each window that has samples. Sorts the samples by time; asks `check` at each
/// window, for windows may overlap and be large.
pub(crate) fn over_windows(
    op: RangeOp,
    parameter: f64,
    windows: &Windows,
    samples: &mut [Sample],
    check: impl Fn() -> Result<(), Stop>,
) -> Result<StepColumn, Stop> {
    let steps = windows.count();
    if steps == 1 && !depends_on_order(op) {
        return Ok(over_one_window(op, parameter, windows, samples));
    }
    // A stable sort: samples of one time stay in their order.
    if !samples.is_sorted_by_key(|sample| sample.0) {
        samples.sort_by_key(|sample| sample.0);
    }
    let (mut values, mut present) = (vec![0.0; steps], Bitmap::new(steps));
    let (mut start, mut end) = (0, 0);
    let mut scratch = Vec::new();
    for (step, value) in values.iter_mut().enumerate() {
        let (before, last) = (windows.before(step), windows.end(step));
        start += samples[start..].iter().take_while(|sample| sample.0 <= before).count();
        end = end.max(start);
        end += samples[end..].iter().take_while(|sample| sample.0 <= last).count();
        let window = &samples[start..end];
        check()?;
        if !window.is_empty() {
            *value = function(op, parameter, windows, (window, (before, last)), &mut scratch);
            present.set(step);
        }
    }
    Ok(StepColumn::from_parts(values, present))
}

/// Whether the order of the samples in a window matters, be it for rounding.
fn depends_on_order(op: RangeOp) -> bool {
    !matches!(op, RangeOp::Min | RangeOp::Max | RangeOp::Quantile)
}

/// The same for the only window, which need not be sorted.
fn over_one_window(
    op: RangeOp,
    parameter: f64,
    windows: &Windows,
    samples: &mut [Sample],
) -> StepColumn {
    let (before, last) = (windows.before(0), windows.end(0));
    let mut inside = 0;
    for index in 0..samples.len() {
        if samples[index].0 > before && samples[index].0 <= last {
            samples.swap(inside, index);
            inside += 1;
        }
    }
    let (mut value, mut present) = (0.0, Bitmap::new(1));
    if inside > 0 {
        let window = (&samples[..inside], (before, last));
        value = function(op, parameter, windows, window, &mut Vec::new());
        present.set(0);
    }
    StepColumn::from_parts(vec![value], present)
}

/// `window` has at least one sample.
fn function(
    op: RangeOp,
    parameter: f64,
    windows: &Windows,
    (window, bounds): (&[Sample], (i64, i64)),
    scratch: &mut Vec<f64>,
) -> f64 {
    let values = window.iter().map(|sample| sample.1);
    let sum = || values.clone().sum::<f64>();
    match op {
        RangeOp::Sum => sum(),
        RangeOp::Rate => sum() / windows.range_seconds(),
        RangeOp::RateCounter => counter_rate(window, bounds, windows.range_seconds()),
        RangeOp::Avg => mean(values),
        RangeOp::Min => extreme(values, |value, least| value < least),
        RangeOp::Max => extreme(values, |value, most| value > most),
        RangeOp::Stddev => variance(values).sqrt(),
        RangeOp::Stdvar => variance(values),
        RangeOp::Quantile => {
            scratch.clear();
            scratch.extend(values);
            quantile(parameter, scratch)
        }
        RangeOp::First => window.first().map_or(f64::NAN, |sample| sample.1),
        RangeOp::Last => window.last().map_or(f64::NAN, |sample| sample.1),
        RangeOp::Count | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Absent => {
            window.len() as f64
        }
    }
}

/// A running mean, which does not overflow where the sum would.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut count) = (0.0_f64, 0.0);
    for value in values {
        count += 1.0;
        let same_infinity = value.is_infinite() && (value > 0.0) == (mean > 0.0);
        if mean.is_infinite() && (same_infinity || value.is_finite()) {
            continue;
        }
        mean += value / count - mean / count;
    }
    mean
}

/// NaN only where nothing else is there.
fn extreme(values: impl Iterator<Item = f64>, is_beyond: fn(f64, f64) -> bool) -> f64 {
    let keep =
        |kept: f64, value: f64| if is_beyond(value, kept) || kept.is_nan() { value } else { kept };
    values.reduce(keep).unwrap_or(f64::NAN)
}

/// Of all values, as Welford computes it.
fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// The increase of a counter per second, extended to the edges of the window where samples lie close to
/// them, as Prometheus' `rate` does.
fn counter_rate(window: &[Sample], (before, last_ns): (i64, i64), range_seconds: f64) -> f64 {
    let ([first, ..], [.., last]) = (window, window) else { return 0.0 };
    if window.len() < 2 {
        return 0.0;
    }
    let mut increase = last.1 - first.1;
    let mut previous = 0.0;
    for (_, value) in window {
        if *value < previous {
            increase += previous;
        }
        previous = *value;
    }
    let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1e9;
    let sampled = seconds(first.0, last.0);
    let between = sampled / (window.len() - 1) as f64;
    let (mut to_start, to_end) = (seconds(before, first.0), seconds(last.0, last_ns));
    if increase > 0.0 && first.1 >= 0.0 {
        // Where the counter would have been zero.
        to_start = to_start.min(sampled * (first.1 / increase));
    }
    let reach = |gap: f64| if gap < between * 1.1 { gap } else { between / 2.0 };
    let extended = sampled + reach(to_start) + reach(to_end);
    increase * (extended / sampled) / range_seconds
}
