//! Reading the JSON of requests: objects whose keys are looked up, with errors that name them.

use super::error::{Result, SearchError};
use serde_json::{Map, Value};

/// An object, and what it is called in errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'v> {
    name: &'v str,
    map: &'v Map<String, Value>,
}

impl<'v> Object<'v> {
    pub(super) fn of(name: &'v str, value: &'v Value) -> Result<Self> {
        match value.as_object() {
            Some(map) => Ok(Self { name, map }),
            None => Err(SearchError::parsing(format!(
                "[{name}] is {}: expected an object",
                shown(value)
            ))),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'v str, &'v Value)> {
        self.map.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(super) fn needed(&self, key: &str) -> Result<&'v Value> {
        self.get(key).ok_or_else(|| SearchError::parsing(format!("[{}] needs [{key}]", self.name)))
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(text_of)
    }

    pub(super) fn needed_text(&self, key: &str) -> Result<String> {
        let value = self.needed(key)?;
        text_of(value).ok_or_else(|| self.wrong(key, value, "a text"))
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = text_of(value).and_then(|text| text.trim().parse().ok());
        number
            .filter(|number: &f64| number.is_finite())
            .map(Some)
            .ok_or_else(|| self.wrong(key, value, "a number"))
    }

    /// A number that is whole and not negative.
    pub(super) fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
        let number = text_of(value).and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or_else(|| self.wrong(key, value, "a whole number from 0 on"))
    }

    fn wrong(&self, key: &str, value: &Value, expected: &str) -> SearchError {
        SearchError::parsing(format!(
            "[{}] [{key}] is {}: expected {expected}",
            self.name,
            shown(value)
        ))
    }

    /// The one key that names a field, beside those that every query may have.
    pub(super) fn only_field(&self) -> Option<(&'v str, &'v Value)> {
        let mut fields = self.iter().filter(|(key, _)| !matches!(*key, "boost" | "_name"));
        let first = fields.next()?;
        fields.next().is_none().then_some(first)
    }

    /// No other keys may be there: an option that is not known can't be ignored.
    pub(super) fn expect_only(&self, known: &[&str]) -> Result<()> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(SearchError::parsing(format!(
                "[{}] does not support [{key}]: known are {}",
                self.name,
                known.join(", ")
            ))),
        }
    }
}

/// A text, or a number as it was written.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A value that a field may have, as a text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(is) => Some(is.to_string()),
        value => text_of(value),
    }
}

pub(super) fn bool_of(value: &Value) -> Result<bool> {
    match value {
        Value::Bool(is) => Ok(*is),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        value => {
            Err(SearchError::parsing(format!("expected true or false, found {}", shown(value))))
        }
    }
}

/// A value in an error, not at length.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
