//! The samples of a counter: at the end of every slot, from the one before the first amount of a day to the
//! end of the day.

use super::groups::{Amount, SLOT_MS};
use crate::storage::Scratch;

const SLOTS_OF_DAY: i64 = 86_400_000 / SLOT_MS;

/// A UTC day. Its slots end after its begin, and up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(i64);

impl Day {
    pub(super) fn of_slot(slot: i64) -> Self {
        Self((slot - 1).div_euclid(SLOTS_OF_DAY))
    }

    /// The slot before the first.
    pub(super) fn base(self) -> i64 {
        self.0 * SLOTS_OF_DAY
    }

    fn last_slot(self) -> i64 {
        (self.0 + 1) * SLOTS_OF_DAY
    }

    /// When the counter of the day stands at 0, for the last time before `slot`. Midnight belongs to the
    /// counter of the day before, which could be lower than what comes next.
    fn zero_ms(self, slot: i64) -> i64 {
        let before = (slot - 1) * SLOT_MS;
        if slot - 1 == self.base() { before + 1 } else { before }
    }
}

/// Appends the samples that add up the amounts of some fields, from the first to behind the last.
pub(super) fn append(
    amounts: &[Amount],
    (first, behind): (u8, u8),
    range_ms: (i64, i64),
    last_slot: i64,
    scratch: &mut Scratch,
) {
    let mut counter = Counter { scratch, range_ms, day: None, next: 0, value: 0 };
    for of_slot in amounts.chunk_by(|left, right| left.slot == right.slot) {
        counter.go_to(of_slot[0].slot);
        let wanted = of_slot.iter().filter(|one| (first..behind).contains(&one.field));
        counter.value += wanted.map(|one| u128::from(one.amount)).sum::<u128>();
    }
    counter.end_day(last_slot);
}

struct Counter<'s> {
    scratch: &'s mut Scratch,
    range_ms: (i64, i64),
    day: Option<Day>,
    /// The first slot that has no sample yet.
    next: i64,
    value: u128,
}

impl Counter<'_> {
    /// Writes what comes before the sample of a slot.
    fn go_to(&mut self, slot: i64) {
        let day = Day::of_slot(slot);
        if self.day != Some(day) {
            self.end_day(i64::MAX);
            (self.day, self.value) = (Some(day), 0);
            self.sample(day, day.zero_ms(slot));
        } else {
            self.samples(day, slot - 1);
        }
        self.next = slot;
    }

    /// Writes the rest of the day.
    fn end_day(&mut self, last_slot: i64) {
        if let Some(day) = self.day {
            self.samples(day, last_slot.min(day.last_slot()));
        }
    }

    fn samples(&mut self, day: Day, last: i64) {
        let (start_ms, end_ms) = self.range_ms;
        let from = self.next.max(start_ms.div_euclid(SLOT_MS));
        for slot in from..=last.min(end_ms.div_euclid(SLOT_MS)) {
            self.sample(day, slot * SLOT_MS);
        }
    }

    fn sample(&mut self, day: Day, time_ms: i64) {
        if (self.range_ms.0..=self.range_ms.1).contains(&time_ms) {
            self.scratch.float_times.push(time_ms);
            self.scratch.floats.push(self.value as f64);
            self.scratch.float_starts.push(day.base() * SLOT_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(amounts: &[(i64, u64)], range_ms: (i64, i64), last_slot: i64) -> Vec<(i64, f64)> {
        let amounts: Vec<Amount> = amounts
            .iter()
            .map(|(slot, amount)| Amount { slot: *slot, field: 3, amount: *amount })
            .collect();
        let mut scratch = Scratch::default();
        append(&amounts, (3, 4), range_ms, last_slot, &mut scratch);
        scratch.float_times.into_iter().zip(scratch.floats).collect()
    }

    const ALL: (i64, i64) = (0, i64::MAX);

    #[test]
    fn counters_begin_with_zero_and_stay() {
        let found = samples(&[(10, 2), (12, 3)], ALL, 13);
        assert_eq!(
            found,
            [(135_000, 0.0), (150_000, 2.0), (165_000, 2.0), (180_000, 5.0), (195_000, 5.0)]
        );
        assert_eq!(samples(&[(10, 2), (12, 3)], (150_001, 180_000), 13), found[2..4]);
        assert_eq!(samples(&[], ALL, 13), []);
    }

    #[test]
    fn days_begin_anew() {
        let (last, base) = (SLOTS_OF_DAY, SLOTS_OF_DAY * SLOT_MS);
        let found = samples(&[(last, 7), (last + 1, 9)], ALL, last + 2);
        let expected = [
            (base - SLOT_MS, 0.0),
            (base, 7.0),
            (base + 1, 0.0),
            (base + SLOT_MS, 9.0),
            (base + 2 * SLOT_MS, 9.0),
        ];
        assert_eq!(found, expected);
        let gap = samples(&[(last - 1, 7), (last + 3, 9)], ALL, last + 3);
        let times: Vec<i64> = gap.iter().map(|(time, _)| time / SLOT_MS).collect();
        assert_eq!(times, [last - 2, last - 1, last, last + 2, last + 3]);
    }

    #[test]
    fn what_was_before_the_range_is_in_the_first_sample() {
        let found = samples(&[(9, 4), (12, 1)], (150_000, 185_000), 20);
        assert_eq!(found, [(150_000, 4.0), (165_000, 4.0), (180_000, 5.0)]);
    }
}
