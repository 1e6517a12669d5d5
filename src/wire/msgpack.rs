//! Reads MessagePack without copying: what Fluentd and Fluent Bit send.
//!
//! Lives here: single values, skipping, and finding the end of a message in bytes that arrive piece by
//! piece.
//! Not here: any message (protocols).
//! Invariants: every length is checked against the bytes that are there; values nest to a bounded
//! depth where they are read, and skipping them takes no recursion.

/// Why bytes are not the value that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct MsgpackError {
    pub at: usize,
    pub expected: &'static str,
}

/// A value; of a list or a map only how many values or pairs follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MsgpackValue<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// A text, which senders may fill with any bytes.
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Array(usize),
    Map(usize),
    Extension(i8, &'a [u8]),
}

/// What a value's first byte says: a value that is whole, or what follows.
enum Head {
    Value(MsgpackValue<'static>),
    /// Text, binary or extension with a length of so many bytes, or one that is known.
    Sized(Body, Length),
    Number(NumberShape),
    List {
        is_map: bool,
        length: Length,
    },
}

#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Bytes(usize),
}

#[derive(Clone, Copy)]
enum Body {
    Text,
    Binary,
    Extension,
}

#[derive(Clone, Copy)]
enum NumberShape {
    Unsigned(usize),
    Signed(usize),
    Float(usize),
}

fn head(byte: u8) -> Option<Head> {
    use Length::{Bytes, Known};
    let low = |mask: u8| Known(usize::from(byte & mask));
    Some(match byte {
        0x00..=0x7f => Head::Value(MsgpackValue::Unsigned(byte.into())),
        0x80..=0x8f => Head::List { is_map: true, length: low(0x0f) },
        0x90..=0x9f => Head::List { is_map: false, length: low(0x0f) },
        0xa0..=0xbf => Head::Sized(Body::Text, low(0x1f)),
        0xc0 => Head::Value(MsgpackValue::Nil),
        0xc1 => return None,
        0xc2 | 0xc3 => Head::Value(MsgpackValue::Bool(byte == 0xc3)),
        0xc4..=0xc6 => Head::Sized(Body::Binary, Bytes(1 << (byte - 0xc4))),
        0xc7..=0xc9 => Head::Sized(Body::Extension, Bytes(1 << (byte - 0xc7))),
        0xca | 0xcb => Head::Number(NumberShape::Float(4 << (byte - 0xca))),
        0xcc..=0xcf => Head::Number(NumberShape::Unsigned(1 << (byte - 0xcc))),
        0xd0..=0xd3 => Head::Number(NumberShape::Signed(1 << (byte - 0xd0))),
        0xd4..=0xd8 => Head::Sized(Body::Extension, Known(1 << (byte - 0xd4))),
        0xd9..=0xdb => Head::Sized(Body::Text, Bytes(1 << (byte - 0xd9))),
        0xdc | 0xdd => Head::List { is_map: false, length: Bytes(2 << (byte - 0xdc)) },
        0xde | 0xdf => Head::List { is_map: true, length: Bytes(2 << (byte - 0xde)) },
        0xe0..=0xff => Head::Value(MsgpackValue::Signed((byte as i8).into())),
    })
}

