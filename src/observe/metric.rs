//! The instruments. Declare them as statics beside the code they count and list them in the
//! crate's `METRICS`; the server registers each crate's list once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Bucket bounds for durations, in seconds: 100 µs to 30 s.
pub const LATENCY_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

const BUCKETS_MAX: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// One value of one label set at the moment of collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub labels: Vec<(&'static str, String)>,
    pub value: PointValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    Number(f64),
    /// Cumulative counts per upper bound (the last one is the count of all), and the sum.
    Histogram {
        bounds: &'static [f64],
        cumulative: Vec<u64>,
        sum: f64,
    },
}

/// What the registry reads from an instrument.
pub trait Metric: Sync {
    fn name(&self) -> &'static str;
    fn help(&self) -> &'static str;
    fn kind(&self) -> MetricKind;
    fn collect(&self) -> Vec<Point>;
}

/// A number that only grows. Its name ends in `_total`.
pub struct Counter {
    name: &'static str,
    help: &'static str,
    value: AtomicU64,
}

impl Counter {
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, value: AtomicU64::new(0) }
    }

    pub fn increment(&self) {
        self.add(1);
    }

    pub fn add(&self, amount: u64) {
        self.value.fetch_add(amount, Relaxed);
    }

    pub fn value(&self) -> u64 {
        self.value.load(Relaxed)
    }

    /// Sets a total that is counted elsewhere, by the kernel for example, to its newest reading.
    pub fn observe_total(&self, total: u64) {
        self.value.fetch_max(total, Relaxed);
    }
}

impl Metric for Counter {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn kind(&self) -> MetricKind {
        MetricKind::Counter
    }
    fn collect(&self) -> Vec<Point> {
        vec![plain(self.value() as f64)]
    }
}

/// A number that goes up and down.
pub struct Gauge {
    name: &'static str,
    help: &'static str,
    bits: AtomicU64,
}

impl Gauge {
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, bits: AtomicU64::new(0) }
    }

    pub fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Relaxed);
    }

    pub fn add(&self, amount: f64) {
        add_f64(&self.bits, amount);
    }

    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }
}

impl Metric for Gauge {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn kind(&self) -> MetricKind {
        MetricKind::Gauge
    }
    fn collect(&self) -> Vec<Point> {
        vec![plain(self.value())]
    }
}

/// Counts of values by upper bound.
pub struct Histogram {
    name: &'static str,
    help: &'static str,
    bounds: &'static [f64],
    counts: [AtomicU64; BUCKETS_MAX + 1],
    sum_bits: AtomicU64,
}

impl Histogram {
    pub const fn new(name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        assert!(bounds.len() <= BUCKETS_MAX, "raise BUCKETS_MAX");
        Self {
            name,
            help,
            bounds,
            counts: [const { AtomicU64::new(0) }; BUCKETS_MAX + 1],
            sum_bits: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, value: f64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        self.counts[index].fetch_add(1, Relaxed);
        add_f64(&self.sum_bits, value);
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

impl Metric for Histogram {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn kind(&self) -> MetricKind {
        MetricKind::Histogram
    }
    fn collect(&self) -> Vec<Point> {
        let mut seen = 0;
        let cumulative = self.counts[..=self.bounds.len()]
            .iter()
            .map(|count| {
                seen += count.load(Relaxed);
                seen
            })
            .collect();
        let sum = f64::from_bits(self.sum_bits.load(Relaxed));
        let value = PointValue::Histogram { bounds: self.bounds, cumulative, sum };
        vec![Point { labels: Vec::new(), value }]
    }
}

type Children<T> = Mutex<BTreeMap<Vec<String>, Arc<T>>>;

/// Counters that differ in the values of fixed labels. Label values must come from a small closed
/// set (routes, statuses, reasons): never from user data.
pub struct CounterFamily {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    children: Children<AtomicU64>,
}

impl CounterFamily {
    pub const fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, children: Mutex::new(BTreeMap::new()) }
    }

    /// Callers that use the same label values again and again keep the handle.
    pub fn with(&self, values: &[&str]) -> Arc<AtomicU64> {
        child(&self.children, self.labels, values)
    }

    pub fn increment(&self, values: &[&str]) {
        self.add(values, 1);
    }

    pub fn add(&self, values: &[&str], amount: u64) {
        self.with(values).fetch_add(amount, Relaxed);
    }

    pub fn value(&self, values: &[&str]) -> u64 {
        self.with(values).load(Relaxed)
    }
}

impl Metric for CounterFamily {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn kind(&self) -> MetricKind {
        MetricKind::Counter
    }
    fn collect(&self) -> Vec<Point> {
        collect_children(&self.children, self.labels, |value| value.load(Relaxed) as f64)
    }
}

/// Gauges that differ in the values of fixed labels.
pub struct GaugeFamily {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    children: Children<AtomicU64>,
}

impl GaugeFamily {
    pub const fn new(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, children: Mutex::new(BTreeMap::new()) }
    }

    pub fn set(&self, values: &[&str], value: f64) {
        child(&self.children, self.labels, values).store(value.to_bits(), Relaxed);
    }
}

impl Metric for GaugeFamily {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn kind(&self) -> MetricKind {
        MetricKind::Gauge
    }
    fn collect(&self) -> Vec<Point> {
        collect_children(&self.children, self.labels, |bits| f64::from_bits(bits.load(Relaxed)))
    }
}

fn plain(value: f64) -> Point {
    Point { labels: Vec::new(), value: PointValue::Number(value) }
}

fn add_f64(bits: &AtomicU64, amount: f64) {
    let add = |old| Some((f64::from_bits(old) + amount).to_bits());
    bits.fetch_update(Relaxed, Relaxed, add).expect("the closure never answers None");
}

fn child<T: Default>(children: &Children<T>, labels: &[&str], values: &[&str]) -> Arc<T> {
    assert_eq!(labels.len(), values.len(), "one value for each label of the family");
    let key = values.iter().map(|value| (*value).to_owned()).collect();
    let mut children = children.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(children.entry(key).or_default())
}

fn collect_children<T>(
    children: &Children<T>,
    labels: &[&'static str],
    read: impl Fn(&T) -> f64,
) -> Vec<Point> {
    let children = children.lock().unwrap_or_else(PoisonError::into_inner);
    let point = |(values, child): (&Vec<String>, &Arc<T>)| Point {
        labels: labels.iter().copied().zip(values.iter().cloned()).collect(),
        value: PointValue::Number(read(child)),
    };
    children.iter().map(point).collect()
}

macro_rules! debug_as_name {
    ($($instrument:ty),*) => {$(
        impl fmt::Debug for $instrument {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($instrument), self.name)
            }
        }
    )*};
}
debug_as_name!(Counter, Gauge, Histogram, CounterFamily, GaugeFamily);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_value_under_its_bound() {
        static H: Histogram = Histogram::new("h", "", &[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 9.0] {
            H.observe(value);
        }
        let PointValue::Histogram { cumulative, sum, .. } = H.collect().remove(0).value else {
            panic!("a histogram collects a histogram")
        };
        assert_eq!(cumulative, [2, 3, 4]);
        assert_eq!(sum, 12.0);
    }

    #[test]
    fn a_family_keeps_label_sets_apart() {
        static F: CounterFamily = CounterFamily::new("f_total", "", &["reason"]);
        F.increment(&["a"]);
        F.add(&["b"], 2);
        assert_eq!((F.value(&["a"]), F.value(&["b"])), (1, 2));
        assert_eq!(F.collect().len(), 2);
    }
}
