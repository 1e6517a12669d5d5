//! The functions of Prometheus' templates, with which alert rules write their labels and annotations.
//!
//! Lives here: [`AlertData`], the data of one alert. `samples`: results of queries. `humanize`: numbers
//! for people. `times`, `texts`, `links`: the functions by family.
//! Not here: which texts are expanded, and who answers `query` (the caller does).
//! Invariants: an expansion asks at most [`QUERIES_MAX`] queries; a label that an alert does not have is
//! an empty text.

mod data;
mod humanize;
mod links;
mod samples;
mod texts;
mod times;

pub use data::{AlertData, AlertValue, QUERIES_MAX, TemplateSample};
pub use links::table_link;

use crate::registry::{Failure, Registry};
use crate::units::parse_float;
use crate::value::Value;

/// What stands before each text, so that it can name the parts of the data as variables.
pub const DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
     {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// All that the template of an alert may call.
pub fn functions() -> Registry {
    Registry::new()
        .with(&samples::FUNCTIONS)
        .with(&humanize::FUNCTIONS)
        .with(&times::FUNCTIONS)
        .with(&texts::FUNCTIONS)
        .with(&links::FUNCTIONS)
}

/// A number in any form, as the functions that write numbers take it.
fn float(value: &Value<'_>) -> Result<f64, Failure> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
        Value::Text(text) => Ok(parse_float(text)?),
        other => Err(format!("can't convert {} to float", other.type_name()).into()),
    }
}
