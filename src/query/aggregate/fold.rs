//! Aggregations that make one series of each group: `sum`, `avg`, `count`, `min`, `max`, `group`,
//! `stddev`, `stdvar`, `quantile`.
//!
//! A fold takes series one by one and keeps one accumulator per group and step. Folds over parts of
//! the series merge.

use super::{HistogramMean, HistogramSum, Mean, Outcome, quantile};
use crate::bitmap::Bitmap;
use crate::column::{Slot, StepColumn};
use crate::error::QueryError;
use crate::groups::LabelGroups;
use crate::holding::{Portions, Weight};
use crate::notes::{Combining, NoteSink, OperatorNote};
use crate::operators::{AggregateOp, Grouping};
use crate::position::Position;
use crate::series::Series;
use model::{FloatHistogram, KahanSum, Labels};
use std::sync::Arc;

type Result<T> = std::result::Result<T, QueryError>;

#[derive(Debug)]
pub struct Fold {
    op: AggregateOp,
    /// Numbers the groups as `groups` lists them.
    numbers: LabelGroups,
    groups: Vec<Group>,
    steps: usize,
    position: Position,
}

#[derive(Debug)]
struct Group {
    labels: Labels,
    drop_name: bool,
    floats: Floats,
    /// One per step where the group has histograms, else empty.
    histograms: Vec<Histograms>,
}

/// The accumulators of a group's floats, one per step.
#[derive(Debug)]
enum Floats {
    Sum { sums: Vec<KahanSum>, present: Bitmap },
    Mean(Vec<Mean>),
    Count(Vec<u32>),
    Extreme { values: Vec<f64>, present: Bitmap },
    Moments(Vec<Moments>),
    All(Vec<Vec<f64>>),
}

/// Welford's running mean and sum of squared distances from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0.0 || self.count == 0.0 {
            *self = if self.count == 0.0 { *other } else { *self };
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.mean += delta * other.count / count;
        self.count = count;
    }
}

#[derive(Clone, Debug)]
enum Histograms {
    None,
    Sum(Box<HistogramSum>),
    Mean(Box<HistogramMean>),
}

impl Fold {
    /// `position`: of what is aggregated, for notes.
    pub fn new(op: AggregateOp, grouping: &Grouping, steps: usize, position: Position) -> Self {
        Self {
            op,
            numbers: LabelGroups::new(grouping.choice()),
            groups: Vec::new(),
            steps,
            position,
        }
    }

    /// The accumulators of a group. Estimated: sums are kept with what rounding would have lost.
    fn weight_of_group(&self) -> Weight {
        Weight { samples: self.steps, bytes: self.steps * 24 + size_of::<Group>() }
    }

    fn group(&mut self, labels: &Labels, portions: &mut Portions<'_>) -> Result<usize> {
        let index = self.numbers.number(labels, portions)?;
        if index == self.groups.len() {
            portions.take(self.weight_of_group())?;
            let choice = self.numbers.choice();
            let labels = portions.labels(labels.as_bytes().len(), || labels.chosen(choice))?;
            self.groups.push(Group::new(self.op, labels, self.steps));
        }
        Ok(index)
    }

