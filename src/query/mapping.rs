//! Mapping the values of a column one by one.

use crate::column::{Slot, StepColumn};
use model::FloatHistogram;
use std::sync::Arc;

/// Replaces every float; `None` removes it. Histograms stay.
pub fn map_floats(column: &mut StepColumn, map: impl Fn(f64) -> Option<f64>) {
    let removed: Vec<usize> = (0..column.steps())
        .filter(|step| {
            let mapped = column.float(*step).map(&map);
            match mapped {
                Some(Some(value)) => {
                    column.raw_values_mut()[*step] = value;
                    false
                }
                Some(None) => true,
                None => false,
            }
        })
        .collect();
    removed.into_iter().for_each(|step| column.remove(step));
}

/// A float for every value; `None` leaves it out.
pub fn mapped_to_floats(
    column: &StepColumn,
    float: impl Fn(f64) -> Option<f64>,
    histogram: impl Fn(&FloatHistogram) -> Option<f64>,
) -> StepColumn {
    let mut out = StepColumn::new(column.steps());
    for (step, slot) in column.iter() {
        let value = match slot {
            Slot::Float(value) => float(value),
            Slot::Histogram(value) => histogram(value),
        };
        if let Some(value) = value {
            out.set_float(step, value);
        }
    }
    out
}

/// Every sample mapped to its own kind; `None` removes it.
pub fn mapped(
    column: &StepColumn,
    float: impl Fn(f64) -> Option<f64>,
    histogram: impl Fn(&FloatHistogram) -> Option<FloatHistogram>,
) -> StepColumn {
    let mut out = StepColumn::new(column.steps());
    for (step, slot) in column.iter() {
        match slot {
            Slot::Float(value) => {
                if let Some(value) = float(value) {
                    out.set_float(step, value);
                }
            }
            Slot::Histogram(value) => {
                if let Some(value) = histogram(value) {
                    out.set_histogram(step, Arc::new(value));
                }
            }
        }
    }
    out
}
