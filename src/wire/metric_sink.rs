//! The visitor that every decoder of metrics calls; a store's batch builder implements it.
//!
//! A series comes as canonical label bytes (the encoding of `model::Labels`), built in a buffer
//! that is reused from series to series: the store hashes them and looks the series up, nothing is
//! allocated for one it knows.

use model::{FloatHistogram, MetricKind};

/// An example of an observation, with the labels (mostly a trace id) that lead to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarRef<'a> {
    /// Canonical label bytes; an exemplar's labels may be empty.
    pub labels: &'a [u8],
    pub value: f64,
    /// 0 where the sender gave none.
    pub timestamp_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataRef<'a> {
    pub kind: MetricKind,
    pub unit: &'a str,
    pub help: &'a str,
}

/// Takes decoded metrics. What follows a [`MetricSink::series`] belongs to that series.
///
/// A decoder that returns an error may have called these before: the owner of the sink discards the
/// batch then.
pub trait MetricSink {
    fn series(&mut self, labels: &[u8]);

    /// `start_ms` is when the counter began, 0 where unknown.
    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64);

    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram);

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>);

    /// About a metric family, outside of any series.
    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>);
}

/// How many refusals keep their reason as text.
const REASONS_MAX: usize = 8;

/// What was refused: how much, and the first few reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// Series, or samples where only a sample was bad.
    pub count: u64,
    pub reasons: Vec<String>,
    /// How many of each kind, by the kind's name.
    pub kinds: Vec<(&'static str, u64)>,
}

impl Rejections {
    /// `kind` is one of a small closed set: it is counted under this name.
    pub fn add(&mut self, kind: &'static str, reason: impl FnOnce() -> String) {
        self.count += 1;
        self.add_kind(kind, 1);
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason());
        }
    }

    fn add_kind(&mut self, kind: &'static str, count: u64) {
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, sum)) => *sum += count,
            None => self.kinds.push((kind, count)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        other.kinds.into_iter().for_each(|(kind, count)| self.add_kind(kind, count));
        let room = REASONS_MAX.saturating_sub(self.reasons.len());
        self.reasons.extend(other.reasons.into_iter().take(room));
    }

    /// One line for a client: the first reasons and the number of the others.
    pub fn summary(&self) -> String {
        let more = self.count.saturating_sub(self.reasons.len() as u64);
        let mut text = self.reasons.join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }
}

/// What was passed to the sink, and what was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub series: u64,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub rejected: Rejections,
}
