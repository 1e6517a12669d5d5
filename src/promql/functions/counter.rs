//! How often something happened to a series: `resets`, `changes`.

use super::rate::start_says_reset;
use crate::error::QueryError;
use crate::function::{Answer, Columnar, Window, WindowContext, WindowFunction};
use crate::types::Edges;
use query::{Slot, StepColumn};
use std::ops::Range;

type Result<T> = std::result::Result<T, QueryError>;

const fn counting(
    evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>,
    columnar: Columnar,
) -> WindowFunction {
    WindowFunction { columnar: Some(columnar), anchored: true, ..WindowFunction::of(evaluate) }
}

pub(super) const RESETS: WindowFunction = counting(|w, c| count(w, c, is_reset), Columnar::Resets);
pub(super) const CHANGES: WindowFunction =
    counting(|w, c| count(w, c, is_change), Columnar::Changes);

/// Counts the pairs of neighbours in windows of floats that slide: each comes and goes once.
/// `windows`: steps with the samples in their windows, which never begin or end earlier than those
/// before.
pub(crate) fn count_pairs(
    values: &[f64],
    windows: impl Iterator<Item = (usize, Range<usize>)>,
    happened: impl Fn(f64, f64) -> bool,
    out: &mut StepColumn,
) {
    let among = |pairs: Range<usize>| -> u32 {
        pairs.map(|index| u32::from(happened(values[index - 1], values[index]))).sum()
    };
    // Pairs are named by their later sample.
    let (mut counted, mut count) = (0..0, 0);
    for (step, samples) in windows {
        if samples.is_empty() {
            continue;
        }
        let wanted = samples.start + 1..samples.end;
        if wanted.start >= counted.end {
            (counted, count) = (wanted.start..wanted.start, 0);
        }
        count += among(counted.end..wanted.end);
        count -= among(counted.start..wanted.start);
        counted = wanted;
        out.set_float(step, f64::from(count));
    }
}

pub(crate) fn fell(before: f64, after: f64) -> bool {
    after < before
}

pub(crate) fn changed(before: f64, after: f64) -> bool {
    (before != after) & !(before.is_nan() & after.is_nan())
}

#[derive(Clone, Copy)]
struct Point<'a> {
    time: i64,
    start: i64,
    slot: Slot<'a>,
}

/// Counts the pairs of neighbours, floats and histograms in one order of time.
fn count(
    window: &Window<'_>,
    context: &WindowContext<'_>,
    happened: fn(&Point<'_>, &Point<'_>) -> bool,
) -> Result<Answer> {
    let Some((float, histogram)) = starts(window, context) else {
        return Ok(Answer::Nothing);
    };
    let mut points = points(window, float, histogram);
    let Some(mut previous) = points.next() else {
        return Ok(Answer::Nothing);
    };
    let mut count = 0u32;
    for point in points {
        count += u32::from(happened(&previous, &point));
        previous = point;
    }
    Ok(Answer::Float(f64::from(count)))
}

/// Where to begin. `anchored` begins with the last sample before the window, whatever its kind.
fn starts(window: &Window<'_>, context: &WindowContext<'_>) -> Option<(usize, usize)> {
    if context.edges != Edges::Anchored {
        return Some((0, 0));
    }
    let before = |times: &[i64]| times.partition_point(|time| *time <= window.start_ms);
    let (floats, histograms) = (window.floats.times, window.histograms.times);
    let (float, histogram) = (before(floats), before(histograms));
    if float == floats.len() && histogram == histograms.len() {
        return None;
    }
    let last = |times: &[i64], count: usize| count.checked_sub(1).map(|index| times[index]);
    Some(match (last(floats, float), last(histograms, histogram)) {
        (None, None) => (0, 0),
        (a, b) if a >= b => (float - 1, histogram),
        _ => (float, histogram - 1),
    })
}

fn points<'a>(
    window: &Window<'a>,
    mut float: usize,
    mut histogram: usize,
) -> impl Iterator<Item = Point<'a>> {
    let (floats, histograms) = (window.floats, window.histograms);
    let start = |starts: &[i64], index: usize| starts.get(index).copied().unwrap_or(0);
    std::iter::from_fn(move || {
        let (a, b) = (floats.times.get(float), histograms.times.get(histogram));
        let take_float = match (a, b) {
            (None, None) => return None,
            (Some(a), Some(b)) => a < b,
            (a, _) => a.is_some(),
        };
        Some(if take_float {
            let index = float;
            float += 1;
            Point {
                time: floats.times[index],
                start: start(floats.starts, index),
                slot: Slot::Float(floats.values[index]),
            }
        } else {
            let index = histogram;
            histogram += 1;
            Point {
                time: histograms.times[index],
                start: start(histograms.starts, index),
                slot: Slot::Histogram(&histograms.values[index]),
            }
        })
    })
}

fn is_reset(previous: &Point<'_>, current: &Point<'_>) -> bool {
    let anew = start_says_reset((previous.start, previous.time), (current.start, current.time));
    match (previous.slot, current.slot) {
        (Slot::Float(before), Slot::Float(after)) => fell(before, after) || anew,
        (Slot::Histogram(before), Slot::Histogram(after)) => anew || after.is_reset_from(before),
        _ => true,
    }
}

fn is_change(previous: &Point<'_>, current: &Point<'_>) -> bool {
    match (previous.slot, current.slot) {
        (Slot::Float(before), Slot::Float(after)) => changed(before, after),
        (Slot::Histogram(before), Slot::Histogram(after)) => !after.same_as(before),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sliding_counts_what_looking_counts(
            values in prop::collection::vec(prop_oneof![(-2i32..2).prop_map(f64::from), Just(f64::NAN)], 1..40),
            jumps in prop::collection::vec((0usize..5, 0usize..5), 1..30),
        ) {
            let (mut low, mut high) = (0, 0);
            let windows: Vec<(usize, usize)> = jumps.iter().map(|(back, front)| {
                high = (high + front).min(values.len());
                low = (low + back).min(high);
                (low, high)
            }).collect();
            for happened in [fell, changed] {
                let mut out = StepColumn::new(windows.len());
                let ranges = windows.iter().map(|(low, high)| *low..*high).enumerate();
                count_pairs(&values, ranges, happened, &mut out);
                for (step, (low, high)) in windows.iter().enumerate() {
                    let pairs = values[*low..*high].windows(2);
                    let count = pairs.filter(|pair| happened(pair[0], pair[1])).count() as f64;
                    prop_assert_eq!(out.float(step), (low < high).then_some(count));
                }
            }
        }
    }
}
