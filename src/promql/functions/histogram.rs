//! Estimates from histograms, native and classic alike.

use super::classic::{HistogramGroups, bucket_fraction, bucket_quantile, metric_of};
use crate::annotations::Note;
use crate::error::QueryError;
use crate::function::Invocation;
use crate::value::Value;
use model::{FloatHistogram, Labels, NanObservations};
use query::OperatorNote;
use query::{Portions, Series, StepColumn, Weight, format_label_number, merged};

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn average(histogram: &FloatHistogram) -> f64 {
    histogram.sum / histogram.count
}

pub(super) fn count(histogram: &FloatHistogram) -> f64 {
    histogram.count
}

pub(super) fn sum(histogram: &FloatHistogram) -> f64 {
    histogram.sum
}

pub(super) fn stddev(histogram: &FloatHistogram) -> f64 {
    histogram.variance().sqrt()
}

/// One column per histogram, filled step by step.
struct Output {
    classic: Vec<StepColumn>,
    native: Vec<StepColumn>,
}

impl Output {
    fn new(
        groups: &HistogramGroups,
        series: usize,
        steps: usize,
        portions: &mut Portions<'_>,
    ) -> Result<Self> {
        let native = if groups.native.is_empty() { 0 } else { series };
        let empty = StepColumn::new(steps);
        let count = native + groups.classic.len();
        portions.take(Weight::bytes(count * (empty.weight().bytes + size_of::<Series>())))?;
        let columns = |count| vec![empty.clone(); count];
        Ok(Self { classic: columns(groups.classic.len()), native: columns(native) })
    }

    fn into_series(
        self,
        groups: &HistogramGroups,
        series: &[Series],
        mut relabel: impl FnMut(&Labels) -> Result<Labels>,
        delayed: bool,
    ) -> Result<Vec<Series>> {
        let native = self.native.into_iter().zip(series.iter().map(|one| &one.labels));
        let classic = self.classic.into_iter().zip(groups.classic.iter().map(|group| &group.0));
        let columns = native.chain(classic).filter(|(column, _)| !column.is_empty());
        columns
            .map(|(column, labels)| {
                let mut one = Series::new(relabel(labels)?, column);
                one.lose_name(delayed);
                Ok(one)
            })
            .collect()
    }
}

pub(super) fn fraction(mut call: Invocation<'_>) -> Result<Value> {
    let series = call.take_vector(2);
    let (lower, upper) = (call.scalar(0).to_vec(), call.scalar(1).to_vec());
    let (named, position) = (call.delayed(), call.arguments[2].position);
    let mut portions = call.holding.portions();
    let groups = HistogramGroups::new(&series, &mut portions)?;
    let mut output = Output::new(&groups, series.len(), call.grid.steps(), &mut portions)?;
    for step in 0..call.grid.steps() {
        call.evaluation.check_in_turn(step)?;
        groups.note_malformed(&series, step, named, call.notes, position);
        let (native, conflicts) = groups.native_at(&series, step, named, call.notes, position);
        for (index, histogram) in native {
            let (value, has_nan) = histogram.fraction(lower[step], upper[step]);
            if has_nan {
                let metric = metric_of(&series[index].labels, named);
                call.notes.add(Note::FractionNans(metric), position);
            }
            output.native[index].set_float(step, value);
        }
        for group in (0..groups.classic.len()).filter(|group| !conflicts.contains(group)) {
            let buckets = groups.buckets(group, &series, step);
            if !buckets.is_empty() {
                let value = bucket_fraction(lower[step], upper[step], buckets);
                output.classic[group].set_float(step, value);
            }
        }
    }
    let result = output.into_series(&groups, &series, |labels| Ok(labels.clone()), named)?;
    call.renamed(result)
}

pub(super) fn quantile(mut call: Invocation<'_>) -> Result<Value> {
    let series = call.take_vector(1);
    let mut portions = call.holding.portions();
    let groups = HistogramGroups::new(&series, &mut portions)?;
    let q = call.scalar(0).to_vec();
    let quantile = Quantile { call: &call, groups: &groups, series: &series, q: &q };
    let result = quantile.evaluate((0, 1), None, &mut portions)?;
    call.renamed(result)
}

