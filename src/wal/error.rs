//! The errors of the write-ahead log.

use model::ErrorKind;
use std::io;
use std::sync::Arc;

/// Cheap to clone, because one failed sync is the error of every batch in its group.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalError {
    #[error("batch has {size} bytes, at most {limit} are allowed; send smaller batches")]
    TooLarge { size: u64, limit: u64 },
    #[error("the queue of the write-ahead log is full; try again in a moment")]
    Overloaded,
    #[error("the write-ahead log takes no writes: {reason}")]
    Unavailable { reason: Arc<str> },
    #[error("the write-ahead log is shut down")]
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
    #[error("the batch is damaged: {what}")]
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
