//! Figures of buckets: what is calculated from those of the aggregation around.
//!
//! A bucket without a value is passed over, as with Elasticsearch's `gap_policy` `skip`.

use super::super::error::{Result, SearchError};
use super::super::json::{Object, shown, text_of};
use super::interval::Interval;
use super::moving::{Moving, Window};
use super::script::Script;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
pub(super) enum Pipeline {
    Derivative { path: String, unit_ms: Option<i64> },
    CumulativeSum { path: String },
    SerialDiff { path: String, lag: usize },
    Moving { path: String, window: Window },
    Script { paths: Vec<(String, String)>, script: Script },
}

/// `None`: the type is no pipeline.
pub(super) fn parse(kind: &str, body: &Value) -> Result<Option<Pipeline>> {
    if !matches!(
        kind,
        "derivative"
            | "cumulative_sum"
            | "serial_diff"
            | "moving_avg"
            | "moving_fn"
            | "bucket_script"
    ) {
        return Ok(None);
    }
    let object = Object::of(kind, body)?;
    match object.text("gap_policy").as_deref() {
        None | Some("skip") => {}
        Some(other) => {
            return Err(SearchError::parsing(format!(
                "[{kind}] [gap_policy] is [{other}]: only [skip] is known here"
            )));
        }
    }
    let path = || -> Result<String> {
        let path = object.needed("buckets_path")?;
        let wrong = || {
            SearchError::parsing(format!(
                "[{kind}] [buckets_path] is {}: expected a name",
                shown(path)
            ))
        };
        path.as_array()
            .and_then(|all| all.first())
            .map_or_else(|| text_of(path), text_of)
            .ok_or_else(wrong)
    };
    Ok(Some(match kind {
        "derivative" => {
            let unit = object.text("unit").filter(|unit| !unit.is_empty());
            let unit_ms = match unit.map(|unit| Interval::fixed(&unit)).transpose()? {
                Some(Interval::Fixed(ms)) => Some(ms),
                _ => None,
            };
            Pipeline::Derivative { path: path()?, unit_ms }
        }
        "cumulative_sum" => Pipeline::CumulativeSum { path: path()? },
        "serial_diff" => {
            Pipeline::SerialDiff { path: path()?, lag: object.count("lag")?.unwrap_or(1).max(1) }
        }
        "bucket_script" => {
            let paths = Object::of("buckets_path", object.needed("buckets_path")?)?;
            let paths =
                paths.iter().filter_map(|(name, path)| Some((name.to_owned(), text_of(path)?)));
            Pipeline::Script { paths: paths.collect(), script: script(&object)? }
        }
        "moving_fn" => Pipeline::Moving { path: path()?, window: Window::of_function(&object)? },
        _ => Pipeline::Moving { path: path()?, window: Window::of_average(&object)? },
    }))
}

/// A script as a text, or as `{"source": …}`.
fn script(object: &Object<'_>) -> Result<Script> {
    let script = object.needed("script")?;
    let source = script.get("source").or(script.get("inline")).unwrap_or(script);
    match text_of(source) {
        Some(text) => Script::parse(&text),
        None => {
            Err(SearchError::parsing(format!("[script] is {}: expected a text", shown(script))))
        }
    }
}

impl Pipeline {
    fn paths(&self) -> Vec<&str> {
        match self {
            Self::Script { paths, .. } => paths.iter().map(|(_, path)| path.as_str()).collect(),
            Self::Derivative { path, .. }
            | Self::CumulativeSum { path }
            | Self::SerialDiff { path, .. }
            | Self::Moving { path, .. } => vec![path],
        }
    }
}

/// Calculates all, each after those that it looks at.
pub(super) fn run(
    pipelines: &[(String, Pipeline)],
    buckets: &mut [Map<String, Value>],
) -> Result<()> {
    let mut left: Vec<&(String, Pipeline)> = pipelines.iter().collect();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
        let waits = |(name, pipeline): &&&(String, Pipeline)| {
            let is_of = |path: &str, other: &str| other != name && names_agg(path, other);
            pipeline.paths().iter().any(|path| names.iter().any(|other| is_of(path, other)))
        };
        let (later, now): (Vec<_>, Vec<_>) = left.iter().copied().partition(|one| waits(&one));
        if now.is_empty() {
            return Err(SearchError::illegal(format!(
                "the aggregations {} look at each other",
                names.join(", ")
            )));
        }
        now.into_iter().for_each(|(name, pipeline)| run_one(name, pipeline, buckets));
        left = later;
    }
    Ok(())
}

