//! The parameters of Tempo's API: times, steps, limits.

use super::envelope::{Context, TempoApi, TempoError};
use crate::api::nanos::{parse_duration, parse_time};

const SECOND_NS: i64 = 1_000_000_000;

/// Without a start, a search looks back this far.
const SINCE_NS: i64 = 3_600 * SECOND_NS;

impl<A: TempoApi> Context<A> {
    pub(super) fn now_ns(&self) -> i64 {
        self.services().clock.wall_ns()
    }

    fn time_ns(&self, name: &str) -> Result<Option<i64>, TempoError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            TempoError::bad(format!(
                "invalid {name}: {text:?} is no time: send seconds, nanoseconds, or RFC 3339"
            ))
        };
        parse_time(text).map(Some).ok_or_else(wrong)
    }

    pub(super) fn duration_ns(&self, name: &str) -> Result<Option<i64>, TempoError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || {
            TempoError::bad(format!(
                "invalid {name}: {text:?} is no duration: send seconds, or a duration such as 5m"
            ))
        };
        parse_duration(text).map(Some).ok_or_else(wrong)
    }

    /// From `start` to `end`, in nanoseconds; without them the last hour, or `since`.
    pub(super) fn times(&self) -> Result<(i64, i64), TempoError> {
        let since = self.duration_ns("since")?.unwrap_or(SINCE_NS);
        // Clocks of senders run ahead: without an end, spans that start a little later count.
        let grace = self.services().trace_options.future_grace_ns();
        let (start, end) = (self.time_ns("start")?, self.time_ns("end")?);
        let now = self.now_ns();
        let end = end.unwrap_or_else(|| now.saturating_add(grace));
        let start = start.unwrap_or_else(|| end.min(now).saturating_sub(since));
        if end <= start {
            let message = "http parameter start must be before end. received start and end that \
                           leave no time between them";
            return Err(TempoError::bad(message));
        }
        Ok((start, end))
    }

    /// A whole number from 1 on.
    pub(super) fn positive(&self, name: &str, default: usize) -> Result<usize, TempoError> {
        let text = self.parameters.text(name);
        if text.is_empty() {
            return Ok(default);
        }
        let wrong =
            || TempoError::bad(format!("invalid {name}: must be a positive number, not {text:?}"));
        text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
    }

    /// The query, under either of its names.
    pub(super) fn query(&self) -> &str {
        match self.parameters.text("q") {
            "" => self.parameters.text("query"),
            query => query,
        }
    }
}

/// The steps that a default is rounded down to.
const STEPS_S: [i64; 6] = [3_600, 300, 60, 15, 5, 1];

/// The step of a range whose request names none: some 240 points.
pub(super) fn default_step(length_ns: i64) -> i64 {
    let step = length_ns / 240;
    let unit = STEPS_S.iter().map(|seconds| seconds * SECOND_NS).find(|unit| step >= *unit);
    match unit {
        Some(unit) => step / unit * unit,
        None if length_ns < 60 * SECOND_NS => (step / 50_000_000).max(1) * 50_000_000,
        None => SECOND_NS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_steps_are_round() {
        for (length_s, step_ms) in
            [(30, 100), (5, 50), (60, 1_000), (3_600, 15_000), (86_400, 300_000), (300, 1_000)]
        {
            let step = default_step(length_s * SECOND_NS);
            assert_eq!(step, step_ms * 1_000_000, "{length_s} s");
        }
    }
}
