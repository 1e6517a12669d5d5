//! The mean of floats that may be too large to add up.

use model::KahanSum;

/// A plain mean while the sum fits; from the value on that would make it overflow, a running mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    total: KahanSum,
    pub count: f64,
    /// `total` is the mean so far, not the sum.
    running: bool,
}

impl Mean {
    /// `plus` of one value after the other.
    pub fn of(values: &[f64]) -> Self {
        if let Some((first, rest)) = values.split_first() {
            let total = KahanSum::new(*first).plus_all(rest);
            if total.sum.is_finite() {
                return Self { total, count: values.len() as f64, running: false };
            }
        }
        values.iter().fold(Self::default(), |mean, value| mean.plus(*value))
    }

    #[inline]
    #[must_use]
    pub fn plus(mut self, value: f64) -> Self {
        self.count += 1.0;
        if self.count == 1.0 {
            self.total = KahanSum::new(value);
            return self;
        }
        if !self.running {
            let next = self.total.plus(value);
            if !next.sum.is_infinite() {
                self.total = next;
                return self;
            }
            self.start_running(self.count - 1.0);
        }
        self.blend(value, 1.0);
        self
    }

    fn start_running(&mut self, count: f64) {
        self.running = true;
        self.total.sum /= count;
        self.total.compensation /= count;
    }

    /// Takes in `weight` of the `count` values, whose mean is given.
    fn blend(&mut self, mean: f64, weight: f64) {
        let share = (self.count - weight) / self.count;
        self.total.sum *= share;
        self.total.compensation *= share;
        self.total = self.total.plus(mean / self.count * weight);
    }

    /// Two means of two sets become the mean of all.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0.0 || self.count == 0.0 {
            *self = if self.count == 0.0 { *other } else { *self };
            return;
        }
        if !self.running && !other.running {
            let mut next = self.total.plus(other.total.sum);
            next = next.plus(other.total.compensation);
            if !next.sum.is_infinite() {
                self.total = next;
                self.count += other.count;
                return;
            }
        }
        if !self.running {
            self.start_running(self.count);
        }
        self.count += other.count;
        self.blend(other.value(), other.count);
    }

    pub fn value(self) -> f64 {
        let KahanSum { sum, compensation } = self.total;
        if self.running { sum + compensation } else { sum / self.count + compensation / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> Mean {
        let one_by_one = values.iter().fold(Mean::default(), |mean, value| mean.plus(*value));
        assert_eq!(format!("{:?}", Mean::of(values)), format!("{one_by_one:?}"));
        one_by_one
    }

    #[test]
    fn the_sum_may_overflow_but_the_mean_does_not() {
        let large = mean(&[f64::MAX, f64::MAX, f64::MAX]).value();
        assert!((large / f64::MAX - 1.0).abs() < 1e-15, "{large}");
        assert_eq!(mean(&[1.0, 2.0, 6.0]).value(), 3.0);
        assert_eq!(mean(&[1e100, 1.0, -1e100, 1.0]).value(), 0.5);
        assert_eq!(mean(&[f64::INFINITY, 1.0]).value(), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).value().is_nan());
    }

    #[test]
    fn parts_make_the_whole() {
        let mut left = mean(&[1.0, 2.0]);
        left.merge(&mean(&[6.0]));
        assert_eq!(left.value(), 3.0);
        let mut large = mean(&[f64::MAX]);
        large.merge(&mean(&[f64::MAX, f64::MAX]));
        assert!((large.value() / f64::MAX - 1.0).abs() < 1e-9);
    }
}
