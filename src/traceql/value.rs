//! Values of attributes, as answers carry them.

use crate::literal::{Kind, Literal, Status};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A value with its type. Floats are compared bit by bit, so that values can be keys of a map.
#[derive(Clone, Debug, Default)]
pub enum FieldValue {
    #[default]
    Nil,
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    Status(Status),
    Kind(Kind),
    List(Vec<FieldValue>),
}

impl FieldValue {
    /// Its number; durations are counted in nanoseconds.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(value) | Self::Duration(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// Where its type stands in the order of values.
    fn rank(&self) -> u8 {
        match self {
            Self::Nil => 0,
            Self::Int(_) => 1,
            Self::Float(_) => 2,
            Self::Text(_) => 3,
            Self::Bool(_) => 4,
            Self::Duration(_) => 5,
            Self::Status(_) => 6,
            Self::Kind(_) => 7,
            Self::List(_) => 8,
        }
    }

    /// The memory behind it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(values) => {
                values.iter().map(|value| size_of::<Self>() + value.bytes()).sum()
            }
            _ => 0,
        }
    }
}

impl From<&Literal> for FieldValue {
    fn from(literal: &Literal) -> Self {
        match literal {
            Literal::Nil => Self::Nil,
            Literal::Int(value) => Self::Int(*value),
            Literal::Float(value) => Self::Float(*value),
            Literal::Text(text) => Self::Text(text.clone()),
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Duration(nanos) => Self::Duration(*nanos),
            Literal::Status(status) => Self::Status(*status),
            Literal::Kind(kind) => Self::Kind(*kind),
        }
    }
}

impl Ord for FieldValue {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(two)) | (Self::Duration(one), Self::Duration(two)) => {
                one.cmp(two)
            }
            (Self::Float(one), Self::Float(two)) => one.total_cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Bool(one), Self::Bool(two)) => one.cmp(two),
            (Self::Status(one), Self::Status(two)) => one.cmp(two),
            (Self::Kind(one), Self::Kind(two)) => one.cmp(two),
            (Self::List(one), Self::List(two)) => one.cmp(two),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for FieldValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for FieldValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for FieldValue {}

impl Hash for FieldValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Nil => {}
            Self::Int(value) | Self::Duration(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Text(text) => text.hash(state),
            Self::Bool(value) => value.hash(state),
            Self::Status(status) => status.hash(state),
            Self::Kind(kind) => kind.hash(state),
            Self::List(values) => values.hash(state),
        }
    }
}

/// As people read it: texts without quotes, durations as Go shows them.
impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&query::format_number(*value)),
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Duration(nanos) => f.write_str(&template::time::format_duration(*nanos)),
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", values.join(" "))
            }
        }
    }
}
