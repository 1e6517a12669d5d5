//! Aggregations that pick series (`topk`, `bottomk`, `limitk`, `limit_ratio`) and `count_values`.

use super::column::{Series, Slot, StepColumn};
use super::eval::Evaluator;
use super::fold::grouping_choice;
use super::grid::Grid;
use super::plan::Aggregate;
use crate::annotations::Note;
use crate::ast::AggregateOp;
use crate::error::QueryError;
use crate::text::{format_number, quote_go};
use model::{BytesHash, LABEL_LENGTH_MAX, LabelChoice, Labels, LabelsBuilder};
use std::cmp::Ordering;
use std::collections::HashMap;
use xxhash_rust::xxh64::xxh64;

type Result<T> = std::result::Result<T, QueryError>;

pub(crate) fn note_bad_quantiles(ev: &Evaluator<'_>, aggregate: &Aggregate, parameter: &[f64]) {
    if aggregate.op != AggregateOp::Quantile {
        return;
    }
    let (low, high) = extent(parameter);
    let note = |q: f64| {
        ev.notes.add(Note::InvalidQuantile(q.to_bits()), aggregate.parameter_position);
    };
    if low.is_nan() {
        note(f64::NAN);
    }
    if high > 1.0 {
        note(high);
    }
    if low < 0.0 {
        note(low);
    }
}

