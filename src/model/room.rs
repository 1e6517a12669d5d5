//! Memory that work asks for before it takes it. Work whose result nobody wants any more gets none, so
//! that it ends.

use crate::ErrorKind;

/// Where decoders and the like ask for memory. What was granted belongs to the caller who passed it.
pub trait Room {
    fn take(&mut self, bytes: usize) -> Result<(), NoRoom>;
}

/// Why there is no more memory, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// One request would take more than it may, even alone.
    #[error("{0}")]
    Own(String),
    /// Others hold the memory at the moment.
    #[error("{0}")]
    Busy(String),
    /// Nobody waits for the result any more.
    #[error("{0}")]
    Unwanted(String),
}

impl NoRoom {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Own(_) => ErrorKind::Limit,
            Self::Busy(_) => ErrorKind::Overloaded,
            Self::Unwanted(_) => ErrorKind::Cancelled,
        }
    }
}

/// Grants everything: for tools and tests, which decode what they made themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unbounded;

impl Room for Unbounded {
    fn take(&mut self, _: usize) -> Result<(), NoRoom> {
        Ok(())
    }
}
