//! Immutable files of checksummed pages and the manifests that publish them. Step 2.
//!
//! Lives here: the part file (writer, reader, page directory), manifests and their generations,
//! retention, tombstones, quarantine, and deleting files that are not needed.
//! Not here: what a page holds (the engines), which parts to merge and when (`engine`), the
//! write-ahead log (`wal`).
//! Invariants: a part exists when the newest manifest generation names it, and then it is complete
//! and synced; generations only grow; the newest generation and the one before it always have all
//! their parts on disk; a page is returned only after its checksum matched.
//! When you change a layout: raise its `FORMAT_VERSION`, freeze a fixture of the old one under
//! `tests/`, update `docs/formats/part.md` or `docs/formats/manifest.md`.
//!
//! Read first: [`Site`], [`PartStore`], [`Part`], [`Manifest`].

mod compression;
mod directory;
mod error;
mod footer;
mod garbage;
mod generations;
pub mod inspect;
mod keys;
mod manifest;
mod manifest_format;
mod merge;
mod open_parts;
mod part;
mod rebuild;
mod retention;
mod store;
mod telemetry;
mod tenants;
mod writer;

pub use compression::Compression;
pub use directory::{PAGE_RAW_MAX, PAGES_MAX, PageEntry};
pub use error::PartError;
pub use footer::{PART_FORMAT_VERSION, PartMeta, PartSummary};
pub use garbage::{Collected, ORPHAN_AGE_MS};
pub use keys::{manifest_key, part_key};
pub use manifest::{Damage, Edit, Manifest, PartInfo, QuarantinedPart, Tombstone};
pub use manifest_format::MANIFEST_FORMAT_VERSION;
pub use merge::{LEVEL_MAX, MergePlan};
pub use open_parts::Site;
pub use part::{PageBuffer, Part};
pub use retention::{Retention, plan_retention};
pub use store::{GENERATIONS_KEPT, PartCheck, PartStore};
pub use telemetry::METRICS;
pub use tenants::tenants_with;
pub use writer::{NewPart, PartWriter};
