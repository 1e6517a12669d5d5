//! The body of a search.

use super::aggs::{self, Agg};
use super::dsl;
use super::error::{Result, SearchError};
use super::expr::Expr;
use super::hits::{SortKey, Sorting};
use super::json::{Object, bool_of, scalar, shown, text_of};
use super::leaf::Builder;
use super::lucene;
use super::source::{Filter, Shown};
use serde_json::Value;

/// Looks a parameter of the address up.
pub(in crate::elasticsearch) type Parameter<'p> = &'p dyn Fn(&str) -> Option<String>;

/// What a search asks for.
#[derive(Debug)]
pub(in crate::elasticsearch) struct SearchRequest {
    pub(super) query: Expr,
    pub(super) size: usize,
    pub(super) from: usize,
    pub(super) sorting: Sorting,
    pub(super) search_after: Option<Vec<Value>>,
    pub(super) source: Filter,
    pub(super) fields: Vec<Shown>,
    /// The tags around what was found.
    pub(super) highlight: Option<(String, String)>,
    /// How far matching lines are counted exactly; `None`: not at all.
    pub(super) total_max: Option<u64>,
    pub(super) aggs: Vec<Agg>,
    pub(super) builder: Builder,
}

/// The most hits that a search may go through, as Elasticsearch's `index.max_result_window`.
pub(super) const WINDOW_MAX: usize = 10_000;
const SIZE_DEFAULT: usize = 10;
/// Matching lines are counted up to here unless something else is asked for.
const TOTAL_DEFAULT: u64 = 10_000;

/// The keys of a body; the last ones change nothing of what is found.
const KEYS: &[&str] = &[
    "query",
    "size",
    "from",
    "sort",
    "search_after",
    "_source",
    "fields",
    "docvalue_fields",
    "highlight",
    "track_total_hits",
    "aggs",
    "aggregations",
    "post_filter",
    "script_fields",
    "stored_fields",
    "timeout",
    "version",
    "seq_no_primary_term",
    "explain",
    "track_scores",
    "profile",
    "indices_boost",
    "stats",
];

impl SearchRequest {
    /// From a body and the parameters of the address, which come first: `q`, `size`, `from`, `sort`.
    pub(in crate::elasticsearch) fn parse(
        body: &Value,
        parameter: Parameter<'_>,
        now_ms: i64,
    ) -> Result<Self> {
        let empty = Value::Object(serde_json::Map::new());
        let body = if body.is_null() { &empty } else { body };
        let object = Object::of("search", body)?;
        object.expect_only(KEYS)?;
        if object.get("script_fields").and_then(Value::as_object).is_some_and(|all| !all.is_empty())
        {
            return Err(SearchError::parsing(
                "[script_fields] are not known here: leave them away",
            ));
        }
        let mut builder = Builder::new(now_ms);
        let query = query(&object, parameter, &mut builder)?;
        let number = |name: &str, default: usize| -> Result<usize> {
            match parameter(name) {
                Some(text) => text.parse().map_err(|_| {
                    SearchError::illegal(format!(
                        "[{name}] is [{text}]: expected a whole number from 0 on"
                    ))
                }),
                None => Ok(object.count(name)?.unwrap_or(default)),
            }
        };
        let (size, from) = (number("size", SIZE_DEFAULT)?, number("from", 0)?);
        if size.saturating_add(from) > WINDOW_MAX {
            return Err(SearchError::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{WINDOW_MAX}] but \
                 was [{}]: go on with search_after",
                size.saturating_add(from)
            )));
        }
        let sorting = sorting(&object, parameter("sort"), &mut builder)?;
        let search_after = search_after(&object, &sorting)?;
        let aggs = match object.get("aggs").or(object.get("aggregations")) {
            Some(aggs) => aggs::parse(aggs, &mut builder)?,
            None => Vec::new(),
        };
        Ok(Self {
            query,
            size,
            from,
            sorting,
            search_after,
            source: source_filter(object.get("_source"))?,
            fields: shown_fields(&object)?,
            highlight: highlight(object.get("highlight")),
            total_max: total_max(object.get("track_total_hits"), parameter("track_total_hits"))?,
            aggs,
            builder,
        })
    }
}

/// That of the body and that of the parameter `q`, both of which must hold.
pub(super) fn query_of(
    body: &Value,
    parameter: Parameter<'_>,
    builder: &mut Builder,
) -> Result<Expr> {
    match body {
        Value::Null => query_parameter(parameter, builder),
        body => {
            let object = Object::of("count", body)?;
            object.expect_only(&["query"])?;
            query(&object, parameter, builder)
        }
    }
}

fn query(object: &Object<'_>, parameter: Parameter<'_>, builder: &mut Builder) -> Result<Expr> {
    let mut all = vec![query_parameter(parameter, builder)?];
    for name in ["query", "post_filter"] {
        if let Some(query) = object.get(name).filter(|query| !query.is_null()) {
            all.push(dsl::parse(query, builder)?);
        }
    }
    Ok(Expr::and(all))
}

