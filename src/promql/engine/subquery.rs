//! The result of a subquery as a selection, so that window functions read it like any other.

use crate::storage::{Column, Scratch, Selection, SeriesColumns, StorageError};
use model::{Labels, ResetHint};
use query::{Grid, Series, Slot};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Computed {
    series: Vec<Series>,
    times: Vec<i64>,
}

impl Computed {
    pub(crate) fn new(series: Vec<Series>, grid: Grid) -> Self {
        Self { series, times: grid.times().collect() }
    }

    /// Each series with the times of its steps.
    pub(crate) fn into_series(self) -> impl Iterator<Item = (Series, Arc<[i64]>)> {
        let times: Arc<[i64]> = self.times.into();
        self.series.into_iter().map(move |series| (series, times.clone()))
    }
}

impl Selection for Computed {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].labels.clone()
    }

    fn drops_name(&self, index: usize) -> bool {
        self.series[index].drop_name
    }

    fn columns<'s>(
        &'s self,
        index: usize,
        scratch: &'s mut Scratch,
    ) -> Result<SeriesColumns<'s>, StorageError> {
        let column = &self.series[index].column;
        let full = !column.has_histograms() && column.count() == self.times.len();
        if full {
            let values = column.raw_values();
            let floats = Column { times: &self.times, values, starts: &[] };
            return Ok(SeriesColumns { floats, histograms: Column::EMPTY });
        }
        scratch.clear();
        for (step, slot) in column.iter() {
            match slot {
                Slot::Float(value) => {
                    scratch.float_times.push(self.times[step]);
                    scratch.floats.push(value);
                }
                Slot::Histogram(histogram) => {
                    scratch.histogram_times.push(self.times[step]);
                    scratch.histograms.push(without_reset_hint(histogram));
                }
            }
        }
        Ok(scratch.columns())
    }
}

/// A subquery may leave out samples or repeat them, so what was said about resets between the
/// original samples no longer holds.
fn without_reset_hint(histogram: &Arc<model::FloatHistogram>) -> Arc<model::FloatHistogram> {
    match histogram.reset_hint {
        ResetHint::Reset | ResetHint::NotReset => {
            let mut plain = (**histogram).clone();
            plain.reset_hint = ResetHint::Unknown;
            Arc::new(plain)
        }
        ResetHint::Unknown | ResetHint::Gauge => histogram.clone(),
    }
}
