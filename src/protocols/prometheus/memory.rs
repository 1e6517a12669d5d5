//! The memory of what is listed: names, values, labels, exemplars, and the answer that is written of
//! them. It is taken from a budget like that of a query, and through it from that of all queries.

use super::envelope::{ApiError, Context};
use crate::api::json;
use promql::QueryError;
use query::{Holding, HoldingLimits, Weight};
use std::sync::Arc;

/// What to ask less of.
const ADVICE: &str = "fewer names or series (with match[], start and end, or limit)";

impl Context {
    /// What this request may hold while it lists.
    pub(super) fn listing_memory(&self) -> Holding {
        let limits = HoldingLimits {
            samples: self.services().metric_options.engine.samples_max,
            bytes: self.services().metric_options.engine.memory_max,
            bytes_setting: "promql.max_memory",
            bytes_advice: ADVICE,
        };
        Holding::new(limits, Some(&Arc::clone(&self.services().query_memory)))
            .until(self.cancel.clone())
    }
}

pub(super) fn take(memory: &Holding, bytes: usize) -> Result<(), ApiError> {
    Ok(memory.take(Weight::bytes(bytes)).map_err(QueryError::from)?)
}

/// Writes a list as JSON as long as there is room for it.
pub(super) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    memory: &Holding,
    write: impl Fn(&mut Vec<u8>, T),
) -> Result<(), ApiError> {
    let (mut portions, mut taken) = (memory.portions(), Ok(()));
    json::list(out, items, |out, item| {
        if taken.is_ok() {
            let before = out.len();
            write(out, item);
            taken = portions.take(Weight::bytes(out.len() - before));
        }
    });
    Ok(taken.and_then(|()| portions.settle()).map_err(QueryError::from)?)
}
