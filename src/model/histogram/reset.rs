//! Whether a counter began anew between two histograms.

use super::layout::common_bounds;
use super::{Buckets, FloatHistogram, ResetHint, custom_bounds_match};

impl FloatHistogram {
    /// Whether this histogram can't be a later state of `previous`: some count fell, a bucket with
    /// counts is gone, or the buckets became finer. A hint decides without looking.
    pub fn is_reset_from(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => true,
            ResetHint::NotReset => false,
            ResetHint::Unknown | ResetHint::Gauge => self.counts_fell_from(previous),
        }
    }

    fn counts_fell_from(&self, previous: &Self) -> bool {
        if self.count < previous.count
            || self.uses_custom_buckets() != previous.uses_custom_buckets()
            || self.schema > previous.schema
        {
            return true;
        }
        if self.uses_custom_buckets() {
            return self.custom_counts_fell_from(previous);
        }
        if self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_for(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let previous = previous.to_schema(self.schema);
        fell(&self.outside_zero(&self.positive), &self.outside_zero(&previous.positive))
            || fell(&self.outside_zero(&self.negative), &self.outside_zero(&previous.negative))
    }

    /// Between different bounds only what lies between common ones can be compared.
    fn custom_counts_fell_from(&self, previous: &Self) -> bool {
        if custom_bounds_match(&self.custom_bounds, &previous.custom_bounds) {
            return fell(&self.positive, &previous.positive);
        }
        let bounds = common_bounds(&self.custom_bounds, &previous.custom_bounds);
        let (mut current, mut previous) = (self.clone(), previous.clone());
        current.reduce_to_bounds(&bounds);
        previous.reduce_to_bounds(&bounds);
        fell(&current.positive, &previous.positive)
    }
}

/// Whether some bucket of `previous` has more than the same bucket now.
fn fell(current: &Buckets, previous: &Buckets) -> bool {
    if current.spans == previous.spans {
        return current.counts.iter().zip(&previous.counts).any(|(now, before)| now < before);
    }
    let mut now = current.entries().peekable();
    previous.entries().any(|(index, before)| {
        while now.next_if(|entry| entry.0 < index).is_some() {}
        match now.peek() {
            Some(entry) if entry.0 == index => entry.1 < before,
            _ => before != 0.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(i32, f64)]) -> FloatHistogram {
        let positive = Buckets::from_entries(entries.iter().copied());
        FloatHistogram { count: 10.0, positive, ..Default::default() }
    }

    #[test]
    fn a_count_that_fell_is_a_reset() {
        assert!(!of(&[(1, 2.0), (3, 1.0)]).is_reset_from(&of(&[(1, 2.0)])));
        assert!(of(&[(1, 1.0)]).is_reset_from(&of(&[(1, 2.0)])));
        assert!(of(&[(1, 2.0)]).is_reset_from(&of(&[(2, 1.0)])));
        assert!(!of(&[(1, 2.0)]).is_reset_from(&of(&[(2, 0.0)])));
    }

    #[test]
    fn hints_decide() {
        let hinted = |reset_hint| FloatHistogram { reset_hint, ..of(&[(1, 1.0)]) };
        assert!(hinted(ResetHint::Reset).is_reset_from(&of(&[])));
        assert!(!hinted(ResetHint::NotReset).is_reset_from(&of(&[(1, 9.0)])));
    }

    #[test]
    fn finer_buckets_are_a_reset_and_coarser_ones_are_not() {
        let coarse = FloatHistogram { schema: 0, ..of(&[(1, 3.0)]) };
        let fine = FloatHistogram { schema: 1, ..of(&[(1, 1.0), (2, 2.0)]) };
        assert!(fine.is_reset_from(&coarse));
        assert!(!coarse.is_reset_from(&fine));
    }
}
