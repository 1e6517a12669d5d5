//! Why a query has no result, in whichever language.

use crate::control::Stop;
use model::ErrorKind;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The data does not allow what the query asks.
    #[error("{0}")]
    Execution(String),
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// `advice`: what to ask less of.
    #[error("query needs more than {limit} bytes of memory: ask for {advice}, or raise {setting}")]
    TooMuchMemory { limit: usize, advice: &'static str, setting: &'static str },
    #[error(
        "the queries that run at present need more than {limit} bytes of memory: try again, ask for \
         {advice}, or raise limits.query_memory"
    )]
    Busy { limit: usize, advice: &'static str },
    #[error("{0} in expression evaluation")]
    Stopped(#[from] Stop),
}

impl QueryError {
    pub fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Execution(_) => ErrorKind::Invalid,
            Self::TooManySamples | Self::TooMuchMemory { .. } => ErrorKind::Limit,
            Self::Busy { .. } => ErrorKind::Overloaded,
            Self::Stopped(stop) => stop.kind(),
        }
    }
}
