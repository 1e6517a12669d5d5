//! The JSON of an answer.

use super::aggs::{self, Finishing};
use super::error::Result;
use super::hits;
use super::hits::Hit;
use super::leaf::Builder;
use super::request::{Parameter, SearchRequest, query_of};
use super::run::{Found, Searcher, Wanted};
use super::source::shown_fields;
use model::Matcher;
use query::Weight;
use serde_json::{Map, Value, json};

/// What bounds an answer, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::elasticsearch) struct Limits {
    pub(in crate::elasticsearch) buckets_max: usize,
    /// `rest_total_hits_as_int`: the total is a number rather than an object.
    pub(in crate::elasticsearch) is_total_plain: bool,
}

/// Searches, and answers what stands between `took` and `status`.
pub(in crate::elasticsearch) fn search(
    searcher: &Searcher<'_>,
    request: &SearchRequest,
    matchers: Vec<Matcher>,
    limits: Limits,
) -> Result<Map<String, Value>> {
    let limit = if request.size == 0 { 0 } else { request.from + request.size };
    let wanted = Wanted {
        query: &request.query,
        fields: &request.builder.fields,
        matchers,
        sorting: &request.sorting,
        limit,
        search_after: request.search_after.as_deref(),
        aggs: &request.aggs,
        total_max: request.total_max.unwrap_or(0),
    };
    let Found { total, is_more, hits, bucket, warnings } = searcher.run(&wanted)?;
    let mut answer = Map::new();
    answer.insert("timed_out".to_owned(), false.into());
    answer.insert("_shards".to_owned(), shards(&warnings));
    let total = request.total_max.map(|most| match is_more || total > most {
        _ if limits.is_total_plain => total.into(),
        true => json!({ "value": total.min(most), "relation": "gte" }),
        false => json!({ "value": total, "relation": "eq" }),
    });
    answer.insert("hits".to_owned(), all_hits(searcher, request, total, &hits)?);
    if !request.aggs.is_empty() {
        let mut finishing =
            Finishing { buckets_max: limits.buckets_max, made: 0, memory: searcher.memory };
        let aggregations = aggs::finish(&request.aggs, bucket, &mut finishing)?;
        answer.insert("aggregations".to_owned(), Value::Object(aggregations));
    }
    Ok(answer)
}

/// How many lines there are for which a query holds.
pub(in crate::elasticsearch) fn count(
    searcher: &Searcher<'_>,
    (body, parameter): (&Value, Parameter<'_>),
    now_ms: i64,
    matchers: Vec<Matcher>,
) -> Result<Value> {
    let mut builder = Builder::new(now_ms);
    let query = &query_of(body, parameter, &mut builder)?;
    let wanted = Wanted {
        query,
        fields: &builder.fields,
        matchers,
        sorting: &hits::Sorting::default(),
        limit: 0,
        search_after: None,
        aggs: &[],
        total_max: u64::MAX,
    };
    let found = searcher.run(&wanted)?;
    Ok(json!({ "count": found.total, "_shards": shards(&found.warnings) }))
}

/// One shard; what could not be read of it is one that failed.
fn shards(warnings: &[String]) -> Value {
    let failed = warnings.len();
    let mut shards =
        json!({ "total": 1 + failed, "successful": 1, "skipped": 0, "failed": failed });
    if failed > 0 {
        let failure = |warning: &String| json!({ "reason": { "type": "unavailable_shards_exception", "reason": warning } });
        shards["failures"] = warnings.iter().map(failure).collect();
    }
    shards
}

fn all_hits(
    searcher: &Searcher<'_>,
    request: &SearchRequest,
    total: Option<Value>,
    hits: &[Hit],
) -> Result<Value> {
    let is_sorted = !request.sorting.keys.is_empty();
    let mut list = Vec::new();
    for hit in hits.iter().skip(request.from) {
        // The JSON of a hit is about as large as the line and its fields.
        searcher.memory.take(Weight::bytes(hit.document.bytes()))?;
        list.push(Value::Object(one_hit(request, hit)));
    }
    let score = if is_sorted || list.is_empty() { Value::Null } else { 1.0.into() };
    let mut all = json!({ "max_score": score, "hits": list });
    if let Some(total) = total {
        all["total"] = total;
    }
    Ok(all)
}

fn one_hit(request: &SearchRequest, hit: &Hit) -> Map<String, Value> {
    let document = &hit.document;
    let is_sorted = !request.sorting.keys.is_empty();
    let score: Value = if is_sorted { Value::Null } else { 1.0.into() };
    let mut map = Map::new();
    map.insert("_index".to_owned(), document.index().into());
    map.insert("_id".to_owned(), document.id().into());
    map.insert("_score".to_owned(), score);
    let mut of_line = document.source();
    if !request.fields.is_empty() {
        let fields = shown_fields(document.time, &of_line, &request.fields);
        map.insert("fields".to_owned(), Value::Object(fields));
    }
    if !request.source.is_off {
        request.source.apply(&mut of_line);
        map.insert("_source".to_owned(), Value::Object(of_line));
    }
    if let Some((before, behind)) = &request.highlight
        && let Some(text) = document.highlight(&request.query, (before, behind))
    {
        map.insert("highlight".to_owned(), json!({ super::MESSAGE: [text] }));
    }
    if is_sorted {
        map.insert("sort".to_owned(), request.sorting.values(hit).into());
    }
    map
}
