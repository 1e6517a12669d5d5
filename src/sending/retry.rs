//! What an answer means, and how long to wait before the next attempt.

use crate::destination::QueueSettings;
use crate::item::Tally;
use chrono::DateTime;
use outbound::{Error, Response};
use std::time::Duration;
use wire::WriteVersion;

/// A receiver that says "come back in a year" is asked again earlier.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What the receiver has written, as far as it says so.
    Taken(Tally),
    /// It will never take these samples, or not all of them.
    Refused { why: String, is_of_samples: bool },
    /// It may take them later; it may have said when.
    Failed(String, Option<Duration>),
}

/// Reads an answer to a request with so many items. `wall_ms`: the time now, for dates in headers.
pub(crate) fn outcome(
    answer: Result<Response, Error>,
    version: WriteVersion,
    asked: Tally,
    retry_on_429: bool,
    wall_ms: i64,
) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Outcome::Failed(error.to_string(), None),
    };
    if answer.is_success() {
        return Outcome::Taken(written(&answer, version, asked));
    }
    let text = format!("it answered {}: {}", answer.status, answer.excerpt());
    match answer.status {
        429 if retry_on_429 => Outcome::Failed(text, retry_after(&answer, wall_ms)),
        500.. => Outcome::Failed(text, retry_after(&answer, wall_ms)),
        // Other errors are about the request as a whole, such as its credentials.
        status => Outcome::Refused { why: text, is_of_samples: matches!(status, 400 | 409 | 422) },
    }
}

/// A receiver of version 2 says what it has written; one of version 1 has written everything.
fn written(answer: &Response, version: WriteVersion, asked: Tally) -> Tally {
    if version == WriteVersion::V1 {
        return asked;
    }
    let number = |kind: &str| {
        answer.header(&format!("x-prometheus-remote-write-{kind}-written")).parse().unwrap_or(0)
    };
    Tally {
        samples: number("samples"),
        histograms: number("histograms"),
        exemplars: number("exemplars"),
    }
}

/// Seconds, or a date.
fn retry_after(answer: &Response, wall_ms: i64) -> Option<Duration> {
    let text = answer.header("retry-after").trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            let left = date.timestamp_millis().saturating_sub(wall_ms);
            Duration::from_millis(u64::try_from(left).ok()?)
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Twice as long after each failure, between two bounds; longer where the receiver says so.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
    pub(crate) attempts: u32,
}

impl Backoff {
    pub(crate) fn new(settings: &QueueSettings) -> Self {
        Self { next: settings.backoff_min, most: settings.backoff_max, attempts: 0 }
    }

    pub(crate) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        let wait = self.next.min(self.most);
        self.next = wait.saturating_mul(2).min(self.most);
        asked.unwrap_or(wait).max(wait)
    }
}
