//! Minting ULIDs that rise even when the clock steps back.

use crate::{Clock, Random};
use model::Ulid;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    last: Mutex<Ulid>,
}

impl Ids {
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random, last: Mutex::new(Ulid(0)) }
    }

    pub fn mint(&self) -> Ulid {
        let millis = self.clock.wall_ms().max(0) as u64;
        let fresh = Ulid::from_parts(millis, self.random.next_u128());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = if fresh > *last { fresh } else { Ulid(last.0.wrapping_add(1)) };
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RealClock, SeededRandom};

    #[test]
    fn ids_rise() {
        let ids = Ids::new(Arc::new(RealClock::new()), Arc::new(SeededRandom::new(1)));
        let minted: Vec<Ulid> = (0..1_000).map(|_| ids.mint()).collect();
        assert!(minted.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
