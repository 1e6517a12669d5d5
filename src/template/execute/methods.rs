//! The methods of times and durations that templates call, by Go's names.

use crate::registry::Arguments;
use crate::time::{Time, format_duration, show, show_default};
use crate::value::Value;

/// Those without arguments whose results are whole numbers are `Time::part`.
const OF_TIMES: [&str; 7] = ["Format", "IsZero", "Local", "Month", "String", "UTC", "Weekday"];
const OF_DURATIONS: [&str; 7] =
    ["Hours", "Microseconds", "Milliseconds", "Minutes", "Nanoseconds", "Seconds", "String"];

pub(super) fn has(receiver: &Value<'_>, name: &str) -> bool {
    match receiver {
        Value::Time(time) => OF_TIMES.contains(&name) || time.part(name).is_some(),
        Value::Duration(_) => OF_DURATIONS.contains(&name),
        Value::Object(object) => object.methods().contains(&name),
        _ => false,
    }
}

pub(super) fn call<'a>(
    receiver: &Value<'a>,
    name: &str,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, String> {
    if let Value::Object(object) = receiver {
        return object.call(name, arguments.from(0));
    }
    let wanted = usize::from(name == "Format");
    if arguments.count() != wanted {
        let count = arguments.count();
        return Err(format!("wrong number of args for {name}: want {wanted} got {count}"));
    }
    match receiver {
        Value::Time(time) => of_time(time, name, arguments),
        Value::Duration(nanoseconds) => Ok(of_duration(*nanoseconds, name)),
        _ => Ok(Value::Nil),
    }
}

fn of_time<'a>(
    time: &Time,
    name: &str,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, String> {
    if let Some(part) = time.part(name) {
        return Ok(Value::Int(part));
    }
    let shown = |layout: &str| {
        let mut out = String::new();
        show(time, layout, &mut out);
        Value::from(out)
    };
    Ok(match name {
        "Format" => match arguments.get(0) {
            Value::Text(layout) => shown(&String::from_utf8_lossy(layout)),
            other => {
                let type_name = other.type_name();
                return Err(format!("wrong type for value; expected string; got {type_name}"));
            }
        },
        "IsZero" => Value::Bool(time.clone().in_zone(crate::time::Zone::Utc) == Time::ZERO),
        "Month" => shown("January"),
        "Weekday" => shown("Monday"),
        "String" => Value::from(show_default(time)),
        // The server's local zone is UTC.
        _ => Value::Time(time.clone().in_zone(crate::time::Zone::Utc)),
    })
}

fn of_duration<'a>(nanoseconds: i64, name: &str) -> Value<'a> {
    let in_seconds = nanoseconds as f64 / 1e9;
    match name {
        "Hours" => Value::Float(in_seconds / 3600.0),
        "Minutes" => Value::Float(in_seconds / 60.0),
        "Seconds" => Value::Float(in_seconds),
        "Milliseconds" => Value::Int(nanoseconds / 1_000_000),
        "Microseconds" => Value::Int(nanoseconds / 1_000),
        "Nanoseconds" => Value::Int(nanoseconds),
        _ => Value::from(format_duration(nanoseconds)),
    }
}
