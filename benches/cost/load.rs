//! Remote-write bodies as an agent sends them: each holds one scrape of several hosts, generated
//! from a seed.

use platform::{Random, SeededRandom};
use prost::Message;
use wire::proto::prometheus::{Label, Sample, TimeSeries, WriteRequest};

pub(crate) const HOSTS: usize = 10;
pub(crate) const CPU_METRIC: &str = "node_cpu_seconds_total";
pub(crate) const MODES: [&str; 8] =
    ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const CPUS: usize = 8;
/// The number of CPU series of each host.
pub(crate) const CPU_SERIES: usize = CPUS * MODES.len();
const OTHER_SERIES: usize = 136;
/// The number of series in each body.
pub(crate) const SERIES: usize = HOSTS * (CPU_SERIES + OTHER_SERIES);

const START_MS: i64 = 1_795_219_200_000;
const SCRAPE_MS: i64 = 15_000;

pub(crate) struct Load {
    random: SeededRandom,
    series: Vec<(Vec<Label>, f64)>,
    next_ms: i64,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self::of_hosts(0)
    }

    /// Series that [`Load::new`] does not have.
    pub(crate) fn of_other_hosts() -> Self {
        Self::of_hosts(HOSTS)
    }

    fn of_hosts(first: usize) -> Self {
        let series = (first..first + HOSTS).flat_map(series_of_host);
        let series = series.map(|labels| (labels, 0.0)).collect();
        Self { random: SeededRandom::new(9), series, next_ms: START_MS }
    }

    /// The time of the samples of the last body.
    pub(crate) fn last_ms(&self) -> i64 {
        self.next_ms - SCRAPE_MS
    }

    /// A snappy block of a `prometheus.WriteRequest` with one sample of each series.
    pub(crate) fn next_scrape(&mut self) -> Vec<u8> {
        let (timestamp, mut timeseries) = (self.next_ms, Vec::new());
        self.next_ms += SCRAPE_MS;
        for (index, (labels, value)) in self.series.iter_mut().enumerate() {
            // A mix of counters and gauges, and half of the series never change, as on a real host.
            match index % 4 {
                0 => *value += self.random.below(1_000) as f64 / 100.0,
                1 => *value = self.random.below(1 << 20) as f64,
                _ => {}
            }
            let sample = Sample { value: *value, timestamp, start_timestamp: 0 };
            let (labels, samples) = (labels.clone(), vec![sample]);
            timeseries.push(TimeSeries { labels, samples, ..TimeSeries::default() });
        }
        let plain = WriteRequest { timeseries, metadata: Vec::new() }.encode_to_vec();
        snap::raw::Encoder::new().compress_vec(&plain).expect("it is small enough")
    }
}

fn series_of_host(host: usize) -> Vec<Vec<Label>> {
    let instance = format!("10.0.{}.{}:9100", host / 256, host % 256);
    let cpu = (0..CPU_SERIES).map(|index| {
        let (cpu, mode) = ((index / MODES.len()).to_string(), MODES[index % MODES.len()]);
        let own = [("__name__", CPU_METRIC), ("cpu", &cpu), ("instance", &instance)];
        labels(own.into_iter().chain([("job", "node"), ("mode", mode)]))
    });
    let other = (0..OTHER_SERIES).map(|index| {
        let (name, device) = (format!("node_made_up_{}", index / 4), format!("dev{}", index % 4));
        let own = [("__name__", name.as_str()), ("device", &device), ("instance", &instance)];
        labels(own.into_iter().chain([("job", "node")]))
    });
    cpu.chain(other).collect()
}

fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Label> {
    pairs.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}
