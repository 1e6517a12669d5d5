//! Parameters of the HTTP API: from the query string and, with POST, from the form.

use super::envelope::ApiError;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::services::Question;
use crate::{Call, percent_decode};
use promql::{Matcher, parse_duration, parse_selector};

#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// The form's values come before the query string's.
    pub(super) fn of(call: &Call) -> Self {
        let mut pairs = Vec::new();
        if call.header("content-type").starts_with("application/x-www-form-urlencoded") {
            read_pairs(&String::from_utf8_lossy(&call.body), &mut pairs);
        }
        read_pairs(&call.query, &mut pairs);
        Self { pairs }
    }

    /// Empty where it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    pub(super) fn time(&self, name: &str, default_ms: i64) -> Result<i64, ApiError> {
        match self.text(name) {
            "" => Ok(default_ms),
            text => parse_time(text).map_err(|message| {
                let message = format!("Invalid time value for '{name}': {message}");
                ApiError::parameter(name, &message)
            }),
        }
    }

    /// One that must be there.
    pub(super) fn needed_time(&self, name: &str) -> Result<i64, ApiError> {
        parse_time(self.text(name)).map_err(|message| ApiError::parameter(name, &message))
    }

    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            _ => self.needed_duration(name).map(Some),
        }
    }

    pub(super) fn needed_duration(&self, name: &str) -> Result<i64, ApiError> {
        parse_span(self.text(name)).map_err(|message| ApiError::parameter(name, &message))
    }

    /// How many results are wanted; all, where nothing or 0 is said.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        self.count("limit").map(|limit| limit.unwrap_or(usize::MAX))
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<usize>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            text => match text.parse::<i64>() {
                Ok(count) if count >= 0 => Ok(usize::try_from(count).ok().filter(|n| *n > 0)),
                Ok(_) => Err(ApiError::parameter(name, "must be non-negative")),
                Err(_) => {
                    let message = format!("cannot parse {text:?} as a number");
                    Err(ApiError::parameter(name, &message))
                }
            },
        }
    }

    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]").map(selector).collect()
    }

    /// `match[]`, `start`, `end` and `limit` together.
    pub(super) fn question(&self) -> Result<Question, ApiError> {
        let start_ms = self.time("start", TIME_MIN_MS)?;
        let end_ms = self.time("end", TIME_MAX_MS)?;
        if end_ms < start_ms {
            return Err(ApiError::bad("end timestamp must not be before start timestamp"));
        }
        Ok(Question { selectors: self.selectors()?, start_ms, end_ms, limit: self.limit()? })
    }
}

fn selector(text: &str) -> Result<Vec<Matcher>, ApiError> {
    let matchers =
        parse_selector(text).map_err(|error| ApiError::parameter("match[]", &error.to_string()))?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        let message = "match[] must contain at least one non-empty matcher";
        return Err(ApiError::parameter("match[]", message));
    }
    Ok(matchers)
}

fn read_pairs(text: &str, pairs: &mut Vec<(String, String)>) {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((percent_decode(name), percent_decode(value)));
    }
}

/// Seconds since 1970 with a fraction, or RFC 3339.
pub(super) fn parse_time(text: &str) -> Result<i64, String> {
    let invalid = || format!("cannot parse {text:?} to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        let fits = millis.is_finite() && millis.abs() < TIME_MAX_MS as f64;
        return fits.then_some(millis as i64).ok_or_else(invalid);
    }
    match text {
        // What Prometheus' own clients send for the ends of time.
        "-292273086-05-16T16:47:06Z" => Ok(TIME_MIN_MS),
        "292277025-08-18T07:12:54.999999999Z" => Ok(TIME_MAX_MS),
        _ => chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| time.timestamp_millis())
            .map_err(|_| invalid()),
    }
}

/// Seconds with a fraction, or `1h30m`.
fn parse_span(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        // What nanoseconds in 64 bits can hold.
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
        assert_eq!(parse_time("1.5"), Ok(1_500));
        assert_eq!(parse_time("1970-01-01T00:00:01.5Z"), Ok(1_500));
        assert_eq!(parse_time("2026-11-21T00:00:00+09:00"), Ok(1_795_186_800_000));
        assert!(parse_time("NaN").is_err());
        assert!(parse_time("1e300").is_err());
        assert!(parse_time("").is_err());
        assert_eq!(parse_span("15"), Ok(15_000));
        assert_eq!(parse_span("1m30s"), Ok(90_000));
        assert_eq!(parse_span("x"), Err("cannot parse \"x\" to a valid duration".to_owned()));
        assert!(parse_span("1e20").is_err());
    }
}
