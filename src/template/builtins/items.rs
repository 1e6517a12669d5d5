//! Items and lengths of lists, maps and texts.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::borrow::Cow;

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::pure("index", &[Kind::Any], index).with_rest(Kind::Any),
    Function::pure("slice", &[Kind::Any], slice).with_rest(Kind::Any),
    Function::pure("len", &[Kind::Any], len),
];

/// `index x 1 "a"` is `x[1]["a"]`.
fn index<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let mut value = arguments.take(0);
    if matches!(value, Value::Nil) {
        return Err("index of untyped nil".into());
    }
    for at in arguments.from(1) {
        value = item(&value, at)?;
    }
    Ok(value)
}

fn item<'a>(value: &Value<'a>, at: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::List(items) => {
            let item = items.get(place(at, items.len())?);
            Ok(item.cloned().unwrap_or_default())
        }
        Value::Text(text) => {
            let byte = text.get(place(at, text.len())?);
            Ok(Value::Int(byte.copied().map_or(0, i64::from)))
        }
        Value::Map(map) => match at {
            Value::Text(key) => Ok(map.get(&String::from_utf8_lossy(key))),
            other => {
                let (wanted, got) = ("string", other.type_name());
                Err(format!("value has type {got}; should be {wanted}").into())
            }
        },
        Value::Nil => Err("index of nil pointer".into()),
        other => Err(format!("can't index item of type {}", other.type_name()).into()),
    }
}

fn place(at: &Value<'_>, length: usize) -> Result<usize, Failure> {
    let number = whole_number(at)?;
    let place = usize::try_from(number).ok().filter(|place| *place < length);
    place.ok_or_else(|| format!("index out of range: {number}").into())
}

fn whole_number(at: &Value<'_>) -> Result<i64, Failure> {
    match at {
        Value::Int(number) => Ok(*number),
        Value::Nil => Err("cannot index slice/array with nil".into()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    }
}

/// `slice x 1 2` is `x[1:2]`.
fn slice<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let length = match arguments.get(0) {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Nil => return Err("slice of untyped nil".into()),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let bounds = arguments.from(1);
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()).into());
    }
    if bounds.len() == 3 && matches!(arguments.get(0), Value::Text(_)) {
        return Err("cannot 3-index slice a string".into());
    }
    let mut places = [0, length, length];
    for (place, bound) in places.iter_mut().zip(bounds) {
        let number = whole_number(bound)?;
        let found = usize::try_from(number).ok().filter(|number| *number <= length);
        *place = found.ok_or_else(|| Failure::from(format!("index out of range: {number}")))?;
    }
    let [start, end, capacity] = places;
    if start > end || end > capacity {
        let (low, high) = if start > end { (start, end) } else { (end, capacity) };
        return Err(format!("invalid slice index: {low} > {high}").into());
    }
    Ok(part(arguments.take(0), start, end))
}

fn part(value: Value<'_>, start: usize, end: usize) -> Value<'_> {
    match value {
        Value::Text(Cow::Borrowed(text)) => Value::text(text.get(start..end).unwrap_or_default()),
        Value::Text(Cow::Owned(text)) => {
            Value::from(text.get(start..end).unwrap_or_default().to_vec())
        }
        Value::List(items) => Value::list(items.get(start..end).unwrap_or_default().to_vec()),
        other => other,
    }
}

/// Of a text its bytes.
fn len<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let length = match arguments.get(0) {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Nil => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}
