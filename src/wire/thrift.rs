//! Reads Thrift, in its binary and its compact protocol, field by field without copying.
//!
//! Lives here: the head of a message, structs, lists, and passing over what isn't known.
//! Not here: any struct; each decoder has its field numbers.
//! Invariants: every length and count is checked against the bytes that are there before anything is
//! taken; structs and lists nest to a bounded depth.

/// Why bytes are not valid Thrift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThriftError {
    #[error("the Thrift message ends in the middle of a value")]
    Truncated,
    #[error("a number in the Thrift message is longer than 64 bits")]
    Varint,
    #[error("the Thrift message has a value of an unknown type ({0})")]
    Type(u8),
    #[error("field {field} of the Thrift message has the wrong type")]
    WrongType { field: i16 },
    #[error("the Thrift message is nested too deeply")]
    Depth,
    #[error("the body is not a Thrift message of the {0} protocol")]
    NotAMessage(&'static str),
}

/// How deep structs, lists and maps may nest.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThriftProtocol {
    Binary,
    Compact,
}

/// The type of a value. The compact protocol has the value of a boolean field in its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThriftType {
    True,
    False,
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Bytes,
    Struct,
    Map,
    /// A list or a set.
    List,
    Uuid,
}

impl ThriftType {
    fn of_binary(number: u8) -> Result<Self, ThriftError> {
        Ok(match number {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::I16,
            8 => Self::I32,
            10 => Self::I64,
            11 => Self::Bytes,
            12 => Self::Struct,
            13 => Self::Map,
            14 | 15 => Self::List,
            16 => Self::Uuid,
            other => return Err(ThriftError::Type(other)),
        })
    }

    fn of_compact(number: u8) -> Result<Self, ThriftError> {
        Ok(match number {
            1 => Self::True,
            2 => Self::False,
            3 => Self::Byte,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Bytes,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            other => return Err(ThriftError::Type(other)),
        })
    }

    /// The type of a list's or a map's elements: there a boolean is a byte in both protocols.
    fn of_element(protocol: ThriftProtocol, number: u8) -> Result<Self, ThriftError> {
        let kind = match protocol {
            ThriftProtocol::Binary => Self::of_binary(number),
            ThriftProtocol::Compact => Self::of_compact(number),
        };
        kind.map(|kind| match kind {
            Self::True | Self::False => Self::Bool,
            kind => kind,
        })
    }
}

/// The head of a field; its value is to be read, or passed over, before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThriftField {
    pub(crate) id: i16,
    pub(crate) kind: ThriftType,
}

/// Reads one value after another.
#[derive(Clone, Debug)]
pub(crate) struct ThriftReader<'a> {
    rest: &'a [u8],
    protocol: ThriftProtocol,
    depth: usize,
}

