//! Helpers that the tests share.

use catalog::{Backend, Catalog, CatalogError};
use platform::{RealClock, RealDisk, SeededRandom};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Sled, Backend::Redb];

/// A folder that is removed with its content at the end of the test.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("mirador-catalog-{}-{number}", std::process::id());
        // In memory where that is available: these tests sync thousands of times.
        let memory = Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(above.join(name))
    }

    pub(crate) fn open(&self, backend: Backend) -> Result<Catalog, CatalogError> {
        open(&self.0, backend)
    }

    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_folder(&self.0, &copy.0);
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => _ = std::fs::copy(entry.path(), target).unwrap(),
        }
    }
}

/// A child that another test starts inherits our locks between its fork and its exec, so a lock
/// that was just released may still be held for a moment.
pub(crate) fn open(folder: &Path, backend: Backend) -> Result<Catalog, CatalogError> {
    let retry = |opened: &Result<Catalog, CatalogError>| {
        matches!(opened, Err(CatalogError::Locked { .. } | CatalogError::Store { .. }))
    };
    let tries = (0..100_000).map(|_| {
        std::thread::yield_now();
        open_once(folder, backend)
    });
    tries.into_iter().find(|opened| !retry(opened)).unwrap()
}

pub(crate) fn open_once(folder: &Path, backend: Backend) -> Result<Catalog, CatalogError> {
    let disk = Arc::new(RealDisk::open(folder).unwrap());
    Catalog::open(disk, backend, Arc::new(RealClock::new()))
}

pub(crate) fn random(default: u64) -> SeededRandom {
    let seed = std::env::var("SEED").map_or(default, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    SeededRandom::new(seed)
}

pub(crate) fn settings(catalog: &Catalog) -> Result<BTreeMap<String, String>, CatalogError> {
    Ok(catalog.scan::<String>("settings/")?.into_iter().collect())
}

/// Writes `count` settings with values of different lengths.
pub(crate) fn fill(catalog: &Catalog, count: u64) -> BTreeMap<String, String> {
    for number in 0..count {
        let value = format!("value {number} ").repeat(1 + number as usize % 20);
        catalog.put(&format!("settings/{number:04}"), &value).unwrap();
    }
    settings(catalog).unwrap()
}
