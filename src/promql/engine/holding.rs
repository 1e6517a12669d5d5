//! What a query holds at once, against its limits: samples, as Prometheus counts them, and bytes, as
//! columns take them even where they are empty.

use crate::error::QueryError;
use crate::options::EngineOptions;
use query::{Budget, OverBudget};
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) samples: usize,
    pub(crate) bytes: usize,
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

#[derive(Debug)]
pub(crate) struct Holding {
    samples: Budget,
    bytes: Budget,
}

impl Holding {
    /// `memory`: what all queries together may hold.
    pub(crate) fn new(options: &EngineOptions, memory: Option<&Arc<Budget>>) -> Self {
        let bytes = match memory {
            Some(memory) => Budget::within(Arc::clone(memory), options.memory_max),
            None => Budget::new(options.memory_max),
        };
        Self { samples: Budget::new(options.samples_max), bytes }
    }

    pub(crate) fn portions(&self) -> Portions<'_> {
        Portions { holding: self, owed: Weight::default() }
    }

    /// The memory, to be kept as long as the result is.
    pub(crate) fn into_bytes(self) -> Budget {
        self.bytes
    }

    pub(crate) fn held(&self) -> Weight {
        Weight { samples: self.samples.held(), bytes: self.bytes.held() }
    }

    pub(crate) fn samples_peak(&self) -> usize {
        self.samples.peak()
    }

    pub(crate) fn take(&self, weight: Weight) -> Result<()> {
        self.samples.take(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.take(weight.bytes).map_err(out_of_memory)
    }

    /// Holds just so much from here on. Between the nodes of a plan, where no threads are at work.
    pub(crate) fn settle(&self, weight: Weight) -> Result<()> {
        self.samples.settle(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.settle(weight.bytes).map_err(out_of_memory)
    }
}

/// What one thread of many takes: little by little, but accounted for in portions, because threads
/// that write to one counter wait for each other.
#[derive(Debug)]
pub(crate) struct Portions<'a> {
    holding: &'a Holding,
    owed: Weight,
}

impl Portions<'_> {
    const SAMPLES: usize = 16_384;
    const BYTES: usize = 1 << 20;

    pub(crate) fn take(&mut self, weight: Weight) -> Result<()> {
        self.owed = self.owed + weight;
        if self.owed.samples < Self::SAMPLES && self.owed.bytes < Self::BYTES {
            return Ok(());
        }
        self.settle()
    }

    /// To be called when there is no more to take.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.holding.take(std::mem::take(&mut self.owed))
    }
}

pub(crate) fn out_of_memory(over: OverBudget) -> QueryError {
    match over {
        OverBudget::Own { limit } => QueryError::TooMuchMemory { limit },
        OverBudget::Around { limit } => QueryError::Busy { limit },
    }
}
