//! Changing labels. Values are not touched.

use crate::error::QueryError;
use crate::function::Invocation;
use crate::value::Value;
use model::{LABEL_LENGTH_MAX, LabelsBuilder, METRIC_NAME, ReplacePattern};
use query::{Series, merged};

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn replace(mut call: Invocation<'_>) -> Result<Value> {
    let [target, template, source, pattern] = [1, 2, 3, 4].map(|index| call.text(index));
    let Ok(regex) = ReplacePattern::new(&pattern) else {
        let message = format!("invalid regular expression in label_replace(): {pattern}");
        return Err(QueryError::execution(message));
    };
    check_name(&call, 1, "destination", "label_replace")?;
    let mut series = call.take_vector(0);
    for one in &mut series {
        if let Some(value) = regex.replace(one.labels.value(&source), &template) {
            set_label(one, &target, &value)?;
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
    for one in &mut series {
        let values: Vec<&str> = sources.iter().map(|source| one.labels.value(source)).collect();
        let value = values.join(&separator);
        set_label(one, &target, &value)?;
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

fn set_label(series: &mut Series, name: &str, value: &str) -> Result<()> {
    if value.len() > LABEL_LENGTH_MAX {
        return Err(QueryError::execution(format!("value of label {name} is too long")));
    }
    series.labels = LabelsBuilder::from_labels(&series.labels).set(name, value).build();
    if name == METRIC_NAME {
        // A name that was set on purpose is kept.
        series.drop_name = false;
    }
    Ok(())
}