/// Whether a path begins with the name of an aggregation.
fn names_agg(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '>']))
}

fn run_one(name: &str, pipeline: &Pipeline, buckets: &mut [Map<String, Value>]) {
    match pipeline {
        Pipeline::Derivative { path, unit_ms } => derivative(name, path, *unit_ms, buckets),
        Pipeline::CumulativeSum { path } => {
            let mut sum = 0.0;
            for bucket in buckets {
                sum += number_at(bucket, path).unwrap_or(0.0);
                put(bucket, name, Some(sum));
            }
        }
        Pipeline::SerialDiff { path, lag } => {
            let values: Vec<Option<f64>> =
                buckets.iter().map(|bucket| number_at(bucket, path)).collect();
            for (index, bucket) in buckets.iter_mut().enumerate() {
                let before = index.checked_sub(*lag).and_then(|before| values[before]);
                if let Some((value, before)) = values[index].zip(before) {
                    put(bucket, name, Some(value - before));
                }
            }
        }
        Pipeline::Moving { path, window } => {
            let values: Vec<Option<f64>> =
                buckets.iter().map(|bucket| number_at(bucket, path)).collect();
            let moved = window.over(&values);
            buckets.iter_mut().zip(moved).for_each(|(bucket, moved)| match moved {
                Moving::Nothing => {}
                Moving::Value(value) => put(bucket, name, value),
            });
        }
        Pipeline::Script { paths, script } => {
            for bucket in buckets {
                let each = paths.iter();
                let each = each.map(|(name, path)| Some((name.as_str(), number_at(bucket, path)?)));
                let values: Option<Vec<(&str, f64)>> = each.collect();
                if let Some(value) = values.map(|values| script.value(&values)) {
                    put(bucket, name, Some(value));
                }
            }
        }
    }
}

fn put(bucket: &mut Map<String, Value>, name: &str, value: Option<f64>) {
    let value = value.filter(|value| value.is_finite());
    bucket.insert(name.to_owned(), json!({ "value": value }));
}

fn derivative(name: &str, path: &str, unit_ms: Option<i64>, buckets: &mut [Map<String, Value>]) {
    let mut before: Option<(f64, Option<f64>)> = None;
    for bucket in buckets {
        let Some(value) = number_at(bucket, path) else { continue };
        let key = bucket.get("key").and_then(Value::as_f64);
        if let Some((last, of_last)) = before {
            put(bucket, name, Some(value - last));
            let units =
                unit_ms.zip(key.zip(of_last)).map(|(unit, (key, last))| (key - last) / unit as f64);
            if let (Some(units), Some(Value::Object(figure))) =
                (units.filter(|units| *units > 0.0), bucket.get_mut(name))
            {
                figure.insert("normalized_value".to_owned(), json!((value - last) / units));
            }
        }
        before = Some((value, key));
    }
}

/// The number that a path names in a bucket: `_count`, `_key`, `1`, `1.avg`, `1[95.0]`, `filter>1`.
pub(super) fn number_at(bucket: &Map<String, Value>, path: &str) -> Option<f64> {
    match path {
        "_count" => return bucket.get("doc_count")?.as_f64(),
        "_key" => return bucket.get("key")?.as_f64(),
        _ => {}
    }
    if let Some((name, rest)) = path.split_once('>') {
        return number_at(bucket.get(name.trim())?.as_object()?, rest.trim());
    }
    if let Some(figure) = bucket.get(path) {
        return figure.get("value")?.as_f64();
    }
    let (name, property) = match path.split_once('[') {
        Some((name, rest)) => (name, rest.strip_suffix(']')?),
        None => path.split_once('.')?,
    };
    let figure = bucket.get(name)?;
    match property.parse::<f64>() {
        Ok(percent) => figure.get("values")?.get(format!("{percent:?}"))?.as_f64(),
        Err(_) => {
            let bounds =
                property.strip_prefix("std_").filter(|end| matches!(*end, "upper" | "lower"));
            match bounds {
                Some(end) => figure.get("std_deviation_bounds")?.get(end)?.as_f64(),
                None => figure.get(property)?.as_f64(),
            }
        }
    }
}
