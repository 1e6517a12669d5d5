//! How histograms and their numbers print, the way Prometheus prints them.

use super::{Bucket, FloatHistogram};
use std::fmt;

/// `{count:4, sum:5, [-2,-1):1, [-0.1,0.1]:1, (1,2]:2}`: buckets without counts are left out.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_float_go(self.count), format_float_go(self.sum))?;
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        let buckets = self.negative_buckets().rev().chain(zero).chain(self.positive_buckets());
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(format_float_go);
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

/// The shortest digits that come back as the same float; with an exponent below 1e-4 and from 1e6
/// on (Go's `%v` and `%g`).
pub fn format_float_go(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Buckets;

    #[test]
    fn prints_like_prometheus() {
        let histogram = FloatHistogram {
            count: 7.0,
            sum: 1.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive: Buckets::from_entries([(1, 2.0), (2, 0.0)]),
            negative: Buckets::from_entries([(0, 4.0)]),
            ..Default::default()
        };
        assert_eq!(
            histogram.to_string(),
            "{count:7, sum:1.5, [-1,-0.5):4, [-0.001,0.001]:1, (1,2]:2}"
        );
    }

    #[test]
    fn floats_print_like_go() {
        for (value, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (123456.0, "123456"),
            (1234567.0, "1.234567e+06"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (f64::NEG_INFINITY, "-Inf"),
            (-0.0, "-0"),
        ] {
            assert_eq!(format_float_go(value), text);
        }
    }
}
