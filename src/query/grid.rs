//! The moments at which an expression is evaluated.

/// From a first moment on, at equal distances. An instant is a grid of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub start_ms: i64,
    pub step_ms: i64,
    steps: usize,
}

/// More steps than any answer can hold; asking for more is a mistake.
pub const STEPS_MAX: usize = 11_000_000;

impl Grid {
    /// `None` where there are more steps than [`STEPS_MAX`]. No steps where `end` is before `start`.
    pub fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Option<Self> {
        let step_ms = step_ms.max(1);
        if end_ms < start_ms {
            return Some(Self { start_ms, step_ms, steps: 0 });
        }
        let steps = end_ms.checked_sub(start_ms)? / step_ms + 1;
        let steps = usize::try_from(steps).ok().filter(|steps| *steps <= STEPS_MAX)?;
        Some(Self { start_ms, step_ms, steps })
    }

    pub fn instant(time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 1, steps: 1 }
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    #[inline]
    pub fn time(&self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    pub fn end_ms(&self) -> i64 {
        self.time(self.steps.saturating_sub(1))
    }

    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..self.steps).map(move |step| grid.time(step))
    }

    /// Only the first step.
    pub fn first(&self) -> Self {
        Self { steps: self.steps.min(1), ..*self }
    }
}
