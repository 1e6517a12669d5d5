//! Raw series in order of their labels, for federation, exports and remote read. The samples of only
//! one series are in memory at a time.

use super::envelope::{ApiError, Context};
use super::memory::take as hold;
use crate::api::stream::Gone;
use metric_store::{Scratch, Select, SeriesSamples, StoreError, in_label_order};
use model::{FloatHistogram, Labels, Matcher, TimeUnit, is_stale};
use promql::QueryError;
use query::{Holding, Stop};
use std::sync::Arc;

impl From<Gone> for ApiError {
    fn from(_: Gone) -> Self {
        QueryError::from(Stop::Cancelled).into()
    }
}

/// The order of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Labels,
    /// By metric first, because the text formats need the series of a family together.
    Metric,
}

/// Calls `take` once for every series that any of the selectors matches, until the client goes away.
pub(super) fn each_series(
    context: &Context,
    selectors: &[Vec<Matcher>],
    (start_ms, end_ms): (i64, i64),
    order: Order,
    memory: &Holding,
    mut take: impl FnMut(&Labels, SeriesSamples<'_>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    if end_ms < start_ms {
        return Ok(());
    }
    let store = &context.metrics()?.store;
    let time = TimeUnit::Millis.between(start_ms, end_ms.max(start_ms));
    let select = |matchers: &Vec<Matcher>| {
        store.select(&context.call.tenant, &Select { time, matchers, values_needed: true })
    };
    let failed = |error: StoreError| QueryError::Storage(error.into());
    let selections = selectors.iter().map(select).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut scratch = Scratch::default();
    let read = |(labels, (selection, index)): (Labels, (usize, usize))| {
        if context.cancel.is_cancelled() {
            return Err(Gone.into());
        }
        take(&labels, selections[selection].read(index, &mut scratch).map_err(failed)?)
    };
    let mut by_labels = in_label_order(&selections, &mut memory.portions())?;
    match order {
        Order::Labels => by_labels.try_for_each(read),
        Order::Metric => {
            let mut all = Vec::new();
            for one in by_labels {
                hold(memory, one.0.as_bytes().len() + 2 * size_of_val(&one))?;
                all.push(one);
            }
            // A stable sort keeps the order of labels within a metric.
            all.sort_by(|(left, _), (right, _)| left.metric_name().cmp(right.metric_name()));
            all.into_iter().try_for_each(read)
        }
    }
}

/// A sample of either kind.
pub(super) enum Newest<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The last sample in the range, unless it is the marker of a series' end.
pub(super) fn newest<'a>(
    columns: &SeriesSamples<'a>,
    (start_ms, end_ms): (i64, i64),
) -> Option<(i64, Newest<'a>)> {
    let within = |time: &i64| (start_ms..=end_ms).contains(time);
    let float = columns.floats.times.iter().rposition(within);
    let histogram = columns.histograms.times.iter().rposition(within);
    let float = float.map(|at| (columns.floats.times[at], columns.floats.values[at]));
    let histogram =
        histogram.map(|at| (columns.histograms.times[at], &columns.histograms.values[at]));
    match (float, histogram) {
        (Some((time, value)), other) if other.is_none_or(|(later, _)| later < time) => {
            (!is_stale(value)).then_some((time, Newest::Float(value)))
        }
        (_, Some((time, value))) => {
            (!is_stale(value.sum)).then_some((time, Newest::Histogram(value)))
        }
        (_, None) => None,
    }
}
