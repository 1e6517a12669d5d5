//! The store on sled, and the only file that uses sled. `docs/adr/0003-catalog-on-sled.md` lists
//! sled's traps.

use crate::CatalogError;
use crate::store::{Change, Contained, Entries, Fault, Store, guard, text_key};
use std::io;
use std::path::Path;

/// sled's default is 1 GiB.
const CACHE_BYTES: u64 = 16 << 20;

#[derive(Debug)]
pub(crate) struct SledStore(Contained<sled::Db>);

impl SledStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, CatalogError> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            // Without sled's background flushes: the catalog flushes before it acknowledges.
            .flush_every_ms(None);
        Ok(Self(Contained::new(guard("open", || config.open())?)))
    }
}

impl Store for SledStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        guard("get", || Ok::<_, sled::Error>(self.0.get(key)?.map(|value| value.to_vec())))
    }

    fn scan_prefix(&self, prefix: &str) -> Result<Entries, CatalogError> {
        let scan = || self.0.scan_prefix(prefix).collect::<Result<Vec<_>, _>>();
        let found = guard("scan", scan)?;
        found.into_iter().map(|(key, value)| Ok((text_key(&key)?, value.to_vec()))).collect()
    }

    fn batch(&self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut batch = sled::Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key.as_str(), value.as_slice()),
                Change::Delete(key) => batch.remove(key.as_str()),
            }
        }
        guard("write", || self.0.apply_batch(batch))
    }

    fn flush(&self) -> Result<(), CatalogError> {
        guard("flush", || self.0.flush().map(|_| ()))
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            // sled reports a failed lock as text around the operating system's error, with its kind
            // kept.
            sled::Error::Io(error) if is_lock_or_space(&error) => Self::Machine(error),
            sled::Error::Io(error) => Self::of_io(error),
            other => Self::Bytes(other.to_string()),
        }
    }
}

fn is_lock_or_space(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, StorageFull, WouldBlock};
    matches!(error.kind(), PermissionDenied | StorageFull | WouldBlock)
        || error.to_string().contains("could not acquire lock")
}
