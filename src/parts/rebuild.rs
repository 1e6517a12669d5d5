//! The last resort: rebuilds a manifest from what the parts record about themselves.
//!
//! 1. Open every part file; the damage entry names those that can't be read.
//! 2. Leave out the parts from which another part was merged: that part has their rows.
//! 3. Cover the highest position that any part covered, so that replay of the write-ahead log
//!    brings no row twice.
//! 4. Publish under a number above every generation that any file mentions: later tombstones must
//!    be newer than those already applied to any part.
//!
//! What parts do not record is lost: tombstones, quarantines, the engine's state. A part that was
//! dropped, or never published, and not deleted yet, comes back. The damage entry says so.

use crate::PartError;
use crate::footer::PartMeta;
use crate::keys::{generation_of, manifest_key, manifests_prefix, parts_prefix};
use crate::manifest::{Damage, Manifest, PartInfo};
use crate::manifest_format;
use crate::open_parts::Site;
use crate::part::Part;
use crate::store::PartStore;
use model::{Signal, TenantId, Ulid};
use platform::Blobs;
use std::collections::BTreeSet;

impl PartStore {
    /// For when `open` returns `NoReadableManifest` and there is no backup.
    pub fn rebuild(site: &Site, tenant: TenantId, signal: Signal) -> Result<Self, PartError> {
        let Site { blobs, clock, .. } = site;
        let (found, bad) = read_parts(blobs.as_ref(), &tenant, signal)?;
        let manifests = manifests_prefix(&tenant, signal);
        let listed = blobs.list(&manifests).map_err(PartError::io(&manifests))?;
        let highest = listed.iter().filter_map(|blob| generation_of(&blob.key)).max().unwrap_or(0);
        let manifest = assemble(&tenant, signal, &found, &bad, highest, clock.wall_ms());
        let key = manifest_key(&tenant, signal, manifest.generation);
        let bytes = manifest_format::encode(&manifest);
        blobs.put_new(&key, &bytes).map_err(PartError::io(&key))?;
        Self::open(site, tenant, signal)
    }
}

type Found = Vec<(PartMeta, u64)>;

fn read_parts(
    blobs: &dyn Blobs,
    tenant: &TenantId,
    signal: Signal,
) -> Result<(Found, Vec<String>), PartError> {
    let prefix = parts_prefix(tenant, signal);
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for blob in blobs.list(&prefix).map_err(PartError::io(&prefix))? {
        match Part::open(blobs, &blob.key) {
            Ok(part) if part.meta().tenant == *tenant && part.meta().signal == signal => {
                found.push((part.meta().clone(), part.bytes()));
            }
            Ok(_) => bad.push(format!("{} belongs to another store", blob.key)),
            Err(error) if error.is_damage() => bad.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok((found, bad))
}

fn assemble(
    tenant: &TenantId,
    signal: Signal,
    found: &Found,
    bad: &[String],
    highest: u64,
    now_ms: i64,
) -> Manifest {
    let metas = || found.iter().map(|(meta, _)| meta);
    let merged: BTreeSet<Ulid> = metas().flat_map(|meta| meta.summary.sources.clone()).collect();
    let live = found.iter().filter(|(meta, _)| !merged.contains(&meta.id));
    let mut parts: Vec<PartInfo> = live.map(|(meta, bytes)| PartInfo::of(meta, *bytes)).collect();
    parts.sort_by_key(|part| part.id);
    let applied = metas().map(|meta| meta.summary.tombstones_applied).max().unwrap_or(0);
    let text = "the manifest was rebuilt from the parts: deletes that no merge had applied yet are \
                undone, and rows that had been dropped a short time before may be back";
    let texts = std::iter::once(text.to_owned()).chain(bad.iter().cloned());
    Manifest {
        generation: highest.max(applied) + 1,
        created_ms: now_ms,
        covered: metas().map(|meta| meta.summary.covered).max().unwrap_or_default(),
        parts,
        damage: texts.map(|text| Damage { found_ms: now_ms, text }).collect(),
        ..Manifest::empty(tenant.clone(), signal)
    }
}
