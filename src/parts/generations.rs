//! Finds the newest readable manifest and reports the unreadable ones that it skipped.

use crate::keys::{generation_of, manifest_key, manifests_prefix};
use crate::manifest::Manifest;
use crate::manifest_format::{self, MANIFEST_LENGTH_MAX};
use crate::{PartError, telemetry};
use model::{Signal, TenantId, Ulid};
use platform::Blobs;
use std::collections::BTreeSet;
use std::io::ErrorKind::NotFound;

/// The generations found on disk.
#[derive(Debug, Default)]
pub(crate) struct Generations {
    /// The newest readable generation; `None` if there is none.
    pub(crate) current: Option<Manifest>,
    /// The newest readable generation before `current`.
    pub(crate) previous: Option<Manifest>,
    /// Generations newer than `current` that are unreadable.
    pub(crate) unreadable: Vec<u64>,
    /// The highest number on disk, readable or not; 0 for none.
    pub(crate) highest: u64,
    /// Every number on disk, in rising order.
    pub(crate) all: Vec<u64>,
    /// Parts that older generations name.
    pub(crate) once_named: BTreeSet<Ulid>,
}

impl Generations {
    pub(crate) fn load(
        blobs: &dyn Blobs,
        tenant: &TenantId,
        signal: Signal,
    ) -> Result<Self, PartError> {
        let prefix = manifests_prefix(tenant, signal);
        let listed = blobs.list(&prefix).map_err(PartError::io(&prefix))?;
        let all: Vec<u64> = listed.iter().filter_map(|blob| generation_of(&blob.key)).collect();
        let highest = all.last().copied().unwrap_or(0);
        let mut found = Self { highest, ..Self::default() };
        for generation in all.iter().rev() {
            match read(blobs, tenant, signal, *generation) {
                Ok(manifest) => found.take(manifest),
                // Falling back from a newer format would silently undo what a newer program did.
                Err(error @ PartError::OtherFormat { .. }) if found.current.is_none() => {
                    return Err(error);
                }
                Err(error) => found.pass_over(tenant, signal, *generation, &error),
            }
        }
        if found.current.is_none() && !all.is_empty() {
            return Err(PartError::NoReadableManifest { prefix, count: all.len() });
        }
        found.all = all;
        Ok(found)
    }

    fn take(&mut self, manifest: Manifest) {
        if self.current.is_none() {
            self.current = Some(manifest);
            return;
        }
        self.once_named.extend(manifest.named());
        if self.previous.is_none() {
            self.previous = Some(manifest);
        }
    }

    fn pass_over(&mut self, tenant: &TenantId, signal: Signal, generation: u64, why: &PartError) {
        if self.current.is_none() {
            self.unreadable.push(generation);
            let key = manifest_key(tenant, signal, generation);
            observe::emit(&telemetry::FellBack { key: &key, error: why });
        }
    }
}

/// Tries twice, to tell a temporary fault of the disk from a lasting one.
fn read(
    blobs: &dyn Blobs,
    tenant: &TenantId,
    signal: Signal,
    generation: u64,
) -> Result<Manifest, PartError> {
    let key = manifest_key(tenant, signal, generation);
    let bytes = read_bytes(blobs, &key).or_else(|_| read_bytes(blobs, &key))?;
    let manifest = manifest_format::decode(&key, &bytes)?;
    let named = (manifest.generation, &manifest.tenant, manifest.signal);
    if named != (generation, tenant, signal) {
        return Err(PartError::corrupt(&key, "it is another store's or generation's manifest"));
    }
    Ok(manifest)
}

fn read_bytes(blobs: &dyn Blobs, key: &str) -> Result<Vec<u8>, PartError> {
    let file = blobs.open(key).map_err(PartError::io(key))?;
    let length = file.len().map_err(PartError::io(key))?;
    if length > MANIFEST_LENGTH_MAX {
        return Err(PartError::corrupt(key, "it is longer than any manifest"));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).map_err(PartError::io(key))?;
    Ok(bytes)
}

/// Deletes all but the newest `keep` generations. A file that can't be deleted now is deleted
/// later.
pub(crate) fn prune(blobs: &dyn Blobs, tenant: &TenantId, signal: Signal, old: &[u64]) {
    for generation in old {
        let key = manifest_key(tenant, signal, *generation);
        match blobs.delete(&key) {
            Err(error) if error.kind() != NotFound => {
                observe::emit(&telemetry::GarbageStays { key: &key, error: &error });
            }
            _ => {}
        }
    }
}
