//! What is wrong with a query, and why it has no result.

use crate::storage::StorageError;
use model::ErrorKind;
use query::{Position, Stop};

/// What is wrong with a query, and where. Prints as `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: parse error: {message}", position.line_and_column(query))]
pub struct ParseError {
    pub message: String,
    pub position: Position,
    pub query: String,
}

impl ParseError {
    pub(crate) fn at(position: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), position, query: String::new() }
    }

    pub(crate) fn in_query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }
}

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
