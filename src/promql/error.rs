//! Why a query has no result.

use crate::parse::ParseError;
use crate::storage::StorageError;
use model::ErrorKind;
use query::{OverBudget, Stop};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query can't be asked like this.
    #[error("{0}")]
    Invalid(String),
    /// The data does not allow what the query asks.
    #[error("{0}")]
    Execution(String),
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    #[error("{0} in expression evaluation")]
    Stopped(Stop),
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
}

impl QueryError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::Invalid(_) | Self::Execution(_) => ErrorKind::Invalid,
            Self::TooManySamples => ErrorKind::Limit,
            Self::Stopped(stop) => stop.kind(),
            Self::Storage(error) => error.kind,
        }
    }
}

impl From<Stop> for QueryError {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl From<OverBudget> for QueryError {
    fn from(_: OverBudget) -> Self {
        Self::TooManySamples
    }
}
