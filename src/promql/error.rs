//! Why a PromQL query has no result.

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
    /// It failed, or was stopped, while it was evaluated.
    #[error(transparent)]
    Evaluation(#[from] query::QueryError),
    #[error("expanding series: {0}")]
    Storage(#[from] StorageError),
}

impl QueryError {
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Evaluation(query::QueryError::execution(message))
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::Evaluation(error) => error.kind(),
            Self::Storage(error) => error.kind,
        }
    }
}

impl From<Stop> for QueryError {
    fn from(stop: Stop) -> Self {
        Self::Evaluation(stop.into())
    }
}
