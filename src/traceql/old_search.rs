//! A search by the parameters that were there before the language, as a query:
//! `tags=service.name=web http.status_code=500`, `minDuration=1s`.
//!
//! Each tag is asked of the trace: some span has it. So two tags are two filters joined by `&&`.

use crate::ast::{FieldExpr, FieldOp, Pipeline, Query, Root, SpanExpr, SpanOp, Stage};
use crate::attribute::{Attribute, Intrinsic, Scope};
use crate::error::ParseError;
use crate::literal::{Literal, Status};
use model::{quote_go, unquote_go};

/// As many tags as a tree of filters may be deep.
const TAGS_MAX: usize = 100;

/// The parameters of a search without a query. Durations are those of the trace, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OldSearch<'a> {
    /// `key=value` with blanks between; values may be quoted.
    pub tags: &'a str,
    pub min_duration_ns: Option<i64>,
    pub max_duration_ns: Option<i64>,
}

impl OldSearch<'_> {
    pub fn into_query(self) -> Result<Query, ParseError> {
        let mut filters = Vec::new();
        let bounds = [(FieldOp::Ge, self.min_duration_ns), (FieldOp::Le, self.max_duration_ns)];
        let bounds = bounds.into_iter().filter_map(|(op, nanos)| Some((op, nanos?)));
        let bound = |(op, nanos)| compared(Intrinsic::TraceDuration, op, Literal::Duration(nanos));
        filters.extend(FieldExpr::all_of(bounds.map(bound)));
        for (key, value) in tags(self.tags)? {
            filters.push(filter(&key, value)?);
        }
        if filters.len() > TAGS_MAX {
            let message = format!("a search may have {TAGS_MAX} tags: use a query (`q`) instead");
            return Err(ParseError::invalid(message));
        }
        let filters = filters.into_iter().map(|filter| SpanExpr::Filter(Some(filter)));
        let both = |left, right| SpanExpr::Binary {
            op: SpanOp::And,
            left: Box::new(left),
            right: Box::new(right),
        };
        let spans = filters.reduce(both).unwrap_or(SpanExpr::Filter(None));
        let pipeline = Pipeline { stages: vec![Stage::Spans(spans)] };
        Ok(Query { root: Root::Spans(pipeline), hints: Vec::new() })
    }
}

fn compared(intrinsic: Intrinsic, op: FieldOp, value: Literal) -> FieldExpr {
    equal_to(Attribute::intrinsic(intrinsic), op, value)
}

fn equal_to(attribute: Attribute, op: FieldOp, value: Literal) -> FieldExpr {
    FieldExpr::binary(op, FieldExpr::Attribute(attribute), FieldExpr::Literal(value))
}

fn filter(key: &str, value: String) -> Result<FieldExpr, ParseError> {
    let text = |intrinsic, value| compared(intrinsic, FieldOp::Eq, Literal::Text(value));
    let status = |status| compared(Intrinsic::Status, FieldOp::Eq, Literal::Status(status));
    Ok(match key {
        "name" => text(Intrinsic::Name, value),
        "root.name" => text(Intrinsic::RootName, value),
        "root.service.name" => text(Intrinsic::RootService, value),
        "error" if value == "true" => status(Status::Error),
        "status.code" => match Status::ALL.into_iter().find(|status| status.as_str() == value) {
            Some(known) => status(known),
            None => {
                let shown = quote_go(value.as_bytes());
                let message = format!("status.code is {shown}: it can be unset, ok or error");
                return Err(ParseError::invalid(message));
            }
        },
        _ => attribute_like(key, &value),
    })
}

/// An attribute of any scope and type whose value is written like this.
pub fn attribute_like(key: &str, value: &str) -> FieldExpr {
    let number = value.parse().map(Literal::Int).or_else(|_| value.parse().map(Literal::Float));
    let other = number.ok().or_else(|| value.parse().map(Literal::Bool).ok());
    let equal = |value| equal_to(Attribute::named(Scope::None, key), FieldOp::Eq, value);
    let as_text = equal(Literal::Text(value.to_owned()));
    match other {
        Some(other) => FieldExpr::binary(FieldOp::Or, as_text, equal(other)),
        None => as_text,
    }
}

fn tags(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let wrong = |what: &str| {
            let place = text.len() - rest.len() + 1;
            Err(ParseError::invalid(format!("invalid tags: {what} at position {place}")))
        };
        let Some((key, value)) = rest.split_once('=') else { return wrong("`=` is missing") };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return wrong("a key without blanks is needed before `=`");
        }
        let Some(length) = value_length(value) else { return wrong("a quote is missing") };
        let (value, after) = value.split_at(length);
        let value = match value.starts_with('"') {
            false => value.to_owned(),
            true => match unquote_go(value).map(String::from_utf8) {
                Ok(Ok(value)) => value,
                _ => return wrong("an escape is wrong"),
            },
        };
        found.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(found)
}

/// Up to the blank behind it, or to its closing quote.
fn value_length(text: &str) -> Option<usize> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.find(char::is_whitespace).unwrap_or(text.len()));
    };
    let mut escaped = false;
    let is_end = |(_, c): &(usize, char)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    };
    quoted.char_indices().find(is_end).map(|(at, _)| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(search: OldSearch<'_>) -> String {
        search.into_query().map_or_else(|error| error.to_string(), |query| query.to_string())
    }

    #[test]
    fn each_tag_is_a_filter() {
        let of = |tags| shown(OldSearch { tags, ..OldSearch::default() });
        assert_eq!(of(""), "{ }");
        assert_eq!(of("service.name=web"), "{ .service.name = \"web\" }");
        assert_eq!(
            of("name=\"GET \\\"/\" http.status_code=500 status.code=error"),
            "{ name = \"GET \\\"/\" } && { .http.status_code = \"500\" || .http.status_code = 500 } && { \
             status = error }"
        );
        assert_eq!(of("error=true"), "{ status = error }");
        for (tags, error) in [
            ("a", "`=` is missing at position 1"),
            ("a=1 b", "`=` is missing at position 5"),
            ("=1", "a key without blanks is needed before `=` at position 1"),
            ("a=\"b", "a quote is missing at position 1"),
            ("status.code=bad", "it can be unset, ok or error"),
        ] {
            assert!(of(tags).contains(error), "{}", of(tags));
        }
    }

    #[test]
    fn durations_are_of_the_trace() {
        let search = OldSearch {
            tags: "a=b",
            min_duration_ns: Some(1_000_000),
            max_duration_ns: Some(1_000_000_000),
        };
        assert_eq!(
            shown(search),
            "{ traceDuration >= 1ms && traceDuration <= 1s } && { .a = \"b\" }"
        );
    }
}
