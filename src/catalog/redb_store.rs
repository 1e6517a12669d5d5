//! The store on redb, with the same guarantees as the one on sled, so that the choice of the store
//! stays open.

use crate::CatalogError;
use crate::store::{Change, Contained, Entries, Fault, Store, guard, text_key};
use redb::{Database, ReadableDatabase, TableDefinition, TableError};
use std::path::Path;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("catalog");
const CACHE_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct RedbStore(Contained<Database>);

impl RedbStore {
    pub(crate) fn open(file: &Path) -> Result<Self, CatalogError> {
        let open = || {
            let made = Database::builder().set_cache_size(CACHE_BYTES).create(file);
            made.map_err(redb::Error::from)
        };
        Ok(Self(Contained::new(guard("open", open)?)))
    }

    fn read<T>(
        &self,
        operation: &'static str,
        absent: T,
        read: impl FnOnce(&redb::ReadOnlyTable<&[u8], &[u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, CatalogError> {
        guard(operation, || {
            let transaction = self.0.begin_read()?;
            match transaction.open_table(TABLE) {
                // Before the first write there is no table.
                Err(TableError::TableDoesNotExist(_)) => Ok(absent),
                table => read(&table?),
            }
        })
    }
}

impl Store for RedbStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        self.read("get", None, |table| {
            Ok(table.get(key.as_bytes())?.map(|value| value.value().to_vec()))
        })
    }

    fn scan_prefix(&self, prefix: &str) -> Result<Entries, CatalogError> {
        let found = self.read("scan", Vec::new(), |table| {
            let mut found = Vec::new();
            for entry in table.range(prefix.as_bytes()..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(prefix.as_bytes()) {
                    break;
                }
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(found)
        })?;
        found.into_iter().map(|(key, value)| Ok((text_key(&key)?, value))).collect()
    }

    fn batch(&self, changes: &[Change]) -> Result<(), CatalogError> {
        guard("write", || {
            let transaction = self.0.begin_write()?;
            {
                let mut table = transaction.open_table(TABLE)?;
                for change in changes {
                    match change {
                        Change::Put(key, value) => {
                            table.insert(key.as_bytes(), value.as_slice())?;
                        }
                        Change::Delete(key) => {
                            table.remove(key.as_bytes())?;
                        }
                    }
                }
            }
            transaction.commit()?;
            Ok::<_, redb::Error>(())
        })
    }

    /// Nothing to do: a commit is durable already.
    fn flush(&self) -> Result<(), CatalogError> {
        Ok(())
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::of_io(error),
            redb::Error::DatabaseAlreadyOpen => {
                Self::Machine(std::io::Error::other("another process has it open"))
            }
            other => Self::Bytes(other.to_string()),
        }
    }
}
