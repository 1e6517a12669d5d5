//! Numbers for people: with prefixes, as durations, percentages and times.

use super::float;
use crate::format::significant;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;

const ANY: &[Kind] = &[Kind::Any];

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::pure("humanize", ANY, |_, arguments| shown(arguments, humanize)),
    Function::pure("humanize1024", ANY, |_, arguments| shown(arguments, humanize_1024)),
    Function::pure("humanizeDuration", ANY, |_, arguments| shown(arguments, duration)),
    Function::pure("humanizePercentage", ANY, percentage),
];

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// The significant digits of every number here.
const DIGITS: usize = 4;

fn shown<'a>(
    arguments: &mut Arguments<'a, '_>,
    show: fn(f64) -> String,
) -> Result<Value<'a>, Failure> {
    Ok(show(float(arguments.get(0))?).into())
}

fn percentage<'a>(
    _: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let value = float(arguments.get(0))? * 100.0;
    Ok(format!("{}%", significant(value, DIGITS)).into())
}

/// Divides until the number is below the base, and names how often.
fn scaled_down(mut value: f64, base: f64, prefixes: [&'static str; 8]) -> String {
    let mut prefix = "";
    for name in prefixes {
        if value.abs() < base {
            break;
        }
        (prefix, value) = (name, value / base);
    }
    format!("{}{prefix}", significant(value, DIGITS))
}

/// Multiplies until the number is at least 1.
fn scaled_up(mut value: f64) -> String {
    let mut prefix = "";
    for name in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        (prefix, value) = (name, value * 1_000.0);
    }
    format!("{}{prefix}", significant(value, DIGITS))
}

fn humanize(value: f64) -> String {
    match value {
        _ if value == 0.0 || !value.is_finite() => significant(value, DIGITS),
        _ if value.abs() >= 1.0 => scaled_down(value, 1_000.0, LARGE),
        _ => scaled_up(value),
    }
}

fn humanize_1024(value: f64) -> String {
    match value.abs() <= 1.0 || !value.is_finite() {
        true => significant(value, DIGITS),
        false => scaled_down(value, 1_024.0, BINARY),
    }
}

fn duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value, DIGITS);
    }
    if value == 0.0 || value.abs() < 1.0 {
        let text = if value == 0.0 { significant(value, DIGITS) } else { scaled_up(value) };
        return format!("{text}s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (seconds, minutes) = (whole % 60, whole / 60 % 60);
    let (hours, days) = (whole / 3_600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", significant(value, DIGITS)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}
