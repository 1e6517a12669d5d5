//! YAML files of other systems: a tree of nodes that know their lines, and fields that are read by
//! name. Step 1.
//!
//! ```text
//! let node = Node::parse(text)?;
//! let mut fields = node.fields("a receiver")?;
//! let name: String = fields.required("name")?;
//! let wait = fields.or("group_wait", Duration { ms: 30_000 })?;
//! fields.end()?; // a field that was not asked for is an error with its line
//! ```
//!
//! The files are those of Prometheus, Alertmanager and Kubernetes, which are written for Go's decoder:
//! a scalar is whatever its field wants it to be (`job: 5` is a text where a text is wanted), null
//! means that the field is not there, and groups of fields stand inline in several kinds of mappings.
//! So a type reads its fields itself ([`FromNode`]); nothing is derived.
//!
//! Lives here: the tree (`node`, `parse`), fields (`fields`), scalars and lists (`read`), durations,
//! sizes and secrets (`units`), a tree as text again (`print`).
//! Not here: what any file means; files themselves.
//! Invariants: no text makes it panic; depth, size and what aliases stand for are bounded; every error
//! has its line; what was read as a [`Secret`] is printed as `<secret>`.

mod error;
mod fields;
mod node;
mod parse;
mod print;
mod read;
mod units;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use fields::Fields;
pub use node::Node;
pub use read::FromNode;
pub use units::{Duration, Secret, Size};
