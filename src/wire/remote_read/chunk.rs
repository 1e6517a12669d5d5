//! Prometheus' chunks, which remote read streams: the XOR chunk of floats, and the chunk of one
//! histogram.
//!
//! The XOR chunk:
//! 1. Two bytes: how many samples, big-endian. Then bits, the highest of a byte first.
//! 2. The first sample: its time as a signed varint, its value in 64 bits.
//! 3. The second: the time since the first as an unsigned varint.
//! 4. Each further one: by how much the distance changed; `0` for not at all, else a prefix of ones
//!    that says whether 14, 17, 20 or 64 bits follow.
//! 5. Each value after the first: its bits XOR those of the one before. `0`: the same. `10`: the
//!    bits that differ, in the window of the one before. `11`: a new window first (5 bits of
//!    leading zeros, 6 of length).
//!
//! The chunk of a histogram with float counts. Prometheus puts many of one layout into a chunk; one
//! in each needs neither equal layouts nor a search for counter resets between them:
//! 1. Two bytes: how many samples. One byte, whose highest bits tell of counter resets.
//! 2. The layout: the zero threshold in a byte where it is a power of two, the schema, the spans of
//!    both sides, the custom bounds where the schema asks for them.
//! 3. The time, then count, zero count, sum and the counts of all buckets in 64 bits each.
//!
//! Numbers of the layout have 0, 3, 6, 9, 12, 18, 25, 56 or 64 bits, behind as many ones as widths
//! were too small, and a zero.

use model::{Buckets, CUSTOM_BUCKETS_SCHEMA, FloatHistogram, ResetHint};

/// Samples in a chunk, as Prometheus cuts them.
pub const CHUNK_SAMPLES: usize = 120;

/// Encodes at most 65535 samples in rising order of time.
pub fn xor_chunk(samples: &[(i64, f64)]) -> Vec<u8> {
    let count = u16::try_from(samples.len()).expect("callers cut into chunks");
    let mut bits = Bits { bytes: count.to_be_bytes().to_vec(), free: 0 };
    let mut window = None;
    let mut delta = 0u64;
    for (index, &(time, value)) in samples.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| samples[before]);
        let Some((time_before, value_before)) = before else {
            bits.varint((time << 1) as u64 ^ (time >> 63) as u64);
            bits.write(value.to_bits(), 64);
            continue;
        };
        let next_delta = time.wrapping_sub(time_before) as u64;
        match index {
            1 => bits.varint(next_delta),
            _ => bits.delta_of_delta(next_delta.wrapping_sub(delta) as i64),
        }
        delta = next_delta;
        bits.xor(value.to_bits() ^ value_before.to_bits(), &mut window);
    }
    bits.bytes
}

/// Encodes one histogram.
pub fn histogram_chunk(time_ms: i64, histogram: &FloatHistogram) -> Vec<u8> {
    let resets = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::NotReset => 0b0100_0000,
        ResetHint::Reset => 0b1000_0000,
        ResetHint::Gauge => 0b1100_0000,
    };
    let mut bits = Bits { bytes: vec![0, 1, resets], free: 0 };
    bits.zero_threshold(histogram.zero_threshold);
    bits.signed(histogram.schema.into());
    bits.spans(&histogram.positive);
    bits.spans(&histogram.negative);
    if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
        bits.unsigned(histogram.custom_bounds.len() as u64);
        histogram.custom_bounds.iter().for_each(|bound| bits.custom_bound(*bound));
    }
    bits.signed(time_ms);
    let FloatHistogram { count, zero_count, sum, .. } = histogram;
    let sides = histogram.positive.counts.iter().chain(&histogram.negative.counts);
    [count, zero_count, sum].into_iter().chain(sides).for_each(|n| bits.write(n.to_bits(), 64));
    bits.bytes
}

/// Widths of the layout's numbers, behind the shortest one, which has none.
const WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];
/// Bounds up to here that are whole thousandths are stored as such.
const THOUSANDTHS_MAX: f64 = 33_554_430.0;

struct Bits {
    bytes: Vec<u8>,
    /// Unused bits of the last byte.
    free: u32,
}

