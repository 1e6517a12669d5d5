//! `and`, `or`, `unless`: which samples there are on the other side, step by step.

use super::super::column::{Bitmap, Series};
use super::super::grid::Grid;
use super::super::plan::Binary;
use super::vectors::signature_choice;
use crate::ast::BinaryOp;
use crate::engine::eval::DUPLICATES;
use crate::error::QueryError;
use model::{BytesHash, Labels};
use std::collections::HashMap;

pub(super) fn evaluate(
    node: &Binary,
    left: Vec<Series>,
    right: Vec<Series>,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    let matching = node.matching.as_ref().expect("vectors have a matching");
    let choice = signature_choice(matching);
    let key = |series: &Series| {
        let mut key = Vec::new();
        series.labels.write_key(&choice, &mut key);
        key
    };
    let (others, kept) = if node.op == BinaryOp::Or { (&left, &right) } else { (&right, &left) };
    let mut present: HashMap<Vec<u8>, Bitmap, BytesHash> = HashMap::default();
    for series in others {
        let steps = present.entry(key(series)).or_insert_with(|| Bitmap::new(grid.steps()));
        steps.union(series.column.present());
    }
    let keys: Vec<Vec<u8>> = kept.iter().map(key).collect();
    let want_present = node.op == BinaryOp::And;
    let (all, filtered) = if node.op == BinaryOp::Or { (left, right) } else { (Vec::new(), left) };
    let mut result = all;
    for (mut series, key) in filtered.into_iter().zip(keys) {
        let there = present.get(&key);
        for step in 0..grid.steps() {
            let found = there.is_some_and(|steps| steps.get(step));
            if found != want_present {
                series.column.remove(step);
            }
        }
        if !series.column.is_empty() {
            result.push(series);
        }
    }
    if node.op == BinaryOp::Or { joined(result, grid) } else { Ok(result) }
}

/// Both sides of an `or` may have the same series at different steps.
fn joined(series: Vec<Series>, grid: Grid) -> Result<Vec<Series>, QueryError> {
    if grid.steps() == 1 {
        return Ok(series);
    }
    let mut by_labels: HashMap<Labels, usize, BytesHash> = HashMap::default();
    let mut result: Vec<Series> = Vec::with_capacity(series.len());
    for one in series {
        match by_labels.get(&one.labels) {
            Some(index) => {
                let known = &mut result[*index];
                if one.column.first_step() < known.column.first_step() {
                    // Who came first says whether the name is to go.
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
