//! Reads protobuf field by field without copying, and writes it: the base of the hand-written
//! decoders (docs/adr/0006).
//!
//! Lives here: varints, field by field iteration, packed lists, and a writer for answers.
//! Not here: any message; each decoder has its field numbers, those of `proto/`.
//! Invariants: every length is checked against the bytes that are there before anything is taken;
//! unknown fields are skipped; groups, which no sender uses any more, are skipped to a bounded
//! depth.

/// Why bytes are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    #[error("the message ends in the middle of a field")]
    Truncated,
    #[error("a number is longer than 64 bits")]
    Varint,
    #[error("field {field} has the wrong wire type")]
    WireType { field: u32 },
    #[error("a field has no valid number")]
    FieldNumber,
    #[error("the message is nested too deeply")]
    Depth,
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("the message has more than {limit} {what}")]
    TooMany { what: &'static str, limit: usize },
}

/// How deep groups of unknown fields may nest.
const GROUP_DEPTH_MAX: usize = 32;

/// One field's content, not yet interpreted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field and its content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    pub number: u32,
    pub content: Content<'a>,
}

impl<'a> Field<'a> {
    fn wrong<T>(self) -> Result<T, ProtobufError> {
        Err(ProtobufError::WireType { field: self.number })
    }

    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], ProtobufError> {
        if let Content::Bytes(bytes) = self.content { Ok(bytes) } else { self.wrong() }
    }

    pub fn text(self) -> Result<&'a str, ProtobufError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| ProtobufError::Utf8)
    }

    pub fn message(self) -> Result<Reader<'a>, ProtobufError> {
        self.bytes().map(Reader::new)
    }

    #[inline]
    pub fn unsigned(self) -> Result<u64, ProtobufError> {
        if let Content::Varint(value) = self.content { Ok(value) } else { self.wrong() }
    }

    #[inline]
    pub fn signed(self) -> Result<i64, ProtobufError> {
        self.unsigned().map(|value| value as i64)
    }

    /// Narrower integers keep their low bits, as protobuf says.
    pub fn int32(self) -> Result<i32, ProtobufError> {
        self.unsigned().map(|value| value as i32)
    }

    pub fn uint32(self) -> Result<u32, ProtobufError> {
        self.unsigned().map(|value| value as u32)
    }

    pub fn boolean(self) -> Result<bool, ProtobufError> {
        self.unsigned().map(|value| value != 0)
    }

    pub fn zigzag32(self) -> Result<i32, ProtobufError> {
        self.uint32().map(zigzag32)
    }

    #[inline]
    pub fn double(self) -> Result<f64, ProtobufError> {
        self.fixed64().map(f64::from_bits)
    }

    #[inline]
    pub fn fixed64(self) -> Result<u64, ProtobufError> {
        if let Content::Fixed64(bits) = self.content { Ok(bits) } else { self.wrong() }
    }

    pub fn fixed32(self) -> Result<u32, ProtobufError> {
        if let Content::Fixed32(bits) = self.content { Ok(bits) } else { self.wrong() }
    }

    /// A repeated number: packed, or one element of the unpacked form.
    pub fn each_varint(self, mut take: impl FnMut(u64)) -> Result<(), ProtobufError> {
        match self.content {
            Content::Varint(value) => take(value),
            Content::Bytes(packed) => {
                let mut reader = Reader::new(packed);
                while !reader.is_empty() {
                    take(reader.varint()?);
                }
            }
            _ => return self.wrong(),
        }
        Ok(())
    }

    pub fn each_fixed64(self, mut take: impl FnMut(u64)) -> Result<(), ProtobufError> {
        match self.content {
            Content::Fixed64(value) => take(value),
            Content::Bytes(packed) => {
                let (words, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(ProtobufError::Truncated);
                }
                words.iter().for_each(|word| take(u64::from_le_bytes(*word)));
            }
            _ => return self.wrong(),
        }
        Ok(())
    }
}

