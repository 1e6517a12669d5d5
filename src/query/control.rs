//! Whether a query may go on.

use model::ErrorKind;
use platform::{Clock, Moment};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Reading the clock costs much more than reading a flag, so only one check in so many does it.
const CHECKS_PER_LOOK: usize = 16;

/// Raised when nobody wants the answer any more.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag {
    raised: Arc<AtomicBool>,
    expiry: Option<Expiry>,
}

/// When a flag raises itself.
#[derive(Clone, Debug)]
struct Expiry {
    clock: Arc<dyn Clock>,
    at: Moment,
}

impl CancelFlag {
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that raises itself after a time. Looking at it costs more, because it reads the clock.
    pub fn expiring(clock: &Arc<dyn Clock>, after: Duration) -> Self {
        let at = Moment(clock.now().0.saturating_add(after));
        Self { raised: Arc::default(), expiry: Some(Expiry { clock: Arc::clone(clock), at }) }
    }

    pub fn cancel(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.raised.load(Ordering::Relaxed) || self.expiry.as_ref().is_some_and(Expiry::is_over)
    }
}

impl Expiry {
    fn is_over(&self) -> bool {
        self.clock.now() > self.at
    }
}

/// Why a query must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error("query was canceled")]
    Cancelled,
    #[error("query timed out")]
    TimedOut,
}

impl Stop {
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Cancelled => ErrorKind::Cancelled,
            Self::TimedOut => ErrorKind::Timeout,
        }
    }
}

/// Asked by evaluation between pieces of work; shared by the threads of one query.
#[derive(Debug)]
pub struct Control<'a> {
    clock: &'a dyn Clock,
    deadline: Option<Moment>,
    cancel: CancelFlag,
}

impl<'a> Control<'a> {
    pub fn new(clock: &'a dyn Clock, timeout: Option<Duration>, cancel: CancelFlag) -> Self {
        let deadline = timeout.map(|timeout| Moment(clock.now().0.saturating_add(timeout)));
        Self { clock, deadline, cancel }
    }

    pub fn check(&self) -> Result<(), Stop> {
        self.check_in_turn(0)
    }

    /// One of many checks in a row, numbered by `turn`: cheap enough for every series, on every thread.
    pub fn check_in_turn(&self, turn: usize) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let is_late = || self.deadline.is_some_and(|deadline| self.clock.now() > deadline);
        if turn.is_multiple_of(CHECKS_PER_LOOK) && is_late() {
            return Err(Stop::TimedOut);
        }
        Ok(())
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct HandClock(Mutex<Duration>);

    impl Clock for HandClock {
        fn wall_ns(&self) -> i64 {
            0
        }

        fn now(&self) -> Moment {
            Moment(*self.0.lock().unwrap())
        }
    }

    #[test]
    fn stops_when_told() {
        let clock = HandClock::default();
        let flag = CancelFlag::new();
        let control = Control::new(&clock, None, flag.clone());
        assert_eq!(control.check(), Ok(()));
        flag.cancel();
        assert_eq!(control.check(), Err(Stop::Cancelled));
    }

    #[test]
    fn a_flag_may_raise_itself() {
        let hand = Arc::new(HandClock::default());
        let clock: Arc<dyn Clock> = hand.clone();
        let flag = CancelFlag::expiring(&clock, Duration::from_millis(1));
        let (copy, raised) = (flag.clone(), flag.clone());
        *hand.0.lock().unwrap() = Duration::from_millis(1);
        assert!(!copy.is_cancelled());
        *hand.0.lock().unwrap() = Duration::from_millis(2);
        assert!(copy.is_cancelled() && flag.is_cancelled());
        *hand.0.lock().unwrap() = Duration::ZERO;
        raised.cancel();
        assert!(flag.is_cancelled());
    }

    #[test]
    fn stops_soon_after_the_deadline() {
        let clock = HandClock::default();
        let control = Control::new(&clock, Some(Duration::from_secs(1)), CancelFlag::new());
        assert_eq!(control.check(), Ok(()));
        *clock.0.lock().unwrap() = Duration::from_secs(2);
        assert_eq!(control.check(), Err(Stop::TimedOut));
        let in_turn = |from: usize| {
            (from..from + CHECKS_PER_LOOK).filter(|turn| control.check_in_turn(*turn).is_err())
        };
        assert_eq!((in_turn(0).count(), in_turn(5).count()), (1, 1));
    }
}
