//! `series`, `labels`, `label/<name>/values`, `metadata`: what query editors complete names with.

use super::derived;
use super::envelope::{ApiError, Context, Data};
use super::listing::{self, Listing, ListingQuery};
use super::memory::{take, write_list};
use super::selectors::{filters, listing_query, series_query};
use crate::api::json;
use crate::guard::{TIME_MAX_MS, TIME_MIN_MS};
use crate::percent_decode_bytes;
use model::{METRIC_NAME, MetricMetadata, quote_go};
use query::{Holding, RegexBudget};
use std::collections::BTreeSet;

pub(super) fn series(context: &Context) -> Result<Data, ApiError> {
    let query = series_query(&context.parameters)?;
    let memory = context.listing_memory();
    let found = listing::series(context, &query, &memory)?;
    let mut data = Data::default();
    write_list(&mut data.json, &found.items, &memory, json::labels)?;
    Ok(annotated(data, found))
}

pub(super) fn names(context: &Context) -> Result<Data, ApiError> {
    let query = listing_query(&context.parameters)?;
    let memory = context.listing_memory();
    text_list(listing::label_names(context, &query, &memory)?, &memory)
}

pub(super) fn values(context: &Context) -> Result<Data, ApiError> {
    let path = context.call.path.trim_end_matches("/values");
    let escaped = percent_decode_bytes(&path.rsplit('/').next().unwrap_or("").replace('+', "%2B"));
    let name = String::from_utf8(escaped).map_err(|error| {
        let quoted = quote_go(error.as_bytes());
        ApiError::bad(format!("invalid label name: {quoted}: names of labels are UTF-8"))
    })?;
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad("invalid label name: \"\""));
    }
    let query = listing_query(&context.parameters)?;
    let memory = context.listing_memory();
    text_list(listing::label_values(context, &query, &name, &memory)?, &memory)
}

fn text_list(found: Listing<String>, memory: &Holding) -> Result<Data, ApiError> {
    let mut data = Data::default();
    write_list(&mut data.json, &found.items, memory, |out, text| json::text(out, text))?;
    Ok(annotated(data, found))
}

fn annotated<T>(mut data: Data, found: Listing<T>) -> Data {
    data.warnings = found.warnings;
    if found.is_truncated {
        data.truncated();
    }
    data
}

/// `U__http_2e_status` is `http.status`: a character other than a letter, a digit or `_` is written as
/// its code in hexadecimal between underscores, and an underscore is doubled. A name that breaks these
/// rules is taken as it is.
pub(super) fn unescape_name(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some((plain, escape)) = rest.split_once('_') {
        out.push_str(plain);
        if let Some(after) = escape.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let Some((hex, after)) = escape.split_once('_') else { return name.to_owned() };
        let code = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() <= 6);
        let Some(char) = code.and_then(char::from_u32) else { return name.to_owned() };
        out.push(char);
        rest = after;
    }
    out.push_str(rest);
    out
}

pub(super) fn metadata(context: &Context) -> Result<Data, ApiError> {
    let parameters = &context.parameters;
    let each_max = parameters.count("limit_per_metric")?.unwrap_or(usize::MAX);
    let (metric, limit) = (parameters.text("metric"), parameters.limit()?);
    let memory = context.listing_memory();
    let seen = seen_metrics(context, &memory)?;
    let is_wanted = |family: &String| {
        let is_seen = seen.as_ref().is_none_or(|seen| is_family_of(family, seen));
        is_seen && (metric.is_empty() || metric == family)
    };
    let store = &context.metrics()?.store;
    let mut found = store.metadata(&context.call.tenant, &mut memory.portions())?;
    for (family, metadata) in derived::metadata(context)? {
        found.entry(family.to_owned()).or_insert(metadata);
    }
    let found = found.iter().filter(|(family, _)| is_wanted(family)).take(limit);
    let mut data = Data::default();
    let out = &mut data.json;
    out.push(b'{');
    for (index, (name, metadata)) in found.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let before = out.len();
        json::text(out, name);
        out.push(b':');
        json::list(out, std::iter::once(metadata).take(each_max), write_metadata);
        take(&memory, out.len() - before)?;
    }
    out.push(b'}');
    Ok(data)
}

/// The metrics that the filters of this request let through. `None`: all.
fn seen_metrics(context: &Context, memory: &Holding) -> Result<Option<BTreeSet<String>>, ApiError> {
    let selectors = filters(&context.parameters, &mut RegexBudget::default())?;
    if selectors.is_empty() {
        return Ok(None);
    }
    let (start_ms, end_ms, limit) = (TIME_MIN_MS, TIME_MAX_MS, usize::MAX);
    let query = ListingQuery { selectors, start_ms, end_ms, limit };
    let seen = listing::label_values(context, &query, METRIC_NAME, memory)?;
    Ok(Some(seen.items.into_iter().collect()))
}

/// Whether one of the metrics bears the family's name, as it is or with a suffix of its kind.
fn is_family_of(family: &str, metrics: &BTreeSet<String>) -> bool {
    let suffixes = ["", "_total", "_bucket", "_count", "_sum", "_info"];
    suffixes.iter().any(|suffix| metrics.contains(&format!("{family}{suffix}")))
}

fn write_metadata(out: &mut Vec<u8>, metadata: &MetricMetadata) {
    for (name, text) in [
        ("{\"type\":", metadata.kind.as_str()),
        (",\"help\":", &metadata.help),
        (",\"unit\":", &metadata.unit),
    ] {
        out.extend_from_slice(name.as_bytes());
        json::text(out, text);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unescaped() {
        for (escaped, expected) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___ed55_", "\u{ed55}"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_110000_", "U__a_110000_"),
            ("__name__", "__name__"),
        ] {
            assert_eq!(unescape_name(escaped), expected);
        }
    }
}
