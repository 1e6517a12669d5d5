//! Series of a result, and what to do about those whose labels have become equal.

use crate::column::StepColumn;
use crate::error::QueryError;
use crate::holding::Weight;
use model::{BytesHash, Labels};
use std::collections::{HashMap, HashSet};

/// What a language says where two series of one vector have the same labels at the same step.
pub const DUPLICATES: &str = "vector cannot contain metrics with the same labelset";

/// A series of a result.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: Labels,
    /// The name is to be dropped at the end of the query (delayed name removal).
    pub drop_name: bool,
    pub column: StepColumn,
}

impl Series {
    pub fn new(labels: Labels, column: StepColumn) -> Self {
        Self { labels, drop_name: false, column }
    }

    /// How much of a query's limits it takes.
    pub fn weight(&self) -> Weight {
        self.column.weight() + Weight::labels(&self.labels) + Self::OWN
    }

    /// What a series takes beside its column and labels.
    pub(crate) const OWN: Weight = Weight { samples: 0, bytes: size_of::<Self>() };

    /// The value no longer means what the name says: drop it, now or at the end.
    pub fn lose_name(&mut self, delayed: bool) {
        if delayed {
            self.drop_name = true;
        } else {
            self.labels = self.labels.without_metadata();
        }
    }
}

pub fn has_duplicates(series: &[Series]) -> bool {
    if series.len() < 2 {
        return false;
    }
    let mut seen: HashSet<&[u8], BytesHash> =
        HashSet::with_capacity_and_hasher(series.len(), BytesHash::default());
    !series.iter().all(|one| seen.insert(one.labels.as_bytes()))
}

/// Series of equal labels become one; an error where both have a value at one step.
pub fn merged(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    if !has_duplicates(&series) {
        return Ok(series);
    }
    let mut by_labels: HashMap<Labels, usize, BytesHash> = HashMap::default();
    let mut merged: Vec<Series> = Vec::new();
    for one in series {
        match by_labels.get(&one.labels) {
            Some(index) => {
                if !merged[*index].column.absorb(&one.column) {
                    return Err(QueryError::execution(DUPLICATES));
                }
            }
            None => {
                by_labels.insert(one.labels.clone(), merged.len());
                merged.push(one);
            }
        }
    }
    Ok(merged)
}
