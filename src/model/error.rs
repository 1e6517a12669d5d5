//! What a caller can do about an error, whichever crate it comes from.

use std::fmt;

/// Every error enum of the house answers `kind()` with one of these. Protocols translate the kind,
/// not the error, to their own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// It is there already, or somebody else was faster.
    Conflict,
    /// The caller did not say who it is, or not rightly.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// A configured limit forbids it.
    Limit,
    /// The server can't take it now; the same request may succeed later.
    Overloaded,
    /// The deadline passed.
    Timeout,
    /// The caller went away.
    Cancelled,
    /// Stored bytes are not what was written.
    Corrupt,
    /// The disk or the network failed.
    Io,
    /// A mistake in this program.
    Bug,
}

impl ErrorKind {
    /// Whether the same request can succeed later without anybody changing it.
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
