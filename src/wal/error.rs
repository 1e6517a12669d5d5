//! What can go wrong with the log.

use model::ErrorKind;
use std::io;
use std::sync::Arc;

/// Cheap to clone: one failed sync is the error of every batch in its group.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalError {
    #[error("batch has {size} bytes, the most is {limit}; send smaller batches")]
    TooLarge { size: u64, limit: u64 },
    #[error("the log's queue is full; try again in a moment")]
    Overloaded,
    #[error("the log takes no writes: {reason}")]
    Unavailable { reason: Arc<str> },
    #[error("the log is shut down")]
    Stopped,
    #[error("could not {action} {path}")]
    Io {
        action: &'static str,
        path: String,
        #[source]
        source: Arc<io::Error>,
    },
    #[error(
        "{what} {found} is not known (the newest known is {known}); a newer Mirador wrote it: \
         start that one"
    )]
    Newer { what: &'static str, found: u32, known: u32 },
    #[error("batch is not what was written: {what}")]
    Corrupt { what: &'static str },
}

impl WalError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::Limit,
            Self::Overloaded | Self::Unavailable { .. } | Self::Stopped => ErrorKind::Overloaded,
            Self::Io { .. } => ErrorKind::Io,
            Self::Newer { .. } => ErrorKind::Invalid,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
        }
    }

    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    pub(crate) fn io(action: &'static str, path: &str, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }
}
