//! Which series are meant: tests of label values.
//!
//! The languages have their own regular expressions; here they are a trait, with hints that spare
//! most of the calls.

use model::{Labels, METRIC_NAME};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

/// A test of a value that the store can't see through.
pub trait ValuePattern: Debug + Send + Sync {
    fn matches(&self, value: &str) -> bool;

    /// All values that match, sorted, if they are known.
    fn literals(&self) -> Option<&[String]> {
        None
    }

    /// What every value that matches begins with.
    fn prefix(&self) -> &str {
        ""
    }
}

#[derive(Clone, Debug)]
pub enum ValueTest {
    Equal(String),
    NotEqual(String),
    Pattern(Arc<dyn ValuePattern>),
    NotPattern(Arc<dyn ValuePattern>),
}

/// One condition. A label that is not there has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub label: String,
    pub test: ValueTest,
}

impl Matcher {
    pub fn equal(label: &str, value: &str) -> Self {
        Self { label: label.to_owned(), test: ValueTest::Equal(value.to_owned()) }
    }

    pub fn not_equal(label: &str, value: &str) -> Self {
        Self { label: label.to_owned(), test: ValueTest::NotEqual(value.to_owned()) }
    }

    pub fn matches(&self, value: &str) -> bool {
        match &self.test {
            ValueTest::Equal(wanted) => value == wanted,
            ValueTest::NotEqual(unwanted) => value != unwanted,
            ValueTest::Pattern(pattern) => matches_pattern(&**pattern, value),
            ValueTest::NotPattern(pattern) => !matches_pattern(&**pattern, value),
        }
    }
}

fn matches_pattern(pattern: &dyn ValuePattern, value: &str) -> bool {
    match pattern.literals() {
        Some(literals) => literals.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok(),
        None => value.starts_with(pattern.prefix()) && pattern.matches(value),
    }
}

impl Matcher {
    /// All values that can match, if they are few, known and not empty.
    pub(crate) fn known_values(&self) -> Option<Vec<&str>> {
        let values: Vec<&str> = match &self.test {
            ValueTest::Equal(value) => vec![value],
            ValueTest::Pattern(pattern) => pattern.literals()?.iter().map(String::as_str).collect(),
            ValueTest::NotEqual(_) | ValueTest::NotPattern(_) => return None,
        };
        values.iter().all(|value| !value.is_empty()).then_some(values)
    }
}

/// Matchers sorted by what they look at.
#[derive(Clone, Debug)]
pub(crate) struct Compiled<'a> {
    name: Vec<&'a Matcher>,
    pub(crate) others: Vec<&'a Matcher>,
}

impl<'a> Compiled<'a> {
    pub(crate) fn new(matchers: &'a [Matcher]) -> Self {
        let (name, others) = matchers.iter().partition(|matcher| matcher.label == METRIC_NAME);
        Self { name, others }
    }

    /// Whether they let everything through.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_empty() && self.others.is_empty()
    }

    /// The one metric that can match, if there is one.
    pub(crate) fn metric(&self) -> Option<&'a str> {
        self.name.iter().find_map(|matcher| match &matcher.test {
            ValueTest::Equal(name) => Some(name.as_str()),
            _ => None,
        })
    }

    pub(crate) fn matches_metric(&self, name: &str) -> bool {
        self.name.iter().all(|matcher| matcher.matches(name))
    }

    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let others = || self.others.iter().all(|m| m.matches(labels.value(&m.label)));
        self.matches_metric(labels.metric_name()) && others()
    }
}

/// A matcher that remembers what it thought of a value.
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
        if let ValueTest::Equal(_) | ValueTest::NotEqual(_) = self.matcher.test {
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
