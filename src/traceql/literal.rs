//! Values as a query writes them, and the types that expressions have.

use model::{format_duration_ns, quote_go};
use std::fmt;

/// The type of an expression, as far as it is known before spans are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An attribute: it may have any type, and a different one in each span.
    Any,
    Nil,
    Int,
    Float,
    Text,
    Bool,
    Duration,
    Status,
    Kind,
}

impl Type {
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Duration)
    }

    /// Whether values of the two can be compared.
    pub fn is_comparable_to(self, other: Self) -> bool {
        self == other
            || [self, other].contains(&Self::Any)
            || [self, other].contains(&Self::Nil)
            || self.is_number() && other.is_number()
    }
}

/// The status of a span; the numbers are OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Status {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// Numbers that OTLP does not know are as good as unset.
    pub fn of(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Unset)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The kind of a span; the numbers are OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// Numbers that OTLP does not know are as good as unspecified.
    pub fn of(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Unspecified)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Nil,
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    Status(Status),
    Kind(Kind),
}

impl Literal {
    pub fn type_of(&self) -> Type {
        match self {
            Self::Nil => Type::Nil,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::Text,
            Self::Bool(_) => Type::Bool,
            Self::Duration(_) => Type::Duration,
            Self::Status(_) => Type::Status,
            Self::Kind(_) => Type::Kind,
        }
    }

    /// Its number; durations are counted in nanoseconds.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(value) | Self::Duration(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A word of the language that stands for a value.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let fixed = match word {
            "nil" => Some(Self::Nil),
            "true" => Some(Self::Bool(true)),
            "false" => Some(Self::Bool(false)),
            "minInt" => Some(Self::Int(i64::MIN)),
            "maxInt" => Some(Self::Int(i64::MAX)),
            _ => None,
        };
        let status = || Status::ALL.into_iter().find(|status| status.as_str() == word);
        let kind = || Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
        fixed.or_else(|| status().map(Self::Status)).or_else(|| kind().map(Self::Kind))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            // Its digits without the sign are no number of 64 bits.
            Self::Int(i64::MIN) => f.write_str("minInt"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&decimal(*value)),
            Self::Text(text) => f.write_str(&quote_go(text.as_bytes())),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Duration(nanos) => f.write_str(&format_duration_ns(*nanos)),
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Kind(kind) => f.write_str(kind.as_str()),
        }
    }
}

/// Digits without an exponent, which the language does not read.
fn decimal(value: f64) -> String {
    let text = format!("{value}");
    if value.is_finite() && !text.contains('.') { format!("{text}.0") } else { text }
}
