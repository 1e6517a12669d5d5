//! Matchers as the store applies them: those on the metric's name are separate, and results for
//! values are remembered.

use model::{Labels, MatchOp, Matcher};
use std::collections::HashMap;

/// All values that can match, if the matcher lists them and none is empty. An empty value also
/// matches series without the label, which are in no list of series with a value.
pub(crate) fn known_values(matcher: &Matcher) -> Option<&[String]> {
    matcher.literals().filter(|values| values.iter().all(|value| !value.is_empty()))
}

/// Matchers split into those on the metric's name and those on other labels.
#[derive(Clone, Debug)]
pub(crate) struct Compiled<'a> {
    name: Vec<&'a Matcher>,
    pub(crate) others: Vec<&'a Matcher>,
}

impl<'a> Compiled<'a> {
    pub(crate) fn new(matchers: &'a [Matcher]) -> Self {
        let (name, others) = matchers.iter().partition(|matcher| matcher.is_metric_name());
        Self { name, others }
    }

    /// Whether every series matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_empty() && self.others.is_empty()
    }

    /// The only metric that can match, if there is just one.
    pub(crate) fn metric(&self) -> Option<&'a str> {
        let exact = self.name.iter().find(|matcher| matcher.op == MatchOp::Equal)?;
        Some(&exact.value)
    }

    pub(crate) fn matches_metric(&self, name: &str) -> bool {
        self.name.iter().all(|matcher| matcher.matches(name))
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let others = || self.others.iter().all(|matcher| matcher.matches_labels(labels));
        self.matches_metric(labels.metric_name()) && others()
    }
}

/// A matcher that remembers its result for each value.
#[derive(Debug)]
pub(crate) struct Remembering<'a> {
    pub(crate) matcher: &'a Matcher,
    known: HashMap<String, bool>,
}

impl<'a> Remembering<'a> {
    pub(crate) fn new(matcher: &'a Matcher) -> Self {
        Self { matcher, known: HashMap::new() }
    }

    pub(crate) fn matches(&mut self, value: &str) -> bool {
        if let MatchOp::Equal | MatchOp::NotEqual = self.matcher.op {
            return self.matcher.matches(value);
        }
        if let Some(known) = self.known.get(value) {
            return *known;
        }
        let matches = self.matcher.matches(value);
        self.known.insert(value.to_owned(), matches);
        matches
    }
}
