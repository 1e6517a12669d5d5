//! Kinds of errors, by what a caller can do about them. All crates share them.

use std::fmt;

/// Every error enum has a `kind()` that returns one of these. Protocols translate the kind, not the
/// error, to their own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// The requested thing does not exist.
    NotFound,
    /// It exists already, or another request changed it first.
    Conflict,
    /// The caller's credentials are missing or wrong.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// A configured limit forbids it.
    Limit,
    /// The server is overloaded; the same request may succeed later.
    Overloaded,
    /// The deadline passed.
    Timeout,
    /// The client disconnected.
    Cancelled,
    /// Stored bytes are damaged.
    Corrupt,
    /// The disk or the network failed.
    Io,
    /// A bug in Mirador.
    Bug,
}

impl ErrorKind {
    /// Whether the same request can succeed later, unchanged.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Timeout | Self::Io)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Limit => "limit",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Corrupt => "corrupt",
            Self::Io => "io",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