fn query_parameter(parameter: Parameter<'_>, builder: &mut Builder) -> Result<Expr> {
    let Some(text) = parameter("q").filter(|text| !text.trim().is_empty()) else {
        return Ok(Expr::All);
    };
    let is_and = parameter("default_operator").is_some_and(|op| op.eq_ignore_ascii_case("and"));
    let mut options = lucene::Options { is_and, ..lucene::Options::default() };
    if let Some(field) = parameter("df") {
        options.fields = vec![builder.fields.find(&field)];
    }
    lucene::parse(&text, &options, builder)
}

/// `[{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, "_doc"]`, or `@timestamp:desc` as a
/// parameter.
fn sorting(
    object: &Object<'_>,
    parameter: Option<String>,
    builder: &mut Builder,
) -> Result<Sorting> {
    let mut keys = Vec::new();
    if let Some(text) = parameter {
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, order) = part.rsplit_once(':').unwrap_or((part, ""));
            keys.push(SortKey::new(name, order, "", "", builder)?);
        }
        return Ok(Sorting { keys });
    }
    let Some(sort) = object.get("sort") else { return Ok(Sorting { keys }) };
    let all = match sort {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    for one in all {
        match one {
            Value::String(name) => keys.push(SortKey::new(name, "", "", "", builder)?),
            Value::Object(fields) => {
                for (name, how) in fields {
                    let text = |key: &str| how.get(key).and_then(text_of).unwrap_or_default();
                    let order = how.as_str().map_or_else(|| text("order"), str::to_owned);
                    keys.push(SortKey::new(
                        name,
                        &order,
                        &text("missing"),
                        &text("format"),
                        builder,
                    )?);
                }
            }
            other => {
                return Err(SearchError::parsing(format!(
                    "[sort] is {}: expected names of fields or objects",
                    shown(other)
                )));
            }
        }
    }
    if keys.len() > SORT_KEYS_MAX {
        return Err(SearchError::illegal(format!("[sort] may have {SORT_KEYS_MAX} keys")));
    }
    Ok(Sorting { keys })
}

const SORT_KEYS_MAX: usize = 16;

fn search_after(object: &Object<'_>, sorting: &Sorting) -> Result<Option<Vec<Value>>> {
    let Some(after) = object.get("search_after").filter(|after| !after.is_null()) else {
        return Ok(None);
    };
    match after.as_array() {
        Some(values) if values.len() == sorting.keys.len() && !values.is_empty() => {
            Ok(Some(values.clone()))
        }
        _ => Err(SearchError::illegal(format!(
            "[search_after] has to be a list of {} values, one for each key of [sort]",
            sorting.keys.len()
        ))),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().filter_map(scalar).collect(),
        one => scalar(one).into_iter().collect(),
    }
}

fn source_filter(value: Option<&Value>) -> Result<Filter> {
    let mut filter = Filter::default();
    match value {
        None | Some(Value::Null | Value::Bool(true)) => {}
        Some(Value::Bool(false)) => filter.is_off = true,
        Some(Value::Object(object)) => {
            let list =
                |names: [&str; 2]| names.iter().find_map(|name| object.get(*name)).map(texts);
            filter.includes = list(["includes", "include"]).unwrap_or_default();
            filter.excludes = list(["excludes", "exclude"]).unwrap_or_default();
        }
        Some(names) => filter.includes = texts(names),
    }
    Ok(filter)
}

fn shown_fields(object: &Object<'_>) -> Result<Vec<Shown>> {
    let mut fields = Vec::new();
    for key in ["fields", "docvalue_fields"] {
        let Some(all) = object.get(key) else { continue };
        let Some(all) = all.as_array() else {
            return Err(SearchError::parsing(format!(
                "[{key}] is {}: expected a list",
                shown(all)
            )));
        };
        for one in all {
            let text = |name: &str| one.get(name).and_then(text_of);
            let name = scalar(one).or_else(|| text("field"));
            let wrong =
                || SearchError::parsing(format!("[{key}] holds {}: expected names", shown(one)));
            let format = text("format").unwrap_or_default();
            fields.push(Shown { name: name.ok_or_else(wrong)?, format });
        }
    }
    Ok(fields)
}

fn highlight(value: Option<&Value>) -> Option<(String, String)> {
    let value = value.filter(|value| value.is_object())?;
    let tag = |name: &str, default: &str| {
        let first = value.get(name).and_then(|tags| texts(tags).into_iter().next());
        first.unwrap_or_else(|| default.to_owned())
    };
    Some((tag("pre_tags", "<em>"), tag("post_tags", "</em>")))
}

fn total_max(value: Option<&Value>, parameter: Option<String>) -> Result<Option<u64>> {
    let value = parameter.map(Value::String).or_else(|| value.cloned());
    match value {
        None | Some(Value::Null) => Ok(Some(TOTAL_DEFAULT)),
        Some(value) => {
            match (bool_of(&value), text_of(&value).and_then(|text| text.parse().ok())) {
                (Ok(true), _) => Ok(Some(u64::MAX)),
                (Ok(false), _) => Ok(None),
                (_, Some(most)) => Ok(Some(most)),
                _ => Err(SearchError::parsing(format!(
                    "[track_total_hits] is {}: expected true, false or a number",
                    shown(&value)
                ))),
            }
        }
    }
}
