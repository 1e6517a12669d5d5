//! What is to be explained.

use model::TenantId;

/// A stretch of time in milliseconds since 1970, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Window {
    pub fn length_ms(self) -> i64 {
        self.end_ms - self.start_ms
    }

    pub(crate) fn nanos(self) -> (i64, i64) {
        (self.start_ms.saturating_mul(1_000_000), self.end_ms.saturating_mul(1_000_000))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    #[error("the selection is empty: its end must be after its start")]
    EmptySelection,
    #[error("the baseline is empty: its end must be after its start")]
    EmptyBaseline,
    #[error("the baseline must end before the selection begins, or where it begins")]
    Overlap,
    #[error("selection and baseline together are longer than 31 days: choose less")]
    TooLong,
}

/// The baseline is this many times as long as the selection, unless it is given.
const BASELINE_TIMES: i64 = 4;
const LENGTH_MAX_MS: i64 = 31 * 86_400_000;

/// A selection of something, and the time that it is compared with.
#[derive(Clone, Debug)]
pub struct Question {
    pub tenant: TenantId,
    /// The service that it is about; none: all.
    pub service: Option<String>,
    /// Which spans are selected, as a TraceQL filter such as `{ duration > 3s }`; none: all.
    pub spans: Option<String>,
    pub selection: Window,
    pub baseline: Window,
}

impl Question {
    pub fn new(
        tenant: TenantId,
        selection: Window,
        baseline: Option<Window>,
    ) -> Result<Self, BadQuestion> {
        if selection.length_ms() <= 0 {
            return Err(BadQuestion::EmptySelection);
        }
        let before = selection.length_ms().saturating_mul(BASELINE_TIMES);
        let baseline = baseline.unwrap_or(Window {
            start_ms: selection.start_ms.saturating_sub(before),
            end_ms: selection.start_ms,
        });
        if baseline.length_ms() <= 0 {
            return Err(BadQuestion::EmptyBaseline);
        }
        if baseline.end_ms > selection.start_ms {
            return Err(BadQuestion::Overlap);
        }
        if selection.end_ms.saturating_sub(baseline.start_ms) > LENGTH_MAX_MS {
            return Err(BadQuestion::TooLong);
        }
        Ok(Self { tenant, service: None, spans: None, selection, baseline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_lies_before_its_selection() {
        let tenant = TenantId::new("t").unwrap();
        let window = |start_ms, end_ms| Window { start_ms, end_ms };
        let question = Question::new(tenant.clone(), window(1_000, 2_000), None).unwrap();
        assert_eq!(question.baseline, window(-3_000, 1_000));
        let bad =
            |selection, baseline| Question::new(tenant.clone(), selection, baseline).unwrap_err();
        assert_eq!(bad(window(5, 5), None), BadQuestion::EmptySelection);
        assert_eq!(bad(window(5, 9), Some(window(3, 3))), BadQuestion::EmptyBaseline);
        assert_eq!(bad(window(5, 9), Some(window(3, 6))), BadQuestion::Overlap);
        assert_eq!(bad(window(0, LENGTH_MAX_MS), None), BadQuestion::TooLong);
    }
}
