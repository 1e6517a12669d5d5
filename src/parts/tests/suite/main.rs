//! Parts and manifests against a disk that fails, files that rot, and writers that race.
//! Everything here takes any `Blobs`, so that the simulated disk can stand under it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod bounds;
mod crash;
mod damage;
mod faults;
mod fixtures;
mod lifecycle;
mod support;
