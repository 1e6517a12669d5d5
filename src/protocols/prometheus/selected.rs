//! Raw series in order of their labels, for federation, exports and remote read. The labels of all
//! series are in memory, but the columns of only one at a time.

use super::envelope::{ApiError, Context};
use crate::api::stream::Gone;
use crate::services::MetricReader;
use model::{FloatHistogram, Labels, Matcher, is_stale};
use promql::storage::{Scratch, SeriesColumns};
use promql::{QueryError, SelectHints, Selection};
use query::Stop;
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
    reader: &dyn MetricReader,
    selectors: &[Vec<Matcher>],
    (start_ms, end_ms): (i64, i64),
    order: Order,
    mut take: impl FnMut(&Labels, SeriesColumns<'_>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
    let select = |matchers: &Vec<Matcher>| reader.select(&hints, matchers);
    let selections = selectors.iter().map(select).collect::<Result<Vec<_>, _>>();
    let selections = selections.map_err(QueryError::Storage)?;
    let mut scratch = Scratch::default();
    for (labels, selection, index) in in_order(&selections, order) {
        if context.cancel.is_cancelled() {
            return Err(Gone.into());
        }
        scratch.clear();
        let selection = &selections[selection];
        take(&labels, selection.columns(index, &mut scratch).map_err(QueryError::Storage)?)?;
    }
    Ok(())
}

/// The labels of each series, the number of its selection, and its number in that selection.
fn in_order(selections: &[Box<dyn Selection + '_>], order: Order) -> Vec<(Labels, usize, usize)> {
    let numbered = selections.iter().enumerate();
    let mut found: Vec<_> = numbered
        .flat_map(|(number, selection)| {
            (0..selection.len()).map(move |index| (selection.labels(index), number, index))
        })
        .collect();
    found.sort();
    found.dedup_by(|later, first| later.0 == first.0);
    if order == Order::Metric {
        // A stable sort keeps the order of labels within a metric.
        found.sort_by(|left, right| left.0.metric_name().cmp(right.0.metric_name()));
    }
    found
}

/// A sample of either kind.
pub(super) enum Newest<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The last sample in the range, unless it is the marker of a series' end.
pub(super) fn newest<'a>(
    columns: &SeriesColumns<'a>,
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
