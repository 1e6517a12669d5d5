//! Summation that keeps the digits a plain sum would lose (Kahan's, in Neumaier's variant).

/// A running sum and what rounding has taken from it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KahanSum {
    pub sum: f64,
    pub compensation: f64,
}

impl KahanSum {
    pub fn new(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }

    #[inline]
    #[must_use]
    pub fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let compensation = if sum.is_infinite() {
            // An infinity has no digits to keep, and infinity minus infinity is NaN.
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Self { sum, compensation }
    }

    /// `plus` of one value after the other, without a branch for each.
    #[must_use]
    pub fn plus_all(self, values: &[f64]) -> Self {
        Self::plus_rows([self], values.iter().map(|value| [*value]))[0]
    }

    /// The same for several sums, with rows that have a value for each.
    #[must_use]
    pub fn plus_rows<const N: usize>(
        sums: [Self; N],
        rows: impl Iterator<Item = [f64; N]> + Clone,
    ) -> [Self; N] {
        // Sums and compensations apart, so that a row is one step for all.
        let (mut totals, mut lost) = (sums.map(|sum| sum.sum), sums.map(|sum| sum.compensation));
        for row in rows.clone() {
            for index in 0..N {
                let (before, value) = (totals[index], row[index]);
                let total = before + value;
                // What was added as far as it arrived; the rest of both is what rounding took.
                let arrived = total - before;
                lost[index] += (before - (total - arrived)) + (value - arrived);
                totals[index] = total;
            }
        }
        // What is not finite stays so: had it happened on the way, it would show.
        if totals.iter().chain(&lost).all(|number| number.is_finite()) {
            return std::array::from_fn(|index| Self {
                sum: totals[index],
                compensation: lost[index],
            });
        }
        let plus = |sums: [Self; N], row: [f64; N]| {
            std::array::from_fn(|index| sums[index].plus(row[index]))
        };
        rows.fold(sums, plus)
    }

    pub fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_the_small_beside_the_large() {
        let sum = [1e100, 1.0, -1e100].iter().fold(KahanSum::default(), |sum, v| sum.plus(*v));
        assert_eq!(sum.total(), 1.0);
    }

    proptest! {
        #[test]
        fn all_at_once_is_one_after_the_other(
            start in any::<f64>(),
            values in prop::collection::vec(
                prop_oneof![any::<f64>(), -2.0..2.0f64, Just(-0.0), Just(f64::MAX), Just(f64::INFINITY)],
                0..20,
            ),
        ) {
            let one_by_one =
                values.iter().fold(KahanSum::new(start), |sum, value| sum.plus(*value));
            let bits = |sum: KahanSum| (sum.sum.to_bits(), sum.compensation.to_bits());
            prop_assert_eq!(bits(KahanSum::new(start).plus_all(&values)), bits(one_by_one));
        }
    }

    #[test]
    fn infinity_stays_infinity() {
        let sum = [1.0, f64::INFINITY, 2.0].iter().fold(KahanSum::default(), |sum, v| sum.plus(*v));
        assert_eq!(sum.total(), f64::INFINITY);
    }
}
