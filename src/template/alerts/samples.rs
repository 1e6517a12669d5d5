//! Results of queries: lists of maps with `Labels` and `Value`.

use super::data::TemplateSample;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::{Map, Missing, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const FUNCTIONS: [Function; 8] = [
    Function::of_data("query", &[Kind::Text]),
    Function::pure("first", &[Kind::Any], first),
    Function::pure("label", &[Kind::Text, Kind::Any], |_, arguments| {
        let name = String::from_utf8_lossy(&arguments.text(0)).into_owned();
        label(arguments.get(1), &name)
    }),
    Function::pure("value", &[Kind::Any], |_, arguments| part(arguments.get(0), "Value")),
    Function::pure("strvalue", &[Kind::Any], |_, arguments| label(arguments.get(0), "__value__")),
    Function::pure("sortByLabel", &[Kind::Text, Kind::Any], sort_by_label),
    Function::pure("args", &[], args).with_rest(Kind::Any),
    Function::template("tmpl"),
];

pub(super) fn sample<'a>(sample: &TemplateSample) -> Value<'a> {
    let label = |(name, value): (&str, &str)| (name.to_owned(), Value::from(value.to_owned()));
    let entries = sample.labels.iter().map(label).collect();
    let labels = Value::Map(Arc::new(Map { entries, missing: Missing::EmptyText }));
    Value::map(BTreeMap::from([
        ("Labels".to_owned(), labels),
        ("Value".to_owned(), Value::Float(sample.value)),
    ]))
}

fn wrong(wanted: &str, got: &Value<'_>) -> Failure {
    format!("wrong type for value; expected {wanted}; got {}", got.type_name()).into()
}

fn part<'a>(sample: &Value<'a>, name: &str) -> Result<Value<'a>, Failure> {
    let found = match sample {
        Value::Map(map) => map.entries.get(name).cloned(),
        _ => None,
    };
    found.ok_or_else(|| wrong("*template.sample", sample))
}

fn label<'a>(sample: &Value<'a>, name: &str) -> Result<Value<'a>, Failure> {
    match part(sample, "Labels")? {
        Value::Map(labels) => Ok(labels.get(name)),
        other => Err(wrong("*template.sample", &other)),
    }
}

fn first<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    match arguments.get(0) {
        Value::List(items) => items
            .first()
            .cloned()
            .ok_or_else(|| Failure::message("first() called on vector with no elements")),
        other => Err(wrong("template.queryResult", other)),
    }
}

fn sort_by_label<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let name = String::from_utf8_lossy(&arguments.text(0)).into_owned();
    let items = match arguments.get(1) {
        Value::List(items) => items,
        other => return Err(wrong("template.queryResult", other)),
    };
    call.made(items.len().saturating_mul(size_of::<Value<'_>>()))?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.iter() {
        let key = match label(item, &name)? {
            Value::Text(text) => text.into_owned(),
            _ => Vec::new(),
        };
        keyed.push((key, item.clone()));
    }
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(Value::list(keyed.into_iter().map(|(_, item)| item).collect()))
}

/// Several values as one, for `template` and `tmpl`, which take one.
fn args<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let named = (0..arguments.count()).map(|index| (format!("arg{index}"), arguments.take(index)));
    Ok(Value::map(named.collect()))
}
