//! Tests of the whole store, on a simulated disk.

#![allow(clippy::unwrap_used, reason = "tests stop where they stand")]

mod model;
mod world;
