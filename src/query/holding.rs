//! What a query holds at once, against its limits: samples, and the bytes of columns (which they take
//! even where they are empty) and of labels.
//!
//! A function that makes labels takes their bytes first, through [`Portions::labels`]. Between the nodes
//! of a plan [`Holding::settle`] puts what was taken right, so that a function need not give back.

use crate::budget::{Budget, OverBudget, Reservation};
use crate::control::{CancelFlag, Stop};
use crate::error::QueryError;
use model::{Labels, NoRoom, Room};
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    pub samples: usize,
    pub bytes: usize,
}

impl Weight {
    pub fn bytes(bytes: usize) -> Self {
        Self { samples: 0, bytes }
    }

    /// Labels and the counters of their allocation. Labels that are shared count for each holder.
    pub fn labels(labels: &Labels) -> Self {
        Self::bytes(weight_of_labels(labels.as_bytes().len()))
    }
}

fn weight_of_labels(length: usize) -> usize {
    length + 2 * size_of::<usize>()
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
    /// What to ask for instead of that much memory, for the same error.
    pub bytes_advice: &'static str,
}

/// What the error says about a limit of bytes.
#[derive(Clone, Copy, Debug)]
struct Words {
    setting: &'static str,
    advice: &'static str,
}

/// What one query holds, shared by its threads.
#[derive(Debug)]
pub struct Holding {
    samples: Budget,
    bytes: Budget,
    words: Words,
    /// Once it is raised nothing more is given.
    cancel: CancelFlag,
}

impl Holding {
    /// `memory`: what all queries together may hold.
    pub fn new(limits: HoldingLimits, memory: Option<&Arc<Budget>>) -> Self {
        let bytes = match memory {
            Some(memory) => Budget::within(Arc::clone(memory), limits.bytes),
            None => Budget::new(limits.bytes),
        };
        let samples = Budget::new(limits.samples);
        let words = Words { setting: limits.bytes_setting, advice: limits.bytes_advice };
        Self { samples, bytes, words, cancel: CancelFlag::new() }
    }

    /// What is asked for after the flag was raised is refused, so that work ends with its client.
    #[must_use]
    pub fn until(self, cancel: CancelFlag) -> Self {
        Self { cancel, ..self }
    }

    pub fn portions(&self) -> Portions<'_> {
        Portions {
            holding: self,
            owed: Weight::default(),
            bytes: Portions::BYTES.min(self.bytes.limit() / Portions::OF_LIMIT),
        }
    }

    /// The memory, to be kept as long as the result is.
    pub fn into_memory(self) -> HeldMemory {
        HeldMemory { bytes: self.bytes, words: self.words }
    }

    pub fn held(&self) -> Weight {
        Weight { samples: self.samples.held(), bytes: self.bytes.held() }
    }

    pub fn samples_peak(&self) -> usize {
        self.samples.peak()
    }

    pub fn take(&self, weight: Weight) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled.into());
        }
        self.samples.take(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.take(weight.bytes).map_err(|over| out_of_memory(over, self.words))
    }

    /// Bytes for a while: given back when the reservation is dropped.
    fn reserve(&self, bytes: usize) -> Result<Reservation<'_>> {
        self.bytes.reserve(bytes).map_err(|over| out_of_memory(over, self.words))
    }

    pub fn give_back(&self, weight: Weight) {
        self.samples.give_back(weight.samples);
        self.bytes.give_back(weight.bytes);
    }

    /// From here on holds exactly this much. Only between the nodes of a plan, where no threads are at work.
    pub fn settle(&self, weight: Weight) -> Result<()> {
        self.samples.settle(weight.samples).map_err(|_| QueryError::TooManySamples)?;
        self.bytes.settle(weight.bytes).map_err(|over| out_of_memory(over, self.words))
    }
}

/// What one of a query's threads takes. It is counted in portions: threads that write to one counter
/// for every series would slow each other down.
#[derive(Debug)]
pub struct Portions<'a> {
    holding: &'a Holding,
    owed: Weight,
    /// Bytes that are counted at once.
    bytes: usize,
}

impl Portions<'_> {
    const SAMPLES: usize = 16_384;
    const BYTES: usize = 1 << 20;
    /// A portion is at most this part of the limit.
    const OF_LIMIT: usize = 64;
    const LONG_LABELS: usize = 64 << 10;
    /// The pairs of a `LabelsBuilder`, and the bytes that become labels.
    const COPIES: usize = 2;

    pub fn take(&mut self, weight: Weight) -> Result<()> {
        self.owed = self.owed + weight;
        if self.owed.samples < Self::SAMPLES && self.owed.bytes < self.bytes {
            return Ok(());
        }
        self.settle()
    }

    /// Makes labels of at most `length` bytes, after those bytes were taken. Long labels are also
    /// reserved as often as they are copied while they are made; short ones are lost in a portion.
    pub fn labels<T>(&mut self, length: usize, make: impl FnOnce() -> T) -> Result<T> {
        self.take(Weight::bytes(weight_of_labels(length)))?;
        let copied = if length < Self::LONG_LABELS { 0 } else { Self::COPIES * length };
        let _copies = (copied > 0).then(|| self.holding.reserve(copied)).transpose()?;
        Ok(make())
    }

    /// To be called when there is no more to take.
    pub fn settle(&mut self) -> Result<()> {
        self.holding.take(std::mem::take(&mut self.owed))
    }
}

/// A query's memory is room for a store, which knows no queries.
impl Room for &Holding {
    fn take(&mut self, bytes: usize) -> std::result::Result<(), NoRoom> {
        Holding::take(self, Weight::bytes(bytes)).map_err(no_room)
    }
}

/// For stores that ask for each small thing.
impl Room for Portions<'_> {
    fn take(&mut self, bytes: usize) -> std::result::Result<(), NoRoom> {
        Portions::take(self, Weight::bytes(bytes)).map_err(no_room)
    }
}

fn no_room(refusal: QueryError) -> NoRoom {
    match refusal {
        QueryError::Busy { .. } => NoRoom::Busy(refusal.to_string()),
        QueryError::Stopped(_) => NoRoom::Unwanted(refusal.to_string()),
        refusal => NoRoom::Own(refusal.to_string()),
    }
}

/// What a query's result holds of the memory; given back when this is dropped.
#[derive(Debug)]
pub struct HeldMemory {
    bytes: Budget,
    words: Words,
}

impl HeldMemory {
    /// What is made of the result counts against the query's memory too.
    pub fn take(&self, bytes: usize) -> Result<()> {
        self.bytes.take(bytes).map_err(|over| out_of_memory(over, self.words))
    }
}

fn out_of_memory(over: OverBudget, Words { setting, advice }: Words) -> QueryError {
    match over {
        OverBudget::Own { limit } => QueryError::TooMuchMemory { limit, advice, setting },
        OverBudget::Around { limit } => QueryError::Busy { limit, advice },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_reserved_before_they_are_made() {
        let limits = HoldingLimits {
            samples: 0,
            bytes: 10 << 20,
            bytes_setting: "a.setting",
            bytes_advice: "less",
        };
        let holding = Holding::new(limits, None);
        let mut portions = holding.portions();
        let made = portions.labels(3 << 20, || holding.held().bytes).unwrap();
        assert!(made >= 9 << 20, "with the copies while they are made: {made}");
        assert!(holding.held().bytes < 4 << 20, "the copies are given back");
        let refused = portions.labels(3 << 20, || panic!("there is no room for the copies"));
        let expected =
            QueryError::TooMuchMemory { limit: 10 << 20, advice: "less", setting: "a.setting" };
        assert_eq!(refused, Err::<(), _>(expected));
    }
}
