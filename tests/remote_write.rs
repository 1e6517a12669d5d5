//! A remote write 1.0 sender, written from the specification, without the server's own code.

use crate::client::Connection;
use crate::client::Reply;
use std::net::SocketAddr;

/// One field of a protobuf message: its number and its content.
pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A field that holds a number.
pub(crate) fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

pub(crate) fn fixed64(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3 | 1], value.to_le_bytes().to_vec()].concat()
}

/// The value of a stale marker.
pub(crate) fn stale() -> f64 {
    f64::from_bits(0x7FF0_0000_0000_0002)
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Sorted by name.
    pub labels: Vec<(String, String)>,
    /// Milliseconds and value.
    pub samples: Vec<(i64, f64)>,
    pub exemplars: Vec<Exemplar>,
    pub histograms: Vec<Histogram>,
}

/// A native histogram whose buckets lie side by side, from the first on.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub time: i64,
    pub schema: i64,
    pub sum: f64,
    pub zero: u64,
    pub first: i64,
    pub buckets: Vec<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Exemplar {
    pub trace: String,
    pub time: i64,
    pub value: f64,
}

impl Series {
    pub(crate) fn new(labels: &[(&str, &str)]) -> Self {
        let mut labels: Vec<(String, String)> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.sort();
        Self { labels, ..Self::default() }
    }

    pub(crate) fn sample(mut self, time: i64, value: f64) -> Self {
        self.samples.push((time, value));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in &self.labels {
            out.extend(field(1, &label(name, value)));
        }
        for (time, value) in &self.samples {
            out.extend(field(2, &sample(*time, *value)));
        }
        for exemplar in &self.exemplars {
            let mut one = field(1, &label("trace_id", &exemplar.trace));
            one.extend([2 << 3 | 1]);
            one.extend(exemplar.value.to_le_bytes());
            one.extend(number(3, exemplar.time as u64));
            out.extend(field(3, &one));
        }
        self.histograms.iter().for_each(|one| out.extend(field(4, &one.encode())));
        out
    }
}

impl Histogram {
    fn encode(&self) -> Vec<u8> {
        let mut out = number(1, self.zero + self.buckets.iter().sum::<u64>());
        for (number, value) in [(3, self.sum), (5, 1e-3)] {
            out.push(number << 3 | 1);
            out.extend(value.to_le_bytes());
        }
        out.extend(number(4, zigzag(self.schema)));
        out.extend(number(6, self.zero));
        let span = [number(1, zigzag(self.first)), number(2, self.buckets.len() as u64)];
        out.extend(field(11, &span.concat()));
        let mut before = 0;
        for count in &self.buckets {
            out.extend(number(12, zigzag(*count as i64 - before)));
            before = *count as i64;
        }
        out.extend(number(15, self.time as u64));
        out
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn label(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(2, value.as_bytes())].concat()
}

fn sample(time: i64, value: f64) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(value.to_le_bytes());
    out.extend(number(2, time as u64));
    out
}

/// The message before compression.
pub(crate) fn request(series: &[Series]) -> Vec<u8> {
    series.iter().flat_map(|one| field(1, &one.encode())).collect()
}

pub(crate) fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

pub(crate) const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("x-prometheus-remote-write-version", "0.1.0"),
];

/// Sends bytes as a remote write request.
pub(crate) fn send(address: SocketAddr, message: &[u8]) -> Reply {
    Connection::open(address).send("POST", "/api/v1/write", &HEADERS, &snappy(message))
}

/// Sends series, which must be accepted.
pub(crate) fn write(address: SocketAddr, series: &[Series]) {
    let reply = send(address, &request(series));
    assert!(matches!(reply.status, 200 | 204), "{}: {}", reply.status, reply.text());
}
