//! The store through its public interface, on a simulated disk: against a model, with crashes and damage.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod crash;
mod damage;
mod fixtures;
mod measures;
mod model;
mod spans;
