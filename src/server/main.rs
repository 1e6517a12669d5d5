//! `mirador`: the command line.

use std::process::ExitCode;

/// The system's allocator keeps what a wide query once held; this one gives it back
/// (docs/adr/0009).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    server::commands::run()
}
