//! Histograms of which only counts and sums are needed. Their buckets tell resets, so resets are looked
//! for while the histograms are read and kept as hints; the buckets are left out then, so that nothing
//! is said about bounds that do not matter.

use crate::storage::{Scratch, Selection, SeriesColumns, StorageError};
use model::{FloatHistogram, Labels, ResetHint, is_stale};
use std::sync::Arc;

pub(super) struct Hinted<'a> {
    pub(super) inner: Box<dyn Selection + 'a>,
}

impl Selection for Hinted<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.inner.labels(index)
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let mut own = Scratch::default();
        let SeriesColumns { floats, histograms } = self.inner.columns(index, &mut own)?;
        scratch.clear();
        scratch.float_times.extend_from_slice(floats.times);
        scratch.floats.extend_from_slice(floats.values);
        scratch.float_starts.extend_from_slice(floats.starts);
        scratch.histogram_times.extend_from_slice(histograms.times);
        scratch.histogram_starts.extend_from_slice(histograms.starts);
        let mut previous: Option<&Arc<FloatHistogram>> = None;
        for histogram in histograms.values {
            scratch.histograms.push(with_hint(histogram, previous));
            if !is_stale(histogram.sum) {
                previous = Some(histogram);
            }
        }
        Ok(scratch.columns())
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }
}

fn with_hint(
    histogram: &FloatHistogram,
    previous: Option<&Arc<FloatHistogram>>,
) -> Arc<FloatHistogram> {
    let settled = histogram.reset_hint != ResetHint::Unknown || is_stale(histogram.sum);
    let reset_hint = match previous {
        Some(previous) if !settled && histogram.is_reset_from(previous) => ResetHint::Reset,
        Some(_) if !settled => ResetHint::NotReset,
        _ => histogram.reset_hint,
    };
    // The schema stays: exponential and custom buckets are not to be combined, whatever is asked of them.
    let FloatHistogram { count, sum, schema, .. } = *histogram;
    Arc::new(FloatHistogram { count, sum, schema, reset_hint, ..FloatHistogram::default() })
}
