//! How often something happened to a series: `resets`, `changes`.

use super::rate::start_says_reset;
use super::{Answer, Window, WindowContext, WindowFunction};
use crate::ast::Edges;
use crate::engine::column::Slot;
use crate::error::QueryError;

type Result<T> = std::result::Result<T, QueryError>;

const fn counting(
    evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>,
) -> WindowFunction {
    WindowFunction {
        evaluate,
        keeps_name: false,
        counter: false,
        columnar: None,
        anchored: true,
        smoothed: false,
    }
}

pub(super) const RESETS: WindowFunction = counting(|w, c| count(w, c, is_reset));
pub(super) const CHANGES: WindowFunction = counting(|w, c| count(w, c, is_change));

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
        (Slot::Float(before), Slot::Float(after)) => after < before || anew,
        (Slot::Histogram(before), Slot::Histogram(after)) => anew || after.is_reset_from(before),
        _ => true,
    }
}

fn is_change(previous: &Point<'_>, current: &Point<'_>) -> bool {
    match (previous.slot, current.slot) {
        (Slot::Float(before), Slot::Float(after)) => {
            before != after && !(before.is_nan() && after.is_nan())
        }
        (Slot::Histogram(before), Slot::Histogram(after)) => !after.same_as(before),
        _ => true,
    }
}
