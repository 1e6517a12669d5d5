//! The store through its public interface, on a simulated disk: against a model, with crashes and
//! damage.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod churn;
mod crash;
mod damage;
mod fixtures;
mod large;
mod memory;
mod model_test;
mod promises;
mod reading;
mod stress;
mod trouble;
mod waiting;
mod world;
