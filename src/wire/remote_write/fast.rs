//! The label list of a version 1 series in the shape that all senders use: one after another,
//! sorted, short, ASCII. Read without a call per text.
//!
//! 1. Each label must be `0a L 0a N name 12 V value` with one-byte lengths that agree.
//! 2. Names must rise. Their first eight bytes, as a number, settle nearly every comparison.
//! 3. Length and text are copied together, 32 bytes at a time whatever their length: a copy of a
//!    fixed size is two instructions, and the next one overwrites what was too much.
//! 4. In the end one pass checks that the whole list is ASCII, and with it UTF-8.
//!
//! A list of another shape is no error here: the general path reads it again.

use crate::canonical::LabelLimits;

/// `model::METRIC_NAME` has eight bytes, as many as the number by which names are compared.
const NAME_KEY: [u8; 8] = *b"__name__";

const LABEL_FIELD: u8 = 0x0a;
const NAME_FIELD: u8 = 0x0a;
const VALUE_FIELD: u8 = 0x12;
const SAMPLE_FIELD: u8 = 0x12;
const VALUE: u8 = 0x09;
const TIMESTAMP: u8 = 0x10;
/// Bytes copied at once; a length and its text below it take one copy.
const STRIDE: usize = 32;

/// The canonical bytes are in `out[..canonical]`, the labels took `message[..read]`.
pub(super) struct FastLabels {
    pub(super) canonical: usize,
    pub(super) read: usize,
}

/// Reads the labels at the beginning of `tail[..length]`; `tail` goes on behind the message, so
/// that wide copies need no care near its end.
pub(super) fn labels(
    tail: &[u8],
    length: usize,
    limits: &LabelLimits,
    out: &mut Vec<u8>,
) -> Option<FastLabels> {
    if out.len() < length + 3 * STRIDE {
        out.resize(length + 3 * STRIDE, 0);
    }
    let (mut at, mut canonical, mut count) = (0, 0, 0);
    let mut previous: (u64, &[u8]) = (0, &[]);
    let mut named = false;
    while at < length && tail[at] == LABEL_FIELD {
        let label = Label::at(tail, at)?;
        let order = (label.name_key(tail), label.name(tail));
        if order <= previous || label.is_beyond(limits) {
            return None;
        }
        named |= label.name_length == NAME_KEY.len() && order.0 == u64::from_be_bytes(NAME_KEY);
        previous = order;
        copy(tail, label.name_at - 1, 1 + label.name_length, &mut out[canonical..])?;
        canonical += 1 + label.name_length;
        copy(tail, label.value_at() - 1, 1 + label.value_length, &mut out[canonical..])?;
        canonical += 1 + label.value_length;
        at = label.value_at() + label.value_length;
        count += 1;
    }
    let fits = named && at <= length && count <= limits.count_max;
    (fits && tail[..at].is_ascii()).then_some(FastLabels { canonical, read: at })
}

/// Where a label's texts stand.
struct Label {
    name_at: usize,
    name_length: usize,
    value_length: usize,
}

impl Label {
    #[inline]
    fn at(tail: &[u8], at: usize) -> Option<Self> {
        let [_, outer, NAME_FIELD, name_length] = *tail.get(at..)?.first_chunk::<4>()? else {
            return None;
        };
        let (name_at, name_length) = (at + 4, usize::from(name_length));
        let [VALUE_FIELD, value_length] = *tail.get(name_at + name_length..)?.first_chunk::<2>()?
        else {
            return None;
        };
        let value_length = usize::from(value_length);
        let agrees = usize::from(outer) == 4 + name_length + value_length;
        // One-byte lengths end at 127; nothing may be empty.
        let plain = outer < 0x80 && name_length > 0 && value_length > 0;
        (agrees && plain).then_some(Self { name_at, name_length, value_length })
    }

    fn value_at(&self) -> usize {
        self.name_at + self.name_length + 2
    }

    #[inline]
    fn name<'a>(&self, tail: &'a [u8]) -> &'a [u8] {
        &tail[self.name_at..self.name_at + self.name_length]
    }

    /// The first eight bytes as a number that orders like the text.
    #[inline]
    fn name_key(&self, tail: &[u8]) -> u64 {
        let Some(eight) = tail[self.name_at..].first_chunk::<8>() else { return 0 };
        let unused = 8usize.saturating_sub(self.name_length) * 8;
        u64::from_be_bytes(*eight) >> unused << unused
    }

    fn is_beyond(&self, limits: &LabelLimits) -> bool {
        self.name_length > limits.name_length_max || self.value_length > limits.value_length_max
    }
}

/// The one sample that most series of a request have, where nothing else stands in `rest`:
/// `12 L 09 value 10 timestamp`, without the value where it is zero.
pub(super) fn only_sample(rest: &[u8]) -> Option<(i64, f64)> {
    let (&[SAMPLE_FIELD, length], message) = rest.split_first_chunk::<2>()? else {
        return None;
    };
    let (bits, after) = match message.split_first()? {
        (&VALUE, rest) => rest.split_first_chunk::<8>()?,
        _ => (&[0; 8], message),
    };
    let ((&TIMESTAMP, varint), true) = (after.split_first()?, usize::from(length) == message.len())
    else {
        return None;
    };
    // Milliseconds of this century take six bytes.
    let mut timestamp = 0u64;
    let (&last, varint) = varint.split_last()?;
    for (index, &byte) in varint.iter().enumerate().take(8) {
        if byte < 0x80 {
            return None;
        }
        timestamp |= u64::from(byte & 0x7f) << (7 * index);
    }
    if varint.len() > 8 || last >= 0x80 {
        return None;
    }
    timestamp |= u64::from(last) << (7 * varint.len());
    Some((timestamp as i64, f64::from_bits(u64::from_le_bytes(*bits))))
}

#[inline]
fn copy(tail: &[u8], from: usize, length: usize, out: &mut [u8]) -> Option<()> {
    let source = tail.get(from..)?;
    if length <= STRIDE {
        wide_copy::<STRIDE>(source, length, out)
    } else {
        wide_copy::<{ 3 * STRIDE }>(source, length, out)
    }
}

/// Copies `N` bytes, of which the first `length` count; exactly those where there is no room or
/// where they are more.
#[inline]
fn wide_copy<const N: usize>(source: &[u8], length: usize, out: &mut [u8]) -> Option<()> {
    match (source.first_chunk::<N>(), out.first_chunk_mut::<N>()) {
        (Some(source), Some(out)) if length <= N => *out = *source,
        _ => out.get_mut(..length)?.copy_from_slice(source.get(..length)?),
    }
    Some(())
}
