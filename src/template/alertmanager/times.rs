//! Functions of times and durations.

use super::SINCE;
use crate::format::printf;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::time::{Zone, show};
use crate::units::parse_float;
use crate::value::Value;

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::pure("date", &[Kind::Text, Kind::Time], |_, arguments| {
        let layout = String::from_utf8_lossy(&arguments.text(0)).into_owned();
        let mut out = String::new();
        show(&arguments.time(1), &layout, &mut out);
        Ok(out.into())
    }),
    Function::pure("tz", &[Kind::Text, Kind::Time], |_, arguments| {
        let name = String::from_utf8_lossy(&arguments.text(0)).into_owned();
        let zone = Zone::named(&name);
        let zone = zone.ok_or_else(|| Failure::message(format!("unknown time zone {name}")))?;
        Ok(Value::Time(arguments.time(1).in_zone(zone)))
    }),
    Function::of_data(SINCE, &[Kind::Time]),
    Function::pure("humanizeDuration", &[Kind::Any], humanize_duration),
];

/// Seconds as `1d 2h 3m 4s`, or with four digits and a prefix where they are few.
fn humanize_duration<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let seconds = match arguments.get(0) {
        Value::Float(seconds) => *seconds,
        Value::Int(seconds) => *seconds as f64,
        Value::Duration(nanoseconds) => *nanoseconds as f64 / 1e9,
        Value::Text(text) => parse_float(text).map_err(Failure::message)?,
        other => {
            let got = other.type_name();
            return Err(format!("can't convert {got} to float").into());
        }
    };
    let short = |number: f64, unit: &str| {
        let values = [Value::Float(number), Value::from(unit.to_owned())];
        call.write(|sink| printf(b"%.4g%s", &values, sink))
    };
    if !seconds.is_finite() {
        return short(seconds, "");
    }
    if seconds == 0.0 {
        return short(seconds, "s");
    }
    if seconds.abs() < 1.0 {
        const PREFIXES: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
        let mut scaled = (seconds, "");
        for prefix in PREFIXES {
            if scaled.0.abs() >= 1.0 {
                break;
            }
            scaled = (scaled.0 * 1_000.0, prefix);
        }
        return short(scaled.0, &format!("{}s", scaled.1));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let whole = seconds.abs() as u64;
    let (days, hours) = (whole / 86_400, whole / 3_600 % 24);
    let (minutes, rest) = (whole / 60 % 60, whole % 60);
    Ok(match (days, hours, minutes) {
        (0, 0, 0) => return short(seconds, "s"),
        (0, 0, _) => format!("{sign}{minutes}m {rest}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {rest}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
    }
    .into())
}
