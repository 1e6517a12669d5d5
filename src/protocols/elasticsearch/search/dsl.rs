//! Elasticsearch's query DSL: JSON to the tree of conditions.

use super::error::{Result, SearchError};
use super::expr::Expr;
use super::field::{Field, MESSAGE};
use super::json::{Object, bool_of, scalar, shown, text_of};
use super::leaf::{Builder, DEPTH_MAX, End};
use super::lucene;
use super::zone::Zone;
use serde_json::Value;

/// The query of a request.
pub(super) fn parse(query: &Value, builder: &mut Builder) -> Result<Expr> {
    clause(query, builder, 0)
}

fn clause(query: &Value, builder: &mut Builder, depth: usize) -> Result<Expr> {
    if depth > DEPTH_MAX {
        return Err(SearchError::parsing(format!("queries nest deeper than {DEPTH_MAX}")));
    }
    let Some((kind, body)) = query.as_object().and_then(|object| object.iter().next()) else {
        return Err(SearchError::parsing(format!(
            "a query is an object with its type as the only key, such as {{\"match_all\":{{}}}}: found {}",
            shown(query)
        )));
    };
    if query.as_object().is_some_and(|object| object.len() > 1) {
        return Err(SearchError::parsing(format!(
            "[{kind}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]: one object holds one query"
        )));
    }
    builder.count(1)?;
    match kind.as_str() {
        "match_all" => Ok(Expr::All),
        "match_none" => Ok(Expr::None),
        "bool" => bool_query(body, builder, depth),
        "constant_score" => clause(Object::of(kind, body)?.needed("filter")?, builder, depth + 1),
        "query_string" | "simple_query_string" => query_string(kind, body, builder),
        "multi_match" => multi_match(body, builder),
        "exists" => {
            let field = Object::of(kind, body)?.needed_text("field")?;
            let field = builder.fields.find(&field);
            builder.exists(field)
        }
        "ids" => {
            let values = texts(Object::of(kind, body)?.needed("values")?)?;
            builder.one_of(Field::Id, values)
        }
        "terms" => terms(body, builder),
        "range"
        | "term"
        | "match"
        | "match_phrase"
        | "match_phrase_prefix"
        | "match_bool_prefix"
        | "prefix"
        | "wildcard"
        | "regexp" => {
            let object = Object::of(kind, body)?;
            let Some((name, of_field)) = object.only_field() else {
                return Err(SearchError::parsing(format!("[{kind}] query expects one field")));
            };
            let field = builder.fields.find(name);
            of_one_field(kind, field, of_field, builder)
        }
        _ => Err(SearchError::parsing(format!(
            "unknown query [{kind}]: known are bool, constant_score, exists, ids, match, match_all, \
             match_bool_prefix, match_none, match_phrase, match_phrase_prefix, multi_match, prefix, \
             query_string, range, regexp, simple_query_string, term, terms, wildcard"
        ))),
    }
}

fn of_one_field(kind: &str, field: Field, body: &Value, builder: &mut Builder) -> Result<Expr> {
    if kind == "range" {
        return range(field, body, builder);
    }
    // `{"field": "text"}` is short for `{"field": {"value": "text"}}`.
    let object = body.as_object().map(|_| Object::of(kind, body)).transpose()?;
    if let Some(object) = &object {
        object.expect_only(options_of(kind))?;
    }
    let value = match &object {
        Some(object) => object.get("value").or(object.get("query")).or(object.get("wildcard")),
        None => Some(body),
    };
    let Some(text) = value.and_then(scalar) else {
        return Err(SearchError::parsing(format!(
            "[{kind}] query expects a value, found {}",
            shown(body)
        )));
    };
    let option = |name: &str| object.as_ref().and_then(|object| object.get(name));
    let ignore_case = option("case_insensitive").map(bool_of).transpose()?.unwrap_or(false);
    match kind {
        "term" => builder.exact(field, &text, ignore_case),
        "prefix" if ignore_case => {
            builder.regex(field, &format!("{}.*", model::escape_regex(&text)), true)
        }
        "prefix" => builder.text(field, &text, true),
        "wildcard" => builder.wildcard(field, &text, ignore_case),
        "regexp" => builder.regex(field, &text, ignore_case),
        "match_phrase" => builder.text(field, &text, false),
        "match_phrase_prefix" => builder.text(field, &text, true),
        _ => {
            let is_and = option("operator")
                .and_then(Value::as_str)
                .is_some_and(|operator| operator.eq_ignore_ascii_case("and"));
            let least = option("minimum_should_match");
            words(field, &text, (is_and, least, kind == "match_bool_prefix"), builder)
        }
    }
}

