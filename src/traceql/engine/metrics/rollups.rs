//! Counts that the store keeps, in place of spans: how many of each service, kind and status started in
//! each second, by the size of their duration. The answers are the same.

use super::super::cell::Cell;
use super::super::condition::Condition;
use super::super::view::SERVICE_NAME;
use super::steps::Steps;
use super::table::{BUCKETS, Count, Partial};
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::literal::{Kind, Status};
use crate::value::FieldValue;
use std::collections::HashMap;
use trace_store::{Rollup, RollupKey};

/// What the spans of a count have in common, as the language names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Service,
    Kind,
    Status,
}

impl Part {
    fn of(attribute: &Attribute) -> Option<Self> {
        match attribute {
            Attribute::Named { scope: Scope::Resource, name } if name == SERVICE_NAME => {
                Some(Self::Service)
            }
            Attribute::Intrinsic { intrinsic: Intrinsic::Kind, .. } => Some(Self::Kind),
            Attribute::Intrinsic { intrinsic: Intrinsic::Status, .. } => Some(Self::Status),
            _ => None,
        }
    }

    fn cell(self, rollup: &Rollup, key: RollupKey) -> Cell<'_> {
        match self {
            Self::Service => {
                key.service.map_or(Cell::Nil, |at| Cell::Text(rollup.services.get(at as usize)))
            }
            Self::Kind => Cell::Kind(Kind::of(key.kind)),
            Self::Status => Cell::Status(Status::of(key.status)),
        }
    }
}

/// A query that can be answered from the counts.
#[derive(Debug)]
pub(super) struct Rollups<'m> {
    condition: &'m Condition,
    by: Vec<Part>,
    has_buckets: bool,
}

impl<'m> Rollups<'m> {
    /// `None` if the query asks for more than the counts tell.
    pub(super) fn new(
        condition: Option<&'m Condition>,
        by: &[Attribute],
        of: Option<&Attribute>,
        has_buckets: bool,
    ) -> Option<Self> {
        let condition = condition.filter(|condition| is_of_parts(condition))?;
        let is_counted = match of.map(Attribute::as_intrinsic) {
            None => true,
            Some(intrinsic) => has_buckets && intrinsic == Some(Intrinsic::Duration),
        };
        let by = by.iter().map(Part::of).collect::<Option<_>>()?;
        is_counted.then_some(Self { condition, by, has_buckets })
    }

    /// Adds the counts of a piece, and returns how many spans those are and how much `partial` has grown.
    /// Each slot lies within one step.
    pub(super) fn add(
        &self,
        rollup: &Rollup,
        steps: &Steps,
        partial: &mut Partial<Count>,
    ) -> (u64, usize) {
        let (groups, of_keys) = self.groups(rollup);
        let width = if self.has_buckets { BUCKETS } else { 1 };
        let mut cells: Vec<Vec<Count>> = vec![Vec::new(); groups.len() * width];
        let mut spans = 0;
        let mut finder = steps.finder();
        for count in &rollup.counts {
            let Some(group) = of_keys[count.key as usize] else { continue };
            let bucket = match self.has_buckets {
                true if count.size == 0 => continue,
                true => usize::from(count.size).min(BUCKETS - 1),
                false => 0,
            };
            let end = count.slot.saturating_mul(rollup.width_ns);
            let Some(step) = finder.find(end) else { continue };
            let cells = &mut cells[group * width + bucket];
            if cells.is_empty() {
                cells.resize(steps.count, Count::default());
            }
            cells[step].0 += u64::from(count.spans);
            spans += u64::from(count.spans);
        }
        let mut grown = 0;
        for (place, cells) in cells.iter().enumerate().filter(|(_, cells)| !cells.is_empty()) {
            let mut key = groups[place / width].clone();
            if self.has_buckets {
                key.push(FieldValue::Int((place % width) as i64));
            }
            grown += partial.add(key, cells);
        }
        (spans, grown)
    }

    /// The groups, and for each key of the counts its group; `None` for spans that are not counted.
    fn groups(&self, rollup: &Rollup) -> (Vec<Vec<FieldValue>>, Vec<Option<usize>>) {
        let mut groups: Vec<Vec<FieldValue>> = Vec::new();
        let mut known: HashMap<Vec<FieldValue>, usize> = HashMap::new();
        let of_key = |key: &RollupKey| {
            if !holds(self.condition, rollup, *key) {
                return None;
            }
            let values = self.by.iter().map(|part| part.cell(rollup, *key).to_value());
            let group = known.entry(values.collect()).or_insert_with_key(|values| {
                groups.push(values.clone());
                groups.len() - 1
            });
            Some(*group)
        };
        let of_keys = rollup.keys.iter().map(of_key).collect();
        (groups, of_keys)
    }
}

fn is_of_parts(condition: &Condition) -> bool {
    match condition {
        Condition::Constant(_) | Condition::Roots(_) => true,
        Condition::And(left, right) | Condition::Or(left, right) => {
            is_of_parts(left) && is_of_parts(right)
        }
        Condition::Not(inner) => is_of_parts(inner),
        Condition::Test(attribute, _) => Part::of(attribute).is_some(),
        Condition::Computed(_) => false,
    }
}

fn holds(condition: &Condition, rollup: &Rollup, key: RollupKey) -> bool {
    match condition {
        Condition::Constant(value) => *value,
        Condition::Roots(are_wanted) => key.is_root == *are_wanted,
        Condition::And(left, right) => holds(left, rollup, key) && holds(right, rollup, key),
        Condition::Or(left, right) => holds(left, rollup, key) || holds(right, rollup, key),
        Condition::Not(inner) => !holds(inner, rollup, key),
        Condition::Test(attribute, test) => {
            let part = Part::of(attribute);
            part.is_some_and(|part| test.holds(part.cell(rollup, key)))
        }
        Condition::Computed(_) => false,
    }
}
