//! Prometheus' XOR chunk, which remote read streams.
//!
//! 1. Two bytes: how many samples, big-endian. Then bits, the highest of a byte first.
//! 2. The first sample: its time as a signed varint, its value in 64 bits.
//! 3. The second: the time since the first as an unsigned varint.
//! 4. Each further one: by how much the distance changed; `0` for not at all, else a prefix of ones
//!    that says whether 14, 17, 20 or 64 bits follow.
//! 5. Each value after the first: its bits XOR those of the one before. `0`: the same. `10`: the
//!    bits that differ, in the window of the one before. `11`: a new window first (5 bits of
//!    leading zeros, 6 of length).

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

    proptest! {
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
