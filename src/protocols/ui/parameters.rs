//! The parameters that endpoints have in common: times, durations, which transactions.

use super::envelope::{Context, UiError};
use crate::api::nanos;
use crate::percent_decode_segment;
use crate::traces::trace_id;
use traceql::EntryFilter;
use traceql::ast::Query;

const SECOND_NS: i64 = 1_000_000_000;

/// Without a start, the time before the end that is looked at.
const SINCE_NS: i64 = 600 * SECOND_NS;

/// Digits that seconds, milliseconds and microseconds since 1970 have at most; longer ones are
/// nanoseconds.
const UNITS: [(usize, i64); 3] = [(10, SECOND_NS), (13, 1_000_000), (16, 1_000)];

fn whole_number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    let digits = text.trim_start_matches('-').len();
    let unit = UNITS.iter().find(|(most, _)| digits <= *most).map_or(1, |(_, unit)| *unit);
    number.checked_mul(unit)
}

impl Context {
    fn time_ns(&self, name: &str) -> Result<Option<i64>, UiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(time) = whole_number(text).or_else(|| nanos::parse_time(text)) {
            return Ok(Some(time));
        }
        // `now-10m`, `2026-11-21`.
        let millis = self.parameters.needed_time(name).map_err(|_| {
            UiError::bad(format!(
                "invalid {name}: {text:?} is no time: send seconds, milliseconds or nanoseconds since \
                 1970, RFC 3339, or now-10m"
            ))
        })?;
        Ok(millis.checked_mul(1_000_000))
    }

    /// From `from` to `to`, in nanoseconds, without the end; without them the last ten minutes.
    pub(super) fn times(&self) -> Result<(i64, i64), UiError> {
        let end = self.time_ns("to")?.unwrap_or_else(|| self.services().clock.wall_ns());
        let start = self.time_ns("from")?.unwrap_or_else(|| end.saturating_sub(SINCE_NS));
        if end <= start {
            return Err(UiError::bad("there is no time between `from` and `to`: exchange them"));
        }
        Ok((start, end))
    }

    /// From one parameter to the other, if both are given.
    pub(super) fn times_between(
        &self,
        from: &str,
        to: &str,
    ) -> Result<Option<(i64, i64)>, UiError> {
        match (self.time_ns(from)?, self.time_ns(to)?) {
            (Some(start), Some(end)) => Ok(Some((start, end))),
            (None, None) => Ok(None),
            _ => {
                Err(UiError::bad(format!("`{from}` and `{to}` belong together: send both or none")))
            }
        }
    }

    /// A duration in nanoseconds.
    pub(super) fn duration_ns(&self, name: &str) -> Result<Option<u64>, UiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let duration = nanos::parse_duration(text).and_then(|nanos| u64::try_from(nanos).ok());
        let wrong = || {
            UiError::bad(format!(
                "invalid {name}: {text:?} is no duration: send seconds, or one such as 250ms"
            ))
        };
        duration.map(Some).ok_or_else(wrong)
    }

    /// A whole number from 1 to `most`.
    pub(super) fn number(&self, name: &str, default: usize, most: usize) -> Result<usize, UiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(default);
        }
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        let wrong =
            || UiError::bad(format!("invalid {name}: {text:?} is no number from 1 to {most}"));
        number.ok_or_else(wrong)
    }

    /// The id of a trace in a path that ends in `/{id}/<what>`.
    pub(super) fn trace_in_path(&self) -> Result<[u8; 16], UiError> {
        let segment = self.call.path.rsplit('/').nth(1).unwrap_or("");
        Ok(trace_id(&percent_decode_segment(segment))?)
    }

    /// The query of spans in `q`, if there is one.
    pub(super) fn query(&self) -> Result<Option<Query>, UiError> {
        match self.parameters.text("q") {
            "" => Ok(None),
            text => traceql::parse(text).map(Some).map_err(|error| UiError::of_query(error, text)),
        }
    }

    /// Which transactions are asked for.
    pub(super) fn filter<'f>(&'f self, query: Option<&'f Query>) -> EntryFilter<'f> {
        EntryFilter { query, service: self.parameters.text("service") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_a_time_say_its_unit() {
        for text in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            assert_eq!(whole_number(text), Some(1_700_000_000_000_000_000), "{text}");
        }
        assert_eq!(whole_number("-5"), Some(-5 * SECOND_NS));
        assert_eq!(whole_number("1e9"), None);
    }
}
