//! Time: of the evaluation, of samples, and on the calendar (UTC, Gregorian).

use crate::error::QueryError;
use crate::function::Invocation;
use crate::selector::SampleTime;
use crate::value::Value;
use model::Labels;
use query::{Series, StepColumn};

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn time(call: Invocation<'_>) -> Result<Value> {
    Ok(Value::Scalar(call.grid.times().map(seconds).collect()))
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// Of a selector: when its samples were taken. Of anything else: the evaluation time.
pub(super) fn timestamp(mut call: Invocation<'_>) -> Result<Value> {
    if let Some(selector) = call.arguments[0].selector {
        let times = call.evaluation.sample_times(selector, call.grid, SampleTime::Taken)?;
        return finish(&call, times);
    }
    let grid = call.grid;
    let mut series = call.take_vector(0);
    for one in &mut series {
        let steps: Vec<usize> = one.column.iter().map(|(step, _)| step).collect();
        steps.iter().for_each(|step| one.column.set_float(*step, seconds(grid.time(*step))));
    }
    finish(&call, series)
}

/// Of a selector: when the counters behind its samples began. Anything else has no such time.
pub(super) fn start_timestamp(call: Invocation<'_>) -> Result<Value> {
    match call.arguments[0].selector {
        Some(selector) if call.options.start_timestamps => {
            let times = call.evaluation.sample_times(selector, call.grid, SampleTime::Started)?;
            finish(&call, times)
        }
        _ => Ok(Value::Vector(Vec::new())),
    }
}

fn finish(call: &Invocation<'_>, mut series: Vec<Series>) -> Result<Value> {
    series.iter_mut().for_each(|one| one.lose_name(call.delayed()));
    call.renamed(series)
}

/// 2^63: more seconds than can be counted.
const SECONDS_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// A second on the calendar.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    /// From 1970-01-01.
    days: i64,
    second_of_day: i64,
}

impl Civil {
    /// Howard Hinnant's days-to-civil. A value that is no moment counts as the last moment, as in
    /// Prometheus on x86-64.
    fn from_seconds(seconds: f64) -> Self {
        let is_moment = (-SECONDS_LIMIT..SECONDS_LIMIT).contains(&seconds);
        let seconds = if is_moment { seconds as i64 } else { i64::MAX };
        let days = seconds.div_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day, days, second_of_day: seconds.rem_euclid(86_400) }
    }

    fn is_leap_year(&self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(self.is_leap_year()),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn day_of_year(&self) -> i64 {
        const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap = i64::from(self.month > 2 && self.is_leap_year());
        BEFORE[(self.month - 1) as usize] + self.day + leap
    }
}

fn calendar(mut call: Invocation<'_>, part: fn(&Civil) -> i64) -> Result<Value> {
    let of = |seconds: f64| part(&Civil::from_seconds(seconds)) as f64;
    if call.arguments.is_empty() {
        let values = call.grid.times().map(|millis| of((millis / 1000) as f64)).collect();
        let series = Series::new(Labels::empty(), StepColumn::from_values(values));
        return Ok(Value::Vector(vec![series]));
    }
    let mut series = call.take_vector(0);
    for one in &mut series {
        for step in 0..one.column.steps() {
            match one.column.float(step) {
                Some(value) => one.column.set_float(step, of(value)),
                None => one.column.remove(step),
            }
        }
    }
    finish(&call, series)
}

pub(super) fn days_in_month(call: Invocation<'_>) -> Result<Value> {
    calendar(call, Civil::days_in_month)
}

pub(super) fn day_of_month(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| civil.day)
}

/// Sunday is 0.
pub(super) fn day_of_week(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| (civil.days + 4).rem_euclid(7))
}

pub(super) fn day_of_year(call: Invocation<'_>) -> Result<Value> {
    calendar(call, Civil::day_of_year)
}

pub(super) fn hour(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| civil.second_of_day / 3600)
}

pub(super) fn minute(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| civil.second_of_day / 60 % 60)
}

pub(super) fn month(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| civil.month)
}

pub(super) fn year(call: Invocation<'_>) -> Result<Value> {
    calendar(call, |civil| civil.year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_their_place_on_the_calendar() {
        let civil = Civil::from_seconds(1_456_790_399.0);
        assert_eq!((civil.year, civil.month, civil.day), (2016, 2, 29));
        assert_eq!((civil.days_in_month(), civil.day_of_year()), (29, 60));
        let before = Civil::from_seconds(-1.0);
        assert_eq!((before.year, before.month, before.day), (1969, 12, 31));
        assert_eq!(before.second_of_day, 86_399);
    }
}
