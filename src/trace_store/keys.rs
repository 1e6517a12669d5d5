//! The columns of attributes: which table, which name, which type.

use columns::Interner;

/// What attributes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Span,
    /// Each distinct resource once; spans name it.
    Resource,
    /// Each distinct instrumentation scope once; spans name it.
    Scope,
    Event,
    Link,
}

impl Table {
    pub const ALL: [Self; 5] = [Self::Span, Self::Resource, Self::Scope, Self::Event, Self::Link];
}

/// The type of a value. Values of one key that differ in type are in different columns. The numbers
/// stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueKind {
    Text = 0,
    Int = 1,
    Double = 2,
    Bool = 3,
    /// Lists, maps, bytes, and values that are not there: as OTLP's protobuf.
    Other = 4,
}

impl ValueKind {
    const ALL: [Self; 5] = [Self::Text, Self::Int, Self::Double, Self::Bool, Self::Other];

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// Whether its values are numbers of texts.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Other)
    }
}

/// A column of attributes within its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnKey {
    /// A property of spans, scopes, events or links themselves, which no attribute can be taken for.
    pub is_intrinsic: bool,
    pub name: Box<str>,
    pub kind: ValueKind,
}

/// The columns of attributes that some spans have, numbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    list: Vec<ColumnKey>,
    /// The type and the name of each.
    numbers: Interner,
    scratch: Vec<u8>,
    bytes: usize,
}

/// Roughly what a key takes beside its name.
const KEY_BYTES: usize = 48;

impl Keys {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, number: u32) -> &ColumnKey {
        &self.list[number as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ColumnKey> {
        self.list.iter()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn number(&mut self, is_intrinsic: bool, kind: ValueKind, name: &str) -> u32 {
        self.scratch.clear();
        self.scratch.push(kind as u8 * 2 + u8::from(is_intrinsic));
        self.scratch.extend_from_slice(name.as_bytes());
        let number = self.numbers.number(&self.scratch);
        if number as usize == self.list.len() {
            self.bytes += name.len() * 2 + KEY_BYTES;
            self.list.push(ColumnKey { is_intrinsic, kind, name: name.into() });
        }
        number
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.numbers.clear();
        self.bytes = 0;
    }
}
