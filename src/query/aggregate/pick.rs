//! Aggregations that pick series (`topk`, `bottomk`, `limitk`, `limit_ratio`) and `count_values`.

use crate::column::{Slot, StepColumn};
use crate::control::Control;
use crate::error::QueryError;
use crate::groups::LabelGroups;
use crate::holding::{Holding, Portions, Weight};
use crate::notes::{NoteSink, OperatorNote};
use crate::number::format_number;
use crate::operators::{AggregateOp, Grouping};
use crate::position::Position;
use crate::series::Series;
use model::{BytesHash, LABEL_LENGTH_MAX, LabelChoice, Labels, format_float_go};
use std::cmp::Ordering;
use std::collections::HashMap;
use xxhash_rust::xxh64::xxh64;

type Result<T> = std::result::Result<T, QueryError>;

/// An aggregation that picks series, at its place in a query.
#[derive(Clone, Copy)]
pub struct Pick<'a> {
    pub op: AggregateOp,
    pub grouping: &'a Grouping,
    pub position: Position,
    pub parameter_position: Position,
    pub notes: &'a dyn NoteSink,
    pub control: &'a Control<'a>,
    pub holding: &'a Holding,
}

impl std::fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pick").field("op", &self.op).field("grouping", self.grouping).finish()
    }
}

/// Notes the parameters of `quantile` that are no shares.
pub fn note_bad_quantiles(parameter: &[f64], position: Position, notes: &dyn NoteSink) {
    let (low, high) = extent(parameter);
    let note = |q: f64| notes.note(OperatorNote::InvalidQuantile(q.to_bits()), position);
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

impl Pick<'_> {
    /// `parameter` has a value for each step.
    pub fn of(&self, series: Vec<Series>, parameter: &[f64]) -> Result<Vec<Series>> {
        if !self.check_parameter(parameter)? {
            return Ok(Vec::new());
        }
        let mut portions = self.holding.portions();
        let groups = grouped(&series, self.grouping, &mut portions)?;
        let picker = Picker { pick: self, series: &series };
        let steps = parameter.len();
        if steps == 1 {
            return Ok(picker.instant(&groups, parameter[0]));
        }
        let empty = StepColumn::new(steps);
        let mut columns: Vec<Option<StepColumn>> = vec![None; series.len()];
        for (step, parameter) in parameter.iter().enumerate() {
            self.control.check()?;
            for group in &groups {
                for index in picker.chosen(group, step, *parameter) {
                    if columns[index].is_none() {
                        portions.take(empty.weight())?;
                    }
                    let column = columns[index].get_or_insert_with(|| empty.clone());
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
    fn check_parameter(&self, parameter: &[f64]) -> Result<bool> {
        let (low, high) = extent(parameter);
        if self.op == AggregateOp::LimitRatio {
            return self.check_ratio(low, high);
        }
        if high < 1.0 {
            return Ok(false);
        }
        if low.is_nan() {
            return Err(QueryError::execution("Parameter value is NaN"));
        }
        let beyond = |value: f64, what: &str| {
            let value = format_float_go(value);
            Err(QueryError::Execution(format!("Scalar value {value} {what} int64")))
        };
        if low <= i64::MIN as f64 {
            return beyond(low, "underflows");
        }
        if high >= i64::MAX as f64 {
            return beyond(high, "overflows");
        }
        Ok(true)
    }

    fn check_ratio(&self, low: f64, high: f64) -> Result<bool> {
        if low == 0.0 && high == 0.0 {
            return Ok(false);
        }
        if low.is_nan() {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        for (given, used, beyond) in [(high, 1.0, high > 1.0), (low, -1.0, low < -1.0)] {
            if beyond {
                let (given, used) = (f64::to_bits(given), f64::to_bits(used));
                self.notes
                    .note(OperatorNote::InvalidRatio { given, used }, self.parameter_position);
            }
        }
        Ok(true)
    }
}

/// The series of each group, in their order.
fn grouped(
    series: &[Series],
    grouping: &Grouping,
    portions: &mut Portions<'_>,
) -> Result<Vec<Vec<usize>>> {
    if !grouping.without && grouping.labels.is_empty() && !series.is_empty() {
        // All are one group, whatever their labels.
        return Ok(vec![(0..series.len()).collect()]);
    }
    let mut numbers = LabelGroups::new(grouping.choice());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, one) in series.iter().enumerate() {
        let group = numbers.number(&one.labels, portions)?;
        if group == groups.len() {
            portions.take(Weight::bytes(size_of::<Vec<usize>>()))?;
            groups.push(Vec::new());
        }
        groups[group].push(index);
    }
    Ok(groups)
}

struct Picker<'a> {
    pick: &'a Pick<'a>,
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
        match self.pick.op {
            AggregateOp::Limitk => present.take(count).collect(),
            AggregateOp::LimitRatio => {
                let ratio = parameter.clamp(-1.0, 1.0);
                present.filter(|index| in_ratio(&self.series[*index].labels, ratio)).collect()
            }
            op => self.ranked(present, step, count, op == AggregateOp::Topk),
        }
    }

    /// The first `count` by value; NaN only where nothing else is left.
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
                    let note = OperatorNote::HistogramIgnored(self.pick.op.as_str());
                    self.pick.notes.note(note, self.pick.position);
                }
            }
        }
        ranking.finish()
    }
}

