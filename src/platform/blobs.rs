//! Immutable, named byte strings: what parts and manifests are kept in. On one machine they are
//! files; an object store can stand behind the same trait.

use crate::disk::{AppendFile, Disk, ReadFile, parent};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub trait Blobs: Debug + Send + Sync {
    /// Starts a new blob. It appears, whole and durable, when the writer commits, and not before.
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>>;

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>>;

    /// Every blob whose key starts with the folder `prefix`, sorted by key. `""` lists all.
    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>>;

    fn delete(&self, key: &str) -> io::Result<()>;

    /// Fails with `AlreadyExists` where the key is taken: the one primitive that manifests need to
    /// be switched by compare-and-swap.
    fn put_new(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.create(key)?;
        writer.append(bytes)?;
        writer.commit()
    }

    fn get_range(&self, key: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = self.open(key)?;
        // The length may come from a damaged file: never take more memory than the blob is long.
        if file.len()?.checked_sub(offset).is_none_or(|rest| rest < length as u64) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// An unfinished blob. Dropping it without `commit` removes it.
pub trait BlobWriter: Debug + Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    fn commit(self: Box<Self>) -> io::Result<()>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    pub key: String,
    pub len: u64,
    pub modified_ms: i64,
}

const TEMPORARY: &str = ".tmp";

/// Blobs as files below one folder of a disk. The file of an unfinished blob ends in `.tmp` and is
/// not listed.
#[derive(Debug)]
pub struct DiskBlobs {
    disk: Arc<dyn Disk>,
    root: String,
    /// Numbers the unfinished blobs, so that neither a leftover that could not be removed nor a
    /// second writer of the same key blocks the key. The writer that commits first gets it.
    next_temporary: AtomicU64,
}

impl DiskBlobs {
    /// Removes the unfinished blobs that an earlier process left.
    pub fn open(disk: Arc<dyn Disk>, root: &str) -> io::Result<Self> {
        disk.create_dirs(root)?;
        let blobs = Self { disk, root: root.to_owned(), next_temporary: AtomicU64::new(0) };
        let mut leftovers = Vec::new();
        blobs.walk(root, &mut |path, _| {
            if path.ends_with(TEMPORARY) {
                leftovers.push(path);
            }
        })?;
        leftovers.iter().try_for_each(|path| blobs.disk.remove(path))?;
        Ok(blobs)
    }

    /// Gives every blob a second path below another root of the same disk, durably. Returns their
    /// number; fails with `NotFound` when a blob was deleted meanwhile.
    pub fn duplicate_to(&self, root: &str) -> io::Result<usize> {
        let blobs = self.list("")?;
        let mut folders = BTreeSet::from([root.to_owned()]);
        self.disk.create_dirs(root)?;
        for BlobInfo { key, .. } in &blobs {
            let to = format!("{root}/{key}");
            if folders.insert(parent(&to).to_owned()) {
                self.disk.create_dirs(parent(&to))?;
            }
            self.disk.duplicate(&self.path(key), &to)?;
        }
        folders.iter().try_for_each(|folder| self.disk.sync_dir(folder))?;
        Ok(blobs.len())
    }

    fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.root)
    }

    fn walk(&self, dir: &str, found: &mut dyn FnMut(String, crate::DiskEntry)) -> io::Result<()> {
        for entry in self.disk.list(dir)? {
            let path = format!("{dir}/{}", entry.name);
            match entry.is_dir {
                true => self.walk(&path, found)?,
                false => found(path, entry),
            }
        }
        Ok(())
    }
}

impl Blobs for DiskBlobs {
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>> {
        let path = self.path(key);
        self.disk.create_dirs(parent(&path))?;
        let number = self.next_temporary.fetch_add(1, Relaxed);
        let temporary = format!("{path}.{number}{TEMPORARY}");
        let file = self.disk.create(&temporary)?;
        let disk = Arc::clone(&self.disk);
        Ok(Box::new(DiskBlobWriter { disk, path, temporary, file: Some(file) }))
    }

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>> {
        self.disk.open(&self.path(key))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>> {
        let dir = if prefix.is_empty() { self.root.clone() } else { self.path(prefix) };
        let mut blobs = Vec::new();
        self.walk(&dir, &mut |path, entry| {
            if !path.ends_with(TEMPORARY) {
                let key = path[self.root.len() + 1..].to_owned();
                blobs.push(BlobInfo { key, len: entry.len, modified_ms: entry.modified_ms });
            }
        })?;
        blobs.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(blobs)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        let path = self.path(key);
        self.disk.remove(&path)?;
        self.disk.sync_dir(parent(&path))
    }
}

#[derive(Debug)]
struct DiskBlobWriter {
    disk: Arc<dyn Disk>,
    path: String,
    temporary: String,
    /// `None` once committed.
    file: Option<Box<dyn AppendFile>>,
}

impl BlobWriter for DiskBlobWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().expect("commit takes the writer").append(bytes)
    }

    fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.file.as_mut().expect("commit takes the writer").sync()?;
        self.disk.rename_new(&self.temporary, &self.path)?;
        self.file = None;
        self.disk.sync_dir(parent(&self.path))
    }
}

impl Drop for DiskBlobWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // A file that can't be removed now is removed at the next start.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}
