//! The errors of parts and manifests.

use codec::DecodeError;
use model::{ErrorKind, Ulid};
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("can't read or write {key}")]
    Io {
        key: String,
        #[source]
        source: io::Error,
    },
    #[error("{key} is damaged: {what}")]
    Corrupt { key: String, what: String },
    #[error(
        "{key} has format version {version}, this program reads {known}: start the mirador that \
         wrote it"
    )]
    OtherFormat { key: String, version: u16, known: u16 },
    #[error(
        "none of the {count} manifest generations below {prefix} can be read; restore the folder \
         from a backup, or rebuild the manifest from the parts"
    )]
    NoReadableManifest { prefix: String, count: usize },
    #[error("part {0} is not in the manifest")]
    NoSuchPart(Ulid),
    #[error("{key} has {count} pages, page {index} was asked for")]
    NoSuchPage { key: String, index: u32, count: u32 },
    #[error("manifest generation {expected} was expected but {current} is the newest; look again")]
    Conflict { expected: u64, current: u64 },
    #[error("{what} has {length} {unit}, at most {limit} are allowed")]
    Limit { what: &'static str, unit: &'static str, length: u64, limit: u64 },
    #[error("change of the manifest refused: {0}")]
    Refused(String),
}

impl PartError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Io,
            Self::Corrupt { .. } | Self::NoReadableManifest { .. } => ErrorKind::Corrupt,
            Self::OtherFormat { .. } => ErrorKind::Invalid,
            Self::NoSuchPart(_) => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Limit { .. } => ErrorKind::Limit,
            Self::NoSuchPage { .. } | Self::Refused(_) => ErrorKind::Bug,
        }
    }

    /// Whether the file is damaged: the caller should quarantine the part.
    pub fn is_damage(&self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }

    pub(crate) fn io(key: &str) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match source.kind() {
            // A file that ends too early is damaged; the disk did not fail.
            io::ErrorKind::UnexpectedEof => Self::corrupt(key, "it ends too early"),
            _ => Self::Io { key: key.to_owned(), source },
        }
    }

    pub(crate) fn corrupt(key: &str, what: impl Into<String>) -> Self {
        Self::Corrupt { key: key.to_owned(), what: what.into() }
    }

    pub(crate) fn decode(key: &str) -> impl FnOnce(DecodeError) -> Self + '_ {
        move |error| Self::corrupt(key, error.to_string())
    }
}
