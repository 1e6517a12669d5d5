//! How much of something a query may hold at once: bytes, samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit that threads share. What is held is counted, and so is the most that was ever held. It also
/// counts against the budget around this one, where there is one: that of all queries.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
    around: Option<Arc<Budget>>,
}

/// More was asked for than is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    #[error("the query needs more than its limit of {limit}")]
    Own { limit: usize },
    /// There may be enough when others are done.
    #[error("all queries together need more than their limit of {limit}")]
    Around { limit: usize },
}

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0), peak: AtomicUsize::new(0), around: None }
    }

    /// A part of another budget, to which it gives everything back when it is dropped.
    pub fn within(around: Arc<Budget>, limit: usize) -> Self {
        let mut budget = Self::new(limit);
        budget.around = Some(around);
        budget
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn take(&self, amount: usize) -> Result<(), OverBudget> {
        let held = self.held.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        self.peak.fetch_max(held, Ordering::Relaxed);
        let around = self.around.as_ref().map_or(Ok(()), |around| around.take(amount));
        if held > self.limit {
            return Err(OverBudget::Own { limit: self.limit });
        }
        around.map_err(|over| OverBudget::Around { limit: over.limit() })
    }

    pub fn give_back(&self, amount: usize) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
        if let Some(around) = &self.around {
            around.give_back(amount);
        }
    }

    /// From here on holds exactly `amount`. For one thread at a time: others must not take or give
    /// back meanwhile.
    pub fn settle(&self, amount: usize) -> Result<(), OverBudget> {
        let held = self.held();
        if held > amount {
            self.give_back(held - amount);
        }
        self.take(amount.saturating_sub(held))
    }

    /// Takes, and gives back when the reservation is dropped.
    pub fn reserve(&self, amount: usize) -> Result<Reservation<'_>, OverBudget> {
        let taken = self.take(amount);
        let reservation = Reservation { budget: self, amount };
        taken.map(|()| reservation)
    }
}

impl OverBudget {
    pub fn limit(self) -> usize {
        match self {
            Self::Own { limit } | Self::Around { limit } => limit,
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(around) = &self.around {
            around.give_back(self.held());
        }
    }
}

#[derive(Debug)]
pub struct Reservation<'a> {
    budget: &'a Budget,
    amount: usize,
}

impl Reservation<'_> {
    pub fn grow(&mut self, amount: usize) -> Result<(), OverBudget> {
        self.amount += amount;
        self.budget.take(amount)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_taken() {
        let budget = Budget::new(10);
        {
            let mut first = budget.reserve(4).unwrap();
            first.grow(4).unwrap();
            assert_eq!(budget.reserve(3).unwrap_err(), OverBudget::Own { limit: 10 });
        }
        assert_eq!(budget.held(), 0);
        assert_eq!(budget.peak(), 11);
        budget.settle(7).unwrap();
        budget.settle(3).unwrap();
        assert_eq!(budget.held(), 3);
        assert!(budget.settle(11).is_err());
    }

    #[test]
    fn queries_share_what_there_is() {
        let all = Arc::new(Budget::new(10));
        let one = Budget::within(Arc::clone(&all), 8);
        let other = Budget::within(Arc::clone(&all), 8);
        one.take(6).unwrap();
        assert_eq!(other.take(6), Err(OverBudget::Around { limit: 10 }));
        other.settle(4).unwrap();
        assert_eq!(one.take(3), Err(OverBudget::Own { limit: 8 }));
        drop(one);
        assert_eq!(all.held(), 4);
        other.take(4).unwrap();
        drop(other);
        assert_eq!(all.held(), 0);
    }
}
