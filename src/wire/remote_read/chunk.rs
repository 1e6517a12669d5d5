//! Prometheus' chunks, which remote read streams: the XOR chunk of floats, and that of histograms
//! with float counts.
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
//! The chunk of histograms, all of one layout, without a counter reset between them:
//! 1. Two bytes: how many samples. One byte, whose highest bits tell of counter resets before the
//!    first.
//! 2. The layout: the zero threshold in a byte where it is a power of two, the schema, the spans of
//!    both sides, the custom bounds where the schema asks for them.
//! 3. The first time, then count, zero count, sum and the counts of all buckets in 64 bits each.
//! 4. Each further one: the time since the first, later by how much the distance changed, as numbers
//!    of the layout; then the same values, each XOR that of the one before, with a window of its own.
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

/// A chunk of histograms ends at this size, as Prometheus' do, unless it has too few of them.
const HISTOGRAM_CHUNK_BYTES: usize = 1_024;
const HISTOGRAM_CHUNK_SAMPLES_MIN: usize = 10;

/// Encodes as many of the first histograms as one chunk takes, and returns their number. Times must
/// rise.
pub fn histogram_chunk(samples: &[(i64, FloatHistogram)]) -> (usize, Vec<u8>) {
    let (first_ms, first) = &samples[0];
    let mut bits = Bits { bytes: vec![0, 0, reset_bits(first.reset_hint)], free: 0 };
    bits.layout(first);
    bits.signed(*first_ms);
    values(first).for_each(|value| bits.write(value.to_bits(), 64));
    let mut windows = vec![None; values(first).count()];
    let (mut count, mut delta) = (1, 0);
    for ((before_ms, before), (time_ms, histogram)) in samples.iter().zip(&samples[1..]) {
        let is_long =
            count >= HISTOGRAM_CHUNK_SAMPLES_MIN && bits.bytes.len() >= HISTOGRAM_CHUNK_BYTES;
        if is_long || count == CHUNK_SAMPLES || !continues(before, histogram) {
            break;
        }
        let next_delta = time_ms.wrapping_sub(*before_ms);
        match count {
            1 => bits.unsigned(next_delta as u64),
            _ => bits.signed(next_delta.wrapping_sub(delta)),
        }
        delta = next_delta;
        for ((before, value), window) in values(before).zip(values(histogram)).zip(&mut windows) {
            bits.xor(value.to_bits() ^ before.to_bits(), window);
        }
        count += 1;
    }
    let counted = u16::try_from(count).expect("a chunk has no more than CHUNK_SAMPLES");
    bits.bytes[..2].copy_from_slice(&counted.to_be_bytes());
    (count, bits.bytes)
}

fn reset_bits(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::NotReset => 0b0100_0000,
        ResetHint::Reset => 0b1000_0000,
        ResetHint::Gauge => 0b1100_0000,
    }
}

/// What changes from one histogram of a chunk to the next.
fn values(histogram: &FloatHistogram) -> impl Iterator<Item = f64> + '_ {
    let FloatHistogram { count, zero_count, sum, positive, negative, .. } = histogram;
    let sides = positive.counts.iter().chain(&negative.counts);
    [count, zero_count, sum].into_iter().chain(sides).copied()
}

/// Whether `next` may be in the chunk of the histogram before it. A reader assumes that counters do
/// not reset inside a chunk, so a reset begins a new one.
fn continues(before: &FloatHistogram, next: &FloatHistogram) -> bool {
    let is_alike = before.schema == next.schema
        && before.zero_threshold == next.zero_threshold
        && before.positive.spans == next.positive.spans
        && before.negative.spans == next.negative.spans
        && before.custom_bounds == next.custom_bounds;
    let is_gauge = |histogram: &FloatHistogram| histogram.reset_hint == ResetHint::Gauge;
    match (is_gauge(before), is_gauge(next)) {
        (true, true) => is_alike,
        (false, false) => {
            is_alike && next.reset_hint != ResetHint::Reset && !has_shrunk(before, next)
        }
        _ => false,
    }
}

