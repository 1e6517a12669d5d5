//! Times: shown, read, and as numbers.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::time::{Time, Zone, read, show};
use crate::value::Value;

const TIME: &[Kind] = &[Kind::Time];

type Made<'a> = Result<Value<'a>, Failure>;

pub(super) const FUNCTIONS: [Function; 7] = [
    Function::pure("date", &[Kind::Text, Kind::Any], date),
    Function::pure("toDate", &[Kind::Text, Kind::Text], |_, arguments| {
        Ok(parsed(&arguments.text(0), &arguments.text(1), Zone::Utc))
    }),
    Function::pure("toDateInZone", &[Kind::Text, Kind::Text, Kind::Text], |_, arguments| {
        let name = arguments.text(1);
        // A zone that there is not is UTC.
        let zone = Zone::named(&String::from_utf8_lossy(&name)).unwrap_or(Zone::Utc);
        Ok(parsed(&arguments.text(0), &arguments.text(2), zone))
    }),
    Function::pure("unixEpoch", TIME, |_, arguments| number(arguments.time(0).unix_seconds())),
    Function::pure("unixEpochMillis", TIME, |_, arguments| {
        number(arguments.time(0).unix_milliseconds())
    }),
    Function::pure("unixEpochNanos", TIME, |_, arguments| {
        number(arguments.time(0).unix_nanoseconds())
    }),
    Function::pure("unixToTime", &[Kind::Text], unix_to_time),
];

/// These numbers are texts.
fn number<'a>(value: i64) -> Made<'a> {
    Ok(value.to_string().into())
}

/// What cannot be read is January 1 of the year 1.
fn parsed<'a>(layout: &[u8], text: &[u8], zone: Zone) -> Value<'a> {
    let (layout, text) = (String::from_utf8_lossy(layout), String::from_utf8_lossy(text));
    Value::Time(read(&layout, &text, zone).unwrap_or(Time::ZERO))
}

/// A time, or seconds since 1970, in UTC.
fn date<'a>(call: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    /// What one byte of a layout becomes at most: `Monday` and `September` have longer forms, and `1`
    /// becomes two digits.
    const GROWTH: usize = 16;
    let time = match arguments.get(1) {
        Value::Time(time) => time.clone().in_zone(Zone::Utc),
        Value::Int(seconds) => Time::from_unix_seconds(*seconds),
        other => {
            let got = other.type_name();
            return Err(format!("expected a time or a number of seconds; got {got}").into());
        }
    };
    let layout = arguments.text(0);
    call.check_size(layout.len().saturating_mul(GROWTH))?;
    let mut out = String::new();
    show(&time, &String::from_utf8_lossy(&layout), &mut out);
    Ok(out.into())
}

/// Days, seconds, milliseconds, microseconds or nanoseconds since 1970: the number of digits tells.
fn unix_to_time<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let text = arguments.text(0);
    let shown = String::from_utf8_lossy(&text);
    let number: i64 = shown.parse().map_err(|_| {
        let quoted = model::quote_go(&text);
        let why = format!("strconv.ParseInt: parsing {quoted}: invalid syntax");
        format!("unable to parse time '{shown}': {why}")
    })?;
    let nanoseconds = match text.len() {
        5 => number.checked_mul(86_400_000_000_000),
        10 => number.checked_mul(1_000_000_000),
        13 => number.checked_mul(1_000_000),
        16 => number.checked_mul(1_000),
        19 => Some(number),
        _ => None,
    };
    match nanoseconds {
        Some(nanoseconds) => Ok(Value::Time(Time::from_unix_nanoseconds(nanoseconds))),
        None => Err(format!(
            "unable to parse time '{shown}': expected 5 digits (days), 10 (seconds), 13 (milliseconds), \
             16 (microseconds) or 19 (nanoseconds)"
        )
        .into()),
    }
}
