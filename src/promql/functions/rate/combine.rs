//! Adding and subtracting the histograms of a window.

use crate::function::WindowContext;
use model::FloatHistogram;
use query::{Combining, OperatorNote};

/// Adds or subtracts in place and notes what there is to note; `false` where it can't be done.
pub(super) fn combine(
    base: &mut FloatHistogram,
    other: &FloatHistogram,
    how: Combining,
    context: &WindowContext<'_>,
) -> bool {
    let done = match how {
        Combining::Subtraction => base.subtract(other),
        Combining::Addition | Combining::Aggregation => base.add(other),
    };
    match done {
        Ok(notes) => {
            if notes.bounds_reconciled {
                context.notes.add(OperatorNote::BoundsReconciled(how), context.position);
            }
            true
        }
        Err(_) => {
            note_mixed_buckets(context);
            false
        }
    }
}

pub(super) fn note_mixed_buckets(context: &WindowContext<'_>) {
    context.notes.add(OperatorNote::MixedExponentialCustom(context.metric()), context.position);
}
