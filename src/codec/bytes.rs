//! Fixed-width little-endian numbers, LEB128 variable-length integers and length-prefixed bytes.

/// Why bytes could not be decoded. Offsets count from the first byte that the reader was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("bytes end at offset {offset}, {wanted} more were expected")]
    End { offset: usize, wanted: usize },
    #[error("variable-length integer at offset {offset} is longer than 10 bytes or over 64 bits")]
    Varint { offset: usize },
    #[error("text at offset {offset} is not UTF-8")]
    Utf8 { offset: usize },
    #[error("value at offset {offset} is not allowed: {what}")]
    Value { offset: usize, what: &'static str },
    #[error("{count} bytes are left over at offset {offset}")]
    Trailing { offset: usize, count: usize },
}

/// Reads from a slice; every read is checked and nothing is copied.
#[derive(Clone, Debug)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> ByteReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error at the reader's present offset.
    pub fn value_error(&self, what: &'static str) -> DecodeError {
        DecodeError::Value { offset: self.offset, what }
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if count > self.remaining() {
            let wanted = count - self.remaining();
            return Err(DecodeError::End { offset: self.bytes.len(), wanted });
        }
        let taken = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.bytes(N)?.try_into().expect("bytes() answers as many as were asked for"))
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let start = self.offset;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint { offset: start })
    }

    /// A signed integer, zigzag-coded.
    pub fn varint_signed(&mut self) -> Result<i64, DecodeError> {
        let coded = self.varint()?;
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }

    /// A count or a length that must not exceed `limit`: check before taking memory.
    pub fn length(&mut self, limit: usize) -> Result<usize, DecodeError> {
        let offset = self.offset;
        let length = self.varint()?;
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= limit)
            .ok_or(DecodeError::Value { offset, what: "length over its limit" })
    }

    /// A length, and as many bytes.
    pub fn prefixed(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.length(usize::MAX)?;
        self.bytes(count)
    }

    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let offset = self.offset;
        std::str::from_utf8(self.prefixed()?).map_err(|_| DecodeError::Utf8 { offset })
    }

    /// Fails when bytes are left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(DecodeError::Trailing { offset: self.offset, count }),
        }
    }
}

/// Writes what [`ByteReader`] reads.
#[derive(Clone, Debug, Default)]
pub struct ByteWriter {
    pub bytes: Vec<u8>,
}

impl ByteWriter {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub fn u128(&mut self, value: u128) {
        self.raw(&value.to_le_bytes());
    }

    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub fn varint_signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    pub fn prefixed(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.prefixed(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(a: u64, b: i64, c: u128, text: String, raw: Vec<u8>) {
            let mut writer = ByteWriter::default();
            writer.varint(a);
            writer.varint_signed(b);
            writer.u128(c);
            writer.text(&text);
            writer.prefixed(&raw);
            let mut reader = ByteReader::new(&writer.bytes);
            prop_assert_eq!(reader.varint(), Ok(a));
            prop_assert_eq!(reader.varint_signed(), Ok(b));
            prop_assert_eq!(reader.u128(), Ok(c));
            prop_assert_eq!(reader.text(), Ok(text.as_str()));
            prop_assert_eq!(reader.prefixed(), Ok(raw.as_slice()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_are_an_answer_or_an_error(raw: Vec<u8>) {
            let mut reader = ByteReader::new(&raw);
            while reader.varint().is_ok() && reader.text().is_ok() {}
            prop_assert!(reader.offset() <= raw.len());
        }
    }

    #[test]
    fn errors_name_their_offset() {
        let mut reader = ByteReader::new(&[1, 2]);
        assert_eq!(reader.u32(), Err(DecodeError::End { offset: 2, wanted: 2 }));
        let mut reader = ByteReader::new(&[0xFF; 11]);
        assert_eq!(reader.varint(), Err(DecodeError::Varint { offset: 0 }));
        let mut reader = ByteReader::new(&[200, 1]);
        assert_eq!(
            reader.length(10),
            Err(DecodeError::Value { offset: 0, what: "length over its limit" })
        );
    }
}
