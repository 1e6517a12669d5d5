//! The store as its users see it, on a simulated disk: against a model, through crashes, over rot.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests stop where they stand")]

mod churn;
mod crash;
mod damage;
mod fixtures;
mod large;
mod model_test;
mod promises;
mod reading;
mod stress;
mod trouble;
mod waiting;
mod world;
