//! Snapshots: everything that is in parts at one moment, kept under a name in the layout of a data
//! folder, so that a server can be started on it.
//!
//! 1. Unless the caller goes without them, heads are written to parts.
//! 2. While no flush, merge or retention runs, every blob gets a second path below
//!    `snapshots/<name>.tmp/blobs`. Parts and manifests never change, so both paths share the bytes
//!    where the file system can.
//! 3. The catalog is exported, and the export gets a second path in the same way. Its store is never
//!    copied: nobody can say what an open one has on the disk. A catalog that finds an export alone
//!    begins with it.
//! 4. The folder is renamed to `snapshots/<name>` and synced. What ends in `.tmp` was never finished
//!    and goes with the next snapshot.

use crate::access::CATALOG_DIR;
use crate::stores::BLOB_DIR;
use catalog::{Catalog, CatalogError};
use engine::EngineError;
use ingest::{Gateway, Maintenance};
use model::ErrorKind;
use platform::{Blobs, Clock, Disk, DiskBlobs, Random, RealDisk};
use protocols::ServiceError;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

const FOLDER: &str = "snapshots";
const UNFINISHED: &str = ".tmp";
/// The clean-up of deletes may remove a blob while a snapshot is made, which then begins again.
const ATTEMPTS: usize = 5;
const NAME_LENGTH_MAX: usize = 64;
/// Deeper than any folder of a snapshot.
const DEPTH_MAX: usize = 16;

#[derive(Debug)]
pub struct Snapshots {
    pub(crate) disk: Arc<RealDisk>,
    pub(crate) blobs: Arc<DiskBlobs>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) maintenance: Arc<Maintenance>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// One at a time.
    pub(crate) working: Mutex<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("can't write the heads to parts: {0}")]
    Flush(#[source] EngineError),
    #[error("can't keep the parts: {0}")]
    Keep(#[source] EngineError),
    #[error("{0:?} is no name of a snapshot: letters, digits and - are")]
    Name(String),
    #[error("there is no snapshot {0:?}")]
    Missing(String),
    #[error("the folder of snapshots can't be used: {0}")]
    Folder(#[from] io::Error),
}

impl SnapshotError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Flush(error) | Self::Keep(error) => error.kind,
            Self::Name(_) => ErrorKind::Invalid,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::Folder(_) => ErrorKind::Io,
        }
    }
}

impl protocols::Snapshots for Snapshots {
    fn take(&self, skip_head: bool) -> Result<String, ServiceError> {
        let taken = Handle::current().block_on(Self::take(self, skip_head));
        taken.map_err(|error| ServiceError::new(error.kind(), error.to_string()))
    }
}

impl Snapshots {
    /// Answers the name of what is kept.
    async fn take(&self, skip_head: bool) -> Result<String, SnapshotError> {
        let _working = self.working.lock().await;
        if !skip_head {
            self.maintenance.flush(&self.gateway).await.map_err(SnapshotError::Flush)?;
        }
        let name = self.new_name();
        let (disk, blobs, kept) = (Arc::clone(&self.disk), Arc::clone(&self.blobs), name.clone());
        let catalog = Arc::clone(&self.catalog);
        let keep = move || {
            let export = catalog.export_now().map_err(catalog_error)?;
            keep(&disk, &blobs, &export, &kept).map_err(engine_error)
        };
        self.maintenance.undisturbed(keep).await.map_err(SnapshotError::Keep)?;
        Ok(name)
    }

    /// Rising by name, which is by time. Blocking.
    pub fn list(&self) -> Result<Vec<String>, SnapshotError> {
        let entries = self.disk.list(FOLDER)?.into_iter().filter(|entry| entry.is_dir);
        Ok(entries.map(|entry| entry.name).filter(|name| is_name(name)).collect())
    }

    /// Blocking.
    pub fn remove(&self, name: &str) -> Result<(), SnapshotError> {
        if !is_name(name) {
            return Err(SnapshotError::Name(name.to_owned()));
        }
        if !self.list()?.iter().any(|known| known == name) {
            return Err(SnapshotError::Missing(name.to_owned()));
        }
        // Renamed first: a snapshot is whole or not there.
        let (path, going) = (format!("{FOLDER}/{name}"), format!("{FOLDER}/{name}{UNFINISHED}"));
        self.disk.rename(&path, &going)?;
        self.disk.sync_dir(FOLDER)?;
        Ok(remove_tree(&self.disk, &going, DEPTH_MAX)?)
    }

