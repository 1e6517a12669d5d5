//! One alert, as its templates see it.

use super::samples;
use crate::data::Data;
use crate::registry::{Arguments, Failure};
use crate::value::{Map, Missing, Value};
use model::Labels;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Queries that one expansion may ask.
pub const QUERIES_MAX: usize = 100;

/// One element of a query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateSample {
    pub labels: Labels,
    pub value: f64,
}

/// What the alert's expression gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlertValue<'d> {
    Float(f64),
    /// A native histogram, as text.
    Text(&'d str),
}

/// The data of one expansion.
pub struct AlertData<'d> {
    pub labels: &'d Labels,
    pub external_labels: &'d Labels,
    pub external_url: &'d str,
    pub value: AlertValue<'d>,
    /// When the rule is evaluated.
    pub time_ms: i64,
    pub query: &'d dyn Fn(&str) -> Result<Vec<TemplateSample>, String>,
    asked: Cell<usize>,
}

impl<'d> AlertData<'d> {
    pub fn new(
        (labels, value): (&'d Labels, AlertValue<'d>),
        (external_labels, external_url): (&'d Labels, &'d str),
        time_ms: i64,
        query: &'d dyn Fn(&str) -> Result<Vec<TemplateSample>, String>,
    ) -> Self {
        let asked = Cell::new(0);
        Self { labels, external_labels, external_url, value, time_ms, query, asked }
    }

    fn ask<'a>(&self, query: &[u8]) -> Result<Value<'a>, Failure> {
        let asked = self.asked.get();
        if asked >= QUERIES_MAX {
            return Err(format!("the template asks more than {QUERIES_MAX} queries").into());
        }
        self.asked.set(asked + 1);
        let query = std::str::from_utf8(query).map_err(|_| "the query is not UTF-8")?;
        let found = (self.query)(query)?;
        Ok(Value::list(found.iter().map(samples::sample).collect()))
    }
}

impl fmt::Debug for AlertData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlertData({}, {:?})", self.labels, self.value)
    }
}

/// Labels, with an empty text for each that there is not.
fn borrowed(labels: &Labels) -> Value<'_> {
    let entries =
        labels.iter().map(|(name, value)| (name.to_owned(), Value::text(value.as_bytes())));
    Value::Map(Arc::new(Map { entries: entries.collect(), missing: Missing::EmptyText }))
}

impl Data for AlertData<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        Some(match key {
            "Labels" => borrowed(self.labels),
            "ExternalLabels" => borrowed(self.external_labels),
            "ExternalURL" => Value::text(self.external_url.as_bytes()),
            "Value" => match self.value {
                AlertValue::Float(value) => Value::Float(value),
                AlertValue::Text(text) => Value::text(text.as_bytes()),
            },
            _ => return None,
        })
    }

    fn entries(&self) -> BTreeMap<String, Value<'_>> {
        let keys = ["Labels", "ExternalLabels", "ExternalURL", "Value"];
        keys.iter().filter_map(|key| Some(((*key).to_owned(), self.get(key)?))).collect()
    }

    fn missing(&self) -> Missing {
        Missing::Nothing
    }

    fn call<'a>(
        &'a self,
        name: &str,
        arguments: &mut Arguments<'a, '_>,
    ) -> Result<Value<'a>, Failure> {
        match name {
            "query" => self.ask(&arguments.text(0)),
            "now" => Ok(Value::Float(self.time_ms as f64 / 1_000.0)),
            "externalURL" => Ok(Value::text(self.external_url.as_bytes())),
            _ => Ok(Value::text(path_of(self.external_url).as_bytes())),
        }
    }
}

/// The path of a URL: `/mirador` of `http://host/mirador`.
fn path_of(url: &str) -> &str {
    let behind_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(behind_scheme..).unwrap_or_default();
    let rest = rest.find(['?', '#']).and_then(|end| rest.get(..end)).unwrap_or(rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}
