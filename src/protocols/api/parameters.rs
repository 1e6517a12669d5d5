//! Parameters of a request: from its query string and, where it has one, from its form.
//!
//! Times are written as Prometheus' and VictoriaMetrics' clients write them: seconds, smaller units
//! of which the number itself says which, RFC 3339 or its beginning, and relative to now.

use super::multipart;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::services::ServiceError;
use crate::{Call, percent_decode};
use model::{ErrorKind, parse_duration};

/// A parameter that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid parameter {name:?}: {message}")]
pub(crate) struct ParameterError {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl ParameterError {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), message: message.into() }
    }
}

#[derive(Debug)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
    now_ms: i64,
}

/// The longest form that is read, as with Prometheus.
const FORM_MAX: usize = 10 << 20;
/// More parameters than any client sends.
const PAIRS_MAX: usize = 10_000;

impl Parameters {
    /// The form's values come before the query string's.
    pub(crate) fn of(call: &Call, now_ms: i64) -> Result<Self, ServiceError> {
        let content_type = call.header("content-type");
        let is_form = content_type.starts_with("application/x-www-form-urlencoded");
        let is_in_parts = content_type.starts_with("multipart/form-data");
        let body = if is_form || is_in_parts { &*call.body } else { b"" };
        if body.len() > FORM_MAX {
            let message = format!("the form is larger than {FORM_MAX} bytes: ask for less at once");
            return Err(ServiceError::new(ErrorKind::Limit, message));
        }
        let parts = if is_in_parts { body } else { b"" };
        let form = if is_form { body } else { b"" };
        // One more than may be tells whether there are more.
        let fields = multipart::fields(content_type, parts, PAIRS_MAX + 1);
        let count = [form, call.query.as_bytes()].map(pair_count).iter().sum::<usize>();
        let count = count + fields.len();
        if count > PAIRS_MAX {
            let message =
                format!("there are more than {PAIRS_MAX} parameters: ask for less at once");
            return Err(ServiceError::new(ErrorKind::Limit, message));
        }
        let texts = body.len() + call.query.len();
        call.held.take(texts + count * size_of::<(String, String)>())?;
        let mut pairs = Vec::with_capacity(count);
        read_pairs(&String::from_utf8_lossy(form), &mut pairs);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs.extend(fields.into_iter().map(|(name, value)| (name, text(value))));
        read_pairs(&call.query, &mut pairs);
        Ok(Self { pairs, now_ms })
    }

    /// Empty where it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    pub(crate) fn time(&self, name: &str, default_ms: i64) -> Result<i64, ParameterError> {
        match self.text(name) {
            "" => Ok(default_ms),
            text => parse_time(text, self.now_ms).map_err(|message| {
                ParameterError::new(name, format!("Invalid time value for '{name}': {message}"))
            }),
        }
    }

    /// A time that must be there.
    pub(crate) fn needed_time(&self, name: &str) -> Result<i64, ParameterError> {
        parse_time(self.text(name), self.now_ms)
            .map_err(|message| ParameterError::new(name, message))
    }

    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, ParameterError> {
        match self.text(name) {
            "" => Ok(None),
            _ => self.needed_duration(name).map(Some),
        }
    }

    pub(crate) fn needed_duration(&self, name: &str) -> Result<i64, ParameterError> {
        parse_span(self.text(name)).map_err(|message| ParameterError::new(name, message))
    }

    /// How many results are wanted; all of them when the parameter is missing or 0.
    pub(crate) fn limit(&self) -> Result<usize, ParameterError> {
        self.count("limit").map(|limit| limit.unwrap_or(usize::MAX))
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, ParameterError> {
        match self.text(name) {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(count) if count >= 0 => Ok(usize::try_from(count).ok().filter(|n| *n > 0)),
                Ok(_) => Err(ParameterError::new(name, "must be non-negative")),
                Err(_) => {
                    Err(ParameterError::new(name, format!("cannot parse {text:?} as a number")))
                }
            },
        }
    }

    /// A number of digits, which may be negative.
    pub(crate) fn digits(&self, name: &str) -> Result<Option<i32>, ParameterError> {
        match self.text(name) {
            "" => Ok(None),
            text => match text.parse() {
                Ok(digits @ -300..=300) => Ok(Some(digits)),
                _ => Err(ParameterError::new(name, format!("cannot parse {text:?} as digits"))),
            },
        }
    }
}

fn pair_count(form: &[u8]) -> usize {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).count()
}

