//! Names and values of attributes, which query editors complete.

use super::envelope::{Context, TempoApi, TempoError, json};
use super::search::long;
use crate::api::json as write;
use crate::percent_decode_segment;
use axum::response::Response;
use std::collections::BTreeSet;
use traceql::{Answer, FieldValue, TagNames, TagScope, TagValues, parse_attribute, parse_lenient};

pub(super) fn found_names<A: TempoApi>(
    context: &Context<A>,
) -> Result<Answer<TagNames>, TempoError> {
    let scope = match context.parameters.text("scope") {
        "" | "none" => None,
        name => {
            let wrong = || TempoError::bad(format!("invalid scope: {name}"));
            Some(TagScope::of_name(name).ok_or_else(wrong)?)
        }
    };
    let filter = parse_lenient(context.query());
    let request = context.trace_request(context.times()?);
    let (services, store) = (context.services(), &context.traces()?.store);
    let engine = context.trace_engine();
    Ok(engine.tag_names(store, &*services.clock, &request, scope, filter.as_ref())?)
}

/// Names by their scopes.
pub(super) fn names(context: &Context) -> Result<Response, TempoError> {
    let answer = found_names(context)?;
    let mut out = b"{\"scopes\":".to_vec();
    write::list(&mut out, &answer.value, |out, (scope, names)| {
        out.extend_from_slice(b"{\"name\":");
        write::text(out, scope.as_str());
        out.extend_from_slice(b",\"tags\":");
        write::list(out, names, |out, name| write::text(out, name));
        out.push(b'}');
    });
    end(&mut out, answer.statistics.bytes);
    Ok(json(out))
}

/// Names without scopes.
pub(super) fn names_v1(context: &Context) -> Result<Response, TempoError> {
    let answer = found_names(context)?;
    let names: BTreeSet<&String> = answer.value.values().flatten().collect();
    let mut out = b"{\"tagNames\":".to_vec();
    write::list(&mut out, names, |out, name| write::text(out, name));
    end(&mut out, answer.statistics.bytes);
    Ok(json(out))
}

/// What was looked at, with the brace that ends the answer.
fn end(out: &mut Vec<u8>, bytes: u64) {
    out.extend_from_slice(b",\"metrics\":{\"inspectedBytes\":");
    long(out, bytes);
    out.extend_from_slice(b"}}");
}

/// The tag in a path that ends in `/<tag>/values`; it may hold slashes itself.
fn tag_in_path(context: &Context) -> Result<String, TempoError> {
    let path = &context.call.path;
    let rest = path.split_once("/search/tag/").map_or("", |(_, rest)| rest);
    let missing = || TempoError::bad("the path must end in /<tag>/values");
    Ok(percent_decode_segment(rest.strip_suffix("/values").ok_or_else(missing)?))
}

/// `prefix`: what stands before a tag that is no attribute by itself.
pub(super) fn found_values<A: TempoApi>(
    context: &Context<A>,
    tag: &str,
    prefix: &str,
) -> Result<Answer<TagValues>, TempoError> {
    let attribute = parse_attribute(tag).or_else(|error| match prefix {
        "" => Err(error),
        prefix => parse_attribute(&format!("{prefix}{tag}")),
    })?;
    let filter = parse_lenient(context.query());
    let request = context.trace_request(context.times()?);
    let (services, store) = (context.services(), &context.traces()?.store);
    let engine = context.trace_engine();
    Ok(engine.tag_values(store, &*services.clock, &request, &attribute, filter.as_ref())?)
}

/// Values with their types.
pub(super) fn values(context: &Context) -> Result<Response, TempoError> {
    let answer = found_values(context, &tag_in_path(context)?, "")?;
    let mut out = b"{\"tagValues\":".to_vec();
    write::list(&mut out, &answer.value, |out, value| {
        out.extend_from_slice(b"{\"type\":");
        write::text(out, type_of(value));
        out.extend_from_slice(b",\"value\":");
        write::text(out, &text_of(value));
        out.push(b'}');
    });
    end(&mut out, answer.statistics.bytes);
    Ok(json(out))
}

/// What stands before an attribute of whatever scope.
pub(super) const ANY_SCOPE: &str = ".";

/// Values as texts. A tag without a scope is an attribute of any.
pub(super) fn values_v1(context: &Context) -> Result<Response, TempoError> {
    let answer = found_values(context, &tag_in_path(context)?, ANY_SCOPE)?;
    let texts: BTreeSet<String> = answer.value.iter().map(text_of).collect();
    let mut out = b"{\"tagValues\":".to_vec();
    write::list(&mut out, &texts, |out, text| write::text(out, text));
    end(&mut out, answer.statistics.bytes);
    Ok(json(out))
}

pub(super) fn type_of(value: &FieldValue) -> &'static str {
    match value {
        FieldValue::Int(_) => "int",
        FieldValue::Float(_) => "float",
        FieldValue::Bool(_) => "bool",
        FieldValue::Duration(_) => "duration",
        FieldValue::Status(_) | FieldValue::Kind(_) => "keyword",
        _ => "string",
    }
}

pub(super) fn text_of(value: &FieldValue) -> String {
    match value {
        // A whole number with its point, so that it is not taken for an integer.
        FieldValue::Float(number) => format!("{number:?}"),
        value => value.to_string(),
    }
}
