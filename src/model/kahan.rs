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
            // Nothing can be rescued from an infinity, and infinity minus infinity is NaN.
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - sum) + value)
        } else {
            self.compensation + ((value - sum) + self.sum)
        };
        Self { sum, compensation }
    }

    pub fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_small_beside_the_large() {
        let sum = [1e100, 1.0, -1e100].iter().fold(KahanSum::default(), |sum, v| sum.plus(*v));
        assert_eq!(sum.total(), 1.0);
    }

    #[test]
    fn infinity_stays_infinity() {
        let sum = [1.0, f64::INFINITY, 2.0].iter().fold(KahanSum::default(), |sum, v| sum.plus(*v));
        assert_eq!(sum.total(), f64::INFINITY);
    }
}
