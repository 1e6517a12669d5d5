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
    Batch(#[from] DecodeError),
    #[error(
        "{samples} samples of a batch name series whose definition is not in the write-ahead log"
    )]
    UndefinedSeries { samples: u64 },
    #[error("a batch of the write-ahead log has the schema {schema}, which is not known")]
    UnknownSchema { schema: u16 },
    #[error("labels are not in canonical form: names must rise, no value may be empty")]
    Labels,
    #[error(
        "limit `{limit}` reached: tenant {tenant} has {most} active series; {refused} new series \
         were refused; drop labels that change often, or raise it"
    )]
    Limit { limit: &'static str, tenant: String, most: u64, refused: u64 },
    #[error(transparent)]
    Memory(#[from] HeadsFull),
    #[error("values can't be encoded: {0}")]
    Encode(String),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Part(error) => error.kind(),
            Self::Engine(error) => error.kind,
            Self::Batch(_) | Self::UndefinedSeries { .. } => ErrorKind::Corrupt,
            Self::Labels | Self::UnknownSchema { .. } => ErrorKind::Invalid,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::NoRoom(refusal) => refusal.kind(),
            Self::Memory(_) => ErrorKind::Overloaded,
            Self::Encode(_) => ErrorKind::Bug,
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
