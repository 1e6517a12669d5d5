//! The trait between the catalog and an embedded store.

use crate::CatalogError;
use std::fmt::Debug;
use std::io;
use std::ops::Deref;

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put(String, Vec<u8>),
    Delete(String),
}

pub type Entries = Vec<(String, Vec<u8>)>;

/// An ordered map from text to bytes, small enough that a scan may hold everything in memory.
pub trait Store: Debug + Send + Sync {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CatalogError>;

    /// Every entry whose key starts with the prefix, in the order of the keys.
    fn scan_prefix(&self, prefix: &str) -> Result<Entries, CatalogError>;

    /// Applies all changes or none. Durable only after `flush`.
    fn batch(&self, changes: &[Change]) -> Result<(), CatalogError>;

    fn flush(&self) -> Result<(), CatalogError>;

    fn put(&self, key: &str, value: &[u8]) -> Result<(), CatalogError> {
        self.batch(&[Change::Put(key.to_owned(), value.to_vec())])
    }

    fn delete(&self, key: &str) -> Result<(), CatalogError> {
        self.batch(&[Change::Delete(key.to_owned())])
    }

    /// Every entry.
    fn export(&self) -> Result<Entries, CatalogError> {
        self.scan_prefix("")
    }

    /// Replaces the whole content, atomically.
    fn import(&self, entries: Entries) -> Result<(), CatalogError> {
        let old = self.export()?.into_iter().map(|(key, _)| Change::Delete(key));
        let new = entries.into_iter().map(|(key, value)| Change::Put(key, value));
        self.batch(&old.chain(new).collect::<Vec<_>>())?;
        self.flush()
    }
}

/// "Input/output error", on every system that this runs on.
const EIO: i32 = 5;

/// An error of a store, by its cause: damaged bytes or a refusing machine.
pub(crate) enum Fault {
    Machine(io::Error),
    Bytes(String),
}

impl Fault {
    /// An I/O error is the machine's, except when a sector can't be read.
    pub(crate) fn of_io(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) if code != EIO => Self::Machine(error),
            _ => Self::Bytes(error.to_string()),
        }
    }
}

/// Runs a store's operation and reports a panic as damage: both stores panic when they meet bytes
/// that they never wrote.
pub(crate) fn guard<T, E: Into<Fault>>(
    operation: &'static str,
    run: impl FnOnce() -> Result<T, E>,
) -> Result<T, CatalogError> {
    let damaged = |reason: String| CatalogError::StoreDamaged { operation, reason };
    // After an error the catalog refuses writes, so a half-finished operation is not built upon.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match error.into() {
            Fault::Machine(source) => CatalogError::Store { operation, source },
            Fault::Bytes(reason) => damaged(reason),
        }),
        Err(_) => Err(damaged("it met bytes that it never wrote".to_owned())),
    }
}

/// A store's handle that also catches panics when it is closed: after one panic, closing often
/// panics too.
#[derive(Debug)]
pub(crate) struct Contained<T>(Option<T>);

impl<T> Contained<T> {
    pub(crate) fn new(handle: T) -> Self {
        Self(Some(handle))
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only drop takes it")
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        let handle = self.0.take();
        // Everything acknowledged is durable, so an error on closing can be ignored.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(handle)));
    }
}

pub(crate) fn text_key(key: &[u8]) -> Result<String, CatalogError> {
    let wrong = |_| CatalogError::damaged(&String::from_utf8_lossy(key), "its key is not text");
    String::from_utf8(key.to_vec()).map_err(wrong)
}
