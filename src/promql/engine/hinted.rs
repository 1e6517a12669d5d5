//! Histograms of which only counts and sums are needed. A store may leave out their buckets, which tell
//! resets, so resets are looked for while the histograms are read and kept as hints.

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
    histogram: &Arc<FloatHistogram>,
    previous: Option<&Arc<FloatHistogram>>,
) -> Arc<FloatHistogram> {
    let settled = histogram.reset_hint != ResetHint::Unknown || is_stale(histogram.sum);
    match previous {
        Some(previous) if !settled => {
            let reset = histogram.is_reset_from(previous);
            let mut hinted = (**histogram).clone();
            hinted.reset_hint = if reset { ResetHint::Reset } else { ResetHint::NotReset };
            Arc::new(hinted)
        }
        _ => histogram.clone(),
    }
}