/// Reads one value after another.
#[derive(Clone, Debug)]
pub struct MsgpackReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> MsgpackReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn error(&self, expected: &'static str) -> MsgpackError {
        MsgpackError { at: self.at, expected }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MsgpackError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| self.error("more bytes"))?;
        self.at += count;
        Ok(taken)
    }

    fn big_endian(&mut self, count: usize) -> Result<u64, MsgpackError> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn length(&mut self, length: Length) -> Result<usize, MsgpackError> {
        match length {
            Length::Known(length) => Ok(length),
            // Four bytes at most.
            Length::Bytes(count) => Ok(self.big_endian(count)? as usize),
        }
    }

    /// The next value; what is in a list or a map follows it.
    pub fn value(&mut self) -> Result<MsgpackValue<'a>, MsgpackError> {
        let [byte] = *self.take(1)? else { return Err(self.error("a value")) };
        let Some(head) = head(byte) else {
            self.at -= 1;
            return Err(self.error("a value"));
        };
        Ok(match head {
            Head::Value(value) => value,
            Head::Sized(body, length) => {
                let length = self.length(length)?;
                match body {
                    Body::Text => MsgpackValue::Text(self.take(length)?),
                    Body::Binary => MsgpackValue::Binary(self.take(length)?),
                    Body::Extension => {
                        let kind = self.big_endian(1)? as i8;
                        MsgpackValue::Extension(kind, self.take(length)?)
                    }
                }
            }
            Head::Number(NumberShape::Float(4)) => {
                MsgpackValue::Float(f32::from_bits(self.big_endian(4)? as u32).into())
            }
            Head::Number(NumberShape::Float(size)) => {
                MsgpackValue::Float(f64::from_bits(self.big_endian(size)?))
            }
            Head::Number(NumberShape::Unsigned(size)) => {
                MsgpackValue::Unsigned(self.big_endian(size)?)
            }
            Head::Number(NumberShape::Signed(size)) => {
                let unused = 64 - 8 * size;
                MsgpackValue::Signed((self.big_endian(size)? << unused) as i64 >> unused)
            }
            Head::List { is_map, length } => {
                let length = self.length(length)?;
                if is_map { MsgpackValue::Map(length) } else { MsgpackValue::Array(length) }
            }
        })
    }

    /// The length of a list.
    pub fn array(&mut self) -> Result<usize, MsgpackError> {
        let start = self.at;
        match self.value()? {
            MsgpackValue::Array(length) => Ok(length),
            _ => Err(MsgpackError { at: start, expected: "a list" }),
        }
    }

    /// How many pairs a map has.
    pub fn map(&mut self) -> Result<usize, MsgpackError> {
        let start = self.at;
        match self.value()? {
            MsgpackValue::Map(length) => Ok(length),
            _ => Err(MsgpackError { at: start, expected: "a map" }),
        }
    }

    /// A text, also where it is sent as binary.
    pub fn text(&mut self) -> Result<&'a [u8], MsgpackError> {
        let start = self.at;
        match self.value()? {
            MsgpackValue::Text(bytes) | MsgpackValue::Binary(bytes) => Ok(bytes),
            _ => Err(MsgpackError { at: start, expected: "a text" }),
        }
    }

    /// Passes over a value with all that is in it; answers its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], MsgpackError> {
        let start = self.at;
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            left = left.saturating_add(match self.value()? {
                MsgpackValue::Array(length) => length as u64,
                MsgpackValue::Map(length) => 2 * length as u64,
                _ => 0,
            });
        }
        Ok(&self.bytes[start..self.at])
    }
}

/// Finds the end of a message while its bytes arrive, looking at none of them twice.
#[derive(Clone, Debug)]
pub struct MessageEnd {
    at: usize,
    left: u64,
}

impl Default for MessageEnd {
    fn default() -> Self {
        Self { at: 0, left: 1 }
    }
}

impl MessageEnd {
    /// The length of the message that `arrived` begins with, once it is whole. To be called with the
    /// same bytes and those that came since; an error for bytes that no message has.
    pub fn find(&mut self, arrived: &[u8]) -> Result<Option<usize>, MsgpackError> {
        while self.left > 0 {
            let mut reader = MsgpackReader { bytes: arrived, at: self.at };
            let value = match reader.value() {
                Ok(value) => value,
                Err(error) if error.expected == "more bytes" => return Ok(None),
                Err(error) => return Err(error),
            };
            self.at = reader.at;
            self.left = (self.left - 1).saturating_add(match value {
                MsgpackValue::Array(length) => length as u64,
                MsgpackValue::Map(length) => 2 * length as u64,
                _ => 0,
            });
        }
        Ok(Some(self.at))
    }
}

/// Writes values, for answers.
#[derive(Clone, Debug, Default)]
pub struct MsgpackWriter {
    bytes: Vec<u8>,
}

impl MsgpackWriter {
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn head(&mut self, small: u8, small_max: usize, wide: u8, length: usize) -> &mut Self {
        if length <= small_max {
            self.bytes.push(small | length as u8);
        } else {
            self.bytes.push(wide);
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            self.bytes.extend_from_slice(&length.to_be_bytes());
        }
        self
    }