    /// Takes what it keeps from the query's memory first.
    pub fn add(
        &mut self,
        series: &Series,
        notes: &dyn NoteSink,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let index = self.group(&series.labels, portions)?;
        let (op, position) = (self.op, self.position);
        let group = &mut self.groups[index];
        group.drop_name |= series.drop_name;
        portions.take(group.floats.growth_by(&series.column))?;
        if !series.column.has_histograms() {
            group.floats.add_column(op, &series.column);
            return Ok(());
        }
        for (step, slot) in series.column.iter() {
            if group.is_incompatible(step) {
                continue;
            }
            match slot {
                Slot::Float(value) => group.floats.add(op, step, value),
                Slot::Histogram(histogram) => {
                    let known = group.add_histogram(op, step, histogram);
                    if !known {
                        notes.note(OperatorNote::HistogramIgnored(op.as_str()), position);
                    }
                    if group.is_incompatible(step) {
                        let metric = series.labels.metric_name().to_owned();
                        notes.note(OperatorNote::MixedExponentialCustom(metric), position);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in what another fold of the same aggregation has collected.
    pub fn merge(&mut self, other: Self) {
        for (key, group) in other.numbers.into_keys().zip(other.groups) {
            let index = self.numbers.number_of_key(key);
            match self.groups.get_mut(index) {
                Some(known) => known.merge(self.op, group),
                None => self.groups.push(group),
            }
        }
    }

    pub fn finish(self, parameter: &[f64], notes: &dyn NoteSink) -> Vec<Series> {
        let Self { op, steps, position, groups, .. } = self;
        let finished = groups.into_iter().filter_map(|group| {
            let (labels, drop_name) = (group.labels.clone(), group.drop_name);
            let column = group.finish(op, steps, parameter, notes, position);
            let mut series = Series::new(labels, column);
            series.drop_name = drop_name;
            (!series.column.is_empty()).then_some(series)
        });
        finished.collect()
    }
}

impl Group {
    fn new(op: AggregateOp, labels: Labels, steps: usize) -> Self {
        Self { labels, drop_name: false, floats: Floats::new(op, steps), histograms: Vec::new() }
    }

    fn is_incompatible(&self, step: usize) -> bool {
        match self.histograms.get(step) {
            Some(Histograms::Sum(sum)) => sum.is_incompatible(),
            Some(Histograms::Mean(mean)) => mean.is_incompatible(),
            _ => false,
        }
    }

    /// `false` where the aggregation has no use for histograms.
    fn add_histogram(&mut self, op: AggregateOp, step: usize, histogram: &FloatHistogram) -> bool {
        if let Floats::Count(counts) = &mut self.floats {
            counts[step] += 1;
            return true;
        }
        if !matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
            return false;
        }
        if self.histograms.is_empty() {
            self.histograms = vec![Histograms::None; self.floats.steps()];
        }
        let cell = &mut self.histograms[step];
        if matches!(cell, Histograms::None) {
            *cell = match op {
                AggregateOp::Sum => Histograms::Sum(Box::default()),
                _ => Histograms::Mean(Box::default()),
            };
        }
        match cell {
            Histograms::Sum(sum) => sum.add(histogram),
            Histograms::Mean(mean) => mean.add(histogram),
            Histograms::None => {}
        }
        true
    }

    fn merge(&mut self, op: AggregateOp, other: Self) {
        self.drop_name |= other.drop_name;
        self.floats.merge(op, other.floats);
        if self.histograms.is_empty() {
            self.histograms = other.histograms;
            return;
        }
        for (mine, theirs) in self.histograms.iter_mut().zip(other.histograms) {
            match (&mut *mine, theirs) {
                (_, Histograms::None) => {}
                (Histograms::Sum(mine), Histograms::Sum(theirs)) => mine.merge(*theirs),
                (Histograms::Mean(mine), Histograms::Mean(theirs)) => mine.merge(*theirs),
                (_, theirs) => *mine = theirs,
            }
        }
    }

    fn finish(
        self,
        op: AggregateOp,
        steps: usize,
        parameter: &[f64],
        notes: &dyn NoteSink,
        position: Position,
    ) -> StepColumn {
        let mut column = self.floats.finish(op, parameter);
        debug_assert_eq!(column.steps(), steps, "one slot per step");
        for (step, cell) in self.histograms.into_iter().enumerate() {
            let outcome = match cell {
                Histograms::None => continue,
                Histograms::Sum(sum) => sum.finish(),
                Histograms::Mean(mean) => mean.finish(),
            };
            if column.get(step).is_some() {
                notes.note(OperatorNote::MixedFloatsHistograms, position);
                column.remove(step);
                continue;
            }
            put_outcome(&mut column, step, outcome, notes, position);
        }
        column
    }
}

fn put_outcome(
    column: &mut StepColumn,
    step: usize,
    outcome: Outcome,
    notes: &dyn NoteSink,
    position: Position,
) {
    if outcome.bounds_reconciled {
        notes.note(OperatorNote::BoundsReconciled(Combining::Aggregation), position);
    }
    let Some(mut histogram) = outcome.histogram else {
        return;
    };
    if outcome.reset_collision {
        notes.note(OperatorNote::ResetCollision(Combining::Aggregation), position);
    }
    histogram.compact();
    column.set_histogram(step, Arc::new(histogram));
}

impl Floats {
    fn new(op: AggregateOp, steps: usize) -> Self {
        match op {
            AggregateOp::Sum => {
                let sums = vec![KahanSum::default(); steps];
                Self::Sum { sums, present: Bitmap::new(steps) }
            }
            AggregateOp::Avg => Self::Mean(vec![Mean::default(); steps]),
            AggregateOp::Min | AggregateOp::Max => {
                Self::Extreme { values: vec![f64::NAN; steps], present: Bitmap::new(steps) }
            }
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                Self::Moments(vec![Moments::default(); steps])
            }
            AggregateOp::Quantile => Self::All(vec![Vec::new(); steps]),
            _ => Self::Count(vec![0; steps]),
        }
    }

    /// What a column adds: only quantiles need all values.
    fn growth_by(&self, column: &StepColumn) -> Weight {
        let is_all = matches!(self, Self::All(_));
        // A list that grows is at most half empty.
        Weight::bytes(if is_all { 2 * size_of::<f64>() * column.count() } else { 0 })
    }

    fn steps(&self) -> usize {
        match self {
            Self::Sum { sums, .. } => sums.len(),
            Self::Mean(means) => means.len(),
            Self::Count(counts) => counts.len(),
            Self::Extreme { values, .. } => values.len(),
            Self::Moments(moments) => moments.len(),
            Self::All(values) => values.len(),
        }
    }

    /// A column of floats alone: one loop for each stretch without gaps.
    fn add_column(&mut self, op: AggregateOp, column: &StepColumn) {
        let (values, there) = (column.raw_values(), column.present());
        let runs = there.runs(column.steps());
        match self {
            Self::Sum { sums, present } => {
                for run in runs {
                    for (sum, value) in sums[run.clone()].iter_mut().zip(&values[run]) {
                        *sum = sum.plus(*value);
                    }
                }
                present.union(there);
            }
            Self::Mean(means) => {
                for run in runs {
                    for (mean, value) in means[run.clone()].iter_mut().zip(&values[run]) {
                        *mean = mean.plus(*value);
                    }
                }
            }
            Self::Count(counts) => {
                runs.for_each(|run| counts[run].iter_mut().for_each(|count| *count += 1));
            }
            _ => runs.flatten().for_each(|step| self.add(op, step, values[step])),
        }
    }

    #[inline]
    fn add(&mut self, op: AggregateOp, step: usize, value: f64) {
        match self {
            Self::Sum { sums, present } => {
                sums[step] = sums[step].plus(value);
                present.set(step);
            }
            Self::Mean(means) => means[step] = means[step].plus(value),
            Self::Count(counts) => counts[step] += 1,
            Self::Extreme { values, present } => {
                values[step] = further(op, values[step], value);
                present.set(step);
            }
            Self::Moments(moments) => moments[step].add(value),
            Self::All(values) => values[step].push(value),
        }
    }

    fn merge(&mut self, op: AggregateOp, other: Self) {
        match (self, other) {
            (Self::Sum { sums, present }, Self::Sum { sums: theirs, present: there }) => {
                for (mine, theirs) in sums.iter_mut().zip(theirs) {
                    *mine = mine.plus(theirs.sum);
                    mine.compensation += theirs.compensation;
                }
                present.union(&there);
            }
            (Self::Mean(mine), Self::Mean(theirs)) => {
                mine.iter_mut().zip(&theirs).for_each(|(mine, theirs)| mine.merge(theirs));
            }
            (Self::Count(mine), Self::Count(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
            }
            (
                Self::Extreme { values, present },
                Self::Extreme { values: theirs, present: there },
            ) => {
                for (mine, theirs) in values.iter_mut().zip(theirs) {
                    *mine = further(op, *mine, theirs);
                }
                present.union(&there);
            }
            (Self::Moments(mine), Self::Moments(theirs)) => {
                mine.iter_mut().zip(&theirs).for_each(|(mine, theirs)| mine.merge(theirs));
            }
            (Self::All(mine), Self::All(theirs)) => {
                mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.extend(theirs));
            }
            _ => unreachable!("folds of one aggregation are of one kind"),
        }
    }

    fn finish(self, op: AggregateOp, parameter: &[f64]) -> StepColumn {
        let steps = self.steps();
        let mut column = StepColumn::new(steps);
        let mut put = |step: usize, value: Option<f64>| {
            if let Some(value) = value {
                column.set_float(step, value);
            }
        };
        match self {
            Self::Sum { sums, present } => {
                let total = |step: usize| sums[step].sum + sums[step].compensation;
                (0..steps).for_each(|s| put(s, present.get(s).then(|| total(s))));
            }
            Self::Mean(means) => {
                let value = |mean: &Mean| (mean.count > 0.0).then(|| mean.value());
                means.iter().enumerate().for_each(|(s, mean)| put(s, value(mean)));
            }
            Self::Count(counts) => {
                let one = op == AggregateOp::Group;
                let value = |count: u32| if one { 1.0 } else { f64::from(count) };
                let some = |count: u32| (count > 0).then(|| value(count));
                counts.iter().enumerate().for_each(|(s, count)| put(s, some(*count)));
            }
            Self::Extreme { values, present } => {
                (0..steps).for_each(|s| put(s, present.get(s).then(|| values[s])));
            }
            Self::Moments(moments) => {
                let variance = |m: &Moments| (m.count > 0.0).then(|| m.squares / m.count);
                let root = op == AggregateOp::Stddev;
                let value = |m: &Moments| variance(m).map(|v| if root { v.sqrt() } else { v });
                moments.iter().enumerate().for_each(|(s, m)| put(s, value(m)));
            }
            Self::All(values) => {
                for (step, mut values) in values.into_iter().enumerate() {
                    let some = !values.is_empty();
                    put(step, some.then(|| quantile(parameter[step], &mut values)));
                }
            }
        }
        column
    }
}

/// The smaller or the larger value; any number wins over NaN.
fn further(op: AggregateOp, known: f64, value: f64) -> f64 {
    let better = if op == AggregateOp::Min { value < known } else { value > known };
    if better || known.is_nan() { value } else { known }
}