/// Several quantiles at once, told apart by a label.
pub(super) fn quantiles(mut call: Invocation<'_>) -> Result<Value> {
    let series = call.take_vector(0);
    let mut portions = call.holding.portions();
    let groups = HistogramGroups::new(&series, &mut portions)?;
    let label = call.text(1);
    let mut result = Vec::new();
    for argument in 2..call.arguments.len() {
        let q = call.scalar(argument).to_vec();
        for (value, steps) in distinct(&q) {
            let only = |step: usize| if steps.contains(&step) { value } else { f64::NAN };
            let values: Vec<f64> = (0..q.len()).map(only).collect();
            let text = format_label_number(value);
            let quantile = Quantile { call: &call, groups: &groups, series: &series, q: &values };
            let named = Some((label.as_str(), text.as_str()));
            let mut part = quantile.evaluate((argument, 0), named, &mut portions)?;
            for one in &mut part {
                (0..q.len())
                    .filter(|step| !steps.contains(step))
                    .for_each(|step| one.column.remove(step));
            }
            part.retain(|one| !one.column.is_empty());
            result.extend(part);
        }
    }
    Ok(Value::Vector(merged(result)?))
}

/// The values of a column with the steps at which they stand: usually one value for all.
fn distinct(values: &[f64]) -> Vec<(f64, Vec<usize>)> {
    let mut found: Vec<(f64, Vec<usize>)> = Vec::new();
    for (step, value) in values.iter().enumerate() {
        match found.iter_mut().find(|(known, _)| known.to_bits() == value.to_bits()) {
            Some((_, steps)) => steps.push(step),
            None => found.push((*value, vec![step])),
        }
    }
    found
}

/// The quantile of every histogram of a vector, with a share for each step.
struct Quantile<'a> {
    call: &'a Invocation<'a>,
    groups: &'a HistogramGroups,
    series: &'a [Series],
    q: &'a [f64],
}

impl Quantile<'_> {
    /// `arguments`: where the quantile and the vector stand, for notes. `label`: what the result is told
    /// apart by.
    fn evaluate(
        &self,
        arguments: (usize, usize),
        label: Option<(&str, &str)>,
        portions: &mut Portions<'_>,
    ) -> Result<Vec<Series>> {
        let Self { call, groups, series, q } = *self;
        let (named, position) = (call.delayed(), call.arguments[arguments.1].position);
        let mut output = Output::new(groups, series.len(), q.len(), portions)?;
        for (step, q) in q.iter().copied().enumerate() {
            call.evaluation.check_in_turn(step)?;
            if !(0.0..=1.0).contains(&q) {
                call.notes.add(
                    OperatorNote::InvalidQuantile(q.to_bits()),
                    call.arguments[arguments.0].position,
                );
            }
            groups.note_malformed(series, step, named, call.notes, position);
            let (native, conflicts) = groups.native_at(series, step, named, call.notes, position);
            for (index, histogram) in native {
                let (value, nan) = histogram.quantile(q);
                let metric = || metric_of(&series[index].labels, named);
                if let Some(note) = nan_note(nan, metric) {
                    call.notes.add(note, position);
                }
                output.native[index].set_float(step, value);
            }
            for group in (0..groups.classic.len()).filter(|group| !conflicts.contains(group)) {
                let buckets = groups.buckets(group, series, step);
                if buckets.is_empty() {
                    continue;
                }
                let (value, forced) = bucket_quantile(q, buckets, call.grid.time(step));
                if let Some(range) = forced {
                    let metric = metric_of(&groups.classic[group].0, named);
                    call.notes.add_with_extent(Note::ForcedMonotonicity(metric), position, range);
                }
                output.classic[group].set_float(step, value);
            }
        }
        let relabel = |labels: &Labels| match label {
            None => Ok(labels.clone()),
            Some((name, value)) => {
                let length = labels.length_with(name, value.len());
                Ok(portions.labels(length, || labels.with(name, value))?)
            }
        };
        output.into_series(groups, series, relabel, named)
    }
}

fn nan_note(nan: NanObservations, metric: impl FnOnce() -> String) -> Option<Note> {
    match nan {
        NanObservations::Harmless => None,
        NanObservations::Skewing => Some(Note::QuantileNanSkew(metric())),
        NanObservations::Answering => Some(Note::QuantileNanResult(metric())),
    }
}
