//! How fast something grows: `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! The plain forms extend what the samples show to the edges of the window: all the way where the
//! next sample would be expected there, else by half the usual distance between samples, and for
//! counters never below zero. `anchored` takes the last sample before the window instead,
//! `smoothed` interpolates at both edges; see `extended`.

mod combine;
pub(super) mod extended;
pub(crate) mod plain;

use self::combine::{combine, note_mixed_buckets};
use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::{Answer, Columnar, Growth, Window, WindowContext, WindowFunction};
use crate::storage::Column;
use crate::types::Edges;
use model::{FloatHistogram, ResetHint};
use query::Combining;
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;
type Histograms<'a> = Column<'a, Arc<FloatHistogram>>;

const fn growing(
    evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>,
    growth: Growth,
) -> WindowFunction {
    let columnar = Some(Columnar::Growth(growth));
    WindowFunction { columnar, anchored: true, smoothed: true, ..instant(evaluate) }
}

const fn instant(
    evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>,
) -> WindowFunction {
    WindowFunction { counter: true, ..WindowFunction::of(evaluate) }
}

pub(super) const RATE: WindowFunction = WindowFunction {
    expects_counter: true,
    ..growing(|w, c| grow(w, c, Growth::RATE), Growth::RATE)
};
pub(super) const INCREASE: WindowFunction = WindowFunction {
    expects_counter: true,
    ..growing(|w, c| grow(w, c, Growth::INCREASE), Growth::INCREASE)
};
pub(super) const DELTA: WindowFunction = growing(|w, c| grow(w, c, Growth::DELTA), Growth::DELTA);
pub(super) const IRATE: WindowFunction = instant(|w, c| last_two(w, c, true));
pub(super) const IDELTA: WindowFunction = instant(|w, c| last_two(w, c, false));

fn grow(window: &Window<'_>, context: &WindowContext<'_>, growth: Growth) -> Result<Answer> {
    let (floats, histograms) = (window.floats.values.len(), window.histograms.values.len());
    if floats > 0 && histograms > 0 {
        let note = Note::MixedFloatsHistograms(context.metric());
        context.notes.add(note, context.position);
        return Ok(Answer::Nothing);
    }
    if context.edges != Edges::Plain {
        return Ok(extended::grow(window, context, growth));
    }
    if histograms > 0 {
        return Ok(grow_histograms(window, context, growth));
    }
    Ok(grow_floats(window, context, growth))
}

fn grow_floats(window: &Window<'_>, context: &WindowContext<'_>, growth: Growth) -> Answer {
    let floats = &window.floats;
    let (Some(first), Some(last)) = (floats.values.first(), floats.values.last()) else {
        return Answer::Nothing;
    };
    let mut increase = last - first;
    if growth.counter {
        for index in window.resets.iter() {
            increase += floats.values[index - 1];
        }
        note_overlap(floats, context);
    }
    let start = growth.counter.then(|| known_start(floats, window.start_ms)).flatten();
    if start.is_some() {
        increase += first;
    }
    let shape = Shape { first_count: *first, increase, start };
    match stretch(floats.times, window, context, growth, shape) {
        Some(factor) => Answer::Float(increase * factor),
        None => Answer::Nothing,
    }
}

/// Where the counter behind the first sample began, if that is inside the window: a sample of
/// value zero, as it were.
fn known_start<T>(column: &Column<'_, T>, window_start: i64) -> Option<i64> {
    let start = *column.starts.first()?;
    (start != 0 && start > window_start && start < column.times[0]).then_some(start)
}

fn note_overlap<T>(column: &Column<'_, T>, context: &WindowContext<'_>) {
    let overlaps = column.starts.windows(2).zip(column.times).any(|(starts, previous)| {
        starts[1] != 0 && starts[1] < *previous && starts[1] != starts[0]
    });
    if overlaps {
        context.notes.add(Note::StartTimeOverlap(context.metric()), context.position);
    }
}

struct Shape {
    /// The first sample's count and how much the counts grew: where the line meets zero.
    first_count: f64,
    increase: f64,
    start: Option<i64>,
}

