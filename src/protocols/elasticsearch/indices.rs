//! The names of indices: which lines they stand for, and which there are.
//!
//! A line's index is the one under which its document came; lines that came by other protocols are in
//! `mirador`. A name may hold `*`, several are joined with commas, and a minus in front takes lines out
//! again. `_all`, `*` and no name at all stand for everything. A name that no line has is no error: it has
//! no lines.

use super::answer;
use super::envelope::Context;
use super::search::{INDEX_LABEL, OTHER_INDEX, SearchError, is_like};
use crate::{percent_decode_segment, reply};
use axum::http::StatusCode;
use axum::response::Response;
use log_store::{NO_TEXTS, Needs, Order, Scratch, Select, Steps};
use model::{MatchOp, Matcher, TimeUnit, escape_regex};
use query::Weight;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The names in a path: the segment before that of the operation; empty where there is none.
pub(super) fn in_path(path: &str) -> String {
    let path = path.strip_prefix("/elasticsearch").unwrap_or(path);
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if first.starts_with('_') && first != "_all" {
        String::new()
    } else {
        percent_decode_segment(first)
    }
}

/// Which indices are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct IndexPatterns {
    /// Empty: all.
    includes: Vec<String>,
    excludes: Vec<String>,
}

/// Names of one request.
const NAMES_MAX: usize = 1_000;

impl IndexPatterns {
    pub(super) fn parse(names: &str) -> Result<Self, SearchError> {
        let mut patterns = Self::default();
        let mut is_all = false;
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if name.starts_with('<') {
                return Err(SearchError::illegal(format!(
                    "[{name}] is a name with date math, which is not known here: use * for the date"
                )));
            }
            match name.strip_prefix('-') {
                Some(name) => patterns.excludes.push(name.to_owned()),
                None if matches!(name, "_all" | "*") => is_all = true,
                None => patterns.includes.push(name.to_owned()),
            }
        }
        if patterns.includes.len() + patterns.excludes.len() > NAMES_MAX {
            return Err(SearchError::illegal(format!(
                "a search may name {NAMES_MAX} indices: use * for what they have in common"
            )));
        }
        if is_all {
            patterns.includes.clear();
        }
        Ok(patterns)
    }

    /// What the labels of wanted streams match.
    pub(super) fn matchers(&self) -> Result<Vec<Matcher>, SearchError> {
        let lists = [(&self.includes, MatchOp::Regex), (&self.excludes, MatchOp::NotRegex)];
        let lists = lists.into_iter().filter(|(patterns, _)| !patterns.is_empty());
        let matcher = |(patterns, op): (&Vec<String>, MatchOp)| {
            let mut regexes: Vec<String> =
                patterns.iter().map(|pattern| escape_regex(pattern).replace("\\*", ".*")).collect();
            if patterns.iter().any(|pattern| is_like(pattern, OTHER_INDEX)) {
                // Lines without the label.
                regexes.push(String::new());
            }
            Matcher::new(op, INDEX_LABEL, &format!("(?:{})", regexes.join("|")))
                .map_err(SearchError::illegal)
        };
        lists.map(matcher).collect()
    }
}

/// The indices that match, each with how many lines it has.
fn found(
    context: &Context,
    patterns: &IndexPatterns,
) -> Result<BTreeMap<String, u64>, SearchError> {
    let (control, memory) = (context.control(), context.memory());
    let needs = Needs { lines: false, fields: Some(BTreeSet::new()) };
    let matchers = patterns.matchers()?;
    let (time, order) = (TimeUnit::Nanos.everything(), Order::NewestFirst);
    let select = Select {
        time,
        matchers: &matchers,
        conditions: &[],
        identifier: None,
        texts: &NO_TEXTS,
        order,
        needs: &needs,
    };
    let selection = context.logs()?.store.select(&context.call.tenant, &select)?;
    memory.take(Weight::bytes(96 * selection.stream_count() + 64 * selection.pieces().len()))?;
    let (mut scratch, mut found) = (Scratch::default(), BTreeMap::new());
    for piece in 0..selection.pieces().len() {
        control.check()?;
        for count in selection.count_lines(piece, Steps::ONE, &mut scratch)? {
            let index = selection.labels(count.stream).get(INDEX_LABEL).unwrap_or(OTHER_INDEX);
            *found.entry(index.to_owned()).or_default() += count.rows;
        }
    }
    Ok(found)
}

