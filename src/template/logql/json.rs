//! JSON as values.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::collections::BTreeMap;

pub(super) const FUNCTIONS: [Function; 1] = [Function::pure("fromJson", &[Kind::Text], from_json)];

/// What is no JSON is nothing. Numbers are floats, as in Go.
fn from_json<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    /// What a byte of JSON takes at most as a value: an item of `[1,1,…]` takes two bytes.
    const GROWTH: usize = 32;
    let text = arguments.text(0);
    call.made(text.len().saturating_mul(GROWTH))?;
    Ok(serde_json::from_slice(&text).map(value).unwrap_or_default())
}

fn value<'a>(json: serde_json::Value) -> Value<'a> {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => number.as_f64().map_or(Value::Nil, Value::Float),
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(value).collect()),
        serde_json::Value::Object(entries) => {
            let entries: BTreeMap<String, Value<'a>> =
                entries.into_iter().map(|(key, item)| (key, value(item))).collect();
            Value::map(entries)
        }
    }
}
