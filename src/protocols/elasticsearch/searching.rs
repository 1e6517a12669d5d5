//! `_search`, `_msearch` and `_count`.

use super::envelope::{self, Context};
use super::indices::{IndexPatterns, in_path};
use super::search::{
    Limits, Parameter, SearchError, SearchRequest, count as count_lines, search as run_search,
};
use axum::response::Response;
use model::ErrorKind;
use query::{Control, Holding};
use serde_json::{Map, Value, json};

/// Searches of one request.
const SEARCHES_MAX: usize = 500;

pub(super) fn search(context: &Context) -> Result<Response, SearchError> {
    let patterns = IndexPatterns::parse(&in_path(&context.call.path))?;
    let (body, control, memory) = (context.json_body()?, context.control(), context.memory());
    let parameter = |name: &str| context.parameter(name);
    let answer = one(context, &patterns, (&body, &parameter), (&control, &memory))?;
    context.answered(Value::Object(answer), &memory)
}

/// One search, with how long it took.
fn one(
    context: &Context,
    patterns: &IndexPatterns,
    (body, parameter): (&Value, Parameter<'_>),
    (control, memory): (&Control<'_>, &Holding),
) -> Result<Map<String, Value>, SearchError> {
    let started_ms = context.services().clock.wall_ms();
    let request = SearchRequest::parse(body, parameter, started_ms)?;
    let limits = Limits {
        buckets_max: context.api.settings.max_buckets,
        is_total_plain: context.parameters.text("rest_total_hits_as_int") == "true",
    };
    let searcher = context.searcher(control, memory)?;
    let mut answer = run_search(&searcher, &request, patterns.matchers()?, limits)?;
    answer.insert("took".to_owned(), context.took_ms(started_ms).into());
    Ok(answer)
}

pub(super) fn count(context: &Context) -> Result<Response, SearchError> {
    let patterns = IndexPatterns::parse(&in_path(&context.call.path))?;
    let (body, control, memory) = (context.json_body()?, context.control(), context.memory());
    let searcher = context.searcher(&control, &memory)?;
    let (parameter, now_ms) =
        (|name: &str| context.parameter(name), context.services().clock.wall_ms());
    let answer = count_lines(&searcher, (&body, &parameter), now_ms, patterns.matchers()?)?;
    context.answered(answer, &memory)
}

/// Lines in pairs: a header and a body. Each pair has an answer of its own, which may be an error.
pub(super) fn msearch(context: &Context) -> Result<Response, SearchError> {
    let started_ms = context.services().clock.wall_ms();
    let (control, memory) = (context.control(), context.memory());
    let of_path = in_path(&context.call.path);
    let mut responses = Vec::new();
    // A line break ends a line; behind the last one there is none.
    let body = &context.call.body[..];
    let mut lines = body.strip_suffix(b"\n").unwrap_or(body).split(|byte| *byte == b'\n');
    while let Some(header) = lines.next() {
        let Some(body) = lines.next() else {
            if header.trim_ascii().is_empty() {
                break;
            }
            return Err(SearchError::parsing(
                "the last header has no body: send a line for each, and a line break behind the last",
            ));
        };
        if responses.len() == SEARCHES_MAX {
            return Err(SearchError::illegal(format!(
                "a request may have {SEARCHES_MAX} searches: send several requests"
            )));
        }
        let answer = pair(context, &of_path, (header, body), (&control, &memory));
        responses.push(match answer {
            Ok(answer) => Value::Object(answer),
            // Nobody waits for the others.
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
            Err(error) => envelope::body(&error),
        });
    }
    if responses.is_empty() {
        return Err(SearchError::parsing(
            "the body holds no search: send a line with a header and a line with a query for each",
        ));
    }
    context
        .answered(json!({ "took": context.took_ms(started_ms), "responses": responses }), &memory)
}

fn pair(
    context: &Context,
    of_path: &str,
    (header, body): (&[u8], &[u8]),
    running: (&Control<'_>, &Holding),
) -> Result<Map<String, Value>, SearchError> {
    let header = context.parse(header)?;
    let names = match header.get("index").or_else(|| header.get("indices")) {
        None | Some(Value::Null) => of_path.to_owned(),
        Some(Value::String(names)) => names.clone(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Some(other) => {
            return Err(SearchError::parsing(format!(
                "[index] is {other}: expected a name or a list"
            )));
        }
    };
    let patterns = IndexPatterns::parse(&names)?;
    let body = context.parse(body)?;
    let mut answer = one(context, &patterns, (&body, &|_| None), running)?;
    answer.insert("status".to_owned(), 200.into());
    Ok(answer)
}
