//! Arithmetic and comparison between two vectors: which series are matched, step by step.
//!
//! Series are grouped by signature once; a step then only looks at which of a group have a sample.
//! The side that may have many series per signature is called "many", the other "one"; for
//! `group_right` the right side is the many.

use super::{Binary, Operand, Result, holds, on_numbers, put, trims};
use crate::bitmap::Bitmap;
use crate::column::StepColumn;
use crate::error::QueryError;
use crate::groups::LabelGroups;
use crate::holding::{Portions, Weight};
use crate::operators::{Cardinality, VectorMatching};
use crate::series::{DUPLICATES, Series};
use model::{BytesHash, LabelChoice, Labels, LabelsBuilder, METADATA_LABELS, METRIC_NAME};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// The labels that two series must share to be matched.
pub(super) fn signature_choice(matching: &VectorMatching) -> LabelChoice {
    let names = matching.labels.iter().map(String::as_str);
    if matching.on {
        LabelChoice::only(names)
    } else {
        LabelChoice::all_but(names.chain([METRIC_NAME]))
    }
}

pub(super) fn evaluate(
    binary: &Binary<'_>,
    left: Vec<Series>,
    right: Vec<Series>,
) -> Result<Vec<Series>> {
    let matching = binary.matching();
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let sides = Sides {
        binary,
        matching,
        swapped,
        choice: signature_choice(matching),
        many: &many,
        one: &one,
        // As in Prometheus these are not swapped with the sides: `fill_left` fills the many side for
        // `group_right` too.
        fill_one: matching.fill_right,
        fill_many: matching.fill_left,
        active: active_steps(&many, &one, matching, binary.steps),
    };
    let mut output = Output::new(binary);
    let groups = sides.groups(&mut output.portions)?;
    for (turn, group) in groups.into_iter().enumerate() {
        binary.control.check_in_turn(turn)?;
        if !sides.evaluate_plain(&group, &mut output)? {
            sides.evaluate_group(&group, &mut output)?;
        }
    }
    Ok(output.series)
}

/// The steps at which anything can happen: both sides have something, or what is missing is filled.
fn active_steps(
    many: &[Series],
    one: &[Series],
    matching: &VectorMatching,
    steps: usize,
) -> Vec<bool> {
    let union = |series: &[Series]| {
        let mut any = Bitmap::new(steps);
        series.iter().for_each(|one| any.union(one.column.present()));
        any
    };
    let (many, one) = (union(many), union(one));
    let fills = matching.fill_left.or(matching.fill_right).is_some();
    let active = |step| {
        let (many, one) = (many.get(step), one.get(step));
        if fills { many || one } else { many && one }
    };
    (0..steps).map(active).collect()
}

/// The series of one signature.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

struct Sides<'a> {
    binary: &'a Binary<'a>,
    matching: &'a VectorMatching,
    swapped: bool,
    choice: LabelChoice,
    many: &'a [Series],
    one: &'a [Series],
    fill_one: Option<f64>,
    fill_many: Option<f64>,
    active: Vec<bool>,
}