/// By how much an increase between samples is to be multiplied. `None`: too few samples.
fn stretch(
    times: &[i64],
    window: &Window<'_>,
    context: &WindowContext<'_>,
    growth: Growth,
    shape: Shape,
) -> Option<f64> {
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let (first, last) = (times[0], times[times.len() - 1]);
    let gaps = times.len() - 1;
    let usual = if gaps > 0 { seconds(last - first) / gaps as f64 } else { 0.0 };
    // Ten per cent more than usual still counts as "the next sample would be there".
    let threshold = usual * 1.1;
    let (sampled, to_start) = match shape.start {
        Some(start) => (seconds(last - start), 0.0),
        None if gaps == 0 => return None,
        None => {
            let sampled = seconds(last - first);
            let mut to_start = seconds(first - window.start_ms);
            if to_start >= threshold {
                to_start = usual / 2.0;
            }
            if growth.counter && shape.increase > 0.0 && shape.first_count >= 0.0 {
                let to_zero = sampled * (shape.first_count / shape.increase);
                to_start = if to_zero < to_start { to_zero } else { to_start };
            }
            (sampled, to_start)
        }
    };
    let mut to_end = seconds(window.end_ms - last);
    if to_end >= threshold {
        to_end = usual / 2.0;
    }
    let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    Some(if growth.per_second { factor / seconds(context.range_ms) } else { factor })
}

fn grow_histograms(window: &Window<'_>, context: &WindowContext<'_>, growth: Growth) -> Answer {
    let column = &window.histograms;
    let mut increase = None;
    if column.values.len() > 1 {
        increase = histogram_increase(column, context, growth.counter);
        if increase.is_none() {
            return Answer::Nothing;
        }
    }
    let first = &column.values[0];
    let start = growth.counter.then(|| known_start(column, window.start_ms)).flatten();
    if start.is_some() {
        match &mut increase {
            None => increase = Some((**first).clone()),
            Some(increase) => {
                if !combine(increase, first, Combining::Addition, context) {
                    return Answer::Nothing;
                }
            }
        }
    }
    let count = increase.as_ref().map_or(0.0, |increase| increase.count);
    let shape = Shape { first_count: first.count, increase: count, start };
    let factor = stretch(column.times, window, context, growth, shape);
    let (Some(mut increase), Some(factor)) = (increase, factor) else {
        return Answer::Nothing;
    };
    increase.scale(factor);
    Answer::Histogram(Box::new(increase))
}

fn histogram_increase(
    column: &Histograms<'_>,
    context: &WindowContext<'_>,
    counter: bool,
) -> Option<FloatHistogram> {
    let values = column.values;
    let (first, last) = (&values[0], &values[values.len() - 1]);
    let gauge = |histogram: &FloatHistogram| histogram.reset_hint == ResetHint::Gauge;
    if counter && values.iter().any(|histogram| gauge(histogram)) {
        context.notes.add(Note::NotCounter(context.metric()), context.position);
    }
    // What was before a reset is not looked at, so its buckets need not fit.
    let from = if counter && is_reset(column, 1) { emptied(&values[1]) } else { Arc::clone(first) };
    let custom = from.uses_custom_buckets();
    let between = if counter { &values[1..] } else { &values[values.len() - 1..] };
    if between.iter().any(|histogram| histogram.uses_custom_buckets() != custom) {
        note_mixed_buckets(context);
        return None;
    }
    let schemas = between.iter().chain([&from]).map(|histogram| histogram.schema);
    let mut increase = last.to_schema(schemas.min().expect("there are at least two"));
    if !combine(&mut increase, &from, Combining::Subtraction, context) {
        return None;
    }
    if counter {
        note_overlap(column, context);
        add_what_resets_took(&mut increase, column, from, context)?;
    } else if !gauge(first) || !gauge(last) {
        context.notes.add(Note::NotGauge(context.metric()), context.position);
    }
    increase.reset_hint = ResetHint::Gauge;
    increase.compact();
    Some(increase)
}

/// Nothing, in buckets of the same kind.
fn emptied(histogram: &FloatHistogram) -> Arc<FloatHistogram> {
    let custom_bounds = histogram.custom_bounds.clone();
    let schema = histogram.schema;
    Arc::new(FloatHistogram { schema, custom_bounds, ..FloatHistogram::default() })
}

