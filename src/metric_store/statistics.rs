//! Which metrics and labels have the most series.

use crate::StoreError;
use crate::select::Selection;
use model::{METRIC_NAME, NoRoom, Room};
use std::collections::HashMap;

/// The series of all tenants, and the memory that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesStats {
    pub active_series: u64,
    /// Labels and samples.
    pub bytes: u64,
}

/// A name and its number of series or values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCount {
    pub name: String,
    pub count: u64,
}

/// Statistics with the largest counts first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    pub series: u64,
    pub label_pairs: u64,
    /// Series by metric name.
    pub metrics: Vec<NameCount>,
    /// Distinct values by label name.
    pub labels: Vec<NameCount>,
    /// Bytes of distinct values by label name.
    pub label_bytes: Vec<NameCount>,
    /// Series by `name=value`.
    pub pairs: Vec<NameCount>,
}

impl Selection {
    /// The `limit` largest entries of each kind.
    pub fn cardinality(
        &self,
        limit: usize,
        room: &mut dyn Room,
    ) -> Result<Cardinality, StoreError> {
        let mut pairs: HashMap<String, HashMap<String, u64>> = HashMap::new();
        for index in 0..self.len() {
            let mut counted = Ok(());
            self.for_each_label(index, |name, value| {
                if counted.is_ok() {
                    counted = count(&mut pairs, name, value, &mut *room);
                }
            });
            counted?;
        }
        let metrics = pairs.get(METRIC_NAME);
        let of_metrics = metrics.iter().flat_map(|metrics| metrics.iter());
        let sum = |values: &HashMap<String, u64>| values.keys().map(|v| v.len() as u64).sum();
        let of_pairs = pairs.iter().flat_map(|(name, values)| {
            values.iter().map(move |(value, count)| (format!("{name}={value}"), *count))
        });
        Ok(Cardinality {
            series: self.len() as u64,
            label_pairs: pairs.values().map(|values| values.len() as u64).sum(),
            metrics: top(of_metrics.map(|(name, count)| (name.clone(), *count)), limit),
            labels: top(pairs.iter().map(|(name, v)| (name.clone(), v.len() as u64)), limit),
            label_bytes: top(pairs.iter().map(|(name, v)| (name.clone(), sum(v))), limit),
            pairs: top(of_pairs, limit),
        })
    }
}

/// Counts a value; copies name and value only when they are new.
fn count(
    pairs: &mut HashMap<String, HashMap<String, u64>>,
    name: &str,
    value: &str,
    room: &mut dyn Room,
) -> Result<(), NoRoom> {
    if !pairs.contains_key(name) {
        pairs.insert(name.to_owned(), HashMap::new());
    }
    let values = pairs.get_mut(name).expect("it was inserted where it was missing");
    match values.get_mut(value) {
        Some(count) => *count += 1,
        None => {
            // The pair, its place in a table that is half empty, and the copies that are sorted.
            let bytes = 3 * (name.len() + value.len()) + 6 * size_of::<NameCount>();
            room.take(bytes)?;
            values.insert(value.to_owned(), 1);
        }
    }
    Ok(())
}

fn top(all: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<NameCount> {
    let mut all: Vec<NameCount> = all.map(|(name, count)| NameCount { name, count }).collect();
    all.sort_by(|left, right| {
        right.count.cmp(&left.count).then_with(|| left.name.cmp(&right.name))
    });
    all.truncate(limit);
    all
}
