//! The generated samples that both servers get.
//!
//! No sample is at a whole second, and every query is: so no answer depends on whether windows
//! include their left edge, in which Prometheus 2 and 3 differ.

use crate::remote_write::{Exemplar, Series, stale};
use platform::{Random, SeededRandom};

pub(super) const BASE: i64 = 1_700_006_400_000;
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
/// More than the two hours that Prometheus keeps in one block.
pub(super) const END: i64 = BASE + 200 * MINUTE;

/// Values on which patterns are tried. None contains a line end, which a dot matches in Prometheus
/// 3 only.
const SPELLED: [&str; 44] = [
    "a", "A", "b", "ab", "aB", "aab", "aaa", "abc", "foo", "FOO", "é", "É", "ſ", "\u{212a}", "k",
    "s", "S", "ß", "İ", "i", "한글", "0", "7", "٣", " ", "\t", "\u{a0}", "a.b", "a|b", "a+b",
    "a-z", "(", "[", "]", "\\", "^a$", "{2}", "a{2}", "/", "_", "-", "\u{1}", "σ", "Ⅷ",
];

pub(super) struct Maker<'a> {
    random: &'a SeededRandom,
    pub series: Vec<Series>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(random: &'a SeededRandom) -> Self {
        Self { random, series: Vec::new() }
    }

    pub(super) fn everything(mut self) -> Vec<Series> {
        self.services();
        self.histograms();
        self.gauges();
        self.coming_and_going();
        self.odd_names();
        self.series
    }

    /// A time slightly after `at`, never at a whole second.
    fn near(&self, at: i64) -> i64 {
        at + 1 + self.random.below(998) as i64
    }

    fn regular(&self, from: i64, to: i64, step: i64) -> Vec<i64> {
        (from..to).step_by(step as usize).map(|at| self.near(at)).collect()
    }

    fn add(&mut self, labels: &[(&str, &str)], samples: Vec<(i64, f64)>) {
        self.series.push(Series { samples, ..Series::new(labels) });
    }

    /// Grows, and sometimes restarts. It starts so far above zero that no extrapolation reaches
    /// zero, in which 2.42 and 3 differ.
    fn counter(&self, times: &[i64], growth: u64) -> Vec<(i64, f64)> {
        let mut value = 20_000.0 + self.random.below(1_000) as f64;
        let mut step = |time: &i64| {
            value += self.random.below(growth) as f64;
            if self.random.below(120) == 0 {
                value = self.random.below(3) as f64;
            }
            (*time, value)
        };
        times.iter().map(&mut step).collect()
    }

    /// A random walk in quarters, whose values never equal those of another series.
    fn gauge(&self, times: &[i64]) -> Vec<(i64, f64)> {
        let mut value = self.random.below(100_000_000) as f64 / 1e6;
        let mut step = |time: &i64| {
            value += (self.random.below(21) as f64 - 10.0) / 4.0;
            (*time, value)
        };
        times.iter().map(&mut step).collect()
    }

    fn services(&mut self) {
        for (job, count) in [("api", 3), ("db", 2), ("node", 2)] {
            for number in 0..count {
                let instance = format!("{job}-{number}:80");
                let times = self.regular(BASE, END, 15 * SECOND);
                let up = times.iter().map(|t| (*t, f64::from(self.random.below(20) > 0))).collect();
                self.add(&[("__name__", "up"), ("job", job), ("instance", &instance)], up);
                for (code, method) in [("200", "GET"), ("200", "POST"), ("500", "GET")] {
                    let samples = self.counter(&times, 40);
                    let labels = [
                        ("__name__", "requests_total"),
                        ("job", job),
                        ("instance", &instance),
                        ("code", code),
                        ("method", method),
                    ];
                    self.add(&labels, samples);
                }
                let version = ["1.2.3", "1.10.0", "2.0.0"][self.random.below(3) as usize];
                let ones = times.iter().map(|time| (*time, 1.0)).collect();
                let labels = [
                    ("__name__", "build_info"),
                    ("job", job),
                    ("instance", &instance),
                    ("version", version),
                ];
                self.add(&labels, ones);
            }
            let quota = self.regular(BASE, END, 60 * SECOND).iter().map(|t| (*t, 25.0)).collect();
            self.add(&[("__name__", "quota"), ("job", job)], quota);
        }
    }

    /// Classic histograms: regular ones, and one with every possible fault.
    fn histograms(&mut self) {
        const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "5", "+Inf"];
        for job in ["api", "db"] {
            for instance in ["0", "1"] {
                let times = self.regular(BASE, END, 30 * SECOND);
                let mut counts = [4e3, 8e3, 12e3, 16e3, 20e3];
                let mut buckets = vec![Vec::new(); 5];
                for time in &times {
                    let mut seen = 0.0;
                    for (bucket, count) in counts.iter_mut().enumerate() {
                        seen += self.random.below(5) as f64;
                        *count += seen;
                        buckets[bucket].push((*time, *count));
                    }
                }
                let own = [("job", job), ("instance", instance)];
                let sums = buckets[4].iter().map(|(time, count)| (*time, count * 0.75)).collect();
                let count = buckets[4].clone();
                for (le, samples) in BOUNDS.iter().zip(buckets) {
                    let name = [("__name__", "latency_seconds_bucket"), ("le", le)];
                    self.add(&[&own[..], &name].concat(), samples);
                }
                self.add(&[&own[..], &[("__name__", "latency_seconds_count")]].concat(), count);
                self.add(&[&own[..], &[("__name__", "latency_seconds_sum")]].concat(), sums);
            }
        }
        for (kind, bounds) in [
            ("no_end", &["1", "2"][..]),
            ("only_end", &["+Inf"]),
            ("not_growing", &["1", "2", "4", "+Inf"]),
            ("no_number", &["1", "two", "+Inf"]),
            ("negative", &["-4", "-1", "+Inf"]),
            ("empty", &["1", "+Inf"]),
        ] {
            for (number, le) in bounds.iter().enumerate() {
                let times = self.regular(BASE, END, 60 * SECOND);
                let height = match kind {
                    "not_growing" => [4.0, 9.0, 7.0, 12.0][number],
                    "empty" => 0.0,
                    _ => (number + 1) as f64 * 3.0,
                };
                let labels = [("__name__", "broken_bucket"), ("kind", kind), ("le", le)];
                self.add(&labels, times.iter().map(|time| (*time, height)).collect());
            }
        }
    }

    fn gauges(&mut self) {
        for room in ["attic", "cellar", "hall", "kitchen"] {
            let samples = self.gauge(&self.regular(BASE, END, 15 * SECOND));
            self.add(&[("__name__", "temperature"), ("room", room)], samples);
        }
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.5, -2.5, 7.0];
        for number in ["1", "2", "3"] {
            let times = self.regular(BASE, END, 20 * SECOND);
            let pick = |time: &i64| (*time, odd[self.random.below(8) as usize]);
            let samples = times.iter().map(pick).collect();
            self.add(&[("__name__", "odd"), ("number", number)], samples);
        }
        for (size, value) in
            [("tiny", 3e-300), ("huge", 1.5e300), ("exact", 9_007_199_254_740_993.0)]
        {
            let times = self.regular(BASE, END, 60 * SECOND);
            let samples = times.iter().map(|time| (*time, value)).collect();
            self.add(&[("__name__", "sized"), ("size", size)], samples);
        }
        // Times from 1969 to 2100, for the calendar functions.
        let moments = [-86_400.0, 0.0, 951_782_400.0, 1_709_164_800.0, 4_102_444_799.0, 1.7e9];
        for (number, moment) in moments.iter().enumerate() {
            let times = self.regular(BASE, END, 60 * SECOND);
            let samples = times.iter().map(|time| (*time, *moment)).collect();
            self.add(&[("__name__", "moment"), ("number", &number.to_string())], samples);
        }
        let mut traced = self.counter(&self.regular(BASE, END, 15 * SECOND), 9);
        traced.truncate(400);
        let exemplars = traced.iter().step_by(40).map(|(time, value)| Exemplar {
            trace: format!("{time:x}"),
            time: time - 1,
            value: *value,
        });
        let exemplars = exemplars.collect();
        let series = Series::new(&[("__name__", "traced_total"), ("job", "api")]);
        self.series.push(Series { samples: traced, exemplars, ..series });
    }

    fn coming_and_going(&mut self) {
        // Without samples for longer than the lookback, several times.
        let mut samples = self.gauge(&self.regular(BASE, END, 30 * SECOND));
        samples.retain(|(time, _)| (time - BASE) / (8 * MINUTE) % 2 == 0);
        self.add(&[("__name__", "gaps")], samples);
        for number in 0..6 {
            let from = BASE + self.random.below(100) as i64 * MINUTE;
            let to = from + (3 + self.random.below(60) as i64) * MINUTE;
            let mut samples = self.gauge(&self.regular(from, to, 15 * SECOND));
            samples.push((self.near(to), stale()));
            if number % 2 == 0 {
                samples.extend(self.gauge(&self.regular(to + 5 * MINUTE, END, 60 * SECOND)));
            }
            self.add(&[("__name__", "pod"), ("pod", &format!("pod-{number}"))], samples);
        }
        for number in 0..3 {
            let mut times = vec![self.near(BASE)];
            while *times.last().expect("it has one") < END - 130 * SECOND {
                let last = times.last().expect("it has one") / SECOND * SECOND;
                times.push(self.near(last + (1 + self.random.below(120) as i64) * SECOND));
            }
            let samples = self.counter(&times, 25);
            self.add(&[("__name__", "irregular_total"), ("n", &number.to_string())], samples);
        }
        self.add(&[("__name__", "once")], vec![(BASE + 100 * MINUTE + 1, 42.0)]);
        let twice = vec![(BASE + 100 * MINUTE + 1, 42.0), (BASE + 102 * MINUTE + 1, 40.0)];
        self.add(&[("__name__", "twice")], twice);
        let mut flapping = self.gauge(&self.regular(BASE, END, 30 * SECOND));
        for sample in flapping.iter_mut().step_by(5) {
            sample.1 = stale();
        }
        self.add(&[("__name__", "flapping")], flapping);
        // `late` adds the samples that are missing between these.
        let samples = (0..190).map(|n| (BASE + n * MINUTE + 30_250, n as f64)).collect();
        self.add(&[("__name__", "late")], samples);
    }

    fn odd_names(&mut self) {
        for name in ["collide_a", "collide_b", "collide:c"] {
            let samples = self.counter(&self.regular(BASE, END, 30 * SECOND), 5);
            self.add(&[("__name__", name), ("x", "same")], samples);
        }
        for (number, text) in SPELLED.iter().enumerate() {
            let times = self.regular(BASE, END, 60 * SECOND);
            let samples = times.iter().map(|time| (*time, number as f64)).collect();
            self.add(&[("__name__", "spelled"), ("text", text)], samples);
        }
        for text in ["one\ntwo", "한라산", "a\"b\\c", "v10", "v9", "V1", " "] {
            let samples = self.gauge(&self.regular(BASE, END, 60 * SECOND));
            self.add(&[("__name__", "text"), ("text", text)], samples);
        }
    }
}

/// The same data in the order of time, as agents would send it: half an hour per batch.
pub(super) fn in_order(series: &[Series]) -> Vec<Vec<Series>> {
    let mut slices = Vec::new();
    for from in (BASE..END + MINUTE).step_by(30 * MINUTE as usize) {
        let within = |time: i64| (from..from + 30 * MINUTE).contains(&time);
        let cut = |one: &Series| {
            let mut one = one.clone();
            one.samples.retain(|(time, _)| within(*time));
            one.exemplars.retain(|exemplar| within(exemplar.time));
            one.histograms.retain(|histogram| within(histogram.time));
            one
        };
        let is_there = |one: &Series| !one.samples.is_empty() || !one.histograms.is_empty();
        let slice = series.iter().map(cut).filter(is_there);
        slices.push(slice.collect());
    }
    slices
}

/// Samples that arrive after newer ones of their series, within Prometheus' window.
pub(super) fn late() -> Vec<Series> {
    let mut late = Series::new(&[("__name__", "late")]);
    late.samples = (0..20).map(|n| (END - 30 * MINUTE + n * MINUTE + 500, n as f64)).collect();
    vec![late]
}