fn add_what_resets_took(
    increase: &mut FloatHistogram,
    column: &Histograms<'_>,
    mut previous: Arc<FloatHistogram>,
    context: &WindowContext<'_>,
) -> Option<()> {
    for (index, histogram) in column.values.iter().enumerate().skip(1) {
        let reset = starts_anew(column, index) || histogram.is_reset_from(&previous);
        if reset && !combine(increase, &previous, Combining::Addition, context) {
            return None;
        }
        previous = Arc::clone(histogram);
    }
    Some(())
}

fn is_reset(column: &Histograms<'_>, index: usize) -> bool {
    starts_anew(column, index) || column.values[index].is_reset_from(&column.values[index - 1])
}

fn starts_anew<T>(column: &Column<'_, T>, index: usize) -> bool {
    let (starts, times) = (column.starts, column.times);
    !starts.is_empty()
        && start_says_reset((starts[index - 1], times[index - 1]), (starts[index], times[index]))
}

/// Whether start timestamps say that a counter began anew between two samples, each given as
/// (start, time).
pub(crate) fn start_says_reset(previous: (i64, i64), current: (i64, i64)) -> bool {
    let unknown = current.0 == 0 || current.0 >= current.1;
    if unknown || current.0 < previous.1 {
        return false;
    }
    if current.0 > previous.1 {
        return true;
    }
    // The start is the sample before: a delta where that one had a start of its own, else a
    // counter of unknown start.
    previous.0 != 0 && previous.0 < previous.1
}

/// One of the last two samples of a window, of either kind.
#[derive(Clone, Copy)]
struct Recent<'a> {
    time: i64,
    start: i64,
    float: f64,
    histogram: Option<&'a Arc<FloatHistogram>>,
}

fn recent<'a>(window: &Window<'a>) -> Option<[Recent<'a>; 2]> {
    let start = |starts: &[i64], index: usize| starts.get(index).copied().unwrap_or(0);
    let mut all = Vec::with_capacity(4);
    let floats = window.floats;
    for index in floats.values.len().saturating_sub(2)..floats.values.len() {
        all.push(Recent {
            time: floats.times[index],
            start: start(floats.starts, index),
            float: floats.values[index],
            histogram: None,
        });
    }
    let histograms = window.histograms;
    for index in histograms.values.len().saturating_sub(2)..histograms.values.len() {
        all.push(Recent {
            time: histograms.times[index],
            start: start(histograms.starts, index),
            float: 0.0,
            histogram: Some(&histograms.values[index]),
        });
    }
    all.sort_by_key(|sample| sample.time);
    all.last_chunk::<2>().copied()
}

fn last_two(window: &Window<'_>, context: &WindowContext<'_>, per_second: bool) -> Result<Answer> {
    let Some([before, after]) = recent(window) else {
        return Ok(Answer::Nothing);
    };
    if after.time == before.time {
        return Ok(Answer::Nothing);
    }
    let seconds = (after.time - before.time) as f64 / 1000.0;
    let anew = start_says_reset((before.start, before.time), (after.start, after.time));
    Ok(match (before.histogram, after.histogram) {
        (None, None) => {
            let reset = per_second && (after.float < before.float || anew);
            let change = if reset { after.float } else { after.float - before.float };
            Answer::Float(if per_second { change / seconds } else { change })
        }
        (Some(before), Some(after)) => {
            let divisor = per_second.then_some(seconds);
            last_two_histograms(before, after, context, divisor, anew)
        }
        _ => {
            let note = Note::MixedFloatsHistograms(context.metric());
            context.notes.add(note, context.all_position);
            Answer::Nothing
        }
    })
}

fn last_two_histograms(
    before: &FloatHistogram,
    after: &FloatHistogram,
    context: &WindowContext<'_>,
    seconds: Option<f64>,
    anew: bool,
) -> Answer {
    let gauges = [before, after].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    let metric = context.metric();
    match seconds {
        Some(_) if gauges != [false; 2] => {
            context.notes.add(Note::NotCounter(metric), context.position)
        }
        None if gauges != [true; 2] => context.notes.add(Note::NotGauge(metric), context.position),
        _ => {}
    }
    let mut change = after.clone();
    let reset = seconds.is_some() && (anew || after.is_reset_from(before));
    if !reset && !combine(&mut change, before, Combining::Subtraction, context) {
        return Answer::Nothing;
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    if let Some(seconds) = seconds {
        change.divide(seconds);
    }
    Answer::Histogram(Box::new(change))
}