    /// What snapshots alone keep on the disk: parts that the stores have dropped. Blocking; what
    /// can't be looked at counts as nothing.
    pub fn bytes_alone(&self) -> u64 {
        let live = self.blobs.list("parts").unwrap_or_default();
        let live: BTreeSet<String> = live.into_iter().map(|blob| blob.key).collect();
        // Snapshots share the bytes of a part that several of them keep.
        let mut kept: BTreeMap<String, u64> = BTreeMap::new();
        for name in self.list().unwrap_or_default() {
            let folder = format!("{FOLDER}/{name}/{BLOB_DIR}");
            let _ = each_file(&self.disk, &folder, "parts", DEPTH_MAX, &mut |key, bytes| {
                kept.insert(key.to_owned(), bytes);
            });
        }
        kept.iter().filter(|(key, _)| !live.contains(*key)).map(|(_, bytes)| bytes).sum()
    }

    /// `20261121T063015Z-0123456789abcdef`: when, and a number that nothing else has.
    fn new_name(&self) -> String {
        let now = chrono::DateTime::from_timestamp_millis(self.clock.wall_ms()).unwrap_or_default();
        format!("{}-{:016x}", now.format("%Y%m%dT%H%M%SZ"), self.random.next_u64())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_LENGTH_MAX && name.bytes().all(plain)
}

fn engine_error(error: io::Error) -> EngineError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::Overloaded,
        _ => ErrorKind::Io,
    };
    EngineError::new(kind, error)
}

fn catalog_error(error: CatalogError) -> EngineError {
    EngineError::new(error.kind(), error)
}

/// `export` is a path below the catalog's folder.
fn keep(disk: &RealDisk, blobs: &DiskBlobs, export: &str, name: &str) -> io::Result<()> {
    disk.create_dirs(FOLDER)?;
    for entry in disk.list(FOLDER)?.iter().filter(|entry| entry.name.ends_with(UNFINISHED)) {
        remove_tree(disk, &format!("{FOLDER}/{}", entry.name), DEPTH_MAX)?;
    }
    let unfinished = format!("{FOLDER}/{name}{UNFINISHED}");
    let mut attempts = 0;
    while let Err(error) = blobs.duplicate_to(&format!("{unfinished}/{BLOB_DIR}")) {
        remove_tree(disk, &unfinished, DEPTH_MAX)?;
        attempts += 1;
        if error.kind() != io::ErrorKind::NotFound || attempts == ATTEMPTS {
            return Err(error);
        }
    }
    keep_export(disk, &format!("{CATALOG_DIR}/{export}"), &unfinished)?;
    disk.sync_dir(&unfinished)?;
    disk.rename(&unfinished, &format!("{FOLDER}/{name}"))?;
    disk.sync_dir(FOLDER)
}

fn keep_export(disk: &RealDisk, export: &str, root: &str) -> io::Result<()> {
    let folder = export.rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = format!("{root}/{folder}");
    disk.create_dirs(&folder)?;
    disk.duplicate(export, &format!("{root}/{export}"))?;
    disk.sync_dir(&folder)
}

/// Calls `each` with the path below `root` and the size of every file below `folder`.
fn each_file(
    disk: &RealDisk,
    root: &str,
    folder: &str,
    depth: usize,
    each: &mut impl FnMut(&str, u64),
) -> io::Result<()> {
    if depth == 0 {
        return Ok(());
    }
    for entry in disk.list(&format!("{root}/{folder}"))? {
        let path = format!("{folder}/{}", entry.name);
        match entry.is_dir {
            true => each_file(disk, root, &path, depth - 1, each)?,
            false => each(&path, entry.len),
        }
    }
    Ok(())
}

fn remove_tree(disk: &RealDisk, folder: &str, depth: usize) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other(format!("{folder} is too deep to be a snapshot")));
    }
    for entry in disk.list(folder)? {
        let path = format!("{folder}/{}", entry.name);
        match entry.is_dir {
            true => remove_tree(disk, &path, depth - 1)?,
            false => disk.remove(&path)?,
        }
    }
    disk.remove_empty_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for name in ["20261121T063015Z-0123456789abcdef", "a"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../a", "a.tmp", "a\0", "한", &"a".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