/// The best few of many, in a heap with the worst on top. It moves its items exactly as Prometheus'
/// heap does, because that decides which of several equal values stay.
struct Ranking {
    heap: Vec<(usize, f64)>,
    count: usize,
    largest: bool,
}

impl Ranking {
    fn new(count: usize, largest: bool) -> Self {
        Self { heap: Vec::new(), count, largest }
    }

    fn is_worse(&self, left: f64, right: f64) -> bool {
        if self.largest { left < right } else { left > right }
    }

    /// Whether one place of the heap belongs above another.
    fn is_above(&self, left: usize, right: usize) -> bool {
        let (left, right) = (self.heap[left].1, self.heap[right].1);
        left.is_nan() || self.is_worse(left, right)
    }

    fn add(&mut self, index: usize, value: f64) {
        if self.heap.len() < self.count {
            self.heap.push((index, value));
            self.raise(self.heap.len() - 1);
            return;
        }
        let worst = self.heap[0].1;
        if self.is_worse(worst, value) || (worst.is_nan() && !value.is_nan()) {
            self.heap[0] = (index, value);
            self.sink();
        }
    }

    fn raise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.is_above(place, parent) {
                return;
            }
            self.heap.swap(place, parent);
            place = parent;
        }
    }

    fn sink(&mut self) {
        let mut place = 0;
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= self.heap.len() {
                return;
            }
            let use_right = right < self.heap.len() && self.is_above(right, left);
            let child = if use_right { right } else { left };
            if !self.is_above(child, place) {
                return;
            }
            self.heap.swap(place, child);
            place = child;
        }
    }

    /// The best first, NaN last.
    fn finish(self) -> Vec<usize> {
        let Self { mut heap, largest, .. } = self;
        heap.sort_by(|(_, left), (_, right)| {
            let (low, high) = if largest { (right, left) } else { (left, right) };
            let by_value = low.partial_cmp(high).unwrap_or(Ordering::Equal);
            left.is_nan().cmp(&right.is_nan()).then(by_value)
        });
        heap.into_iter().map(|(index, _)| index).collect()
    }
}

