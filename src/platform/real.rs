//! The real disk: a folder of the file system.
#![expect(clippy::disallowed_methods, reason = "this is the door that the others are sent to")]

use crate::disk::{AppendFile, Disk, DiskEntry, DiskLock, ReadFile, Space, check_path};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// The permissions of all but the owner.
const OTHERS: u32 = 0o077;

#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Creates the folder when it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let disk = Self { root: root.into() };
        fs::create_dir_all(&disk.root)?;
        Ok(disk)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes a file's or folder's permissions away from everybody but its owner. Answers whether there
    /// were any.
    pub fn make_private(&self, path: &str) -> io::Result<bool> {
        let full = self.full(path)?;
        let mode = fs::metadata(&full)?.permissions().mode();
        let is_open = mode & OTHERS != 0;
        if is_open {
            fs::set_permissions(&full, fs::Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
        }
        Ok(is_open)
    }

    /// `""` names the root itself.
    fn full(&self, path: &str) -> io::Result<PathBuf> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        check_path(path)?;
        Ok(self.root.join(path))
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(self.full(path)?)?;
        Ok(Box::new(RealAppendFile(file)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadFile>> {
        Ok(Arc::new(RealReadFile(File::open(self.full(path)?)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.full(from)?, self.full(to)?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.full(from)?, self.full(to)?);
        match renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            // Some network file systems lack the flag. A hard link fails alike when the name is taken.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(&from, &to)?;
                fs::remove_file(&from)
            }
            other => other.map_err(io::Error::from),
        }
    }

    /// A hard link, which takes no space and no time; a copy where the file system has none.
    fn duplicate(&self, from: &str, to: &str) -> io::Result<()> {
        match fs::hard_link(self.full(from)?, self.full(to)?) {
            Err(error)
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
            {
                fs::copy(self.full(from)?, self.full(to)?)?;
                File::open(self.full(to)?)?.sync_all()
            }
            linked => linked,
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.full(path)?)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>> {
        let entries = match fs::read_dir(self.full(dir)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(describe(&entry?)?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn create_dirs(&self, dir: &str) -> io::Result<()> {
        let mut made = String::new();
        for name in dir.split('/').filter(|name| !name.is_empty()) {
            let above = made.clone();
            if !made.is_empty() {
                made.push('/');
            }
            made.push_str(name);
            match fs::create_dir(self.full(&made)?) {
                Ok(()) => self.sync_dir(&above)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn remove_empty_dir(&self, dir: &str) -> io::Result<()> {
        fs::remove_dir(self.full(dir)?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.full(dir)?)?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Space { total: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
    }

    fn lock(&self, path: &str) -> io::Result<Option<DiskLock>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(self.full(path)?)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DiskLock { _held: Box::new(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// `None` for an entry that vanished between listing and looking.
fn describe(entry: &fs::DirEntry) -> io::Result<Option<DiskEntry>> {
    let meta = match entry.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        meta => meta?,
    };
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(DiskEntry {
        name: entry.file_name().to_string_lossy().into_owned(),
        is_dir: meta.is_dir(),
        len: meta.len(),
        modified_ms: modified.as_millis() as i64,
    }))
}

#[derive(Debug)]
struct RealAppendFile(File);

impl AppendFile for RealAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[derive(Debug)]
struct RealReadFile(File);

impl ReadFile for RealReadFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}
