//! Some of the spans that points were counted from.

use super::super::Result;
use super::super::view::View;
use super::Exemplar;
use super::groups::Groups;
use super::steps::Steps;
use super::table::{Counted, bucket};
use crate::value::FieldValue;
use std::collections::HashMap;

/// Exemplars of one step.
const OF_STEP: u8 = 2;
/// So many spans of a piece are looked at, spread over it.
const LOOKED_AT: usize = 4_096;

/// As many of some traces, whose starts rise, as there can be exemplars: the first of each step.
pub(crate) fn traces(starts: &[u64], steps: &Steps) -> Vec<u32> {
    let (mut finder, mut last, mut of_step) = (steps.finder(), None, 0_u8);
    let mut traces = Vec::new();
    for (trace, start) in (0..).zip(starts) {
        let step = finder.find(*start);
        of_step = if step == last { of_step.saturating_add(1) } else { 1 };
        last = step;
        if step.is_some() && of_step <= OF_STEP {
            traces.push(trace);
        }
    }
    traces
}

#[derive(Debug)]
pub(crate) struct Exemplars {
    most: usize,
    by_step: Vec<u8>,
    found: HashMap<Vec<FieldValue>, Vec<(usize, Exemplar)>>,
    count: usize,
}

impl Exemplars {
    pub(crate) fn new(most: usize, steps: usize) -> Self {
        let by_step = if most > 0 { vec![0; steps] } else { Vec::new() };
        Self { most, by_step, found: HashMap::new(), count: 0 }
    }

    pub(crate) fn add(
        &mut self,
        view: &View<'_>,
        counted: &Counted<'_>,
        groups: &Groups<'_>,
    ) -> Result<()> {
        if self.count >= self.most {
            return Ok(());
        }
        match counted.rows {
            Some(rows) => {
                let stride = rows.len() / LOOKED_AT + 1;
                self.add_rows(view, counted, groups, rows.iter().step_by(stride))
            }
            None => {
                let stride = view.rows / LOOKED_AT + 1;
                self.add_rows(view, counted, groups, (0..view.rows).step_by(stride))
            }
        }
    }

    fn add_rows(
        &mut self,
        view: &View<'_>,
        counted: &Counted<'_>,
        groups: &Groups<'_>,
        rows: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let mut finder = counted.steps.finder();
        for row in rows {
            let Some(step) = finder.find(counted.starts[row]) else { continue };
            if self.by_step[step] >= OF_STEP {
                continue;
            }
            let Some((value, bucket)) = value(counted, row) else { continue };
            let mut key = groups.key(groups.code(row));
            key.extend(bucket.map(|exponent| FieldValue::Int(exponent as i64)));
            let trace = view.trace_of_row(row);
            let exemplar = Exemplar {
                trace_id: view.piece.trace_ids()?[trace],
                span_id: view.piece.span_ids()?[row],
                time_ns: super::super::source::signed(counted.starts[row]),
                value,
            };
            self.push(key, step, exemplar);
            if self.count >= self.most {
                break;
            }
        }
        Ok(())
    }

    fn push(&mut self, key: Vec<FieldValue>, step: usize, exemplar: Exemplar) {
        self.by_step[step] += 1;
        self.count += 1;
        self.found.entry(key).or_default().push((step, exemplar));
    }

    /// Takes over what another thread found, as far as there is room.
    pub(crate) fn merge(&mut self, other: Self) {
        let mut others: Vec<_> = other.found.into_iter().collect();
        others.sort_by(|one, other| one.0.cmp(&other.0));
        for (key, list) in others {
            for (step, exemplar) in list {
                if self.count < self.most && self.by_step[step] < OF_STEP {
                    self.push(key.clone(), step, exemplar);
                }
            }
        }
    }

    /// Those of a group, in the order of time.
    pub(crate) fn take(&mut self, key: &[FieldValue]) -> Vec<Exemplar> {
        let found = self.found.remove(key).unwrap_or_default();
        let mut found: Vec<Exemplar> = found.into_iter().map(|(_, exemplar)| exemplar).collect();
        found.sort_by_key(|exemplar| exemplar.time_ns);
        found
    }
}

/// The value that is shown of a span, and its bucket; `None` if the span is not counted.
fn value(counted: &Counted<'_>, row: usize) -> Option<(f64, Option<usize>)> {
    let Some(source) = counted.of else { return Some((1.0, None)) };
    let number = source.cell(row).as_number()?;
    let nanos = matches!(number, crate::fold::Number::Duration(_));
    let shown = if nanos { number.as_float() / 1e9 } else { number.as_float() };
    if !counted.has_buckets {
        return Some((shown, None));
    }
    let is_whole = !matches!(number, crate::fold::Number::Float(_));
    let exponent = bucket(number.as_float().max(0.0) as u64).filter(|_| is_whole)?;
    Some((shown, Some(exponent)))
}
