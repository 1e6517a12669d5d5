//! What a query holds at once, against its limits: samples, and the bytes of columns, which they take
//! even where they are empty.

use crate::budget::{Budget, OverBudget};
use crate::error::QueryError;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub samples: usize,
    pub bytes: usize,
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { samples: self.samples + other.samples, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Weight {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { samples: self.samples - other.samples, bytes: self.bytes - other.bytes }
    }
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(weights: I) -> Self {
        weights.fold(Self::default(), Add::add)
    }
}

/// What one query may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldingLimits {
    pub samples: usize,
    pub bytes: usize,
    /// The setting behind `bytes`, for the error that names it.
    pub bytes_setting: &'static str,
}

/// What one query holds, shared by its threads.
#[derive(Debug)]
pub struct Holding {
    samples: Budget,
    bytes: Budget,
    bytes_setting: &'static str,
}

impl Holding {
    /// `memory`: what all queries together may hold.
    pub fn new(limits: HoldingLimits, memory: Option<&Arc<Budget>>) -> Self {
        let bytes = match memory {
            Some(memory) => Budget::within(Arc::clone(memory), limits.bytes),
            None => Budget::new(limits.bytes),
        };
        let samples = Budget::new(limits.samples);
        Self { samples, bytes, bytes_setting: limits.bytes_setting }
    }

    pub fn portions(&self) -> Portions<'_> {
        Portions { holding: self, owed: Weight::default() }
    }

    /// The memory, to be kept as long as the result is.
    pub fn into_memory(self) -> HeldMemory {
        HeldMemory { bytes: self.bytes, setting: self.bytes_setting }
    }

    pub fn held(&self) -> Weight {
        Weight { samples: self.samples.held(), bytes: self.bytes.held() }
    }

    pub fn samples_peak(&self) -> usize {
        self.samples.peak()
    }

    pub fn take(&self, weight: Weight) -> Result<()> {
        self.samples.take(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.take(weight.bytes).map_err(|over| out_of_memory(over, self.bytes_setting))
    }

    /// From here on holds exactly this much. Only between the nodes of a plan, where no threads are at work.
    pub fn settle(&self, weight: Weight) -> Result<()> {
        self.samples.settle(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.settle(weight.bytes).map_err(|over| out_of_memory(over, self.bytes_setting))
    }
}

/// What one of a query's threads takes. It is counted in portions: threads that write to one counter
/// for every series would slow each other down.
#[derive(Debug)]
pub struct Portions<'a> {
    holding: &'a Holding,
    owed: Weight,
}

impl Portions<'_> {
    const SAMPLES: usize = 16_384;
    const BYTES: usize = 1 << 20;

    pub fn take(&mut self, weight: Weight) -> Result<()> {
        self.owed = self.owed + weight;
        if self.owed.samples < Self::SAMPLES && self.owed.bytes < Self::BYTES {
            return Ok(());
        }
        self.settle()
    }

    /// To be called when there is no more to take.
    pub fn settle(&mut self) -> Result<()> {
        self.holding.take(std::mem::take(&mut self.owed))
    }
}

/// What a query's result holds of the memory; given back when this is dropped.
#[derive(Debug)]
pub struct HeldMemory {
    bytes: Budget,
    setting: &'static str,
}

impl HeldMemory {
    /// What is made of the result counts against the query's memory too.
    pub fn take(&self, bytes: usize) -> Result<()> {
        self.bytes.take(bytes).map_err(|over| out_of_memory(over, self.setting))
    }
}

fn out_of_memory(over: OverBudget, setting: &'static str) -> QueryError {
    match over {
        OverBudget::Own { limit } => QueryError::TooMuchMemory { limit, setting },
        OverBudget::Around { limit } => QueryError::Busy { limit },
    }
}
