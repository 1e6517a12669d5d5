//! Arithmetic. Arguments may be numbers or texts that are read as numbers; what is none is 0.

use super::decimal::Decimal;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::units::{parse_float, parse_int};
use crate::value::Value;

const ONE: &[Kind] = &[Kind::Any];
const TWO: &[Kind] = &[Kind::Any, Kind::Any];

type Made<'a> = Result<Value<'a>, Failure>;

const fn many(name: &'static str, run: crate::registry::Pure) -> Function {
    Function::pure(name, ONE, run).with_rest(Kind::Any)
}

pub(super) const FUNCTIONS: [Function; 18] = [
    Function::pure("int", ONE, |_, arguments| Ok(int(arguments.get(0)).into())),
    Function::pure("float64", ONE, |_, arguments| Ok(float(arguments.get(0)).into())),
    Function::pure("add", &[], |_, arguments| {
        Ok(ints(arguments).fold(0, i64::wrapping_add).into())
    })
    .with_rest(Kind::Any),
    Function::pure("sub", TWO, |_, arguments| {
        Ok(int(arguments.get(0)).wrapping_sub(int(arguments.get(1))).into())
    }),
    many("mul", |_, arguments| Ok(ints(arguments).fold(1, i64::wrapping_mul).into())),
    Function::pure("div", TWO, |_, arguments| divided(arguments, i64::wrapping_div)),
    Function::pure("mod", TWO, |_, arguments| divided(arguments, i64::wrapping_rem)),
    many("max", |_, arguments| Ok(ints(arguments).max().unwrap_or(0).into())),
    many("min", |_, arguments| Ok(ints(arguments).min().unwrap_or(0).into())),
    Function::pure("addf", &[], |_, arguments| {
        folded(arguments, Some(Decimal::ZERO), |a, b| a.add(b), |a, b| a + b)
    })
    .with_rest(Kind::Any),
    many("subf", |_, arguments| folded(arguments, None, |a, b| a.add(b.negate()), |a, b| a - b)),
    many("mulf", |_, arguments| folded(arguments, None, Decimal::multiply, |a, b| a * b)),
    many("divf", divf),
    many("maxf", |_, arguments| extreme(arguments, f64::max)),
    many("minf", |_, arguments| extreme(arguments, f64::min)),
    Function::pure("ceil", ONE, |_, arguments| Ok(float(arguments.get(0)).ceil().into())),
    Function::pure("floor", ONE, |_, arguments| Ok(float(arguments.get(0)).floor().into())),
    Function::pure("round", &[Kind::Any, Kind::Int], round).with_rest(Kind::Float),
];

/// As a whole number: floats are cut off, texts are read in any base.
fn int(value: &Value<'_>) -> i64 {
    match value {
        Value::Int(value) | Value::Duration(value) => *value,
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => {
            let text = std::str::from_utf8(text).unwrap_or_default();
            parse_int(without_zero_decimals(text)).unwrap_or(0)
        }
        _ => 0,
    }
}

/// `15.00` is 15, but `15.5` is no whole number.
fn without_zero_decimals(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, decimals)) if decimals.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

fn float(value: &Value<'_>) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Int(value) | Value::Duration(value) => *value as f64,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn ints<'v>(arguments: &'v Arguments<'_, '_>) -> impl Iterator<Item = i64> + 'v {
    arguments.from(0).iter().map(int)
}

fn divided<'a>(arguments: &Arguments<'a, '_>, divide: fn(i64, i64) -> i64) -> Made<'a> {
    let (left, right) = (int(arguments.get(0)), int(arguments.get(1)));
    if right == 0 {
        return Err("runtime error: integer divide by zero".into());
    }
    Ok(divide(left, right).into())
}

/// One operation over all arguments: in decimals, and in floats from where those do not suffice.
fn folded<'a>(
    arguments: &Arguments<'a, '_>,
    start: Option<Decimal>,
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    inexact: fn(f64, f64) -> f64,
) -> Made<'a> {
    let mut sum = start;
    for value in arguments.from(0) {
        let value = float(value);
        let next = Decimal::from_float(value).ok_or_else(|| {
            format!("Cannot create a Decimal from {}", model::format_float_go(value))
        })?;
        sum = Some(match sum {
            None => next,
            Some(sum) => match exact(sum, next) {
                Some(result) => result,
                None => match Decimal::from_float(inexact(sum.to_float(), value)) {
                    Some(result) => result,
                    None => return Ok(inexact(sum.to_float(), value).into()),
                },
            },
        });
    }
    Ok(sum.unwrap_or(Decimal::ZERO).to_float().into())
}

fn divf<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    if arguments.from(1).iter().any(|divisor| float(divisor) == 0.0) {
        return Err("decimal division by 0".into());
    }
    folded(arguments, None, Decimal::divide, |a, b| a / b)
}

/// What is not a number wins, as in Go.
fn extreme<'a>(arguments: &Arguments<'a, '_>, choose: fn(f64, f64) -> f64) -> Made<'a> {
    let choose = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { choose(a, b) };
    Ok(arguments.from(0).iter().map(float).reduce(choose).unwrap_or(0.0).into())
}

/// To as many digits behind the point; from the third argument on, .5, a last digit is rounded up.
fn round<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Made<'a> {
    let value = float(arguments.get(0));
    let limit = if arguments.count() > 2 { arguments.float(2) } else { 0.5 };
    let places = i32::try_from(arguments.int(1)).unwrap_or(i32::MAX);
    let power = 10_f64.powi(places);
    let digits = power * value;
    let rounded = if digits.fract() >= limit { digits.ceil() } else { digits.floor() };
    Ok((rounded / power).into())
}