/// Whether a series belongs to a share of all series. Its hash decides, so the share is the same at
/// every step and in every query, and those of r and r - 1 together are all series.
fn in_ratio(labels: &Labels, ratio: f64) -> bool {
    let offset = xxh64(labels.as_bytes(), 0) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

/// How often each value stands among a group's, as a series per value that has it in `label`. Values
/// may be as many as samples, so each series is held before it is made.
pub fn count_values(
    series: &[Series],
    label: &str,
    grouping: &Grouping,
    steps: usize,
    (control, holding): (&Control<'_>, &Holding),
) -> Result<Vec<Series>> {
    let mut counted = Counted::new(label, grouping, steps, holding);
    for one in series {
        control.check()?;
        // Values repeat from step to step far more often than not.
        let (mut known, mut known_bytes) = (HashMap::<String, usize>::new(), 0);
        for (step, slot) in one.column.iter() {
            let text = match slot {
                Slot::Float(value) => format_number(value),
                Slot::Histogram(histogram) => histogram.to_string(),
            };
            if text.len() > LABEL_LENGTH_MAX {
                return Err(QueryError::execution("a histogram is too large for a label"));
            }
            let index = match known.get(&text) {
                Some(index) => *index,
                None => {
                    let index = counted.index_of(&one.labels, &text)?;
                    if known_bytes > KNOWN_BYTES_MAX {
                        (known, known_bytes) = (HashMap::new(), 0);
                    }
                    known_bytes += text.len();
                    known.insert(text, index);
                    index
                }
            };
            let column = &mut counted.series[index].column;
            let count = column.float(step).unwrap_or(0.0);
            column.set_float(step, count + 1.0);
        }
    }
    counted.portions.settle()?;
    Ok(counted.series)
}

/// The values of one series that are known at once.
const KNOWN_BYTES_MAX: usize = 1 << 20;

/// The series that `count_values` makes.
struct Counted<'a> {
    label: &'a str,
    /// `false` where the grouping drops the label again.
    is_shown: bool,
    /// All labels of the result but the one with the value.
    choice: LabelChoice,
    /// By the value and the labels of the group.
    numbers: HashMap<Vec<u8>, usize, BytesHash>,
    series: Vec<Series>,
    empty: StepColumn,
    portions: Portions<'a>,
    /// The latest key; its memory is reused.
    key: Vec<u8>,
}

impl<'a> Counted<'a> {
    fn new(label: &'a str, grouping: &Grouping, steps: usize, holding: &'a Holding) -> Self {
        let mut others = grouping.clone();
        let is_shown = !others.without || others.choice().keeps(label);
        match others.without {
            true => others.labels.push(label.to_owned()),
            false => others.labels.retain(|name| name != label),
        }
        Self {
            label,
            is_shown,
            choice: others.choice(),
            numbers: HashMap::default(),
            series: Vec::new(),
            empty: StepColumn::new(steps),
            portions: holding.portions(),
            key: Vec::new(),
        }
    }

    /// The series of a group that counts one value.
    fn index_of(&mut self, labels: &Labels, text: &str) -> Result<usize> {
        let text = if self.is_shown { text } else { "" };
        self.key.clear();
        self.key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.key.extend_from_slice(text.as_bytes());
        labels.write_key(&self.choice, &mut self.key);
        if let Some(index) = self.numbers.get(&self.key) {
            return Ok(*index);
        }
        let entry = 2 * size_of::<(Vec<u8>, usize)>() + self.key.len();
        self.portions.take(self.empty.weight() + Series::OWN + Weight::bytes(entry))?;
        let length = labels.length_with(self.label, text.len());
        let make = || labels.chosen(&self.choice).with(self.label, text);
        let labels = self.portions.labels(length, make)?;
        self.series.push(Series::new(labels, self.empty.clone()));
        self.numbers.insert(self.key.clone(), self.series.len() - 1);
        Ok(self.series.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelFlag;
    use crate::holding::HoldingLimits;
    use platform::{Clock, RealClock};

    /// Each of a thousand steps has a value of its own: a thousand series of a thousand steps.
    #[test]
    fn counted_values_are_held_before_they_are_made() {
        const STEPS: usize = 1_000;
        let values = (0..STEPS).map(|step| step as f64).collect();
        let series = [Series::new(Labels::empty(), StepColumn::from_values(values))];
        let clock: &dyn Clock = &RealClock::new();
        let control = Control::new(clock, None, CancelFlag::new());
        let count = |bytes: usize| {
            let limits = HoldingLimits {
                samples: usize::MAX,
                bytes,
                bytes_setting: "a.setting",
                bytes_advice: "less",
            };
            let holding = Holding::new(limits, None);
            let grouping = Grouping::default();
            count_values(&series, "value", &grouping, STEPS, (&control, &holding))
        };
        assert_eq!(count(16 << 20).unwrap().len(), STEPS);
        let error = count(4 << 20).unwrap_err();
        assert!(matches!(error, QueryError::TooMuchMemory { setting: "a.setting", .. }), "{error}");
    }
}