impl Sides<'_> {
    fn groups(&self, portions: &mut Portions<'_>) -> Result<Vec<Group>> {
        let mut numbers = LabelGroups::new(self.choice.clone());
        let mut groups: Vec<Group> = Vec::new();
        for (series, is_many) in [(self.many, true), (self.one, false)] {
            for (index, one) in series.iter().enumerate() {
                let group = numbers.number(&one.labels, portions)?;
                if group == groups.len() {
                    portions.take(Weight::bytes(size_of::<Group>()))?;
                    groups.push(Group::default());
                }
                let side = if is_many { &mut groups[group].many } else { &mut groups[group].one };
                side.push(index);
            }
        }
        Ok(groups)
    }

    /// The most common groups: series of floats, one of them on the one side, and nothing filled.
    /// Whole columns are combined at once. `false` where a group is not that simple.
    fn evaluate_plain(&self, group: &Group, output: &mut Output<'_>) -> Result<bool> {
        let filled = self.fill_one.or(self.fill_many).is_some();
        let [one] = group.one.as_slice() else {
            return Ok(!filled && group.one.is_empty());
        };
        let one_column = &self.one[*one].column;
        let explicit = self.matching.cardinality != Cardinality::OneToOne;
        let floats = |many: &usize| !self.many[*many].column.has_histograms();
        let plain = !filled && !trims(self.binary.op) && (explicit || group.many.len() < 2);
        if !plain || one_column.has_histograms() || !group.many.iter().all(floats) {
            return Ok(false);
        }
        let portions = &mut output.portions;
        let labels = |many: &usize| self.result_labels(Some(*many), Some(*one), portions);
        let all: Vec<Labels> = group.many.iter().map(labels).collect::<Result<_>>()?;
        if !all_differ(&all) || all.iter().any(|labels| output.by_labels.contains_key(labels)) {
            return Ok(false);
        }
        for (many, labels) in group.many.iter().zip(&all) {
            let columns = (&self.many[*many].column, one_column);
            let (left, right) = if self.swapped { (columns.1, columns.0) } else { columns };
            let column = self.on_columns(left, right);
            if !column.is_empty() {
                let index = output.add(labels, self.drops_name())?;
                output.series[index].column = column;
            }
        }
        Ok(true)
    }

    fn on_columns(&self, left: &StepColumn, right: &StepColumn) -> StepColumn {
        let op = self.binary.op;
        let mut present = left.present().intersection(right.present());
        let pairs = || left.raw_values().iter().zip(right.raw_values());
        let values: Vec<f64> = if self.binary.return_bool {
            pairs().map(|(left, right)| f64::from(u8::from(holds(op, *left, *right)))).collect()
        } else {
            pairs().map(|(left, right)| on_numbers(op, *left, *right)).collect()
        };
        if op.is_comparison() && !self.binary.return_bool {
            let fails =
                pairs().enumerate().filter(|(_, (left, right))| !holds(op, **left, **right));
            fails.for_each(|(step, _)| present.clear(step));
        }
        StepColumn::from_parts(values, present)
    }

    /// Whether the result's name is to be dropped in the end. What was to become of the operands'
    /// names is forgotten, as in Prometheus: a comparison makes series of its own.
    fn drops_name(&self) -> bool {
        self.binary.delayed_names && self.binary.return_bool
    }

    fn evaluate_group(&self, group: &Group, output: &mut Output<'_>) -> Result<()> {
        let mut metrics: HashMap<(Option<usize>, Option<usize>), Labels> = HashMap::new();
        for step in (0..self.binary.steps).filter(|step| self.active[*step]) {
            let one = self.only_one(group, step)?;
            let mut matched: HashSet<Labels, BytesHash> = HashSet::default();
            let mut any = false;
            for many in &group.many {
                if self.many[*many].column.get(step).is_none() {
                    continue;
                }
                if one.is_none() && self.fill_one.is_none() {
                    continue;
                }
                self.pair(Some(*many), one, step, &mut metrics, (&mut matched, &mut any), output)?;
            }
            if !any && one.is_some() && self.fill_many.is_some() {
                self.pair(None, one, step, &mut metrics, (&mut matched, &mut any), output)?;
            }
        }
        Ok(())
    }

    /// The series of the one side that is there at a step; two are an error.
    fn only_one(&self, group: &Group, step: usize) -> Result<Option<usize>> {
        let there = |index: &&usize| self.one[**index].column.get(step).is_some();
        let mut present = group.one.iter().filter(there);
        let first = present.next().copied();
        let (Some(first), Some(second)) = (first, present.next()) else {
            return Ok(first);
        };
        let side = if self.swapped { "left" } else { "right" };
        let mut labels = [first, *second].map(|index| &self.one[index].labels);
        labels.sort();
        let signature = labels[0].chosen(&self.choice);
        Err(QueryError::Execution(format!(
            "found duplicate series for the match group {signature} on the {side} hand-side of the \
             operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique \
             on one side",
            labels[0], labels[1]
        )))
    }

    fn pair(
        &self,
        many: Option<usize>,
        one: Option<usize>,
        step: usize,
        metrics: &mut HashMap<(Option<usize>, Option<usize>), Labels>,
        (matched, any): (&mut HashSet<Labels, BytesHash>, &mut bool),
        output: &mut Output<'_>,
    ) -> Result<()> {
        let many_operand = self.operand(self.many, many, step, self.fill_many);
        let one_operand = self.operand(self.one, one, step, self.fill_one);
        let outcome = if self.swapped {
            self.binary.apply(&one_operand, &many_operand)
        } else {
            self.binary.apply(&many_operand, &one_operand)
        };
        let Some(outcome) = outcome else {
            return Ok(());
        };
        let labels = match metrics.entry((many, one)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(self.result_labels(many, one, &mut output.portions)?)
            }
        };
        let twice = if self.matching.cardinality == Cardinality::OneToOne {
            std::mem::replace(any, true)
        } else {
            *any = true;
            !matched.insert(labels.clone())
        };
        if twice {
            return Err(self.multiple_matches());
        }
        if !outcome.keep && !self.binary.return_bool {
            return Ok(());
        }
        let column = output.column((many, one), labels, self.drops_name(), step)?;
        if self.binary.return_bool {
            column.set_float(step, f64::from(u8::from(outcome.keep)));
        } else {
            put(column, step, outcome.value);
        }
        Ok(())
    }

    fn operand<'s>(
        &self,
        series: &'s [Series],
        index: Option<usize>,
        step: usize,
        fill: Option<f64>,
    ) -> Operand<'s> {
        match index.and_then(|index| series[index].column.get(step)) {
            Some(slot) => Operand::from(slot),
            None => Operand::Float(fill.expect("callers look for a fill value")),
        }
    }

    fn multiple_matches(&self) -> QueryError {
        QueryError::execution(if self.matching.cardinality == Cardinality::OneToOne {
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        } else {
            "multiple matches for labels: grouping labels must ensure unique matches"
        })
    }

    /// The labels of the many side, less what the operation makes untrue, plus what is included.
    fn result_labels(
        &self,
        many: Option<usize>,
        one: Option<usize>,
        portions: &mut Portions<'_>,
    ) -> Result<Labels> {
        let filled = |other: Option<usize>, series: &[Series]| {
            let other = other.expect("one side is there");
            series[other].labels.chosen(&self.choice)
        };
        let many_labels = match many {
            Some(index) => self.many[index].labels.clone(),
            None => filled(one, self.one),
        };
        let one_labels = match one {
            Some(index) => self.one[index].labels.clone(),
            None => filled(many, self.many),
        };
        let included = self.matching.include.iter();
        let included: usize =
            included.map(|name| name.len() + one_labels.value(name).len() + 8).sum();
        let length = many_labels.as_bytes().len() + included;
        portions.labels(length, || self.joined_labels(&many_labels, &one_labels))
    }

    fn joined_labels(&self, many_labels: &Labels, one_labels: &Labels) -> Labels {
        let mut builder = LabelsBuilder::from_labels(many_labels);
        if self.binary.op.changes_meaning() {
            METADATA_LABELS.iter().for_each(|name| {
                builder.remove(name);
            });
        }
        if self.matching.cardinality == Cardinality::OneToOne {
            let named = |name: &str| self.matching.labels.iter().any(|label| label == name);
            let unwanted = many_labels.iter().map(|(name, _)| name);
            let unwanted = unwanted.filter(|name| named(name) != self.matching.on);
            unwanted.for_each(|name| {
                builder.remove(name);
            });
        }
        for name in &self.matching.include {
            builder.set(name, one_labels.value(name));
        }
        let labels = builder.build();
        // A truth value has no name, even where `group_left` asks for one.
        let truth = self.binary.return_bool && !self.binary.delayed_names;
        if truth { labels.without_metadata() } else { labels }
    }
}

