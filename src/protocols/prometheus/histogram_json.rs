//! Native histograms in JSON, as Prometheus' API prints them.

use crate::api::json::{Moment, list, value};
use model::{Bucket, FloatHistogram};
use std::io::Write as _;

/// `[time,{"count":…}]`.
pub(super) fn point(out: &mut Vec<u8>, time: impl Moment, sample: &FloatHistogram) {
    time.begin(out);
    histogram(out, sample);
    out.push(b']');
}

fn histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    value(out, histogram.count);
    out.extend_from_slice(b",\"sum\":");
    value(out, histogram.sum);
    let mut buckets = histogram.all_buckets().filter(|bucket| bucket.count != 0.0).peekable();
    if buckets.peek().is_some() {
        out.extend_from_slice(b",\"buckets\":");
        list(out, buckets, |out, one| bucket(out, &one));
    }
    out.push(b'}');
}

/// The first number says which of the bounds are in the bucket.
fn bucket(out: &mut Vec<u8>, bucket: &Bucket) {
    let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    };
    write!(out, "[{bounds}").expect("writing into memory can't fail");
    for number in [bucket.lower, bucket.upper, bucket.count] {
        out.push(b',');
        value(out, number);
    }
    out.push(b']');
}