/// What the query of one field may say beside its value.
fn options_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "term" | "prefix" | "wildcard" => {
            &["value", "wildcard", "case_insensitive", "rewrite", "boost", "_name"]
        }
        "regexp" => &[
            "value",
            "case_insensitive",
            "flags",
            "max_determinized_states",
            "rewrite",
            "boost",
            "_name",
        ],
        "match_phrase" | "match_phrase_prefix" => {
            &["query", "analyzer", "zero_terms_query", "max_expansions", "boost", "_name"]
        }
        _ => &[
            "query",
            "operator",
            "minimum_should_match",
            "analyzer",
            "lenient",
            "zero_terms_query",
            "max_expansions",
            "auto_generate_synonyms_phrase_query",
            "boost",
            "_name",
        ],
    }
}

/// The words of a text, each by itself.
fn words(
    field: Field,
    text: &str,
    (is_and, least, is_prefix): (bool, Option<&Value>, bool),
    builder: &mut Builder,
) -> Result<Expr> {
    if field != Field::Line {
        return builder.text(field, text, is_prefix);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let each = words
        .iter()
        .enumerate()
        .map(|(index, word)| builder.text(field, word, is_prefix && index + 1 == words.len()));
    let each: Vec<Expr> = each.collect::<Result<_>>()?;
    if is_and {
        return Ok(Expr::and(each));
    }
    match least {
        Some(least) => Ok(Expr::AtLeast(minimum(least, each.len())?.max(1), each)),
        None => Ok(Expr::any(each)),
    }
}

fn bool_query(body: &Value, builder: &mut Builder, depth: usize) -> Result<Expr> {
    let object = Object::of("bool", body)?;
    object.expect_only(&[
        "must",
        "filter",
        "should",
        "must_not",
        "minimum_should_match",
        "boost",
        "_name",
        "adjust_pure_negative",
    ])?;
    let mut each = |name: &str| -> Result<Vec<Expr>> {
        match object.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(all)) => {
                all.iter().map(|one| clause(one, builder, depth + 1)).collect()
            }
            Some(one) => Ok(vec![clause(one, builder, depth + 1)?]),
        }
    };
    let mut all = each("must")?;
    all.extend(each("filter")?);
    all.extend(each("must_not")?.into_iter().map(Expr::negate));
    let should = each("should")?;
    let is_needed = ["must", "filter"].iter().all(|name| object.get(name).is_none());
    let least = match object.get("minimum_should_match") {
        Some(least) => minimum(least, should.len())?,
        None => usize::from(is_needed && !should.is_empty()),
    };
    match least {
        0 => {}
        1 => all.push(Expr::any(should)),
        least => all.push(Expr::AtLeast(least, should)),
    }
    Ok(Expr::and(all))
}

/// `2`, `-1`, `75%`, `-25%`.
fn minimum(value: &Value, count: usize) -> Result<usize> {
    let text = text_of(value).unwrap_or_default();
    let (number, is_share) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text.as_str(), false),
    };
    let Ok(number) = number.trim().parse::<i64>() else {
        return Err(SearchError::parsing(format!(
            "[minimum_should_match] is {}: expected a number or a percentage",
            shown(value)
        )));
    };
    let count_signed = count as i64;
    let number = if is_share { count_signed.saturating_mul(number) / 100 } else { number };
    let least = if number < 0 { count_signed.saturating_add(number) } else { number };
    Ok(least.max(0) as usize)
}

fn terms(body: &Value, builder: &mut Builder) -> Result<Expr> {
    let object = Object::of("terms", body)?;
    let Some((name, values)) = object.only_field() else {
        return Err(SearchError::parsing("[terms] query expects one field with a list of values"));
    };
    let values = texts(values)?;
    builder.count(values.len() / 64)?;
    let field = builder.fields.find(name);
    builder.one_of(field, values)
}

fn texts(values: &Value) -> Result<Vec<String>> {
    let wrong =
        || SearchError::parsing(format!("expected a list of values, found {}", shown(values)));
    let all = values.as_array().ok_or_else(wrong)?;
    all.iter().map(|value| scalar(value).ok_or_else(wrong)).collect()
}

