//! Why a query has no result.

use crate::parse::ParseError;
use crate::storage::StorageError;
use model::ErrorKind;
use query::Stop;

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
    #[error(
        "query needs more than {limit} bytes of memory: ask for fewer series or a longer step, or raise promql.max_memory"
    )]
    TooMuchMemory { limit: usize },
    #[error(
        "the queries that run at present need more than {limit} bytes of memory: try again, ask for \
         fewer series or a longer step, or raise limits.query_memory"
    )]
    Busy { limit: usize },
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
            Self::TooManySamples | Self::TooMuchMemory { .. } => ErrorKind::Limit,
            Self::Busy { .. } => ErrorKind::Overloaded,
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
