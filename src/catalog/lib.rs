//! Small things that people and programs set: users, tokens, tenants, settings, and what later
//! crates keep here. Step 4.
//!
//! Lives here: one trait over an embedded key-value store, implemented on sled and on redb; the
//! wrapper that makes damage of a store visible; the journal and exports; migrations; tokens and users.
//! Not here: series, parts, manifests, the write-ahead log: these have checksummed files of their
//! own, so that losing the catalog never loses telemetry. Nor anything that changes more than once
//! a second.
//! Invariants: a write is in the journal and in the store, durably, before it is acknowledged, so that
//! either of them alone has it; a read returns what was written, or an error; a catalog that can't be
//! read as it was acknowledged does not open, unless an operator decides for an export, and then
//! reports it until an administrator acknowledges it; secrets are stored as hashes only.
//! When you change what is stored: add `migrations/NNNN_name.json`.
//!
//! Read first: [`Catalog`], [`Store`], [`Tokens`], [`Users`].

mod access;
mod assembly;
mod catalog;
mod envelope;
mod error;
mod export;
mod inspect;
mod journal;
mod migrations;
mod recovery;
mod redb_store;
mod reserve;
mod sled_store;
mod store;
mod telemetry;
mod tokens;
mod users;

pub use access::{Identity, Scope, TenantAccess};
pub use catalog::{Catalog, EXPORTS_KEPT, SIZE_ALARM_BYTES};
pub use error::CatalogError;
pub use export::EXPORT_FORMAT_VERSION;
pub use inspect::describe;
pub use migrations::SCHEMA_VERSION;
pub use recovery::Backend;
pub use store::{Change, Entries, Store};
pub use telemetry::METRICS;
pub use tokens::{NewToken, PREFIX as TOKEN_PREFIX, TokenInfo, Tokens};
pub use users::{UserInfo, Users};
