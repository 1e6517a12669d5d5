//! Columns as window functions want them.

use crate::storage::{Column, SeriesColumns};
use model::{FloatHistogram, is_stale};
use std::sync::Arc;

/// Columns without stale markers. They are borrowed where there are no markers, which is nearly
/// always, and copied into these buffers otherwise.
#[derive(Debug, Default)]
pub(crate) struct CleanColumns {
    float_times: Vec<i64>,
    floats: Vec<f64>,
    float_starts: Vec<i64>,
    histogram_times: Vec<i64>,
    histograms: Vec<Arc<FloatHistogram>>,
    histogram_starts: Vec<i64>,
}

impl CleanColumns {
    pub(super) fn without_stale<'a>(
        &'a mut self,
        columns: SeriesColumns<'a>,
        start_timestamps: bool,
    ) -> SeriesColumns<'a> {
        let Self { float_times, floats, float_starts, .. } = self;
        let Self { histogram_times, histograms, histogram_starts, .. } = self;
        let mut columns = columns;
        if !start_timestamps {
            columns.floats.starts = &[];
            columns.histograms.starts = &[];
        }
        let stale = |histogram: &Arc<FloatHistogram>| is_stale(histogram.sum);
        SeriesColumns {
            floats: cleaned(columns.floats, |v| is_stale(*v), float_times, floats, float_starts),
            histograms: cleaned(
                columns.histograms,
                stale,
                histogram_times,
                histograms,
                histogram_starts,
            ),
        }
    }
}

fn cleaned<'a, T: Clone>(
    column: Column<'a, T>,
    is_stale: impl Fn(&T) -> bool,
    times: &'a mut Vec<i64>,
    values: &'a mut Vec<T>,
    starts: &'a mut Vec<i64>,
) -> Column<'a, T> {
    if !column.values.iter().fold(false, |any, value| any | is_stale(value)) {
        return column;
    }
    times.clear();
    values.clear();
    starts.clear();
    for (index, value) in column.values.iter().enumerate() {
        if is_stale(value) {
            continue;
        }
        times.push(column.times[index]);
        values.push(value.clone());
        starts.extend(column.starts.get(index));
    }
    Column { times, values, starts }
}
