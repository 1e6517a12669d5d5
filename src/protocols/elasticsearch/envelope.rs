//! What the endpoints of searches work with: time, memory and threads of a request; errors as answers.

use super::filter::Filter;
use super::search::{SearchError, Searcher};
use super::{Elasticsearch, answer};
use crate::api::{self, Api, ApiState};
use crate::reply;
use crate::services::LogServices;
use axum::http::StatusCode;
use axum::response::Response;
use model::ErrorKind;
use query::{Control, Holding, HoldingLimits, Weight};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What an endpoint works with.
pub(super) type Context = api::Context<Elasticsearch>;

impl Api for Elasticsearch {
    type Error = SearchError;

    fn failure(error: &SearchError) -> Response {
        let response = answer::json(status(error.kind), &body(error));
        match error.kind {
            ErrorKind::Overloaded => reply::with_kind(response, error.kind),
            _ => response,
        }
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        // A client that exceeds a limit has to ask for less.
        ErrorKind::Invalid | ErrorKind::Limit => StatusCode::BAD_REQUEST,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        // Nginx's status for a request that its client closed.
        ErrorKind::Cancelled => StatusCode::from_u16(499).expect("three digits"),
        kind => reply::status(kind),
    }
}

/// An error as the body of an answer, or as one of several answers.
pub(super) fn body(error: &SearchError) -> Value {
    let cause = json!({ "type": error.name, "reason": error.reason });
    json!({
        "error": { "root_cause": [cause], "type": error.name, "reason": error.reason },
        "status": status(error.kind).as_u16(),
    })
}

impl Context {
    pub(super) fn logs(&self) -> Result<&LogServices, SearchError> {
        Ok(self.services().logs()?)
    }

    /// Ends the work when its client is gone, or it takes too long.
    pub(super) fn control(&self) -> Control<'_> {
        let timeout = Duration::from_millis(self.services().logql.limits.timeout_ms.unsigned_abs());
        Control::new(&*self.services().clock, Some(timeout), self.cancel.clone())
    }

    /// What this request may hold.
    pub(super) fn memory(&self) -> Holding {
        let limits = HoldingLimits {
            samples: usize::MAX,
            bytes: self.services().logql.limits.memory_max,
            bytes_setting: "logs.max_memory",
            bytes_advice: "a shorter time, fewer hits or fewer buckets",
        };
        Holding::new(limits, Some(&Arc::clone(&self.services().query_memory)))
            .until(self.cancel.clone())
    }

    pub(super) fn searcher<'a>(
        &'a self,
        control: &'a Control<'a>,
        memory: &'a Holding,
    ) -> Result<Searcher<'a>, SearchError> {
        let (store, tenant) = (&self.logs()?.store, &self.call.tenant);
        let helpers = self.services().query_pool.helpers();
        Ok(Searcher { store, tenant, helpers, control, memory })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let text = self.parameters.text(name);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A JSON body; null where there is none.
    pub(super) fn json_body(&self) -> Result<Value, SearchError> {
        let source = self.parameters.text("source");
        let bytes = if self.call.body.is_empty() { source.as_bytes() } else { &self.call.body[..] };
        self.parse(bytes)
    }

    /// JSON, once the memory that its tree takes is there.
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Value, SearchError> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        self.call.held.take(TREE_SHARE * bytes.len())?;
        serde_json::from_slice(bytes)
            .map_err(|error| SearchError::parsing(format!("the body is no JSON: {error}")))
    }

    /// The wanted parts of an answer, once the memory for their text is there.
    pub(super) fn answered(
        &self,
        mut value: Value,
        memory: &Holding,
    ) -> Result<Response, SearchError> {
        Filter::new(self.parameter("filter_path").as_deref()).apply(&mut value);
        let text = value.to_string();
        memory.take(Weight::bytes(text.len()))?;
        let response = reply::of(StatusCode::OK, "application/json", text);
        Ok(answer::marked(response))
    }

    pub(super) fn took_ms(&self, started_ms: i64) -> i64 {
        self.services().clock.wall_ms().saturating_sub(started_ms).max(0)
    }
}

/// A tree of JSON takes at most about so many times its text.
const TREE_SHARE: usize = 16;
