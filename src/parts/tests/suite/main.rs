//! Parts and manifests with a failing disk, damaged files and racing writers. The tests take any
//! `Blobs`, so that the simulated disk can be used.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod bounds;
mod crash;
mod damage;
mod faults;
mod fixtures;
mod lifecycle;
mod support;
