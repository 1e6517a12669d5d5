//! Changing labels. Values are not touched.

use crate::error::QueryError;
use crate::function::Invocation;
use crate::value::Value;
use model::{LABEL_LENGTH_MAX, METRIC_NAME, ReplacePattern, TooLong};
use query::{Portions, Series, merged};

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn replace(mut call: Invocation<'_>) -> Result<Value> {
    let [target, template, source, pattern] = [1, 2, 3, 4].map(|index| call.text(index));
    let Ok(regex) = ReplacePattern::new(&pattern) else {
        let message = format!("invalid regular expression in label_replace(): {pattern}");
        return Err(QueryError::execution(message));
    };
    check_name(&call, 1, "destination", "label_replace")?;
    let mut series = call.take_vector(0);
    let mut portions = call.holding.portions();
    for (turn, one) in series.iter_mut().enumerate() {
        call.evaluation.check_in_turn(turn)?;
        let replaced = regex.replace(one.labels.value(&source), &template, LABEL_LENGTH_MAX);
        if let Some(value) = replaced {
            let value = value.map_err(|TooLong| too_long(&target))?;
            set_label(one, &target, &value, &mut portions)?;
        }
    }
    Ok(Value::Vector(merged(series)?))
}

pub(super) fn join(mut call: Invocation<'_>) -> Result<Value> {
    let (target, separator) = (call.text(1), call.text(2));
    for index in 3..call.arguments.len() {
        check_name(&call, index, "source", "label_join")?;
    }
    check_name(&call, 1, "destination", "label_join")?;
    let sources: Vec<String> = (3..call.arguments.len()).map(|index| call.text(index)).collect();
    let mut series = call.take_vector(0);
    let mut portions = call.holding.portions();
    for (turn, one) in series.iter_mut().enumerate() {
        call.evaluation.check_in_turn(turn)?;
        let values: Vec<&str> = sources.iter().map(|source| one.labels.value(source)).collect();
        let separators = values.len().saturating_sub(1) * separator.len();
        let length = values.iter().map(|value| value.len()).sum::<usize>() + separators;
        if length > LABEL_LENGTH_MAX {
            return Err(too_long(&target));
        }
        let value = values.join(&separator);
        set_label(one, &target, &value, &mut portions)?;
    }
    Ok(Value::Vector(merged(series)?))
}

fn check_name(call: &Invocation<'_>, index: usize, role: &str, function: &str) -> Result<()> {
    let is_text = call.literal(index).is_text();
    let name = call.text(index);
    if !is_text || name.is_empty() {
        let message = format!("invalid {role} label name in {function}(): {name}");
        return Err(QueryError::execution(message));
    }
    Ok(())
}

fn too_long(name: &str) -> QueryError {
    QueryError::execution(format!(
        "value of label {name} is longer than {LABEL_LENGTH_MAX} bytes: join or replace with less"
    ))
}

fn set_label(
    series: &mut Series,
    name: &str,
    value: &str,
    portions: &mut Portions<'_>,
) -> Result<()> {
    let length = series.labels.length_with(name, value.len());
    series.labels = portions.labels(length, || series.labels.with(name, value))?;
    if name == METRIC_NAME {
        // A name that was set on purpose is kept.
        series.drop_name = false;
    }
    Ok(())
}
