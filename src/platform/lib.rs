//! The only access to the world outside of the process's memory: disk, clock, randomness, threads.
//! Step 1.
//!
//! Lives here: the traits, the real machine behind them, and a simulated one that can fail, tear
//! and lose what was not synced, driven by a seed.
//! Not here: file formats (wal, parts), sockets (server) but for what the kernel alone knows of them, anything asynchronous.
//! Invariants: every path is relative to the data folder and can't leave it, but for files of the
//! operator, which are only read (`outside`); a blob is either
//! whole and synced or absent. `clippy.toml` forbids the standard library's own functions for these.
//!
//! Read first: [`Disk`], [`Blobs`], [`Clock`].

mod blobs;
mod clock;
mod datagrams;
mod disk;
mod ids;
mod outside;
mod process;
mod random;
mod real;
pub mod sim;
pub mod threads;

#[cfg(test)]
mod conformance;

pub use blobs::{BlobInfo, BlobWriter, Blobs, DiskBlobs};
pub use clock::{Clock, Moment, RealClock};
pub use datagrams::{datagrams_dropped, set_receive_buffer};
pub use disk::{AppendFile, Disk, DiskEntry, DiskLock, ReadFile, Space, check_path};
pub use ids::Ids;
pub use outside::{glob_outside, read_outside, read_outside_text};
pub use process::{ProcessStats, create_privately, host_name, memory_bytes, working_dir};
pub use random::{OsRandom, Random, SeededRandom};
pub use real::RealDisk;
