//! Raw series in order of their labels, for federation, exports and remote read. The samples of only
//! one series are in memory at a time.

use super::derived;
use super::envelope::{ApiError, Context};
use super::memory::take as hold;
use crate::api::stream::Gone;
use metric_store::{Samples, Select, SeriesSamples, StoreError, in_label_order};
use model::{FloatHistogram, Labels, Matcher, TimeUnit, is_stale};
use promql::storage::{Column, SeriesColumns};
use promql::{QueryError, Selection as _};
use query::{Holding, Stop};
use std::cmp::Ordering;
use std::iter::Peekable;
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
        let wanted = Select { time, matchers, values_needed: true };
        store.select(&context.call.tenant, &wanted, &mut &*memory)
    };
    let failed = |error: StoreError| QueryError::Storage(error.into());
    let selections = selectors.iter().map(select).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let of_spans = derived::samples(context, selectors, (start_ms, end_ms), memory)?;
    let (mut scratch, mut derived_scratch) = Default::default();
    let read = |(labels, place): (Labels, Place)| {
        if context.cancel.is_cancelled() {
            return Err(Gone.into());
        }
        match place {
            Place::Stored((selection, index)) => {
                take(&labels, selections[selection].read(index, &mut scratch).map_err(failed)?)
            }
            Place::Derived(index) => {
                let columns =
                    of_spans.columns(index, &mut derived_scratch).map_err(derived::failed)?;
                take(&labels, samples(columns))
            }
        }
    };
    let stored = in_label_order(&selections, &mut memory.portions())?;
    let of_spans = (0..of_spans.len()).map(|index| (of_spans.labels(index), index));
    let mut by_labels = InOrder { stored: stored.peekable(), derived: of_spans.peekable() };
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

/// Where a series is: its selection and its number there, or its number among the derived ones.
#[derive(Clone, Copy, Debug)]
enum Place {
    Stored((usize, usize)),
    Derived(usize),
}

/// Stored and derived series in the order of labels; of two with the same labels the stored one.
struct InOrder<S: Iterator, D: Iterator> {
    stored: Peekable<S>,
    derived: Peekable<D>,
}

impl<S, D> Iterator for InOrder<S, D>
where
    S: Iterator<Item = (Labels, (usize, usize))>,
    D: Iterator<Item = (Labels, usize)>,
{
    type Item = (Labels, Place);

    fn next(&mut self) -> Option<Self::Item> {
        if let (Some((stored, _)), Some((derived, _))) = (self.stored.peek(), self.derived.peek()) {
            match derived.cmp(stored) {
                Ordering::Less => {
                    return self.derived.next().map(|(labels, at)| (labels, Place::Derived(at)));
                }
                Ordering::Equal => drop(self.derived.next()),
                Ordering::Greater => {}
            }
        }
        let stored = self.stored.next().map(|(labels, place)| (labels, Place::Stored(place)));
        stored.or_else(|| self.derived.next().map(|(labels, at)| (labels, Place::Derived(at))))
    }
}

/// Derived columns as the store hands out its own.
fn samples(columns: SeriesColumns<'_>) -> SeriesSamples<'_> {
    fn of<T>(column: Column<'_, T>) -> Samples<'_, T> {
        Samples { times: column.times, values: column.values, starts: column.starts }
    }
    SeriesSamples { floats: of(columns.floats), histograms: of(columns.histograms) }
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
