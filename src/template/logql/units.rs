//! Durations and sizes as numbers.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::units::{parse_bytes, parse_duration};
use crate::value::Value;

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::pure("duration", TEXT, seconds),
    Function::pure("duration_seconds", TEXT, seconds),
    Function::pure("bytes", TEXT, |_, arguments| {
        Ok(Value::Float(parse_bytes(&arguments.text(0))? as f64))
    }),
];

fn seconds<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let nanoseconds = parse_duration(&arguments.text(0))?;
    // Whole seconds and the rest apart, so that large ones lose nothing.
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    Ok(Value::Float(seconds as f64 + rest as f64 / 1e9))
}
