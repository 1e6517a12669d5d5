//! Times and durations.

use super::float;
use crate::format::significant;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::time::Time;
use crate::value::Value;

pub(super) const FUNCTIONS: [Function; 5] = [
    Function::of_data("now", &[]),
    Function::pure("toTime", &[Kind::Any], |_, arguments| {
        let value = float(arguments.get(0))?;
        match value.is_finite() {
            true => time(value).map(Value::Time),
            false => Err("value is NaN or Inf".into()),
        }
    }),
    Function::pure("toDuration", &[Kind::Any], to_duration),
    Function::pure("humanizeTimestamp", &[Kind::Any], humanize_timestamp),
    Function::pure("parseDuration", &[Kind::Text], parse_duration),
];

fn fits_nanoseconds(value: f64) -> bool {
    (value * 1e9).abs() < i64::MAX as f64
}

fn overflow(value: f64, what: &str) -> Failure {
    let value = model::format_float_go(value);
    format!("{value} cannot be represented as a nanoseconds {what} since it overflows int64").into()
}

/// Seconds since 1970, to the millisecond as Prometheus keeps times.
fn time(seconds: f64) -> Result<Time, Failure> {
    if !fits_nanoseconds(seconds) {
        return Err(overflow(seconds, "timestamp"));
    }
    let milliseconds = (seconds * 1e9) as i64 / 1_000_000;
    Ok(Time::from_unix_nanoseconds(milliseconds * 1_000_000))
}

fn to_duration<'a>(
    _: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let value = float(arguments.get(0))?;
    match fits_nanoseconds(value) {
        true => Ok(Value::Duration((value * 1e9) as i64)),
        false => Err(overflow(value, "duration")),
    }
}

fn humanize_timestamp<'a>(
    _: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let value = float(arguments.get(0))?;
    match value.is_finite() {
        true => Ok(Value::Time(time(value)?)),
        false => Ok(significant(value, 4).into()),
    }
}

/// `1h30m` in seconds.
fn parse_duration<'a>(
    _: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let text = arguments.text(0);
    let milliseconds = model::parse_duration(&String::from_utf8_lossy(&text))?;
    Ok(Value::Float(milliseconds as f64 / 1_000.0))
}
