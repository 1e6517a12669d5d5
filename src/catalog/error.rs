//! The errors of the catalog.

use model::ErrorKind;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("the catalog in {folder} is in use by another process; stop that one first")]
    Locked { folder: String },
    #[error(
        "the catalog has schema version {found}, this program knows up to {known}: start the newer \
         mirador that wrote it"
    )]
    NewerSchema { found: u64, known: u64 },
    #[error(
        "the catalog in {folder} can't be read without losing changes ({reason}). Put a good copy of \
         the folder there. Or move {folder}/journal away to begin with the newest export: changes \
         after it are lost, and tokens revoked after it are valid again. Or move {folder} away to \
         begin with an empty catalog"
    )]
    Unrecoverable { folder: String, reason: String },
    #[error("catalog entry {key} is damaged: {what}")]
    Damaged { key: String, what: String },
    /// The store's bytes are damaged.
    #[error("catalog store is damaged: {operation}: {reason}")]
    StoreDamaged { operation: &'static str, reason: String },
    /// The machine refused: no space, no permission, or a lock that another process holds.
    #[error("catalog store failed: {operation}")]
    Store {
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the catalog refuses writes since one failed; repair the disk, then restart")]
    Stopped,
    #[error("the disk is full: users, tokens and settings can't be changed until there is space")]
    Full,
    #[error("can't read or write {path}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("export is damaged: {0}")]
    BadExport(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0} is not in the catalog")]
    NotFound(String),
    #[error("{0} is in the catalog already")]
    Exists(String),
    /// The caller holds less than what it wants to give or change.
    #[error("{0}")]
    NotYours(String),
    #[error("too many passwords are being checked; try again in a moment")]
    Busy,
}

impl CatalogError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } | Self::Exists(_) => ErrorKind::Conflict,
            Self::NewerSchema { .. } | Self::Invalid(_) | Self::BadExport(_) => ErrorKind::Invalid,
            Self::Unrecoverable { .. } | Self::Damaged { .. } | Self::StoreDamaged { .. } => {
                ErrorKind::Corrupt
            }
            Self::Store { .. } | Self::Stopped | Self::Io { .. } => ErrorKind::Io,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NotYours(_) => ErrorKind::Forbidden,
            Self::Busy | Self::Full => ErrorKind::Overloaded,
        }
    }

    /// Whether the store may be replaced by an export. After a full disk or a missing permission it
    /// must not be: the changes since the last export would be lost.
    pub(crate) fn is_damage(&self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }

    pub(crate) fn io(path: &str) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn damaged(key: &str, what: impl Into<String>) -> Self {
        Self::Damaged { key: key.to_owned(), what: what.into() }
    }
}
