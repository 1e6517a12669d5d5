//! What a remote-write sample costs before it reaches a store.
//!
//! `cargo bench -p benches --bench remote_write -- [--rounds 5] [--dir FOLDER --file NAME]` decodes
//! version 1 requests to canonical label bytes, hashes them, and reports nanoseconds per sample:
//! once decompressed, from memory that is not in the cache, and once as received, including snappy.
//! The requests are generated, or read from a file of frames: length and item count (u32,
//! little-endian), then the snappy body.
#![expect(clippy::print_stdout, reason = "a bench is for reading")]

#[expect(dead_code, reason = "other benches use the rest")]
mod shared;

use model::{FloatHistogram, Unbounded};
use platform::{Clock, Disk, Random, RealClock, SeededRandom};
use shared::Arguments;
use wire::protobuf::Writer;
use wire::{Encoding, ExemplarRef, LabelLimits, MetadataRef, MetricSink, WriteScratch};
use xxhash_rust::xxh3::xxh3_128;

/// Enough of a file to be representative, and little enough to hold in memory.
const BYTES_MAX: usize = 200 << 20;
const LIMIT: usize = 64 << 20;

/// Does the least that a store must do: hashes the labels and reads the sample.
#[derive(Default)]
struct Hashing {
    sum: u128,
    samples: u64,
}

impl MetricSink for Hashing {
    fn series(&mut self, labels: &[u8]) {
        self.sum ^= xxh3_128(labels);
    }
    fn sample(&mut self, timestamp_ms: i64, _: i64, value: f64) {
        self.samples += 1;
        self.sum ^= u128::from(timestamp_ms.unsigned_abs() ^ value.to_bits());
    }
    fn histogram(&mut self, _: i64, _: i64, _: FloatHistogram) {}
    fn exemplar(&mut self, _: ExemplarRef<'_>) {}
    fn metadata(&mut self, _: &str, _: MetadataRef<'_>) {}
}

fn main() {
    let arguments = Arguments::read();
    let rounds: usize = arguments.get("rounds", 5);
    let file: String = arguments.get("file", String::new());
    let packed = match file.as_str() {
        "" => generated(&SeededRandom::new(1)),
        name => frames(&arguments.disk(), name),
    };
    let unpack = |body: &Vec<u8>| wire::decompress(Encoding::Snappy, body, LIMIT).expect("snappy");
    let plain: Vec<Vec<u8>> = packed.iter().map(unpack).collect();
    let bytes: usize = plain.iter().map(Vec::len).sum();
    for _ in 0..rounds {
        let (cold, samples) = measure(&plain, |body, _| body.len());
        let (whole, _) = measure(&packed, |body, buffer| {
            wire::decompress_into(Encoding::Snappy, body, LIMIT, &mut Unbounded, buffer)
                .expect("snappy");
            0
        });
        let snappy = unpack_only(&packed) / samples as f64;
        println!(
            "{samples} samples of {:.0} bytes: {cold:.1} ns each to decode and hash from memory; \
             as served {whole:.1} ns: snappy {snappy:.1} ns, decode and hash {:.1} ns",
            bytes as f64 / samples as f64,
            whole - snappy,
        );
    }
}

/// Nanoseconds per sample. `unpack` decompresses into the buffer, or reports that the body is not
/// compressed.
fn measure(bodies: &[Vec<u8>], unpack: impl Fn(&[u8], &mut Vec<u8>) -> usize) -> (f64, u64) {
    let clock = RealClock::new();
    let (mut sink, mut scratch) = (Hashing::default(), WriteScratch::default());
    let mut buffer = Vec::new();
    let start = clock.now();
    for body in bodies {
        let as_is = unpack(body, &mut buffer) > 0;
        let plain = if as_is { body } else { &buffer };
        wire::decode_write_v1(plain, &LabelLimits::NONE, &mut scratch, &mut sink).expect("valid");
    }
    let nanos = clock.now().since(start).as_secs_f64() * 1e9;
    assert!(sink.sum != 0, "something was hashed");
    (nanos / sink.samples as f64, sink.samples)
}

/// Nanoseconds that decompression alone takes.
fn unpack_only(bodies: &[Vec<u8>]) -> f64 {
    let clock = RealClock::new();
    let mut buffer = Vec::new();
    let start = clock.now();
    for body in bodies {
        wire::decompress_into(Encoding::Snappy, body, LIMIT, &mut Unbounded, &mut buffer)
            .expect("snappy");
    }
    clock.now().since(start).as_secs_f64() * 1e9
}

fn frames(disk: &dyn Disk, name: &str) -> Vec<Vec<u8>> {
    let file = disk.open(name).expect("the file is there");
    let length = file.len().expect("the file has a length");
    let mut bytes = vec![0; BYTES_MAX.min(usize::try_from(length).unwrap_or(BYTES_MAX))];
    file.read_exact_at(&mut bytes, 0).expect("the file can be read");
    let mut rest = &bytes[..];
    let mut bodies = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((body, tail)) = tail.split_at_checked(length) else { break };
        bodies.push(body.to_vec());
        rest = tail;
    }
    bodies
}

/// Requests of 2000 series with one sample each, as an agent sends what it scraped.
fn generated(random: &SeededRandom) -> Vec<Vec<u8>> {
    (0..500).map(|request| snappy(&generated_request(random, request))).collect()
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(plain).expect("small enough")
}

fn generated_request(random: &SeededRandom, request: i64) -> Vec<u8> {
    let mut writer = Writer::new();
    for series in 0..2000 {
        let (metric, device) = (format!("node_metric_{}_total", series % 200), series / 200);
        let value = random.below(1 << 40) as f64;
        let labels = [
            ("__name__", metric.as_str()),
            ("device", &format!("eth{device}")),
            ("instance", &format!("node-{}.example.com:9100", request % 50)),
            ("job", "node-exporter"),
        ];
        writer.message(1, |series| {
            for (name, value) in labels {
                series.message(1, |label| {
                    label.text(1, name);
                    label.text(2, value);
                });
            }
            series.message(2, |sample| {
                sample.double(1, value);
                sample.signed(2, 1_790_000_000_000 + request * 15_000);
            });
        });
    }
    writer.into_bytes()
}
