//! Files as the stores use them: append-only while written, read-only afterwards.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// The size of the buffer that copies a file.
const COPY_BYTES: u64 = 1 << 20;

/// A folder on a disk. Paths are relative to it, with `/` between names; see [`check_path`].
///
/// Nothing is durable before it is synced: a file's bytes by [`AppendFile::sync`], its name (after
/// creating, renaming, removing) by [`Disk::sync_dir`] of its folder.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file that is not there yet; `AlreadyExists` otherwise. The folder must exist.
    fn create(&self, path: &str) -> io::Result<Box<dyn AppendFile>>;

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadFile>>;

    /// Replaces the file at `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Fails with `AlreadyExists` when a file or folder exists at `to`.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove(&self, path: &str) -> io::Result<()>;

    /// The entries of a folder, sorted by name. A folder that does not exist has none.
    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>>;

    /// Creates the folder and those above it, durably.
    fn create_dirs(&self, dir: &str) -> io::Result<()>;

    fn remove_empty_dir(&self, dir: &str) -> io::Result<()>;

    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    fn space(&self) -> io::Result<Space>;

    /// Takes the file's lock. Returns `None` when another process holds it.
    fn lock(&self, path: &str) -> io::Result<Option<DiskLock>>;

    /// A whole small file; `InvalidData` when it is larger than `limit`.
    fn read_all(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let length = file.len()?;
        if length > limit {
            let text = format!("{path} has {length} bytes, at most {limit} were expected");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Gives a file that no longer changes a second path, which must be free; neither path is written
    /// to afterwards. The bytes are durable on return, the new name once its folder is synced. A disk
    /// that can share the bytes between the two paths overrides this method, which copies them.
    fn duplicate(&self, from: &str, to: &str) -> io::Result<()> {
        let source = self.open(from)?;
        let length = source.len()?;
        let mut target = self.create(to)?;
        let mut buffer = vec![0; COPY_BYTES.min(length) as usize];
        let mut offset = 0;
        while offset < length {
            let piece = &mut buffer[..COPY_BYTES.min(length - offset) as usize];
            source.read_exact_at(piece, offset)?;
            target.append(piece)?;
            offset += piece.len() as u64;
        }
        target.sync()
    }

    /// Writes a whole small file so that a crash leaves the old one or the new one.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!("{path}.tmp");
        match self.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.create(&temporary)?;
        file.append(bytes)?;
        file.sync()?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }
}

/// The folder a path stands in; `""` for the data folder itself.
pub(crate) fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..slash])
}

/// A file that is being written.
pub trait AppendFile: Debug + Send {
    /// After an error the file may have some of the bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended durable. After an error the caller must not write to this file
    /// again: it is unknown which of its bytes are on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is being read, from any number of threads.
pub trait ReadFile: Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills the buffer or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskEntry {
    /// Without the folder's path.
    pub name: String,
    pub is_dir: bool,
    pub len: u64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// The bytes that this process may still write.
    pub free: u64,
}

/// Held for as long as this value lives.
#[derive(Debug)]
pub struct DiskLock {
    pub(crate) _held: Box<dyn Debug + Send + Sync>,
}

/// Refuses whatever could leave the data folder: absolute paths, `..`, empty names, NUL.
pub fn check_path(path: &str) -> io::Result<()> {
    let bad_name =
        |name: &str| name.is_empty() || name == "." || name == ".." || name.contains('\0');
    if path.split('/').any(bad_name) {
        let text = format!("path {path:?} is not a plain relative path");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}