/// The least and the greatest; NaN where any value is NaN.
fn extent(values: &[f64]) -> (f64, f64) {
    if values.iter().any(|value| value.is_nan()) {
        return (f64::NAN, f64::NAN);
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

pub(crate) fn pick(
    ev: &Evaluator<'_>,
    aggregate: &Aggregate,
    series: Vec<Series>,
    parameter: &[f64],
    grid: Grid,
) -> Result<Vec<Series>> {
    if !check_parameter(ev, aggregate, parameter)? {
        return Ok(Vec::new());
    }
    let choice = grouping_choice(&aggregate.grouping, aggregate.without);
    let groups = grouped(&series, &choice);
    let picker = Picker { ev, aggregate, series: &series };
    if grid.steps() == 1 {
        return Ok(picker.instant(&groups, parameter[0]));
    }
    let mut columns: Vec<Option<StepColumn>> = vec![None; series.len()];
    for (step, parameter) in parameter.iter().enumerate() {
        ev.control.check()?;
        for group in &groups {
            for index in picker.chosen(group, step, *parameter) {
                let column = columns[index].get_or_insert_with(|| StepColumn::new(grid.steps()));
                if let Some(slot) = series[index].column.get(step) {
                    column.set(step, slot);
                }
            }
        }
    }
    let picked = series.into_iter().zip(columns).filter_map(|(mut one, column)| {
        one.column = column?;
        Some(one)
    });
    Ok(picked.collect())
}

/// `false` where nothing can be picked at any step.
fn check_parameter(ev: &Evaluator<'_>, aggregate: &Aggregate, parameter: &[f64]) -> Result<bool> {
    let (low, high) = extent(parameter);
    if aggregate.op == AggregateOp::LimitRatio {
        if low == 0.0 && high == 0.0 {
            return Ok(false);
        }
        if low.is_nan() {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        for (given, used, beyond) in [(high, 1.0, high > 1.0), (low, -1.0, low < -1.0)] {
            if beyond {
                let (given, used) = (f64::to_bits(given), f64::to_bits(used));
                ev.notes.add(Note::InvalidRatio { given, used }, aggregate.parameter_position);
            }
        }
        return Ok(true);
    }
    if high < 1.0 {
        return Ok(false);
    }
    if low.is_nan() {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if low <= i64::MIN as f64 {
        let low = format_number(low);
        return Err(QueryError::Execution(format!("Scalar value {low} underflows int64")));
    }
    if high >= i64::MAX as f64 {
        let high = model::format_float_go(high);
        return Err(QueryError::Execution(format!("Scalar value {high} overflows int64")));
    }
    Ok(true)
}

/// The series of each group, in their order.
fn grouped(series: &[Series], choice: &LabelChoice) -> Vec<Vec<usize>> {
    let mut keys: HashMap<Vec<u8>, usize, BytesHash> = HashMap::default();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut key = Vec::new();
    for (index, one) in series.iter().enumerate() {
        key.clear();
        one.labels.write_key(choice, &mut key);
        let group = match keys.get(&key) {
            Some(group) => *group,
            None => {
                keys.insert(key.clone(), groups.len());
                groups.push(Vec::new());
                groups.len() - 1
            }
        };
        groups[group].push(index);
    }
    groups
}

struct Picker<'a> {
    ev: &'a Evaluator<'a>,
    aggregate: &'a Aggregate,
    series: &'a [Series],
}

impl Picker<'_> {
    /// In the order of the ranking, group after group.
    fn instant(&self, groups: &[Vec<usize>], parameter: f64) -> Vec<Series> {
        let chosen = groups.iter().flat_map(|group| self.chosen(group, 0, parameter));
        chosen.map(|index| self.series[index].clone()).collect()
    }

    fn chosen(&self, group: &[usize], step: usize, parameter: f64) -> Vec<usize> {
        let present = group.iter().copied().filter(|i| self.series[*i].column.get(step).is_some());
        let count = if parameter < 1.0 { 0 } else { parameter as usize };
        match self.aggregate.op {
            AggregateOp::Limitk => present.take(count).collect(),
            AggregateOp::LimitRatio => {
                let ratio = parameter.clamp(-1.0, 1.0);
                present.filter(|index| in_ratio(&self.series[*index].labels, ratio)).collect()
            }
            op => self.ranked(present, step, count, op == AggregateOp::Topk),
        }
    }

    /// The first `count` by value; NaN only where nothing else is left. Of equal values the series
    /// that came first stays.
    fn ranked(
        &self,
        present: impl Iterator<Item = usize>,
        step: usize,
        count: usize,
        largest: bool,
    ) -> Vec<usize> {
        if count == 0 {
            return Vec::new();
        }
        let mut ranking = Ranking::new(count, largest);
        for index in present {
            match self.series[index].column.get(step) {
                Some(Slot::Float(value)) => ranking.add(index, value),
                _ => {
                    let name = self.aggregate.op.as_str();
                    let note = Note::HistogramIgnoredInAggregation(name);
                    self.ev.notes.add(note, self.aggregate.position);
                }
            }
        }
        ranking.finish()
    }
}

/// The best few of many: a sorted list while few are wanted, else everything sorted at the end.
struct Ranking {
    ranked: Vec<(usize, f64)>,
    count: usize,
    largest: bool,
}

impl Ranking {
    const FEW: usize = 64;

    fn new(count: usize, largest: bool) -> Self {
        Self { ranked: Vec::new(), count, largest }
    }

    fn order(&self, left: f64, right: f64) -> Ordering {
        let by_value =
            if self.largest { right.partial_cmp(&left) } else { left.partial_cmp(&right) };
        left.is_nan().cmp(&right.is_nan()).then(by_value.unwrap_or(Ordering::Equal))
    }

    fn add(&mut self, index: usize, value: f64) {
        if self.count > Self::FEW {
            self.ranked.push((index, value));
            return;
        }
        if self.ranked.len() == self.count {
            let worst = self.ranked[self.count - 1].1;
            if self.order(value, worst) != Ordering::Less {
                return;
            }
            self.ranked.pop();
        }
        let at = self.ranked.partition_point(|kept| self.order(kept.1, value) != Ordering::Greater);
        self.ranked.insert(at, (index, value));
    }

    fn finish(mut self) -> Vec<usize> {
        let mut ranked = std::mem::take(&mut self.ranked);
        if self.count > Self::FEW {
            ranked.sort_by(|left, right| self.order(left.1, right.1));
            ranked.truncate(self.count);
        }
        ranked.into_iter().map(|(index, _)| index).collect()
    }
}

/// Whether a series belongs to a share of all series: its hash says so, so the share is the same
/// at every step and in every query, and r and r - 1 complement each other.
fn in_ratio(labels: &Labels, ratio: f64) -> bool {
    let offset = xxh64(labels.as_bytes(), 0) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

pub(crate) fn count_values(
    ev: &Evaluator<'_>,
    aggregate: &Aggregate,
    series: &[Series],
    grid: Grid,
) -> Result<Vec<Series>> {
    let label = value_label(aggregate)?;
    let mut grouping = aggregate.grouping.clone();
    if !aggregate.without {
        grouping.push(label.clone());
    }
    let choice = grouping_choice(&grouping, aggregate.without);
    let mut by_labels: HashMap<Labels, usize, BytesHash> = HashMap::default();
    let mut counted: Vec<Series> = Vec::new();
    for one in series {
        ev.control.check()?;
        // Values repeat from step to step far more often than not.
        let mut known: HashMap<String, usize> = HashMap::new();
        for (step, slot) in one.column.iter() {
            let text = match slot {
                Slot::Float(value) => format_number(value),
                Slot::Histogram(histogram) => histogram.to_string(),
            };
            if text.len() > LABEL_LENGTH_MAX {
                return Err(QueryError::execution("a histogram is too large for a label"));
            }
            let index = *known.entry(text).or_insert_with_key(|text| {
                let labels = LabelsBuilder::from_labels(&one.labels).set(&label, text).build();
                let labels = labels.chosen(&choice);
                *by_labels.entry(labels).or_insert_with_key(|labels| {
                    counted.push(Series::new(labels.clone(), StepColumn::new(grid.steps())));
                    counted.len() - 1
                })
            });
            let column = &mut counted[index].column;
            let count = column.float(step).unwrap_or(0.0);
            column.set_float(step, count + 1.0);
        }
    }
    Ok(counted)
}

fn value_label(aggregate: &Aggregate) -> Result<String> {
    use super::plan::Node;
    let Some(Node::String(literal)) = &aggregate.parameter else {
        unreachable!("the checker has seen to the types");
    };
    let name = literal.text();
    if !literal.is_text() || name.is_empty() {
        let quoted = quote_go(&literal.bytes);
        return Err(QueryError::Execution(format!("invalid label name {quoted}")));
    }
    Ok(name)
}
