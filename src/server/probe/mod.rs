//! The probe: a signal of opaque records that goes the way of every other one, through the
//! write-ahead log, heads, parts, merges and retention. Durability tests push it and count what
//! comes back; it is off unless the settings switch it on.

mod engine;
mod handlers;
pub mod records;

pub use engine::{Probe, ProbeBatch, ProbeStore, read_all};
pub(crate) use handlers::{read, write};