fn all_differ(labels: &[Labels]) -> bool {
    let mut seen: HashSet<&Labels, BytesHash> = HashSet::default();
    labels.len() < 2 || labels.iter().all(|labels| seen.insert(labels))
}

/// Result series. At a single step with delayed names equal labels are still told apart: they may
/// be aggregated away before they collide.
struct Output<'a> {
    series: Vec<Series>,
    by_labels: HashMap<Labels, usize, BytesHash>,
    by_pair: HashMap<(Option<usize>, Option<usize>), usize>,
    apart: bool,
    empty: StepColumn,
    portions: Portions<'a>,
}

impl<'a> Output<'a> {
    fn new(binary: &Binary<'a>) -> Self {
        Self {
            series: Vec::new(),
            by_labels: HashMap::default(),
            by_pair: HashMap::new(),
            apart: binary.delayed_names && binary.steps == 1,
            empty: StepColumn::new(binary.steps),
            portions: binary.holding.portions(),
        }
    }

    fn column(
        &mut self,
        pair: (Option<usize>, Option<usize>),
        labels: &Labels,
        drop_name: bool,
        step: usize,
    ) -> Result<&mut StepColumn> {
        let index = match self.by_pair.get(&pair) {
            Some(index) => *index,
            None => {
                let known = self.by_labels.get(labels).copied().filter(|_| !self.apart);
                let index = known.map_or_else(|| self.add(labels, drop_name), Ok)?;
                self.by_pair.insert(pair, index);
                index
            }
        };
        let column = &mut self.series[index].column;
        if column.get(step).is_some() {
            return Err(QueryError::execution(DUPLICATES));
        }
        Ok(column)
    }

    /// Adds a series whose labels are held already.
    fn add(&mut self, labels: &Labels, drop_name: bool) -> Result<usize> {
        self.portions.take(self.empty.weight() + Series::OWN)?;
        let mut series = Series::new(labels.clone(), self.empty.clone());
        series.drop_name = drop_name;
        self.series.push(series);
        self.by_labels.insert(labels.clone(), self.series.len() - 1);
        Ok(self.series.len() - 1)
    }
}
