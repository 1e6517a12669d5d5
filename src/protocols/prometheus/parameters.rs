//! Parameters of the HTTP API: from the query string and, with POST, from the form. Beside
//! Prometheus' own, VictoriaMetrics' ways of writing times and of restricting any request.

use super::envelope::ApiError;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::services::ListingQuery;
use crate::{Call, percent_decode};
use model::{MatchOp, Matcher};
use promql::{COMPILED_MAX, ParseError, parse_duration, parse_selector};

/// Each is looked for by itself.
const SELECTORS_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    now_ms: i64,
}

impl Parameters {
    /// The form's values come before the query string's.
    pub(super) fn of(call: &Call, now_ms: i64) -> Self {
        let mut pairs = Vec::new();
        if call.header("content-type").starts_with("application/x-www-form-urlencoded") {
            read_pairs(&String::from_utf8_lossy(&call.body), &mut pairs);
        }
        read_pairs(&call.query, &mut pairs);
        Self { pairs, now_ms }
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
            text => parse_time(text, self.now_ms).map_err(|message| {
                let message = format!("Invalid time value for '{name}': {message}");
                ApiError::parameter(name, &message)
            }),
        }
    }

    /// One that must be there.
    pub(super) fn needed_time(&self, name: &str) -> Result<i64, ApiError> {
        parse_time(self.text(name), self.now_ms)
            .map_err(|message| ApiError::parameter(name, &message))
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

    /// `match[]`, each narrowed by what the request asks of every series.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let mut selectors = Vec::new();
        let mut compiled = 0;
        for text in self.all("match[]") {
            let selector = selector(text)?;
            compiled += selector.iter().filter(|matcher| matcher.is_compiled()).count();
            if compiled > COMPILED_MAX || selectors.len() >= SELECTORS_MAX {
                let message = format!(
                    "too many: a request may have {SELECTORS_MAX} selectors and {COMPILED_MAX} \
                     regular expressions that are no plain list of values (a|b|c); ask in parts"
                );
                return Err(ApiError::parameter("match[]", &message));
            }
            selectors.push(selector);
        }
        self.narrow(selectors)
    }

    pub(super) fn narrow(
        &self,
        selectors: Vec<Vec<Matcher>>,
    ) -> Result<Vec<Vec<Matcher>>, ApiError> {
        Ok(narrowed(selectors, &self.filters()?))
    }

    /// A number of digits, which may be negative.
    pub(super) fn digits(&self, name: &str) -> Result<Option<i32>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            text => match text.parse() {
                Ok(digits @ -300..=300) => Ok(Some(digits)),
                _ => Err(ApiError::parameter(name, &format!("cannot parse {text:?} as digits"))),
            },
        }
    }

    /// What `extra_label` and `extra_filters[]` ask of every series: one of these must match. None:
    /// nothing is asked.
    pub(super) fn filters(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let labels = self.all("extra_label").map(extra_label).collect::<Result<Vec<_>, _>>()?;
        let filters = self.all("extra_filters[]").chain(self.all("extra_filters"));
        let filters = filters.filter(|text| !text.is_empty()).map(|text| {
            let invalid =
                |error: ParseError| ApiError::parameter("extra_filters[]", &error.to_string());
            parse_selector(text).map_err(invalid)
        });
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        Ok(match (labels.is_empty(), filters.is_empty()) {
            (true, _) => filters,
            (false, true) => vec![labels],
            (false, false) => narrowed(filters, &[labels]),
        })
    }

    /// [`listing_query`](Self::listing_query), which must say which series it is about.
    pub(super) fn series_query(&self) -> Result<ListingQuery, ApiError> {
        if self.text("match[]").is_empty() {
            return Err(ApiError::bad("no match[] parameter provided"));
        }
        self.listing_query()
    }

    /// `match[]`, `start`, `end` and `limit` together.
    pub(super) fn listing_query(&self) -> Result<ListingQuery, ApiError> {
        let start_ms = self.time("start", TIME_MIN_MS)?;
        let end_ms = self.time("end", TIME_MAX_MS)?;
        if end_ms < start_ms {
            return Err(ApiError::bad("end timestamp must not be before start timestamp"));
        }
        Ok(ListingQuery { selectors: self.selectors()?, start_ms, end_ms, limit: self.limit()? })
    }
}

/// `name=value`.
fn extra_label(text: &str) -> Result<Matcher, ApiError> {
    let (name, value) = text.split_once('=').unwrap_or(("", ""));
    if name.is_empty() {
        return Err(ApiError::parameter("extra_label", "must be name=value"));
    }
    Matcher::new(MatchOp::Equal, name, value).map_err(ApiError::bad)
}

/// Every selector with every filter: together they match what both match. Without selectors
/// everything is meant.
fn narrowed(selectors: Vec<Vec<Matcher>>, filters: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
    match filters {
        [] => selectors,
        _ if selectors.is_empty() => filters.to_vec(),
        _ => selectors
            .iter()
            .flat_map(|selector| filters.iter().map(|filter| [&selector[..], filter].concat()))
            .collect(),
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

/// Above these, numbers are milliseconds, microseconds or nanoseconds since 1970 rather than seconds:
/// that many seconds are the year 5138.
const UNITS: [(f64, f64); 3] = [(1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0)];

/// Seconds since 1970 with a fraction, or RFC 3339; also smaller units, the beginning of an RFC 3339
/// time, and `now-1h`.
pub(super) fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
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

/// RFC 3339, of which the end may be missing: `2026-11`, `2026-11-21T09`. Without a zone it is UTC.
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
