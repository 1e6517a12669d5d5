//! The catalog on both stores: the same guarantees, kills and damage.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]
#![allow(clippy::disallowed_methods, reason = "tests damage files behind the catalog's back")]

mod access;
mod conformance;
mod crash;
mod damage;
mod support;
