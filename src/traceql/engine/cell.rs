//! The value of one span, borrowed from its column, and how values are compared.

use crate::ast::FieldOp;
use crate::fold::Number;
use crate::literal::{Kind, Status};
use crate::value::FieldValue;
use std::cmp::Ordering;

/// An identifier, which is compared as hexadecimal text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    bytes: [u8; 16],
    width: usize,
}

impl Id {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut id = Self { bytes: [0; 16], width: bytes.len().min(16) };
        id.bytes[..id.width].copy_from_slice(&bytes[..id.width]);
        id
    }

    /// Its digits, in a buffer.
    fn hex(self, buffer: &mut [u8; 32]) -> &[u8] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (byte, pair) in self.bytes.iter().zip(buffer.chunks_exact_mut(2)) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        &buffer[..self.width * 2]
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Cell<'a> {
    #[default]
    Nil,
    Int(i64),
    Float(f64),
    Text(&'a [u8]),
    Id(Id),
    Bool(bool),
    Duration(i64),
    Status(Status),
    Kind(Kind),
    List(&'a [FieldValue]),
}

impl<'a> Cell<'a> {
    pub(crate) fn of(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::Nil => Self::Nil,
            FieldValue::Int(value) => Self::Int(*value),
            FieldValue::Float(value) => Self::Float(*value),
            FieldValue::Text(text) => Self::Text(text.as_bytes()),
            FieldValue::Bool(value) => Self::Bool(*value),
            FieldValue::Duration(nanos) => Self::Duration(*nanos),
            FieldValue::Status(status) => Self::Status(*status),
            FieldValue::Kind(kind) => Self::Kind(*kind),
            FieldValue::List(values) => Self::List(values),
        }
    }

    pub(crate) fn is_nil(self) -> bool {
        matches!(self, Self::Nil)
    }

    pub(crate) fn as_number(self) -> Option<Number> {
        match self {
            Self::Int(value) => Some(Number::Int(value)),
            Self::Float(value) => Some(Number::Float(value)),
            Self::Duration(nanos) => Some(Number::Duration(nanos)),
            _ => None,
        }
    }

    pub(crate) fn of_number(number: Number) -> Self {
        match number {
            Number::Int(value) => Self::Int(value),
            Number::Float(value) => Self::Float(value),
            Number::Duration(nanos) => Self::Duration(nanos),
        }
    }

    pub(crate) fn to_value(self) -> FieldValue {
        match self {
            Self::Nil => FieldValue::Nil,
            Self::Int(value) => FieldValue::Int(value),
            Self::Float(value) => FieldValue::Float(value),
            Self::Text(text) => FieldValue::Text(String::from_utf8_lossy(text).into_owned()),
            Self::Id(id) => {
                FieldValue::Text(String::from_utf8_lossy(id.hex(&mut [0; 32])).into_owned())
            }
            Self::Bool(value) => FieldValue::Bool(value),
            Self::Duration(nanos) => FieldValue::Duration(nanos),
            Self::Status(status) => FieldValue::Status(status),
            Self::Kind(kind) => FieldValue::Kind(kind),
            Self::List(values) => FieldValue::List(values.to_vec()),
        }
    }

    /// Calls `with` with its text, if it has one.
    pub(crate) fn with_text<R>(self, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            Self::Text(text) => Some(with(text)),
            Self::Id(id) => Some(with(id.hex(&mut [0; 32]))),
            _ => None,
        }
    }
}

pub(crate) fn ordering_fits(op: FieldOp, ordering: Ordering) -> bool {
    match op {
        FieldOp::Eq => ordering.is_eq(),
        FieldOp::Ne => ordering.is_ne(),
        FieldOp::Lt => ordering.is_lt(),
        FieldOp::Le => ordering.is_le(),
        FieldOp::Gt => ordering.is_gt(),
        FieldOp::Ge => ordering.is_ge(),
        _ => false,
    }
}

/// Whether a comparison of two values holds; values that can't be compared fulfil none.
pub(crate) fn compare(op: FieldOp, left: Cell<'_>, right: Cell<'_>) -> bool {
    if let (Some(left), Some(right)) = (left.as_number(), right.as_number()) {
        return compare_numbers(op, left, right);
    }
    let ordering = match (left, right) {
        (Cell::Bool(left), Cell::Bool(right)) => Some(left.cmp(&right)),
        (Cell::Status(left), Cell::Status(right)) => Some(left.cmp(&right)),
        (Cell::Kind(left), Cell::Kind(right)) => Some(left.cmp(&right)),
        (Cell::List(left), Cell::List(right)) => Some(left.cmp(right)),
        _ => left.with_text(|left| right.with_text(|right| left.cmp(right))).flatten(),
    };
    ordering.is_some_and(|ordering| ordering_fits(op, ordering))
}

pub(crate) fn compare_numbers(op: FieldOp, left: Number, right: Number) -> bool {
    let ordering = match (left, right) {
        (
            Number::Int(left) | Number::Duration(left),
            Number::Int(right) | Number::Duration(right),
        ) => Some(left.cmp(&right)),
        _ => left.as_float().partial_cmp(&right.as_float()),
    };
    // What is no number differs from everything.
    ordering.map_or(op == FieldOp::Ne, |ordering| ordering_fits(op, ordering))
}
