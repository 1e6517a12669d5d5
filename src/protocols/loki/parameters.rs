//! The parameters of Loki's API: times, steps, limits.

use super::envelope::{Context, LokiError};
use crate::api::nanos::{parse_duration, parse_time};
use logql::{Direction, Request};
use model::{TimeRange, TimeUnit};

const SECOND_NS: i64 = 1_000_000_000;

/// Without a start, a query looks back this far.
const SINCE_NS: i64 = 3_600 * SECOND_NS;

impl Context {
    /// To the nanosecond: a line that was acknowledged in this very millisecond is not in the future.
    pub(super) fn now_ns(&self) -> i64 {
        self.services().clock.wall_ns()
    }

    pub(super) fn time_ns(&self, name: &str) -> Result<Option<i64>, LokiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            LokiError::bad(format!(
                "could not parse '{name}' parameter: {text:?} is no time: send nanoseconds, seconds with a \
                 point, or RFC 3339"
            ))
        };
        parse_time(text).map(Some).ok_or_else(wrong)
    }

    pub(super) fn duration_ns(&self, name: &str) -> Result<Option<i64>, LokiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            LokiError::bad(format!(
                "cannot parse '{name}' parameter: {text:?} to a valid duration: send seconds, or a duration \
                 such as 5m"
            ))
        };
        parse_duration(text).map(Some).ok_or_else(wrong)
    }

    /// The range from `start` to `end`. Without an end it is now; without a start it lies `since`, or a
    /// default, before the end.
    pub(super) fn range_ns(&self, since_ns: i64) -> Result<(i64, i64), LokiError> {
        let end = self.time_ns("end")?;
        let since = self.duration_ns("since")?.unwrap_or(since_ns);
        let now = self.now_ns();
        let start = match self.time_ns("start")? {
            Some(start) => start,
            None => end.unwrap_or(now).min(now).saturating_sub(since),
        };
        let end = end.unwrap_or(now);
        if end < start {
            return Err(LokiError::bad("end timestamp must not be before or equal to start time"));
        }
        Ok((start, end))
    }

    pub(super) fn default_range_ns(&self) -> Result<(i64, i64), LokiError> {
        self.range_ns(SINCE_NS)
    }

    pub(super) fn time_range(&self, since_ns: i64) -> Result<TimeRange, LokiError> {
        let (start, end) = self.range_ns(since_ns)?;
        Ok(TimeUnit::Nanos.between(start, end))
    }

    /// The step of a range: asked for, or such that there are about 250.
    pub(super) fn step_ns(&self, start: i64, end: i64) -> Result<i64, LokiError> {
        let default = (end.saturating_sub(start) / SECOND_NS / 250).max(1) * SECOND_NS;
        let step = self.duration_ns("step")?.unwrap_or(default);
        if step <= 0 {
            return Err(LokiError::bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        Ok(step)
    }

    pub(super) fn count(&self, name: &str, default: usize) -> Result<usize, LokiError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(default);
        }
        let wrong =
            || LokiError::bad(format!("parameter '{name}': {text:?} is no positive number"));
        text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
    }

    pub(super) fn limit(&self) -> Result<usize, LokiError> {
        self.count("limit", Request::LIMIT)
    }

    pub(super) fn direction(&self) -> Result<Direction, LokiError> {
        match self.parameters.text("direction").to_ascii_lowercase().as_str() {
            "" | "backward" => Ok(Direction::Backward),
            "forward" => Ok(Direction::Forward),
            other => Err(LokiError::bad(format!(
                "invalid direction '{other}': send forward or backward"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_loki_reads_them() {
        for (text, expected) in [
            ("1700000000", Some(1_700_000_000 * SECOND_NS)),
            ("1700000000000000001", Some(1_700_000_000_000_000_001)),
            ("1700000000.5", Some(1_700_000_000_500_000_000)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000 * SECOND_NS)),
            ("2023-11-14T22:13:20.000000001+00:00", Some(1_700_000_000_000_000_001)),
            ("0", Some(0)),
            ("yesterday", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
        assert_eq!(parse_duration("15000ms"), Some(15 * SECOND_NS));
        assert_eq!(parse_duration("0.5"), Some(SECOND_NS / 2));
    }
}
