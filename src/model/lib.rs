//! The nouns that every crate shares. Step 0: depends on no other crate of the house.
//!
//! Lives here: tenants, signals, time ranges and days, part ids, error kinds.
//! Not here: input and output of any kind, wire formats, how anything is stored.
//! Invariants: a `TenantId` is always valid and safe as one path component; a `TimeRange` is
//! never empty; ids that were minted on one machine sort in the order of their minting.

mod error;
mod signal;
mod tenant;
mod time;
mod ulid;

pub use error::ErrorKind;
pub use signal::Signal;
pub use tenant::{TenantError, TenantId};
pub use time::{Day, TimeRange};
pub use ulid::Ulid;