impl<'a> ThriftReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], protocol: ThriftProtocol) -> Self {
        Self { rest: bytes, protocol, depth: 0 }
    }

    /// Reads the head of a message; answers the name of its method.
    pub(crate) fn message(&mut self) -> Result<&'a [u8], ThriftError> {
        match self.protocol {
            ThriftProtocol::Binary => self.binary_message(),
            ThriftProtocol::Compact => self.compact_message(),
        }
    }

    fn binary_message(&mut self) -> Result<&'a [u8], ThriftError> {
        let first = i32::from_be_bytes(self.array()?);
        let name = if first < 0 {
            if first as u32 >> 16 != 0x8001 {
                return Err(ThriftError::NotAMessage("binary"));
            }
            self.bytes()?
        } else {
            // The old form begins with the length of the name.
            let name = self.split(first as usize)?;
            self.array::<1>()?;
            name
        };
        self.array::<4>()?;
        Ok(name)
    }

    fn compact_message(&mut self) -> Result<&'a [u8], ThriftError> {
        let [protocol, version] = self.array()?;
        if protocol != 0x82 || version & 0x1f != 1 {
            return Err(ThriftError::NotAMessage("compact"));
        }
        self.varint()?;
        self.bytes()
    }

    /// Calls `take` with each field of a struct; it must read the field's value.
    pub(crate) fn structure<E: From<ThriftError>>(
        &mut self,
        mut take: impl FnMut(&mut Self, ThriftField) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter()?;
        let mut last = 0;
        while let Some(field) = self.field(last)? {
            last = field.id;
            take(self, field)?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Calls `take` at each element of the list of structs that the field is; it must read it.
    pub(crate) fn structures<E: From<ThriftError>>(
        &mut self,
        field: ThriftField,
        mut take: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(field, ThriftType::List)?;
        self.enter()?;
        let (kind, count) = self.list()?;
        if kind != ThriftType::Struct && count > 0 {
            return Err(ThriftError::WrongType { field: field.id }.into());
        }
        for _ in 0..count {
            take(self)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Result<(), ThriftError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(ThriftError::Depth) } else { Ok(()) }
    }

    pub(crate) fn expect(&self, field: ThriftField, kind: ThriftType) -> Result<(), ThriftError> {
        if field.kind == kind { Ok(()) } else { Err(ThriftError::WrongType { field: field.id }) }
    }

    /// A whole number of at most 64 bits.
    pub(crate) fn integer(&mut self, field: ThriftField) -> Result<i64, ThriftError> {
        match (field.kind, self.protocol) {
            (ThriftType::Byte, _) => Ok(i8::from_be_bytes(self.array()?).into()),
            (ThriftType::I16, ThriftProtocol::Binary) => {
                Ok(i16::from_be_bytes(self.array()?).into())
            }
            (ThriftType::I32, ThriftProtocol::Binary) => {
                Ok(i32::from_be_bytes(self.array()?).into())
            }
            (ThriftType::I64, ThriftProtocol::Binary) => Ok(i64::from_be_bytes(self.array()?)),
            (ThriftType::I16 | ThriftType::I32 | ThriftType::I64, ThriftProtocol::Compact) => {
                self.varint().map(crate::protobuf::zigzag64)
            }
            _ => Err(ThriftError::WrongType { field: field.id }),
        }
    }

    pub(crate) fn double(&mut self, field: ThriftField) -> Result<f64, ThriftError> {
        self.expect(field, ThriftType::Double)?;
        let bytes = self.array()?;
        Ok(match self.protocol {
            ThriftProtocol::Binary => f64::from_be_bytes(bytes),
            ThriftProtocol::Compact => f64::from_le_bytes(bytes),
        })
    }

    pub(crate) fn boolean(&mut self, field: ThriftField) -> Result<bool, ThriftError> {
        match field.kind {
            ThriftType::True => Ok(true),
            ThriftType::False => Ok(false),
            ThriftType::Bool => Ok(self.array::<1>()? == [1]),
            _ => Err(ThriftError::WrongType { field: field.id }),
        }
    }

    /// A text, or any bytes.
    pub(crate) fn string(&mut self, field: ThriftField) -> Result<&'a [u8], ThriftError> {
        self.expect(field, ThriftType::Bytes)?;
        self.bytes()
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, kind: ThriftType) -> Result<(), ThriftError> {
        match kind {
            ThriftType::True | ThriftType::False => {}
            ThriftType::Bool | ThriftType::Byte => drop(self.split(1)?),
            ThriftType::I16 | ThriftType::I32 | ThriftType::I64 => {
                self.integer(ThriftField { id: 0, kind })?;
            }
            ThriftType::Double => drop(self.split(8)?),
            ThriftType::Uuid => drop(self.split(16)?),
            ThriftType::Bytes => drop(self.bytes()?),
            ThriftType::Struct => self.structure(|reader, field| reader.skip(field.kind))?,
            ThriftType::List => {
                self.enter()?;
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip(kind))?;
                self.depth -= 1;
            }
            ThriftType::Map => self.skip_map()?,
        }
        Ok(())
    }

    fn skip_map(&mut self) -> Result<(), ThriftError> {
        self.enter()?;
        let (kinds, count) = match self.protocol {
            ThriftProtocol::Binary => {
                let kinds: [u8; 2] = self.array()?;
                let count = u32::from_be_bytes(self.array()?);
                (kinds, self.count(count.into())?)
            }
            ThriftProtocol::Compact => match self.varint()? {
                0 => ([3; 2], 0),
                count => {
                    let [kinds] = self.array()?;
                    ([kinds >> 4, kinds & 15], self.count(count)?)
                }
            },
        };
        for _ in 0..count {
            for number in kinds {
                self.skip(ThriftType::of_element(self.protocol, number)?)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The head of the next field; `None` at the end of the struct.
    fn field(&mut self, last: i16) -> Result<Option<ThriftField>, ThriftError> {
        let [head] = self.array()?;
        if head == 0 {
            return Ok(None);
        }
        match self.protocol {
            ThriftProtocol::Binary => {
                let kind = ThriftType::of_binary(head)?;
                Ok(Some(ThriftField { id: i16::from_be_bytes(self.array()?), kind }))
            }
            ThriftProtocol::Compact => {
                let kind = ThriftType::of_compact(head & 15)?;
                let id = match head >> 4 {
                    0 => crate::protobuf::zigzag64(self.varint()?) as i16,
                    step => last.wrapping_add(step.into()),
                };
                Ok(Some(ThriftField { id, kind }))
            }
        }
    }

    /// The type and the number of a list's elements.
    fn list(&mut self) -> Result<(ThriftType, usize), ThriftError> {
        let [head] = self.array()?;
        let (kind, count) = match self.protocol {
            ThriftProtocol::Binary => (head, u32::from_be_bytes(self.array()?).into()),
            ThriftProtocol::Compact => match head >> 4 {
                15 => (head & 15, self.varint()?),
                count => (head & 15, count.into()),
            },
        };
        let count = self.count(count)?;
        match count {
            // An empty list may name any type.
            0 => Ok((ThriftType::Byte, 0)),
            _ => Ok((ThriftType::of_element(self.protocol, kind)?, count)),
        }
    }

    /// Every element takes a byte at least.
    fn count(&self, count: u64) -> Result<usize, ThriftError> {
        let count = usize::try_from(count).map_err(|_| ThriftError::Truncated)?;
        if count > self.rest.len() { Err(ThriftError::Truncated) } else { Ok(count) }
    }

    fn bytes(&mut self) -> Result<&'a [u8], ThriftError> {
        let length = match self.protocol {
            ThriftProtocol::Binary => u32::from_be_bytes(self.array()?).into(),
            ThriftProtocol::Compact => self.varint()?,
        };
        self.split(usize::try_from(length).map_err(|_| ThriftError::Truncated)?)
    }

    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut reader = crate::protobuf::Reader::new(self.rest);
        let value = reader.varint().map_err(|error| match error {
            crate::protobuf::ProtobufError::Varint => ThriftError::Varint,
            _ => ThriftError::Truncated,
        })?;
        self.rest = reader.rest();
        Ok(value)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    fn split(&mut self, length: usize) -> Result<&'a [u8], ThriftError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(ThriftError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ThriftProtocol::{Binary, Compact};
    use proptest::prelude::*;

    fn fields(bytes: &[u8], protocol: ThriftProtocol) -> Result<Vec<(i16, String)>, ThriftError> {
        let mut found = Vec::new();
        ThriftReader::new(bytes, protocol).structure(|reader, field| {
            let value = match field.kind {
                ThriftType::Bytes => format!("{:?}", reader.string(field)?),
                ThriftType::Double => format!("{:?}", reader.double(field)?),
                ThriftType::True | ThriftType::False | ThriftType::Bool => {
                    format!("{:?}", reader.boolean(field)?)
                }
                ThriftType::Struct | ThriftType::Map | ThriftType::List | ThriftType::Uuid => {
                    reader.skip(field.kind)?;
                    format!("{:?}", field.kind)
                }
                _ => format!("{:?}", reader.integer(field)?),
            };
            found.push((field.id, value));
            Ok::<_, ThriftError>(())
        })?;
        Ok(found)
    }

    /// The values of Thrift's specification, in both protocols.
    #[test]
    fn both_protocols_are_read() {
        let binary: &[&[u8]] = &[
            &[10, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe],
            &[2, 0, 2, 1],
            &[11, 0, 40, 0, 0, 0, 2, b'h', b'i'],
            &[4, 0, 41, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0],
            &[15, 0, 42, 8, 0, 0, 0, 1, 0, 0, 0, 7],
            &[13, 0, 43, 3, 2, 0, 0, 0, 1, 5, 1],
            &[0],
        ];
        let compact: &[&[u8]] = &[
            &[0x16, 3],
            &[0x11],
            &[0x08, 80, 2, b'h', b'i'],
            &[0x17, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
            &[0x19, 0x15, 14],
            &[0x1b, 1, 0x31, 5, 1],
            &[0],
        ];
        let expected = [
            (1, "-2".to_owned()),
            (2, "true".to_owned()),
            (40, format!("{:?}", b"hi")),
            (41, "1.5".to_owned()),
            (42, "List".to_owned()),
            (43, "Map".to_owned()),
        ];
        assert_eq!(fields(&binary.concat(), Binary).unwrap(), expected);
        assert_eq!(fields(&compact.concat(), Compact).unwrap(), expected);
    }

    #[test]
    fn counts_and_depth_are_bounded() {
        let list = [15, 0, 1, 2, 0x7f, 0xff, 0xff, 0xff, 1];
        assert_eq!(fields(&list, Binary), Err(ThriftError::Truncated));
        assert_eq!(fields(&[12, 0, 1].repeat(100), Binary), Err(ThriftError::Depth));
        assert_eq!(fields(&[0x19; 100], Compact), Err(ThriftError::Depth));
        assert_eq!(fields(&[5, 0, 1], Binary), Err(ThriftError::Type(5)));
    }

    #[test]
    fn messages_have_a_name() {
        let strict = [&[0x80, 1, 0, 4, 0, 0, 0, 2][..], b"ab", &[0, 0, 0, 9]].concat();
        let old = [&[0, 0, 0, 2][..], b"ab", &[4, 0, 0, 0, 9]].concat();
        let compact = [&[0x82, 0x81, 9, 2][..], b"ab"].concat();
        for (bytes, protocol) in [(strict, Binary), (old, Binary), (compact, Compact)] {
            let mut reader = ThriftReader::new(&bytes, protocol);
            assert_eq!(reader.message(), Ok(&b"ab"[..]));
            assert!(reader.rest.is_empty());
        }
        let error = ThriftReader::new(b"{\"a\":1}", Compact).message().unwrap_err();
        assert_eq!(error, ThriftError::NotAMessage("compact"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_fields_or_an_error(bytes: Vec<u8>) {
            for protocol in [Binary, Compact] {
                drop(fields(&bytes, protocol));
                let _ = ThriftReader::new(&bytes, protocol).message();
            }
        }
    }
}
