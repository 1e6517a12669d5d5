//! Disks that lie in a folder of the source tree: what earlier versions wrote, for tests of reading it.
//!
//! `MIRADOR_FREEZE=1` writes such folders again: only for a new version of a format, or while a version is
//! not released.
#![expect(clippy::disallowed_methods, reason = "fixtures lie in the source tree")]

use platform::Disk;
use platform::sim::SimDisk;
use std::io;
use std::path::Path;

/// The disk in a folder. First `make` makes it and the folder is written, if the environment asks for it.
pub fn thawed(folder: &Path, make: impl FnOnce() -> SimDisk) -> io::Result<SimDisk> {
    if std::env::var("MIRADOR_FREEZE").is_ok() {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        freeze(&make(), "", folder)?;
    }
    let disk = SimDisk::new();
    thaw(&disk, folder, "")?;
    Ok(disk)
}

fn freeze(disk: &SimDisk, from: &str, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in disk.list(from)? {
        let (path, to) = (below(from, &entry.name), to.join(&entry.name));
        match entry.is_dir {
            true => freeze(disk, &path, &to)?,
            false => std::fs::write(to, disk.contents(&path)?)?,
        }
    }
    Ok(())
}

fn thaw(disk: &SimDisk, from: &Path, to: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let path = below(to, &entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            disk.create_dirs(&path)?;
            thaw(disk, &entry.path(), &path)?;
        } else {
            disk.overwrite(&path, &std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
