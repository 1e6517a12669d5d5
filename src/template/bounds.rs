//! What one execution may take.

use std::fmt;

/// The limits of one execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Nodes that are walked, functions that are called, and one for every 256 bytes of text
    /// that these get.
    pub steps: u64,
    /// Templates, branches and parentheses within each other.
    pub depth: u32,
    /// What is written.
    pub output_bytes: usize,
    /// What functions make on the way, in sum, whether it is written or not.
    pub made_bytes: usize,
}

impl Default for Bounds {
    /// Enough for any line that people read. A step takes 20 ns to some microseconds, so that an execution
    /// ends within a second.
    fn default() -> Self {
        Self { steps: 100_000, depth: 250, output_bytes: 1 << 20, made_bytes: 8 << 20 }
    }
}

/// The limit that ended an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Steps(u64),
    Depth(u32),
    OutputBytes(usize),
    MadeBytes(usize),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(most) => write!(f, "the template takes more than {most} steps"),
            Self::Depth(most) => {
                write!(f, "templates, branches and parentheses are nested more than {most} deep")
            }
            Self::OutputBytes(most) => write!(f, "the template writes more than {most} bytes"),
            Self::MadeBytes(most) => {
                write!(f, "the functions of the template make more than {most} bytes")
            }
        }
    }
}

/// What is left of the bounds while a template is executed.
#[derive(Debug)]
pub(crate) struct Budget {
    bounds: Bounds,
    steps: u64,
    made: usize,
}

impl Budget {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self { bounds: *bounds, steps: bounds.steps, made: bounds.made_bytes }
    }

    pub(crate) fn step(&mut self) -> Result<(), Bound> {
        self.take_steps(1)
    }

    /// Work that grows with what it is done on.
    pub(crate) fn take_steps(&mut self, steps: usize) -> Result<(), Bound> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let left = self.steps.checked_sub(steps).ok_or(Bound::Steps(self.bounds.steps))?;
        self.steps = left;
        Ok(())
    }

    pub(crate) fn enter(&self, depth: u32) -> Result<u32, Bound> {
        let most = self.bounds.depth;
        if depth < most { Ok(depth + 1) } else { Err(Bound::Depth(most)) }
    }

    pub(crate) fn made(&mut self, bytes: usize) -> Result<(), Bound> {
        let left = self.made.checked_sub(bytes).ok_or(Bound::MadeBytes(self.bounds.made_bytes))?;
        self.made = left;
        Ok(())
    }

    pub(crate) fn made_left(&self) -> usize {
        self.made
    }

    pub(crate) fn made_bound(&self) -> Bound {
        Bound::MadeBytes(self.bounds.made_bytes)
    }

    pub(crate) fn output_most(&self) -> usize {
        self.bounds.output_bytes
    }

    pub(crate) fn output_bound(&self) -> Bound {
        Bound::OutputBytes(self.bounds.output_bytes)
    }
}
