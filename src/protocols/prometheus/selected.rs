//! Raw series, one after the other, in order of their labels: what federation, exports and remote
//! read are made of. Labels are held for all of them, columns for one.

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

/// How series follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Labels,
    /// By metric first, as the text formats want their families.
    Metric,
}

/// Hands out every series that any of the selectors matches, once, until the client goes away.
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

/// Labels, which selection has them, and as which series.
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
        // Stable: within a metric the order of labels stays.
        found.sort_by(|left, right| left.0.metric_name().cmp(right.0.metric_name()));
    }
    found
}

/// A sample of either kind.
pub(super) enum Newest<'a> {
    Float(f64),
    Histogram(&'a Arc<FloatHistogram>),
}

/// The last sample in the range, unless it says that the series has ended.
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