fn range(field: Field, body: &Value, builder: &mut Builder) -> Result<Expr> {
    let object = Object::of("range", body)?;
    object.expect_only(&[
        "gte",
        "gt",
        "lte",
        "lt",
        "from",
        "to",
        "include_lower",
        "include_upper",
        "format",
        "time_zone",
        "boost",
        "relation",
        "_name",
    ])?;
    let format = object.text("format").unwrap_or_default();
    let zone = object.text("time_zone").map_or(Ok(Zone::UTC), |zone| Zone::parse(&zone))?;
    let end = |names: [(&str, bool); 3]| -> Result<Option<End>> {
        for (name, is_included) in names {
            match object.get(name) {
                None | Some(Value::Null) => {}
                Some(value) => {
                    let wrong = || {
                        SearchError::parsing(format!(
                            "[range] [{name}] is {}: expected a value",
                            shown(value)
                        ))
                    };
                    let text = scalar(value).ok_or_else(wrong)?;
                    return Ok(Some(End { text, is_included }));
                }
            }
        }
        Ok(None)
    };
    let is_included =
        |name: &str| object.get(name).is_none_or(|value| value != &Value::Bool(false));
    let from = end([("gte", true), ("gt", false), ("from", is_included("include_lower"))])?;
    let to = end([("lte", true), ("lt", false), ("to", is_included("include_upper"))])?;
    builder.range(field, (from, to), (&format, zone))
}

fn options(object: &Object<'_>, builder: &mut Builder) -> Result<lucene::Options> {
    let mut options = lucene::Options::default();
    let names = match (object.get("fields"), object.get("default_field")) {
        (Some(names), _) => texts(names)?,
        (None, Some(name)) => vec![text_of(name).unwrap_or_else(|| MESSAGE.to_owned())],
        (None, None) => Vec::new(),
    };
    if !names.is_empty() {
        options.fields = names.iter().map(|name| field_of(name, builder)).collect();
        options.fields.sort();
        options.fields.dedup();
    }
    let operator = object.text("default_operator").unwrap_or_default();
    options.is_and = operator.eq_ignore_ascii_case("and");
    if let Some(zone) = object.text("time_zone") {
        options.zone = Zone::parse(&zone)?;
    }
    Ok(options)
}

/// A field without its boost: `message^2`. Patterns mean the line, which holds the text.
fn field_of(name: &str, builder: &mut Builder) -> Field {
    let name = name.split('^').next().unwrap_or(name);
    if name.contains('*') { Field::Line } else { builder.fields.find(name) }
}

fn query_string(kind: &str, body: &Value, builder: &mut Builder) -> Result<Expr> {
    let object = Object::of(kind, body)?;
    object.expect_only(&[
        "query",
        "fields",
        "default_field",
        "default_operator",
        "time_zone",
        "analyze_wildcard",
        "allow_leading_wildcard",
        "analyzer",
        "quote_analyzer",
        "lenient",
        "flags",
        "auto_generate_synonyms_phrase_query",
        "enable_position_increments",
        "max_determinized_states",
        "rewrite",
        "boost",
        "_name",
    ])?;
    let query = object.needed_text("query")?;
    let options = options(&object, builder)?;
    match kind {
        "query_string" if query.trim().is_empty() => Ok(Expr::None),
        "query_string" => lucene::parse(&query, &options, builder),
        _ => lucene::parse_simple(&query, &options, builder),
    }
}

fn multi_match(body: &Value, builder: &mut Builder) -> Result<Expr> {
    let object = Object::of("multi_match", body)?;
    object.expect_only(&[
        "query",
        "fields",
        "type",
        "operator",
        "minimum_should_match",
        "analyzer",
        "lenient",
        "tie_breaker",
        "zero_terms_query",
        "max_expansions",
        "boost",
        "_name",
    ])?;
    let text = object.needed_text("query")?;
    let fields = options(&object, builder)?.fields;
    let kind = object.text("type").unwrap_or_default();
    let is_and =
        object.text("operator").is_some_and(|operator| operator.eq_ignore_ascii_case("and"));
    let each = fields.into_iter().map(|field| match kind.as_str() {
        "phrase" => builder.text(field, &text, false),
        "phrase_prefix" => builder.text(field, &text, true),
        kind => {
            let least = object.get("minimum_should_match");
            words(field, &text, (is_and, least, kind == "bool_prefix"), builder)
        }
    });
    Ok(Expr::any(each.collect::<Result<_>>()?))
}
