//! The store through its public interface, on a simulated disk: against a model.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod model;
mod spans;
