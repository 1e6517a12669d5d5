//! Labels of lines. Other than those of series they may be empty: a stage can set a label to nothing.

use std::fmt;
use std::sync::Arc;

/// Labels in the order of their names, each name once. Cloning costs a reference count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelPairs(Arc<[(Box<str>, Box<str>)]>);

impl LabelPairs {
    /// Sorts by name. Of equal names the last one wins.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all: Vec<(Box<str>, Box<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        // The sort keeps the order of equal names.
        all.sort_by(|left, right| left.0.cmp(&right.0));
        let mut kept: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(all.len());
        for pair in all {
            match kept.last_mut().filter(|last| last.0 == pair.0) {
                Some(last) => *last = pair,
                None => kept.push(pair),
            }
        }
        Self(kept.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// About what they take of memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        texts + size_of_val(&*self.0)
    }

    /// These and others, which win.
    #[must_use]
    pub fn with(&self, others: &[&Self]) -> Self {
        if others.iter().all(|other| other.is_empty()) {
            return self.clone();
        }
        Self::new(self.iter().chain(others.iter().flat_map(|other| other.iter())))
    }
}

/// `{app="web", level="error"}`
impl fmt::Display for LabelPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}