    pub fn array(&mut self, length: usize) -> &mut Self {
        self.head(0x90, 15, 0xdd, length)
    }

    pub fn map(&mut self, pairs: usize) -> &mut Self {
        self.head(0x80, 15, 0xdf, pairs)
    }

    pub fn text(&mut self, text: &[u8]) -> &mut Self {
        self.head(0xa0, 31, 0xdb, text.len());
        self.bytes.extend_from_slice(text);
        self
    }

    pub fn binary(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.bytes.push(0xc6);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.bytes.push(if value { 0xc3 } else { 0xc2 });
        self
    }

    pub fn unsigned(&mut self, value: u64) -> &mut Self {
        self.bytes.push(0xcf);
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes that are a value already.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(bytes: &[u8]) -> Result<Vec<MsgpackValue<'_>>, MsgpackError> {
        let mut reader = MsgpackReader::new(bytes);
        let mut values = Vec::new();
        while !reader.is_empty() {
            values.push(reader.value()?);
        }
        Ok(values)
    }

    #[test]
    fn every_shape_of_the_format() {
        use MsgpackValue::*;
        for (bytes, expected) in [
            (&b"\x05"[..], Unsigned(5)),
            (b"\xff", Signed(-1)),
            (b"\xc0", Nil),
            (b"\xc3", Bool(true)),
            (b"\xcc\xff", Unsigned(255)),
            (b"\xcd\x01\x00", Unsigned(256)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Unsigned(u64::MAX)),
            (b"\xd0\x80", Signed(-128)),
            (b"\xd1\xff\xfe", Signed(-2)),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Signed(i64::MIN)),
            (b"\xca\x3f\xc0\x00\x00", Float(1.5)),
            (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Float(1.5)),
            (b"\xa2ab", Text(b"ab")),
            (b"\xd9\x02ab", Text(b"ab")),
            (b"\xda\x00\x02ab", Text(b"ab")),
            (b"\xdb\x00\x00\x00\x02ab", Text(b"ab")),
            (b"\xc4\x01\x00", Binary(b"\0")),
            (b"\x93", Array(3)),
            (b"\xdc\x00\x10", Array(16)),
            (b"\x82", Map(2)),
            (b"\xdf\x00\x00\x00\x01", Map(1)),
            (b"\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02", Extension(0, b"\0\0\0\x01\0\0\0\x02")),
            (b"\xc7\x01\xfe\x07", Extension(-2, b"\x07")),
        ] {
            assert_eq!(values(bytes), Ok(vec![expected]), "{bytes:x?}");
        }
        let errors = [
            (&b"\xc1"[..], "a value", 0),
            (b"\xa2a", "more bytes", 1),
            (b"\xdb\xff\xff\xff\xff", "more bytes", 5),
        ];
        for (bytes, expected, at) in errors {
            assert_eq!(values(bytes), Err(MsgpackError { at, expected }), "{bytes:x?}");
        }
    }

    #[test]
    fn the_end_is_found_when_it_has_come() {
        let mut writer = MsgpackWriter::default();
        writer.array(3).text(&[b'x'; 40]).unsigned(7).map(1).text(b"a").binary(b"b");
        let message = writer.into_bytes();
        let mut end = MessageEnd::default();
        for length in 0..message.len() {
            assert_eq!(end.find(&message[..length]), Ok(None), "{length}");
        }
        let more = [&message[..], b"\x05"].concat();
        assert_eq!(end.find(&more), Ok(Some(message.len())));
        assert_eq!(MsgpackReader::new(&more).skip(), Ok(&message[..]));
        assert!(MessageEnd::default().find(b"\xc1").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>, cut in 0usize..100) {
            let read = values(&bytes);
            if let Ok(read) = read {
                prop_assert!(read.len() <= bytes.len());
            }
            let skipped = MsgpackReader::new(&bytes).skip().map(<[u8]>::len);
            let mut end = MessageEnd::default();
            drop(end.find(&bytes[..cut.min(bytes.len())]));
            if let Ok(Some(length)) = end.find(&bytes) {
                prop_assert_eq!(skipped, Ok(length));
            }
        }
    }
}
