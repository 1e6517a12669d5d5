//! What is wrong with a query, and why it has no result.

use crate::storage::StorageError;
use model::ErrorKind;
use query::{Position, Stop};
use std::fmt;

/// What is wrong with a query, and where. Prints as Loki does: `parse error at line 1, col 5: syntax
/// error: …` where the text is not of the language, `parse error : …` where it has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub message: String,
    pub position: Position,
    /// The text is not of the language; otherwise it is, but means nothing.
    pub is_syntax: bool,
    pub query: String,
}

impl ParseError {
    pub(crate) fn syntax(position: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), position, is_syntax: true, query: String::new() }
    }

    pub(crate) fn meaning(position: Position, message: impl Into<String>) -> Self {
        Self { message: message.into(), position, is_syntax: false, query: String::new() }
    }

    pub(crate) fn in_query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_syntax {
            return write!(f, "parse error : {}", self.message);
        }
        let place = self.position.line_and_column(&self.query);
        let Self { message, .. } = self;
        write!(f, "parse error at line {}, col {}: {message}", place.line, place.column)
    }
}

impl std::error::Error for ParseError {}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The query can't be asked like this.
    #[error("{0}")]
    Invalid(String),
    /// A limit of [`crate::Limits`] forbids it.
    #[error("{0}")]
    Limit(String),
    /// A stage failed on a line, and the query does not say what to do about that.
    #[error(
        "pipeline error: '{error}' for series: '{series}'.\nUse a label filter to intentionally skip this \
         error. (e.g | __error__!=\"{error}\").\nTo skip all potential errors you can match empty errors.(e.g \
         __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | \
         __error__=\"\" )\n"
    )]
    Pipeline { error: String, series: String },
    /// It failed, or was stopped, while it was evaluated.
    #[error(transparent)]
    Evaluation(#[from] query::QueryError),
    #[error("reading log lines: {0}")]
    Storage(#[from] StorageError),
}

impl QueryError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::Invalid(_) | Self::Pipeline { .. } => ErrorKind::Invalid,
            Self::Limit(_) => ErrorKind::Limit,
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
