//! Why a query is refused.

use model::ErrorKind;
use query::{Position, TooManyRegexes};
use trace_store::StoreError;

/// The query is not one. Prints as Tempo's errors do, because clients show them: with the place where
/// there is one, else with the part of the query that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub message: String,
    /// Where it is, for errors of syntax.
    pub position: Option<Position>,
}

impl ParseError {
    /// `text` is the query, in which the position is looked up.
    pub(crate) fn syntax(text: &str, position: Position, what: &str) -> Self {
        let place = position.line_and_column(text);
        let message = format!("parse error at line {}, col {}: {what}", place.line, place.column);
        Self { message, position: Some(position) }
    }

    /// The query can be read, but what it says is not allowed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { message: message.into(), position: None }
    }

    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("invalid TraceQL query: {0}")]
    Parse(#[from] ParseError),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Limit(String),
    #[error(transparent)]
    Regexes(#[from] TooManyRegexes),
    #[error(transparent)]
    Evaluation(#[from] query::QueryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<query::Stop> for QueryError {
    fn from(stop: query::Stop) -> Self {
        Self::Evaluation(stop.into())
    }
}

impl QueryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::Limit(_) | Self::Regexes(_) => ErrorKind::Limit,
            Self::Evaluation(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}
