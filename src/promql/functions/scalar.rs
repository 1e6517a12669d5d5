//! Functions with scalar arguments, and between scalars and vectors.

use super::math;
use crate::error::QueryError;
use crate::function::Invocation;
use crate::value::Value;
use model::Labels;
use query::{Series, StepColumn};

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn pi(call: Invocation<'_>) -> Result<Value> {
    Ok(Value::Scalar(vec![std::f64::consts::PI; call.grid.steps()]))
}

pub(super) fn max_of(call: Invocation<'_>) -> Result<Value> {
    choose(&call, math::max)
}

pub(super) fn min_of(call: Invocation<'_>) -> Result<Value> {
    choose(&call, math::min)
}

fn choose(call: &Invocation<'_>, choose: fn(f64, f64) -> f64) -> Result<Value> {
    let pairs = call.scalar(0).iter().zip(call.scalar(1));
    Ok(Value::Scalar(pairs.map(|(left, right)| choose(*left, *right)).collect()))
}

pub(super) fn vector(call: Invocation<'_>) -> Result<Value> {
    let column = StepColumn::from_values(call.scalar(0).to_vec());
    Ok(Value::Vector(vec![Series::new(Labels::empty(), column)]))
}

/// The value of the only float at a step; NaN where there is none or more than one.
pub(super) fn scalar(mut call: Invocation<'_>) -> Result<Value> {
    let series = call.take_vector(0);
    let values = (0..call.grid.steps()).map(|step| {
        let mut floats = series.iter().filter_map(|one| one.column.float(step));
        match (floats.next(), floats.next()) {
            (Some(value), None) => value,
            _ => f64::NAN,
        }
    });
    Ok(Value::Scalar(values.collect()))
}

pub(super) fn clamp(call: Invocation<'_>) -> Result<Value> {
    let (low, high) = (call.scalar(1).to_vec(), call.scalar(2).to_vec());
    clamp_between(call, &low, &high)
}

pub(super) fn clamp_max(call: Invocation<'_>) -> Result<Value> {
    let high = call.scalar(1).to_vec();
    clamp_between(call, &vec![f64::NEG_INFINITY; high.len()], &high)
}

pub(super) fn clamp_min(call: Invocation<'_>) -> Result<Value> {
    let low = call.scalar(1).to_vec();
    clamp_between(call, &low, &vec![f64::INFINITY; low.len()])
}

fn clamp_between(call: Invocation<'_>, low: &[f64], high: &[f64]) -> Result<Value> {
    with_steps(call, |step, value| {
        let impossible = high[step] < low[step];
        (!impossible).then(|| math::max(low[step], math::min(high[step], value)))
    })
}

/// To the nearest multiple; halves go up.
pub(super) fn round(call: Invocation<'_>) -> Result<Value> {
    let steps = call.grid.steps();
    let nearest = if call.arguments.len() > 1 { call.scalar(1).to_vec() } else { vec![1.0; steps] };
    with_steps(call, |step, value| {
        // Multiplying by the inverse has the smaller error for 0.1 and the like.
        let inverse = 1.0 / nearest[step];
        Some((value * inverse + 0.5).floor() / inverse)
    })
}

/// Maps every float; `None` removes the sample.
fn with_steps(
    mut call: Invocation<'_>,
    change: impl Fn(usize, f64) -> Option<f64>,
) -> Result<Value> {
    let delayed = call.delayed();
    let mut series = call.take_vector(0);
    for one in &mut series {
        for step in 0..one.column.steps() {
            if one.column.get(step).is_none() {
                continue;
            }
            match one.column.float(step).and_then(|value| change(step, value)) {
                Some(value) => one.column.set_float(step, value),
                None => one.column.remove(step),
            }
        }
        one.lose_name(delayed);
    }
    call.renamed(series)
}