fn has_shrunk(before: &FloatHistogram, next: &FloatHistogram) -> bool {
    const SUM: usize = 2;
    let pairs = values(before).zip(values(next)).enumerate();
    // A sum may fall where there are negative observations.
    pairs.filter(|(index, _)| *index != SUM).any(|(_, (before, next))| next < before)
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

    fn layout(&mut self, histogram: &FloatHistogram) {
        self.zero_threshold(histogram.zero_threshold);
        self.signed(histogram.schema.into());
        self.spans(&histogram.positive);
        self.spans(&histogram.negative);
        if histogram.schema == CUSTOM_BUCKETS_SCHEMA {
            self.unsigned(histogram.custom_bounds.len() as u64);
            histogram.custom_bounds.iter().for_each(|bound| self.custom_bound(*bound));
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

        /// A value after the first, and its window.
        fn xored(&mut self, before: f64, (leading, length): &mut (u32, u32)) -> f64 {
            if self.read(1) == 0 {
                return before;
            }
            if self.read(1) == 1 {
                *leading = self.read(5) as u32;
                *length = match self.read(6) as u32 {
                    0 => 64,
                    length => length,
                };
            }
            f64::from_bits(before.to_bits() ^ self.read(*length) << (64 - *leading - *length))
        }

        fn layout(&mut self) -> FloatHistogram {
            let reset_hint =
                [ResetHint::Unknown, ResetHint::NotReset, ResetHint::Reset, ResetHint::Gauge]
                    [self.read(8) as usize >> 6];
            let zero_threshold = match self.read(8) {
                0 => 0.0,
                255 => self.float(),
                exponent => 2f64.powi(exponent as i32 - 244),
            };
            let schema = self.signed() as i32;
            let side = |spans: Vec<BucketSpan>| Buckets { spans, counts: Vec::new() };
            let [positive, negative] = [side(self.spans()), side(self.spans())];
            let custom_bounds: Vec<f64> = match schema {
                CUSTOM_BUCKETS_SCHEMA => (0..self.sized().0).map(|_| self.bound()).collect(),
                _ => Vec::new(),
            };
            let custom_bounds = custom_bounds.into();
            let (zero_count, count, sum) = (0.0, 0.0, 0.0);
            FloatHistogram {
                reset_hint,
                schema,
                zero_threshold,
                zero_count,
                count,
                sum,
                positive,
                negative,
                custom_bounds,
            }
        }

        fn histograms(&mut self) -> Vec<(i64, FloatHistogram)> {
            let count = self.read(16);
            let layout = self.layout();
            let length =
                |side: &Buckets| side.spans.iter().map(|s| s.length as usize).sum::<usize>();
            let split = length(&layout.positive) + 3;
            let mut values = vec![0.0; split + length(&layout.negative)];
            let mut windows = vec![(0, 0); values.len()];
            let (mut time, mut delta) = (0i64, 0);
            let mut read = Vec::new();
            for index in 0..count {
                match index {
                    0 => time = self.signed(),
                    1 => delta = self.sized().0 as i64,
                    _ => delta = delta.wrapping_add(self.signed()),
                }
                time = time.wrapping_add(delta);
                for (value, window) in values.iter_mut().zip(&mut windows) {
                    *value = match index {
                        0 => self.float(),
                        _ => self.xored(*value, window),
                    };
                }
                let mut histogram = layout.clone();
                [histogram.count, histogram.zero_count, histogram.sum] =
                    [values[0], values[1], values[2]];
                histogram.positive.counts = values[3..split].to_vec();
                histogram.negative.counts = values[split..].to_vec();
                if index > 0 && histogram.reset_hint != ResetHint::Gauge {
                    histogram.reset_hint = ResetHint::NotReset;
                }
                read.push((time, histogram));
            }
            read
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

    fn any_side() -> impl Strategy<Value = Vec<BucketSpan>> {
        let span =
            (any::<i32>(), 0u32..4).prop_map(|(offset, length)| BucketSpan { offset, length });
        prop::collection::vec(span, 0..4)
    }

    /// Histograms with counts from a few numbers; of counters some shrink.
    fn filled(layout: &FloatHistogram, numbers: &[f64]) -> FloatHistogram {
        let mut numbers = numbers.iter().copied().cycle();
        let mut histogram = layout.clone();
        for side in [&mut histogram.positive, &mut histogram.negative] {
            let length: u32 = side.spans.iter().map(|span| span.length).sum();
            side.counts = numbers.by_ref().take(length as usize).collect();
        }
        [histogram.count, histogram.zero_count, histogram.sum] =
            [0; 3].map(|_: i32| numbers.next().unwrap());
        histogram
    }

    fn all_chunks(mut samples: &[(i64, FloatHistogram)]) -> Vec<(usize, usize)> {
        let mut chunks = Vec::new();
        while !samples.is_empty() {
            let (taken, bytes) = histogram_chunk(samples);
            let mut expected = samples[..taken].to_vec();
            for (_, histogram) in &mut expected[1..] {
                if histogram.reset_hint != ResetHint::Gauge {
                    histogram.reset_hint = ResetHint::NotReset;
                }
            }
            let read = Chunk { bytes: &bytes, at: 0 }.histograms();
            assert_eq!(format!("{read:?}"), format!("{expected:?}"));
            chunks.push((taken, bytes.len()));
            samples = &samples[taken..];
        }
        chunks
    }

    #[test]
    fn a_chunk_ends_where_a_counter_or_the_layout_changes() {
        let spans = vec![BucketSpan { offset: 0, length: 3 }];
        let layout = FloatHistogram {
            positive: Buckets { spans, counts: Vec::new() },
            ..FloatHistogram::default()
        };
        let steady: Vec<_> =
            (0..300).map(|at| (at * 15_000, filled(&layout, &[at as f64]))).collect();
        let lengths = |samples: &[_]| -> Vec<usize> {
            all_chunks(samples).into_iter().map(|(taken, _)| taken).collect()
        };
        assert!(all_chunks(&steady).iter().all(|(_, bytes)| *bytes < 1_100));
        assert_eq!(lengths(&steady), [120, 120, 60]);

        let mut samples = steady[..50].to_vec();
        samples[10].1.positive.counts[1] = 0.0;
        samples[20].1.reset_hint = ResetHint::Reset;
        samples[30..].iter_mut().for_each(|(_, histogram)| histogram.schema = 3);
        samples[40..].iter_mut().for_each(|(_, h)| h.reset_hint = ResetHint::Gauge);
        samples[45].1.count = 0.0;
        samples[5].1.sum = -1e9;
        assert_eq!(lengths(&samples), [10, 10, 10, 10, 10]);

        let spans = vec![BucketSpan { offset: 0, length: 200 }];
        let wide = FloatHistogram { positive: Buckets { spans, counts: Vec::new() }, ..layout };
        let wide: Vec<_> = (0..25).map(|at| (at, filled(&wide, &[at as f64]))).collect();
        assert_eq!(lengths(&wide), [10, 10, 5], "no chunk has fewer than ten");
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
        fn any_histograms_come_back(
            times in prop::collection::vec(any::<i64>(), 1..30),
            hint in prop_oneof![Just(ResetHint::Gauge), Just(ResetHint::Unknown)],
            (positive, negative) in (any_side(), any_side()),
            schema in prop_oneof![-9i32..=8, Just(CUSTOM_BUCKETS_SCHEMA)],
            bounds in prop::collection::vec(prop_oneof![-1e9f64..1e9, (0i32..100_000).prop_map(|n| f64::from(n) / 1_000.0)], 0..5),
            zero_threshold in prop_oneof![Just(0.0), Just(2f64.powi(-128)), Just(1e-128), Just(1024.0), Just(4096.0)],
            numbers in prop::collection::vec(prop_oneof![0.0f64..1e18, Just(1.0)], 1..40),
        ) {
            let custom_bounds =
                if schema == CUSTOM_BUCKETS_SCHEMA { bounds.into() } else { FloatHistogram::default().custom_bounds };
            let side = |spans| Buckets { spans, counts: Vec::new() };
            let layout = FloatHistogram {
                reset_hint: hint, schema, zero_threshold, zero_count: 0.0, count: 0.0, sum: 0.0,
                positive: side(positive), negative: side(negative), custom_bounds,
            };
            let samples: Vec<_> = times
                .iter()
                .enumerate()
                .map(|(index, time)| (*time, filled(&layout, &numbers[index % numbers.len()..])))
                .collect();
            all_chunks(&samples);
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
