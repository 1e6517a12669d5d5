//! Lines and trends through the samples of a window. Histograms are left out.

use super::over_time::note_ignored;
use crate::error::QueryError;
use crate::function::{Answer, Window, WindowContext, WindowFunction};
use crate::storage::Column;
use model::KahanSum;
use query::format_fixed_go;

type Result<T> = std::result::Result<T, QueryError>;

const fn trend(evaluate: fn(&Window<'_>, &WindowContext<'_>) -> Result<Answer>) -> WindowFunction {
    WindowFunction::of(evaluate)
}

pub(super) const DERIV: WindowFunction = trend(deriv);
pub(super) const PREDICT: WindowFunction = trend(predict);
pub(super) const SMOOTHING: WindowFunction = trend(smoothing);

/// At least two floats, or nothing can be said.
fn two_floats<'a>(window: &Window<'a>, context: &WindowContext<'_>) -> Option<Column<'a, f64>> {
    let floats = window.floats;
    if !floats.values.is_empty() && !window.histograms.values.is_empty() {
        note_ignored(context);
    }
    (floats.values.len() >= 2).then_some(floats)
}

fn deriv(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    let Some(floats) = two_floats(window, context) else {
        return Ok(Answer::Nothing);
    };
    // Times near the samples keep the digits.
    Ok(Answer::Float(line(floats, floats.times[0]).slope))
}

fn predict(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    let Some(floats) = two_floats(window, context) else {
        return Ok(Answer::Nothing);
    };
    let line = line(floats, window.step_ms);
    Ok(Answer::Float(line.slope * window.scalars[0] + line.intercept))
}

struct Line {
    slope: f64,
    intercept: f64,
}

/// The line with the least squares, its intercept at a given time.
fn line(floats: Column<'_, f64>, origin_ms: i64) -> Line {
    let first = floats.values[0];
    if floats.values.iter().all(|value| *value == first) {
        return if first.is_infinite() {
            Line { slope: f64::NAN, intercept: f64::NAN }
        } else {
            Line { slope: 0.0, intercept: first }
        };
    }
    let rows = floats.times.iter().zip(floats.values).map(|(time, y)| {
        let x = (time - origin_ms) as f64 / 1000.0;
        [x, *y, x * y, x * x]
    });
    let sums = KahanSum::plus_rows([KahanSum::default(); 4], rows);
    let [x, y, xy, xx] = sums.map(|sum| sum.sum + sum.compensation);
    let count = floats.values.len() as f64;
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Line { slope, intercept: y / count - slope * x / count }
}

/// Double exponential smoothing: a level and a trend, each a weighted mean of new and old.
fn smoothing(window: &Window<'_>, context: &WindowContext<'_>) -> Result<Answer> {
    let (level_weight, trend_weight) = (window.scalars[0], window.scalars[1]);
    check_factor("smoothing", "sf", level_weight)?;
    check_factor("trend", "tf", trend_weight)?;
    let Some(floats) = two_floats(window, context) else {
        return Ok(Answer::Nothing);
    };
    let mut previous = 0.0;
    let mut level = floats.values[0];
    let mut trend = floats.values[1] - floats.values[0];
    for (index, value) in floats.values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_weight * (level - previous) + (1.0 - trend_weight) * trend;
        }
        let next = level_weight * value + (1.0 - level_weight) * (level + trend);
        (previous, level) = (level, next);
    }
    Ok(Answer::Float(level))
}

fn check_factor(name: &str, short: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 || value.is_nan() {
        return Ok(());
    }
    let value = format_fixed_go(value);
    let message = format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {value}");
    Err(QueryError::execution(message))
}