pub fn zigzag32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub fn zigzag64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The fields of one message, in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, ProtobufError> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let (number, wire_type) = self.tag()?;
            let content = match wire_type {
                0 => Content::Varint(self.varint()?),
                1 => Content::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => Content::Bytes(self.prefixed()?),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                5 => Content::Fixed32(u32::from_le_bytes(self.array()?)),
                _ => return Err(ProtobufError::WireType { field: number }),
            };
            return Ok(Some(Field { number, content }));
        }
    }

    #[inline]
    fn tag(&mut self) -> Result<(u32, u8), ProtobufError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| ProtobufError::FieldNumber)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(ProtobufError::FieldNumber);
        }
        Ok((number, (tag & 7) as u8))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, ProtobufError> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if index == 9 && byte > 1 {
                return Err(ProtobufError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { ProtobufError::Truncated } else { ProtobufError::Varint })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    fn prefixed(&mut self) -> Result<&'a [u8], ProtobufError> {
        let length = usize::try_from(self.varint()?).map_err(|_| ProtobufError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Skips a group and everything in it, without recursion.
    fn skip_group(&mut self, number: u32) -> Result<(), ProtobufError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.prefixed()?),
                3 if open.len() >= GROUP_DEPTH_MAX => return Err(ProtobufError::Depth),
                3 => open.push(number),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.array::<4>()?),
                _ => return Err(ProtobufError::WireType { field: number }),
            }
        }
        Ok(())
    }
}

/// Appends fields to a message. It writes default values too: callers that want them left out do not
/// call it.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub fn varint(&mut self, field: u32, value: u64) {
        self.raw_varint(u64::from(field) << 3);
        self.raw_varint(value);
    }

    pub fn signed(&mut self, field: u32, value: i64) {
        self.varint(field, value as u64);
    }

    pub fn zigzag(&mut self, field: u32, value: i64) {
        self.varint(field, zigzag(value));
    }

    pub fn double(&mut self, field: u32, value: f64) {
        self.raw_varint(u64::from(field) << 3 | 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.raw_varint(u64::from(field) << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub fn message(&mut self, field: u32, build: impl FnOnce(&mut Writer)) {
        let mut inner = Self::new();
        build(&mut inner);
        self.bytes(field, &inner.bytes);
    }

    pub fn packed_varints(&mut self, field: u32, values: &[u64]) {
        let length = |value: &u64| (70 - (value | 1).leading_zeros() as usize) / 7;
        self.raw_varint(u64::from(field) << 3 | 2);
        self.raw_varint(values.iter().map(length).sum::<usize>() as u64);
        values.iter().for_each(|value| self.raw_varint(*value));
    }

    pub fn packed_zigzag(&mut self, field: u32, values: impl IntoIterator<Item = i64>) {
        let mut packed = Self::new();
        values.into_iter().for_each(|value| packed.raw_varint(zigzag(value)));
        self.bytes(field, &packed.bytes);
    }

    pub fn packed_doubles(&mut self, field: u32, values: &[f64]) {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed);
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1) as u64 ^ (value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, ProtobufError> {
        let mut reader = Reader::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = reader.next_field()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn groups_are_stepped_over_to_a_depth() {
        assert_eq!(fields(&[0x0b, 0x08, 0x01, 0x0c]), Ok(vec![]));
        assert_eq!(fields(&[0x0b, 0x14]), Err(ProtobufError::WireType { field: 2 }));
        assert_eq!(fields(&[0x0b; 1_000]), Err(ProtobufError::Depth));
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        assert_eq!(fields(&[&[0x08][..], &[0xff; 10]].concat()), Err(ProtobufError::Varint));
        assert_eq!(fields(&[0x08, 0x80]), Err(ProtobufError::Truncated));
        assert_eq!(fields(&[0x00, 0x00]), Err(ProtobufError::FieldNumber));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1u32..1 << 29, value: u64, bits: u64, text: String) {
            let mut writer = Writer::new();
            writer.varint(number, value);
            writer.zigzag(number, value as i64);
            writer.double(number, f64::from_bits(bits));
            writer.text(number, &text);
            let bytes = writer.into_bytes();
            let read = fields(&bytes).unwrap();
            prop_assert_eq!(read[0].unsigned(), Ok(value));
            prop_assert_eq!(zigzag64(read[1].unsigned().unwrap()), value as i64);
            prop_assert_eq!(read[2].fixed64(), Ok(bits));
            prop_assert_eq!(read[3].text(), Ok(text.as_str()));
        }

        #[test]
        fn any_bytes_end_in_fields_or_an_error(bytes: Vec<u8>) {
            if let Ok(read) = fields(&bytes) {
                prop_assert!(read.len() <= bytes.len());
            }
        }
    }
}
