//! Encodes floats that are decimal fractions as whole numbers times a power of ten.
//!
//! A value is encoded so only if decoding gives exactly its bits. The few values that are not
//! decimal (a stale marker among counters) are stored separately, and the number before takes their
//! place.

use codec::{ByteReader, ByteWriter, DecodeError};

/// Powers of ten up to this exponent are exact as floats.
const EXPONENT_MAX: usize = 15;
const POWERS: [f64; EXPONENT_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Whole numbers below this are exact as floats.
const MANTISSA_MAX: f64 = 9_007_199_254_740_992.0;

/// At most one value in this many may be an exception.
const EXCEPTION_SHARE: usize = 32;

#[derive(Debug)]
pub(super) struct Decimals {
    exponent: usize,
    pub(super) mantissas: Vec<i64>,
    exceptions: Vec<(usize, u64)>,
}

pub(super) fn encode(values: &[u64]) -> Option<Decimals> {
    let allowed = values.len() / EXCEPTION_SHARE + 1;
    let exponent = find_exponent(values, allowed)?;
    let mut mantissas = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    let mut before = 0;
    for (index, bits) in values.iter().enumerate() {
        match mantissa(*bits, exponent) {
            Some(mantissa) => before = mantissa,
            None if exceptions.len() == allowed => return None,
            None => exceptions.push((index, *bits)),
        }
        mantissas.push(before);
    }
    Some(Decimals { exponent, mantissas, exceptions })
}

/// The smallest exponent for which nearly all values are exact. Each value can only raise it, so
/// one pass with few repetitions finds it.
fn find_exponent(values: &[u64], allowed: usize) -> Option<usize> {
    let (mut exponent, mut strange) = (0, 0);
    for bits in values {
        if mantissa(*bits, exponent).is_some() {
            continue;
        }
        match (exponent + 1..=EXPONENT_MAX).find(|higher| mantissa(*bits, *higher).is_some()) {
            Some(higher) => exponent = higher,
            None => strange += 1,
        }
        if strange > allowed {
            return None;
        }
    }
    Some(exponent)
}

fn mantissa(bits: u64, exponent: usize) -> Option<i64> {
    let scaled = (f64::from_bits(bits) * POWERS[exponent]).round();
    let fits = scaled.abs() < MANTISSA_MAX;
    (fits && value(scaled as i64, exponent).to_bits() == bits).then_some(scaled as i64)
}

fn value(mantissa: i64, exponent: usize) -> f64 {
    mantissa as f64 / POWERS[exponent]
}

impl Decimals {
    pub(super) fn write_head(&self, head: &mut ByteWriter) {
        head.u8(self.exponent as u8);
        head.varint(self.exceptions.len() as u64);
        let mut before = 0;
        for (index, bits) in &self.exceptions {
            head.varint((index - before) as u64);
            head.u64(*bits);
            before = *index;
        }
    }
}

#[derive(Debug)]
pub(super) struct DecimalDecoder {
    exponent: usize,
    exceptions: Vec<(usize, u64)>,
}

impl DecimalDecoder {
    pub(super) fn read(head: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let wrong = head.value_error("a decimal exponent is out of range");
        let exponent = usize::from(head.u8()?);
        if exponent > EXPONENT_MAX {
            return Err(wrong);
        }
        let count = head.length(head.remaining() / 9)?;
        let mut exceptions = Vec::with_capacity(count);
        let mut index = 0usize;
        for _ in 0..count {
            index = index.saturating_add(head.length(usize::MAX)?);
            exceptions.push((index, head.u64()?));
        }
        Ok(Self { exponent, exceptions })
    }

    /// Appends values whose first is number `first` of the group.
    pub(super) fn values(&self, first: usize, mantissas: &[i64], into: &mut Vec<f64>) {
        let start = into.len();
        into.extend(mantissas.iter().map(|mantissa| value(*mantissa, self.exponent)));
        let from = self.exceptions.partition_point(|(index, _)| *index < first);
        for (index, bits) in &self.exceptions[from..] {
            match into.get_mut(start + (index - first)) {
                Some(place) => *place = f64::from_bits(*bits),
                None => break,
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.exceptions.len() * 16
    }
}