/// The names behind the last slash.
fn last_in_path(path: &str) -> String {
    percent_decode_segment(path.rsplit('/').next().unwrap_or_default())
}

/// `_cat/indices`, as a table or as JSON.
pub(super) fn cat(context: &Context) -> Result<Response, SearchError> {
    let named = last_in_path(&context.call.path);
    let named = if named == "indices" { String::new() } else { named };
    let found = found(context, &IndexPatterns::parse(&named)?)?;
    if context.parameters.text("format") == "json" {
        let row = |(name, lines): (&String, &u64)| {
            json!({
                "health": "green", "status": "open", "index": name, "uuid": name, "pri": "1", "rep": "0",
                "docs.count": lines.to_string(), "docs.deleted": "0",
            })
        };
        return context.answered(found.iter().map(row).collect(), &context.memory());
    }
    let row = |(name, lines): (&String, &u64)| format!("green open {name} {name} 1 0 {lines} 0\n");
    let head = match context.parameters.text("v") {
        "true" | "" if context.call.query.split('&').any(|pair| matches!(pair, "v" | "v=true")) => {
            "health status index uuid pri rep docs.count docs.deleted\n"
        }
        _ => "",
    };
    let table = head.to_owned() + &found.iter().map(row).collect::<String>();
    Ok(answer::marked(reply::text(StatusCode::OK, table)))
}

/// `_resolve/index/{name}`: which indices a pattern means.
pub(super) fn resolve(context: &Context) -> Result<Response, SearchError> {
    let found = found(context, &IndexPatterns::parse(&last_in_path(&context.call.path))?)?;
    let index = |name: &String| json!({ "name": name, "attributes": ["open"] });
    let indices: Vec<Value> = found.keys().map(index).collect();
    context.answered(
        json!({ "indices": indices, "aliases": [], "data_streams": [] }),
        &context.memory(),
    )
}

/// `_aliases`: every index, and that it has none.
pub(super) fn aliases(context: &Context) -> Result<Response, SearchError> {
    let found = found(context, &IndexPatterns::parse(&in_path(&context.call.path))?)?;
    let none = |name: String| (name, json!({ "aliases": {} }));
    let all: Map<String, Value> = found.into_keys().map(none).collect();
    context.answered(Value::Object(all), &context.memory())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    #[test]
    fn patterns_choose_streams() {
        for (patterns, index, expected) in [
            ("", Some("a"), true),
            ("_all", None, true),
            ("logs-*", Some("logs-shop"), true),
            ("logs-*", Some("metrics"), false),
            ("logs-*", None, false),
            ("mirador", None, true),
            ("mir*", None, true),
            ("a,b", Some("b"), true),
            ("*,-logs-*", Some("logs-a"), false),
            ("*,-logs-*", None, true),
            ("*,-mirador", None, false),
            ("a.b", Some("axb"), false),
        ] {
            let labels = Labels::from_pairs(index.map(|index| (INDEX_LABEL, index)));
            let matchers = IndexPatterns::parse(patterns).unwrap().matchers().unwrap();
            assert_eq!(model::matches_all(&matchers, &labels), expected, "{patterns} {index:?}");
        }
        assert!(IndexPatterns::parse("<logs-{now/d}>").is_err());
    }

    #[test]
    fn paths_name_indices() {
        for (path, expected) in [
            ("/_search", ""),
            ("/elasticsearch/_msearch", ""),
            ("/elasticsearch/a%2Cb/_search", "a,b"),
            ("/logs-*/_count", "logs-*"),
            ("/_all/_search", "_all"),
        ] {
            assert_eq!(in_path(path), expected, "{path}");
        }
    }
}
