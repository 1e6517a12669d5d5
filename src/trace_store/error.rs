//! The errors of the store.

use codec::DecodeError;
use engine::{EngineError, HeadsFull};
use model::{ErrorKind, NoRoom};
use parts::PartError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Part(#[from] PartError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a batch of the write-ahead log can't be decoded")]
    Batch(#[source] DecodeError),
    #[error("a part of traces can't be decoded: {0}")]
    Decode(#[from] DecodeError),
    #[error("a batch holds more than 4 GiB of text: send it in several requests")]
    BatchTooLarge,
    #[error("a span holds {size} bytes, the most is {most}: send less with it")]
    SpanTooLarge { size: usize, most: usize },
    #[error(transparent)]
    Memory(#[from] HeadsFull),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Part(error) => error.kind(),
            Self::Engine(error) => error.kind,
            Self::Batch(_) | Self::Decode(_) => ErrorKind::Corrupt,
            Self::BatchTooLarge | Self::SpanTooLarge { .. } => ErrorKind::Limit,
            Self::Memory(_) => ErrorKind::Overloaded,
            Self::NoRoom(refusal) => refusal.kind(),
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Engine(error) => error,
            error => Self::new(error.kind(), error),
        }
    }
}
