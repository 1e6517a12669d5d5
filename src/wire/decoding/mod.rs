//! What decoders of whole requests share: the memory that they may take, texts that are not UTF-8, and
//! why a request can't be read.
//!
//! Lives here: [`Decoding`], which a decoder carries along; [`DecodeError`].
//! Not here: any format.
//! Invariants: what is built is at most [`MEMORY_PER_BYTE`] times the request, and asked for before it
//! is taken; lists that are used again from element to element are asked for when they grow.

pub(crate) mod json;

use crate::json::{JsonError, JsonText};
use crate::protobuf::{Content, Field, ProtobufError, Reader};
use crate::thrift::ThriftError;
use model::{ErrorKind, NoRoom, Room};
use std::borrow::Cow;

/// How many bytes of memory a request may take for each of its own. A plain data point is 20 bytes
/// on the wire and some 150 in memory; an empty one, which no client sends, would be 2 bytes.
pub(crate) const MEMORY_PER_BYTE: usize = 16;
/// What any request may take beyond that: a small one may have many empty elements.
pub(crate) const MEMORY_FREE: usize = 64 << 10;

/// Why a request can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    #[error("the body is not the JSON of this protocol: {0}")]
    Json(#[from] JsonError),
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    #[error("the request has too many elements for its size")]
    TooMany,
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl DecodeError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Protobuf(_) | Self::Json(_) | Self::Thrift(_) => ErrorKind::Invalid,
            Self::TooMany => ErrorKind::Limit,
            Self::NoRoom(error) => error.kind(),
        }
    }
}

pub(crate) type Result<T, E = DecodeError> = std::result::Result<T, E>;

/// The state of decoding one request.
pub(crate) struct Decoding<'r> {
    /// The memory that the request may still take.
    left: usize,
    /// What was granted and not taken yet: the room is asked for portions.
    granted: usize,
    room: &'r mut dyn Room,
    /// Whether texts that are not UTF-8 are read with U+FFFD in the place of what is not; else they
    /// are an error.
    is_lossy: bool,
    has_replaced: bool,
}

impl<'r> Decoding<'r> {
    const PORTION: usize = 64 << 10;

    /// That of a request of this length, whose texts have to be UTF-8.
    pub(crate) fn strict(request: usize, room: &'r mut dyn Room) -> Self {
        let left = request * MEMORY_PER_BYTE + MEMORY_FREE;
        Self { left, granted: 0, room, is_lossy: false, has_replaced: false }
    }

    /// That of a request of this length, whose texts may hold any bytes.
    pub(crate) fn lossy(request: usize, room: &'r mut dyn Room) -> Self {
        Self { is_lossy: true, ..Self::strict(request, room) }
    }

    /// For what is kept of a field beside the request: its text, and where it ends.
    pub(crate) fn take_copy(&mut self, field: Field<'_>) -> Result<()> {
        self.take(2 * (packed_length(field) + size_of::<(usize, usize)>()))
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(DecodeError::TooMany)?;
        if self.granted < bytes {
            let portion = bytes.max(Self::PORTION);
            self.room.take(portion)?;
            self.granted += portion;
        }
        self.granted -= bytes;
        Ok(())
    }

    /// Reads one element of a list.
    pub(crate) fn push<'a, T>(
        &mut self,
        list: &mut Vec<T>,
        field: Field<'a>,
        read: impl FnOnce(Reader<'a>, &mut Self) -> Result<T>,
    ) -> Result<()> {
        self.take(size_of::<T>())?;
        list.push(read(field.message()?, self)?);
        Ok(())
    }

    /// Appends to a list that keeps its memory from one element of the request to the next.
    pub(crate) fn append<T>(&mut self, list: &mut Vec<T>, element: T) -> Result<()> {
        if list.len() == list.capacity() {
            let more = list.len().max(4);
            self.take(more * size_of::<T>())?;
            list.reserve_exact(more);
        }
        list.push(element);
        Ok(())
    }

    pub(crate) fn text<'a>(&mut self, field: Field<'a>) -> Result<Cow<'a, str>> {
        match self.is_lossy {
            true => self.lossy_text(field.bytes()?),
            false => Ok(Cow::Borrowed(field.text()?)),
        }
    }

    /// A text with U+FFFD in the place of what is not UTF-8.
    pub(crate) fn lossy_text<'a>(&mut self, bytes: &'a [u8]) -> Result<Cow<'a, str>> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Cow::Borrowed(text));
        }
        // U+FFFD takes three bytes.
        self.take(3 * bytes.len())?;
        self.has_replaced = true;
        Ok(String::from_utf8_lossy(bytes))
    }

    /// The same of a text in JSON.
    pub(crate) fn json_text<'a>(&mut self, text: JsonText<'a>) -> Result<Cow<'a, str>> {
        if let Some(plain) = text.plain() {
            return self.lossy_text(plain);
        }
        let mut bytes = Vec::new();
        self.take(text.length())?;
        text.bytes(&mut bytes);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Ok(Cow::Owned(self.lossy_text(error.as_bytes())?.into_owned())),
        }
    }

    /// Whether a text was not UTF-8 since this was asked last.
    pub(crate) fn take_replaced(&mut self) -> bool {
        std::mem::take(&mut self.has_replaced)
    }
}

/// The bytes of a packed list, at least one for each of its numbers; a number that is not packed is one.
pub(crate) fn packed_length(field: Field<'_>) -> usize {
    match field.content {
        Content::Bytes(bytes) => bytes.len(),
        _ => size_of::<u64>(),
    }
}

pub(crate) fn each_field<'a>(
    mut reader: Reader<'a>,
    mut take: impl FnMut(Field<'a>) -> Result<()>,
) -> Result<()> {
    while let Some(field) = reader.next_field()? {
        take(field)?;
    }
    Ok(())
}

pub(crate) fn set<T, E: Into<DecodeError>>(
    place: &mut T,
    value: std::result::Result<T, E>,
) -> Result<()> {
    *place = value.map_err(Into::into)?;
    Ok(())
}
