//! What a tenant's series look like: names, values, and where the series come from.

use crate::select::Selection;
use model::Labels;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A name and how many series or values it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameCount {
    pub name: String,
    pub count: u64,
}

/// The largest contributors first.
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
    fn all_labels(&self) -> impl Iterator<Item = &Labels> {
        (0..self.len()).map(|index| self.labels(index))
    }

    /// In order; at most `limit`.
    pub fn label_names(&self, limit: usize) -> Vec<String> {
        let mut names = BTreeSet::new();
        for (name, _) in self.all_labels().flat_map(Labels::iter) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        names.into_iter().take(limit).collect()
    }

    /// In order; at most `limit`.
    pub fn label_values(&self, name: &str, limit: usize) -> Vec<String> {
        let values: BTreeSet<&str> =
            self.all_labels().filter_map(|labels| labels.get(name)).collect();
        values.into_iter().take(limit).map(str::to_owned).collect()
    }

    /// The `limit` largest of each kind.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        let mut metrics: HashMap<&str, u64> = HashMap::new();
        let mut pairs: HashMap<(&str, &str), u64> = HashMap::new();
        for labels in self.all_labels() {
            *metrics.entry(labels.metric_name()).or_default() += 1;
            labels.iter().for_each(|pair| *pairs.entry(pair).or_default() += 1);
        }
        let mut values: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (name, value) in pairs.keys() {
            let (count, bytes) = values.entry(name).or_default();
            *count += 1;
            *bytes += value.len() as u64;
        }
        let labels =
            || values.iter().map(|(name, (count, bytes))| ((*name).to_owned(), *count, *bytes));
        let pair_names =
            pairs.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
        Cardinality {
            series: self.len() as u64,
            label_pairs: pairs.len() as u64,
            metrics: top(metrics.iter().map(|(name, count)| ((*name).to_owned(), *count)), limit),
            labels: top(labels().map(|(name, count, _)| (name, count)), limit),
            label_bytes: top(labels().map(|(name, _, bytes)| (name, bytes)), limit),
            pairs: top(pair_names, limit),
        }
    }
}

fn top(all: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<NameCount> {
    let mut all: Vec<NameCount> = all.map(|(name, count)| NameCount { name, count }).collect();
    all.sort_by(|left, right| {
        right.count.cmp(&left.count).then_with(|| left.name.cmp(&right.name))
    });
    all.truncate(limit);
    all
}
