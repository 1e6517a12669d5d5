//! Comparisons. Values of different types are not comparable, as in Go.

use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use std::cmp::Ordering;

const TWO: &[Kind] = &[Kind::Any, Kind::Any];

pub(super) const FUNCTIONS: [Function; 6] = [
    Function::pure("eq", &[Kind::Any], eq).with_rest(Kind::Any),
    Function::pure("ne", TWO, |_, arguments| {
        Ok((!equal(arguments.get(0), arguments.get(1))?).into())
    }),
    Function::pure("lt", TWO, |_, arguments| ordered(arguments, Ordering::is_lt)),
    Function::pure("le", TWO, |_, arguments| ordered(arguments, Ordering::is_le)),
    Function::pure("gt", TWO, |_, arguments| ordered(arguments, Ordering::is_gt)),
    Function::pure("ge", TWO, |_, arguments| ordered(arguments, Ordering::is_ge)),
];

/// Whether the first argument is any of the others.
fn eq<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    if arguments.count() < 2 {
        return Err("missing argument for comparison".into());
    }
    for other in arguments.from(1) {
        if equal(arguments.get(0), other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn equal(left: &Value<'_>, right: &Value<'_>) -> Result<bool, Failure> {
    use Value::{Bool, Duration, Float, Int, List, Map, Nil, Text, Time};
    Ok(match (left, right) {
        (Nil, Nil) => true,
        (Nil, _) | (_, Nil) => false,
        (Bool(left), Bool(right)) => left == right,
        (Int(left) | Duration(left), Int(right) | Duration(right)) => left == right,
        (Float(left), Float(right)) => left == right,
        (Text(left), Text(right)) => left == right,
        (Time(left), Time(right)) => left == right,
        (List(_), List(_)) | (Map(_), Map(_)) => {
            let (left, right) = (left.type_name(), right.type_name());
            return Err(format!("non-comparable types {left} and {right}").into());
        }
        _ => return Err("incompatible types for comparison".into()),
    })
}

/// What is not a number compares as false with everything.
fn ordered<'a>(
    arguments: &Arguments<'a, '_>,
    is_it: fn(Ordering) -> bool,
) -> Result<Value<'a>, Failure> {
    use Value::{Duration, Float, Int, Text};
    let ordering = match (arguments.get(0), arguments.get(1)) {
        (Int(left) | Duration(left), Int(right) | Duration(right)) => Some(left.cmp(right)),
        (Float(left), Float(right)) => left.partial_cmp(right),
        (Text(left), Text(right)) => Some(left.cmp(right)),
        (Int(_) | Duration(_) | Float(_) | Text(_), Int(_) | Duration(_) | Float(_) | Text(_)) => {
            return Err("incompatible types for comparison".into());
        }
        _ => return Err("invalid type for comparison".into()),
    };
    Ok(ordering.is_some_and(is_it).into())
}
