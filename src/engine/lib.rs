//! What all engines have in common, whatever their signal. Step 3.
//!
//! Lives here: the trait through which the gateway sees an engine ([`Engine`]), and [`Store`], which
//! implements it for any [`Kind`] of rows: tenants, live and frozen heads, what of the write-ahead
//! log is still needed, flushes, merges with quarantine, deletes, the order of parts, the planner of
//! merges, and a cache for what was decoded.
//! Not here: what a row is and how a part holds it (the engines), when to flush or merge (ingest),
//! files and manifests (parts), the write-ahead log itself (wal).
//! Invariants: every applied row is in exactly one of a head and the parts that a view names; a
//! manifest covers a position of the write-ahead log only when all accepted batches below it are in
//! parts; a refused batch stays in the write-ahead log until an operator gives it up; no lock that
//! a batch or a query needs is held during I/O.
//!
//! Read first: [`Kind`], [`Store`], [`Tenant`]. A worked example: `docs/how-to/add-an-engine.md`.

mod age;
mod api;
mod cache;
mod flush;
mod head;
mod kind;
mod label_delete;
mod memory;
mod merge;
mod origin;
mod plan;
mod refused;
mod store;
mod tenant;
mod tenants;
#[cfg(feature = "testing")]
pub mod testing;
mod view;

pub use age::Age;
pub use api::{
    BatchKind, Engine, EngineError, EngineStats, HeadSize, Intake, MergeRequest, RefusedBatches,
    TenantStatus,
};
pub use cache::Cache;
pub use head::Head;
pub use kind::{InputFailed, Kind};
pub use label_delete::{LabelDelete, LabelDeletes, LabelValues};
pub use memory::{HeadMemory, HeadsFull, MemoryBudget};
pub use origin::{FlushOrigin, PartOrigin};
pub use plan::{MergeOrder, plan_erasures, plan_merges};
pub use store::{Store, TenantLimit};
pub use tenant::Tenant;
pub use view::View;
