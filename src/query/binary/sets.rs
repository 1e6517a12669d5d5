//! `and`, `or`, `unless`: step by step, whether the other side has a sample.

use super::Binary;
use super::vectors::signature_choice;
use crate::bitmap::Bitmap;
use crate::error::QueryError;
use crate::groups::LabelGroups;
use crate::holding::Weight;
use crate::operators::BinaryOp;
use crate::series::{DUPLICATES, Series};
use model::{BytesHash, Labels};
use std::collections::HashMap;

pub(super) fn evaluate(
    binary: &Binary<'_>,
    left: Vec<Series>,
    right: Vec<Series>,
) -> Result<Vec<Series>, QueryError> {
    let (op, steps) = (binary.op, binary.steps);
    let mut portions = binary.holding.portions();
    let mut groups = LabelGroups::new(signature_choice(binary.matching()));
    // For each group the steps at which the other side has a sample.
    let mut present: Vec<Bitmap> = Vec::new();
    for series in if op == BinaryOp::Or { &left } else { &right } {
        let group = groups.number(&series.labels, &mut portions)?;
        if group == present.len() {
            let none = Bitmap::new(steps);
            portions.take(Weight::bytes(none.bytes() + size_of::<Bitmap>()))?;
            present.push(none);
        }
        present[group].union(series.column.present());
    }
    let want_present = op == BinaryOp::And;
    let (all, filtered) = if op == BinaryOp::Or { (left, right) } else { (Vec::new(), left) };
    let mut result = all;
    for mut series in filtered {
        let there = groups.find(&series.labels).map(|group| &present[group]);
        for step in 0..steps {
            let found = there.is_some_and(|steps| steps.get(step));
            if found != want_present {
                series.column.remove(step);
            }
        }
        if !series.column.is_empty() {
            result.push(series);
        }
    }
    if op == BinaryOp::Or { joined(result, steps) } else { Ok(result) }
}

/// Both sides of an `or` may have the same series at different steps.
fn joined(series: Vec<Series>, steps: usize) -> Result<Vec<Series>, QueryError> {
    if steps == 1 {
        return Ok(series);
    }
    let mut by_labels: HashMap<Labels, usize, BytesHash> = HashMap::default();
    let mut result: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        match by_labels.get(&one.labels) {
            Some(index) => {
                let known = &mut result[*index];
                if one.column.first_step() < known.column.first_step() {
                    // The series with the earlier sample decides whether the name is dropped.
                    known.drop_name = one.drop_name;
                }
                if !known.column.absorb(&one.column) {
                    return Err(QueryError::execution(DUPLICATES));
                }
            }
            None => {
                by_labels.insert(one.labels.clone(), result.len());
                result.push(one);
            }
        }
    }
    Ok(result)
}
