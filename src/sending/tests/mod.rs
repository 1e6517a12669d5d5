//! Tests of sending on: decisions with a clock that the test drives, and whole queues between a store on a
//! simulated disk and a receiver on loopback.

mod decisions;
mod queues;
mod receiver;
mod world;

use crate::item::{Item, Value};
use crate::series::{Rewriting, Series};
use model::Labels;
use std::sync::Arc;

fn series(name: &str) -> Arc<Series> {
    let rewriting = Rewriting { external: Labels::empty(), relabel: Default::default() };
    rewriting.apply(&Labels::from_pairs([("__name__", name)])).unwrap()
}

fn item(name: &str, time_ms: i64, batch: u64) -> Item {
    let value = Value::Sample { time_ms, start_ms: 0, bits: 1f64.to_bits() };
    Item { series: series(name), value, batch, is_old: false }
}
