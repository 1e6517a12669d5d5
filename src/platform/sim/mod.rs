//! A simulated machine: a disk that forgets what was not synced, fails where it is told to, and
//! fills up; a clock that moves when it is told to.
//!
//! Lives here: the model of what a disk promises, the faults, the policies of a crash.
//! Not here: randomness (the real [`SeededRandom`](crate::SeededRandom) repeats already), threads.
//! Invariants: without faults it behaves as the real disk does (one conformance test runs on
//! both); the same calls and the same seed leave the same bytes.
//!
//! What is modelled. A file's bytes are durable after its `sync`, its name after `sync_dir` of its
//! folder, and neither stands for the other. A failed `sync` loses what it was asked to save, and
//! a later `sync` that succeeds does not bring it back (Linux drops the dirty mark of pages that
//! could not be written). Bytes that were synced stay whole when what follows them is torn.

mod clock;
mod crash;
mod disk;
mod faults;
mod state;
#[cfg(test)]
mod tests;

pub use clock::SimClock;
pub use crash::CrashPolicy;
pub use disk::SimDisk;
pub use faults::{Fault, Operation};

/// The seed of a random test: from the environment variable `SEED`, else a new one. Either way it
/// is printed, so that a failure can be run again.
#[expect(clippy::print_stderr, reason = "this is for the reader of a failed test")]
pub fn test_seed() -> u64 {
    use crate::Random;
    let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| crate::OsRandom.next_u64());
    eprintln!("SEED={seed}");
    seed
}
