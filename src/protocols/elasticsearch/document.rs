//! `POST /{index}/_doc` and its like: one document.

use super::bulk::{fill_one, new_id};
use super::{Elasticsearch, answer};
use crate::logs::{Guard, commit};
use crate::{Call, percent_decode_segment};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::Arc;

pub(super) async fn index(state: Arc<Elasticsearch>, call: Call) -> Response {
    let Some((index, id)) = named_in(&call.path) else {
        let reason = "the path names no index";
        return answer::error(StatusCode::BAD_REQUEST, "illegal_argument_exception", reason);
    };
    let answered_id = id.clone().unwrap_or_else(new_id);
    let fill = {
        let (state, index) = (Arc::clone(&state), index.clone());
        move |call: &Call, guard: &mut Guard<'_>| {
            fill_one(&state, call, (&index, id.as_deref()), guard)
        }
    };
    match commit(&state.services, call, fill).await {
        Ok((None, _)) => {
            let body = json!({
                "_index": index, "_id": answered_id, "_version": 1, "result": "created",
                "_shards": { "total": 1, "successful": 1, "failed": 0 },
                "_seq_no": 0, "_primary_term": 1,
            });
            answer::json(StatusCode::CREATED, &body)
        }
        Ok((Some((kind, reason)), _)) => answer::error(StatusCode::BAD_REQUEST, kind, &reason),
        Err(error) => answer::failure(error.kind, &error.message),
    }
}

/// The index and the id of `…/{index}/_doc/{id}`.
fn named_in(path: &str) -> Option<(String, Option<String>)> {
    let mut before = None;
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    while let Some(segment) = segments.next() {
        if matches!(segment, "_doc" | "_create") {
            let id = segments.next().map(percent_decode_segment);
            return Some((percent_decode_segment(before?), id));
        }
        before = Some(segment);
    }
    None
}