fn read_pairs(text: &str, pairs: &mut Vec<(String, String)>) {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((percent_decode(name), percent_decode(value)));
    }
}

/// Above these, numbers are milliseconds, microseconds or nanoseconds since 1970 rather than seconds:
/// that many seconds are the year 5138.
const UNITS: [(f64, f64); 3] = [(1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0)];

/// Seconds since 1970 with a fraction, smaller units, RFC 3339 or its beginning, or `now-1h`.
fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    let invalid = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(number) = text.parse::<f64>() {
        let millis = match UNITS.iter().find(|(from, _)| number.abs() >= *from) {
            Some((_, unit)) => (number * unit).round(),
            // Only the fraction is rounded: the product might be on the other side of a half.
            None => number.trunc() * 1_000.0 + (number.fract() * 1_000.0).round(),
        };
        let fits = millis.is_finite() && millis.abs() < TIME_MAX_MS as f64;
        return fits.then_some(millis as i64).ok_or_else(invalid);
    }
    match text {
        // What Prometheus' own clients send for the ends of time.
        "-292273086-05-16T16:47:06Z" => return Ok(TIME_MIN_MS),
        "292277025-08-18T07:12:54.999999999Z" => return Ok(TIME_MAX_MS),
        _ => {}
    }
    relative_time(text, now_ms).or_else(|| calendar_time(text)).ok_or_else(invalid)
}

/// `now`, `now-1h`, `now+5m`, `-1h`.
fn relative_time(text: &str, now_ms: i64) -> Option<i64> {
    let change = text.strip_prefix("now").unwrap_or(text);
    match change.split_at_checked(1) {
        None => (text == "now").then_some(now_ms),
        Some(("-", span)) => Some(now_ms.saturating_sub(parse_duration(span).ok()?)),
        Some(("+", span)) if text != change => {
            Some(now_ms.saturating_add(parse_duration(span).ok()?))
        }
        Some(_) => None,
    }
}

/// RFC 3339, whose end may be missing: `2026-11`, `2026-11-21T09`. Without a zone it is UTC.
fn calendar_time(text: &str) -> Option<i64> {
    const WHOLE: &str = "0000-01-01T00:00:00";
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let plain = text.strip_suffix('Z').unwrap_or(text);
    let is_prefix = plain.is_ascii() && matches!(plain.len(), 4 | 7 | 10 | 13 | 16 | 19);
    let whole = is_prefix.then(|| format!("{plain}{}Z", &WHOLE[plain.len()..]))?;
    chrono::DateTime::parse_from_rfc3339(&whole).ok().map(|time| time.timestamp_millis())
}

/// Seconds with a fraction, or `1h30m`.
fn parse_span(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        // The longest duration that nanoseconds in 64 bits can hold.
        let fits = millis.abs() < 9.2e12;
        let overflow = || format!("cannot parse {text:?} to a valid duration. It overflows int64");
        return fits.then_some(millis as i64).ok_or_else(overflow);
    }
    parse_duration(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        let now_ms = 1_700_000_000_000;
        for (text, expected) in [
            ("1.5", 1_500),
            ("1.0005", 1_000),
            ("-1.9996", -2_000),
            ("1970-01-01T00:00:01.5Z", 1_500),
            ("2026-11-21T00:00:00+09:00", 1_795_186_800_000),
            ("1700000000123", 1_700_000_000_123),
            ("1700000000123456", 1_700_000_000_123),
            ("1700000000123456789", 1_700_000_000_123),
            ("now", now_ms),
            ("now-1h", now_ms - 3_600_000),
            ("-90s", now_ms - 90_000),
            ("now+1m", now_ms + 60_000),
            ("2026-11", 1_793_491_200_000),
            ("2026-11-21", 1_795_219_200_000),
            ("2026-11-21T09Z", 1_795_251_600_000),
            ("2026Z", 1_767_225_600_000),
            ("2026", 2_026_000),
        ] {
            assert_eq!(parse_time(text, now_ms), Ok(expected), "{text}");
        }
        for text in ["NaN", "1e300", "", "now-", "nowhere", "+1h", "2026-13", "2026-1", "한국어"]
        {
            assert!(parse_time(text, now_ms).is_err(), "{text}");
        }
        assert_eq!(parse_span("15"), Ok(15_000));
        assert_eq!(parse_span("1m30s"), Ok(90_000));
        assert_eq!(parse_span("x"), Err("cannot parse \"x\" to a valid duration".to_owned()));
        assert!(parse_span("1e20").is_err());
    }
}
