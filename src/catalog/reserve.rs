//! Space that the catalog sets aside, so that it can be opened on a full disk.
//!
//! sled writes up to a segment of half a megabyte whenever it is opened, and a store whose write has
//! failed takes no further ones until a restart. So while a disk is nearly full the folder holds a
//! file without meaning that is given back before the store is opened on a full disk, and the catalog
//! refuses a change for which there may be no space before the store sees it.

use crate::CatalogError;
use platform::{Disk, RealDisk};
use std::io::{self, ErrorKind};

const FILE: &str = "reserve";
const BYTES: u64 = 1 << 20;
/// With less free space than this a disk is nearly full.
const NEARLY_FULL: u64 = 256 << 20;
/// The file grows by this, so that on a nearly full disk it takes what there is.
const STEP: usize = 64 << 10;

/// Gives the reserve back where the disk has less space than opening may need.
pub(crate) fn release_if_needed(disk: &RealDisk) -> Result<(), CatalogError> {
    if has_space(disk) {
        return Ok(());
    }
    match disk.remove(FILE) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(CatalogError::io(FILE)(error)),
        _ => Ok(()),
    }
}

/// Takes the reserve on a nearly full disk, as much of it as there is space for.
pub(crate) fn refill(disk: &RealDisk) -> Result<(), CatalogError> {
    if disk.space().is_ok_and(|space| space.free >= NEARLY_FULL) {
        return Ok(());
    }
    let listed = disk.list("").map_err(CatalogError::io(FILE))?;
    let found = listed.iter().find(|entry| entry.name == FILE);
    if found.is_some_and(|entry| entry.len >= BYTES) || (found.is_some() && !has_space(disk)) {
        return Ok(());
    }
    match write(disk, found.is_some()) {
        Err(error) if error.kind() != ErrorKind::StorageFull => Err(CatalogError::io(FILE)(error)),
        _ => Ok(()),
    }
}

fn write(disk: &RealDisk, exists: bool) -> io::Result<()> {
    if exists {
        disk.remove(FILE)?;
    }
    let mut file = disk.create(FILE)?;
    // File systems that compress would give no space to zeros.
    let mut noise = 1u64;
    let mut step = || -> Vec<u8> {
        let next = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        };
        (0..STEP).map(next).collect()
    };
    for _ in 0..BYTES / STEP as u64 {
        file.append(&step())?;
    }
    file.sync()
}

/// A disk that can't be asked has space: the write itself finds out.
pub(crate) fn has_space(disk: &RealDisk) -> bool {
    disk.space().map_or(true, |space| space.free >= BYTES)
}