impl Bits {
    /// The lowest `count` bits, the highest of them first.
    fn write(&mut self, value: u64, count: u32) {
        for index in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let bit = (value >> index & 1) as u8;
            *self.bytes.last_mut().expect("a byte was just made sure of") |= bit << self.free;
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.write(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.write(value, 8);
    }

    fn signed(&mut self, value: i64) {
        let fits = |width: u32| {
            let half = 1i64 << (width - 1);
            (-(half - 1)..=half).contains(&value)
        };
        self.sized(value as u64, value == 0, |width| width == 64 || fits(width));
    }

    fn unsigned(&mut self, value: u64) {
        self.sized(value, value == 0, |width| width == 64 || value < 1 << width);
    }

    /// The narrowest width that fits, named by ones; the widest needs no zero behind them.
    fn sized(&mut self, value: u64, is_zero: bool, fits: impl Fn(u32) -> bool) {
        if is_zero {
            return self.write(0, 1);
        }
        let place = WIDTHS.iter().position(|width| fits(*width)).unwrap_or(WIDTHS.len() - 1);
        let ones = place as u32 + 1;
        match ones {
            8 => self.write(0xff, 8),
            _ => self.write((1 << (ones + 1)) - 2, ones + 1),
        }
        self.write(value, WIDTHS[place]);
    }

    /// One byte where the threshold is a power of two of ordinary size.
    fn zero_threshold(&mut self, threshold: f64) {
        let bits = threshold.to_bits();
        // As if the fraction lay between a half and one.
        let exponent = (bits >> 52) as i64 - 1_022;
        let is_power = bits & ((1 << 52) - 1) == 0 && threshold > 0.0;
        match threshold {
            0.0 => self.write(0, 8),
            _ if is_power && (-242..=11).contains(&exponent) => {
                self.write((exponent + 243) as u64, 8);
            }
            _ => {
                self.write(255, 8);
                self.write(bits, 64);
            }
        }
    }

    fn spans(&mut self, side: &Buckets) {
        self.unsigned(side.spans.len() as u64);
        for span in &side.spans {
            self.unsigned(span.length.into());
            self.signed(span.offset.into());
        }
    }

    /// Whole thousandths as a number, others as they are behind a zero.
    fn custom_bound(&mut self, bound: f64) {
        let thousandths = (bound * 1_000.0).round();
        let is_whole = thousandths / 1_000.0 == bound;
        if is_whole && (0.0..=THOUSANDTHS_MAX).contains(&(bound * 1_000.0)) {
            return self.unsigned(thousandths as u64 + 1);
        }
        self.write(0, 1);
        self.write(bound.to_bits(), 64);
    }

    fn delta_of_delta(&mut self, change: i64) {
        let fits = |count: u32| {
            let half = 1i64 << (count - 1);
            (-(half - 1)..=half).contains(&change)
        };
        match change {
            0 => self.write(0, 1),
            _ if fits(14) => self.prefixed(0b10, 2, change, 14),
            _ if fits(17) => self.prefixed(0b110, 3, change, 17),
            _ if fits(20) => self.prefixed(0b1110, 4, change, 20),
            _ => self.prefixed(0b1111, 4, change, 64),
        }
    }

    fn prefixed(&mut self, prefix: u64, prefix_count: u32, value: i64, count: u32) {
        self.write(prefix, prefix_count);
        self.write(value as u64, count);
    }

    fn xor(&mut self, difference: u64, window: &mut Option<(u32, u32)>) {
        if difference == 0 {
            return self.write(0, 1);
        }
        // Five bits say how many leading zeros there are.
        let leading = difference.leading_zeros().min(31);
        let trailing = difference.trailing_zeros();
        match *window {
            Some((known_leading, known_trailing))
                if leading >= known_leading && trailing >= known_trailing =>
            {
                self.write(0b10, 2);
                self.write(difference >> known_trailing, 64 - known_leading - known_trailing);
            }
            _ => {
                *window = Some((leading, trailing));
                let length = 64 - leading - trailing;
                self.write(0b11, 2);
                self.write(leading.into(), 5);
                // 64 does not fit into six bits and stands as 0.
                self.write((length & 63).into(), 6);
                self.write(difference >> trailing, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::BucketSpan;
    use proptest::prelude::*;

    /// Reads a chunk back, by the steps of the module's header.
    struct Chunk<'a> {
        bytes: &'a [u8],
        at: usize,
    }

    impl Chunk<'_> {
        fn read(&mut self, count: u32) -> u64 {
            (0..count).fold(0, |value, _| {
                let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
                self.at += 1;
                value << 1 | u64::from(bit)
            })
        }

        fn varint(&mut self) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = self.read(8);
                value |= (byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }

        fn change(&mut self) -> i64 {
            let mut ones = 0;
            while ones < 4 && self.read(1) == 1 {
                ones += 1;
            }
            let count = [0, 14, 17, 20, 64][ones];
            let bits = self.read(count);
            match count {
                0 => 0,
                64 => bits as i64,
                // The range is not the usual one: the highest power itself is positive.
                _ if bits > 1 << (count - 1) => bits as i64 - (1i64 << count),
                _ => bits as i64,
            }
        }
    }

    impl Chunk<'_> {
        fn sized(&mut self) -> (u64, u32) {
            let mut ones = 0;
            while ones < 8 && self.read(1) == 1 {
                ones += 1;
            }
            let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][ones];
            (self.read(width), width)
        }

        fn signed(&mut self) -> i64 {
            let (bits, width) = self.sized();
            match width {
                0 | 64 => bits as i64,
                _ if bits > 1 << (width - 1) => bits as i64 - (1i64 << width),
                _ => bits as i64,
            }
        }

        fn float(&mut self) -> f64 {
            f64::from_bits(self.read(64))
        }

        fn spans(&mut self) -> Vec<BucketSpan> {
            let count = self.sized().0;
            (0..count)
                .map(|_| {
                    let length = self.sized().0 as u32;
                    BucketSpan { length, offset: self.signed() as i32 }
                })
                .collect()
        }

        fn bound(&mut self) -> f64 {
            match self.sized() {
                (_, 0) => self.float(),
                (thousandths, _) => (thousandths - 1) as f64 / 1_000.0,
            }
        }

        fn histogram(&mut self) -> (i64, FloatHistogram) {
            assert_eq!(self.read(16), 1);
            let reset_hint =
                [ResetHint::Unknown, ResetHint::NotReset, ResetHint::Reset, ResetHint::Gauge]
                    [self.read(8) as usize >> 6];
            let zero_threshold = match self.read(8) {
                0 => 0.0,
                255 => self.float(),
                exponent => 2f64.powi(exponent as i32 - 244),
            };
            let schema = self.signed() as i32;
            let [positive, negative] = [self.spans(), self.spans()];
            let custom_bounds: Vec<f64> = match schema {
                CUSTOM_BUCKETS_SCHEMA => (0..self.sized().0).map(|_| self.bound()).collect(),
                _ => Vec::new(),
            };
            let time = self.signed();
            let [count, zero_count, sum] = [self.float(), self.float(), self.float()];
            let mut side = |spans: Vec<BucketSpan>| {
                let total: u32 = spans.iter().map(|span| span.length).sum();
                Buckets { counts: (0..total).map(|_| self.float()).collect(), spans }
            };
            let (positive, negative) = (side(positive), side(negative));
            let custom_bounds = custom_bounds.into();
            let read = FloatHistogram {
                reset_hint,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                custom_bounds,
            };
            (time, read)
        }
    }

    fn decode(bytes: &[u8]) -> Vec<(i64, f64)> {
        let mut chunk = Chunk { bytes, at: 0 };
        let count = chunk.read(16);
        let (mut time, mut delta, mut bits) = (0i64, 0i64, 0u64);
        let (mut leading, mut length) = (0, 0);
        let mut samples = Vec::new();
        for index in 0..count {
            if index == 0 {
                time = crate::protobuf::zigzag64(chunk.varint());
                bits = chunk.read(64);
            } else {
                delta = match index {
                    1 => chunk.varint() as i64,
                    _ => delta.wrapping_add(chunk.change()),
                };
                time = time.wrapping_add(delta);
                if chunk.read(1) == 1 {
                    if chunk.read(1) == 1 {
                        leading = chunk.read(5) as u32;
                        length = chunk.read(6) as u32;
                        length = if length == 0 { 64 } else { length };
                    }
                    bits ^= chunk.read(length) << (64 - leading - length);
                }
            }
            samples.push((time, f64::from_bits(bits)));
        }
        samples
    }

    fn check(samples: &[(i64, f64)]) {
        let bits = |samples: &[(i64, f64)]| -> Vec<(i64, u64)> {
            samples.iter().map(|(time, value)| (*time, value.to_bits())).collect()
        };
        assert_eq!(bits(&decode(&xor_chunk(samples))), bits(samples));
    }

    #[test]
    fn a_steady_series_takes_few_bits() {
        let samples: Vec<_> = (0..120).map(|n| (1_700_000_000_000 + n * 15_000, 1.0)).collect();
        check(&samples);
        assert!(xor_chunk(&samples).len() < 60);
    }

    fn any_side() -> impl Strategy<Value = Buckets> {
        let span =
            (any::<i32>(), 0u32..4).prop_map(|(offset, length)| BucketSpan { offset, length });
        prop::collection::vec(span, 0..4).prop_flat_map(|spans| {
            let total: u32 = spans.iter().map(|span| span.length).sum();
            let counts = prop::collection::vec(0.0f64..1e18, total as usize);
            counts.prop_map(move |counts| Buckets { spans: spans.clone(), counts })
        })
    }

    #[test]
    fn numbers_of_the_layout_have_prometheus_widths() {
        for (value, expected) in [
            (0i64, vec![0b0000_0000]),
            (1, vec![0b1000_1000]),
            (4, vec![0b1010_0000]),
            (-3, vec![0b1010_1000]),
            (5, vec![0b1100_0010, 0b1000_0000]),
            (300, vec![0b1111_0000, 0b1001_0110, 0]),
        ] {
            let mut bits = Bits { bytes: Vec::new(), free: 0 };
            bits.signed(value);
            assert_eq!(bits.bytes, expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_histogram_comes_back(
            time: i64,
            (positive, negative) in (any_side(), any_side()),
            schema in prop_oneof![-9i32..=8, Just(CUSTOM_BUCKETS_SCHEMA)],
            bounds in prop::collection::vec(prop_oneof![-1e9f64..1e9, (0i32..100_000).prop_map(|n| f64::from(n) / 1_000.0)], 0..5),
            zero_threshold in prop_oneof![Just(0.0), Just(2f64.powi(-128)), Just(1e-128), Just(1024.0), Just(4096.0)],
            (count, sum) in (0.0f64..1e18, -1e18f64..1e18),
        ) {
            let custom_bounds =
                if schema == CUSTOM_BUCKETS_SCHEMA { bounds.into() } else { FloatHistogram::default().custom_bounds };
            let histogram = FloatHistogram {
                reset_hint: ResetHint::Gauge,
                schema, zero_threshold, zero_count: 1.0, count, sum, positive, negative, custom_bounds,
            };
            let bytes = histogram_chunk(time, &histogram);
            let read = Chunk { bytes: &bytes, at: 0 }.histogram();
            prop_assert_eq!(format!("{read:?}"), format!("{:?}", (time, histogram)));
        }

        #[test]
        fn any_samples_come_back(samples in prop::collection::vec((any::<i64>(), any::<f64>()), 0..50)) {
            check(&samples);
        }

        #[test]
        fn ordinary_samples_come_back(
            steps in prop::collection::vec((-600_000i64..600_000, -5i32..5), 1..120)
        ) {
            let mut time = 1_700_000_000_000;
            let samples: Vec<_> = steps.iter().map(|(step, value)| {
                time += step;
                (time, f64::from(*value) * 0.1)
            }).collect();
            check(&samples);
        }
    }
}
