//! Parts of an interval, as the configuration writes them: `monday:friday`, `-3:-1`, `09:00`.

use super::Span;
use chrono_tz::Tz;

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `a:b`, or `a` for both.
fn span(text: &str, read: impl Fn(&str) -> Result<i32, String>) -> Result<Span, String> {
    let text = text.to_lowercase();
    let (begin, end) = text.split_once(':').unwrap_or((&text, &text));
    Ok(Span { begin: read(begin)?, end: read(end)? })
}

pub(crate) fn weekdays(text: &str) -> Result<Span, String> {
    let span = span(text, |name| {
        let at = WEEKDAYS.iter().position(|known| *known == name);
        Ok(place(at.ok_or_else(|| format!("{name} is not a valid weekday"))?))
    })?;
    ordered(span, "start day cannot be before end day")
}

pub(crate) fn days_of_month(text: &str) -> Result<Span, String> {
    let found =
        span(text, |day| day.parse().map_err(|_| format!("{day} is not a day of a month")))?;
    for day in [found.begin, found.end] {
        if day == 0 || !(-31..=31).contains(&day) {
            return Err(format!("{day} is not a valid day of the month: out of range"));
        }
    }
    if found.begin < 0 && found.end > 0 {
        return Err("end day must be negative if start day is negative".to_owned());
    }
    // Compared in the longest month, so that what is before in every month is refused.
    let from_start = |day: i32| if day < 0 { 32 + day } else { day };
    if from_start(found.begin) > from_start(found.end) {
        let Span { begin, end } = found;
        return Err(format!("end day {end} is always before start day {begin}"));
    }
    Ok(found)
}

pub(crate) fn months(text: &str) -> Result<Span, String> {
    let span = span(text, |name| {
        let by_name = MONTHS.iter().position(|known| *known == name).map(|at| place(at) + 1);
        let by_number = || name.parse().ok().filter(|month| (1..=12).contains(month));
        by_name.or_else(by_number).ok_or_else(|| format!("{name} is not a valid month"))
    })?;
    ordered(span, "end month is before start month")
}

pub(crate) fn years(text: &str) -> Result<Span, String> {
    let span = span(text, |year| year.parse().map_err(|_| format!("{year} is not a year")))?;
    ordered(span, "end year is before start year")
}

fn ordered(span: Span, message: &str) -> Result<Span, String> {
    if span.begin <= span.end { Ok(span) } else { Err(message.to_owned()) }
}

fn place(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// `start_time` and `end_time`, in minutes of the day.
pub(crate) fn times(start: &str, end: &str) -> Result<Span, String> {
    let span = Span { begin: minutes(start)?, end: minutes(end)? };
    if span.begin >= span.end {
        return Err("start time cannot be equal or greater than end time".to_owned());
    }
    Ok(span)
}

/// `00:00` to `24:00`.
fn minutes(text: &str) -> Result<i32, String> {
    let invalid = || format!("couldn't parse timestamp {text}, invalid format");
    let (hours, minutes) = text.split_once(':').ok_or_else(invalid)?;
    let two_digits = |part: &str| {
        let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<i32>().ok()).flatten()
    };
    let (hours, minutes) = two_digits(hours).zip(two_digits(minutes)).ok_or_else(invalid)?;
    let is_time = (hours < 24 && minutes < 60) || (hours == 24 && minutes == 0);
    if is_time { Ok(hours * 60 + minutes) } else { Err(invalid()) }
}

pub(crate) fn location(name: &str) -> Result<Tz, String> {
    match name {
        // The server's own zone is UTC.
        "" | "UTC" | "Local" => Ok(Tz::UTC),
        _ => name.parse().map_err(|_| format!("unknown time zone {name}")),
    }
}
