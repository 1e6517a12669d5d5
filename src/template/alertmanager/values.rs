//! Functions that make lists, maps and JSON.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::time::show;
use crate::value::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const FUNCTIONS: [Function; 5] = [
    Function::pure("stringSlice", &[], |_, arguments| Ok(list(arguments))).with_rest(Kind::Text),
    Function::pure("list", &[], |_, arguments| Ok(list(arguments))).with_rest(Kind::Any),
    Function::pure("append", &[Kind::Any], append).with_rest(Kind::Any),
    Function::pure("dict", &[], dict).with_rest(Kind::Any),
    Function::pure("toJson", &[Kind::Any], to_json),
];

fn list<'a>(arguments: &Arguments<'a, '_>) -> Value<'a> {
    Value::list(arguments.from(0).to_vec())
}

fn append<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let mut items = match arguments.get(0) {
        Value::List(items) => items.to_vec(),
        Value::Nil => Vec::new(),
        other => return Err(format!("can't append to {}", other.type_name()).into()),
    };
    items.extend(arguments.from(1).iter().cloned());
    call.made(items.len() * size_of::<Value<'_>>())?;
    Ok(Value::list(items))
}

/// `dict "a" 1 "b" 2`
fn dict<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let (pairs, rest) = arguments.from(0).as_chunks::<2>();
    if !rest.is_empty() {
        return Err("dict needs a value for every key".into());
    }
    let mut entries = BTreeMap::new();
    for [key, value] in pairs {
        let Value::Text(key) = key else { return Err("keys of dict are texts".into()) };
        entries.insert(String::from_utf8_lossy(key).into_owned(), value.clone());
    }
    Ok(Value::map(entries))
}

fn to_json<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let mut out = String::new();
    write_json(call, arguments.get(0), 0, &mut out)?;
    Ok(out.into())
}

/// Lists within lists.
const DEPTH_MAX: usize = 100;

fn write_json(
    call: &mut Call<'_>,
    value: &Value<'_>,
    depth: usize,
    out: &mut String,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err("the value is nested too deep for JSON".into());
    }
    call.check_size(out.len())?;
    match value {
        Value::Nil | Value::Root => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Duration(value) => out.push_str(&value.to_string()),
        Value::Float(value) if value.is_finite() => {
            out.push_str(&serde_json::Value::from(*value).to_string());
        }
        Value::Float(value) => return Err(format!("json: unsupported value: {value}").into()),
        Value::Text(text) => write_text(&String::from_utf8_lossy(text), out),
        Value::Time(time) => {
            let mut shown = String::new();
            show(time, "2006-01-02T15:04:05.999999999Z07:00", &mut shown);
            write_text(&shown, out);
        }
        Value::Object(object) => write_json(call, &object.plain(), depth + 1, out)?,
        Value::List(items) => write_list(call, items, depth, out)?,
        Value::Map(map) => write_map(call, map, depth, out)?,
    }
    Ok(())
}

/// As Go writes it: what could end a script in a page is escaped.
fn write_text(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    for character in quoted.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
}

fn write_list(
    call: &mut Call<'_>,
    items: &Arc<[Value<'_>]>,
    depth: usize,
    out: &mut String,
) -> Result<(), Failure> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        write_json(call, item, depth + 1, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_map(
    call: &mut Call<'_>,
    map: &Arc<Map<'_>>,
    depth: usize,
    out: &mut String,
) -> Result<(), Failure> {
    out.push('{');
    for (index, (key, item)) in map.entries.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        write_text(key, out);
        out.push(':');
        write_json(call, item, depth + 1, out)?;
    }
    out.push('}');
    Ok(())
}
