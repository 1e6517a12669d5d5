//! How the endpoints answer: JSON with what was looked at, and errors in the server's own JSON.

use super::Ui;
use crate::api::json as write;
use crate::api::{self, Api, ApiState};
use crate::reply;
use crate::services::{ServiceError, TraceServices};
use axum::http::StatusCode;
use axum::response::Response;
use model::ErrorKind;
use platform::Moment;
use query::LineColumn;
use serde_json::json;
use traceql::{Answer, ParseError, QueryError, Statistics};

/// Why an endpoint has no answer.
#[derive(Clone, Debug)]
pub(crate) struct UiError {
    kind: ErrorKind,
    message: String,
    /// Where in the query it is.
    place: Option<LineColumn>,
}

impl UiError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// `query` is the text that could not be read.
    pub(super) fn of_query(error: ParseError, query: &str) -> Self {
        let place = error.position.map(|position| position.line_and_column(query));
        Self { place, ..QueryError::from(error).into() }
    }
}

impl From<ServiceError> for UiError {
    fn from(error: ServiceError) -> Self {
        Self::new(error.kind, error.message)
    }
}

impl From<trace_store::StoreError> for UiError {
    fn from(error: trace_store::StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<QueryError> for UiError {
    fn from(error: QueryError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// What an endpoint works with.
pub(super) type Context = api::Context<Ui>;

impl Api for Ui {
    type Error = UiError;

    fn failure(error: &UiError) -> Response {
        let mut body = json!({ "error": error.message, "kind": error.kind.as_str() });
        if let Some(place) = error.place {
            body["line"] = place.line.into();
            body["column"] = place.column.into();
        }
        reply::with_kind(reply::json(reply::query_status(error.kind), &body), error.kind)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl Context {
    pub(super) fn traces(&self) -> Result<&TraceServices, UiError> {
        Ok(self.services().traces()?)
    }
}

/// What an answer says of how it came about.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    /// Spans, and lines where lines were read.
    pub(super) scanned: u64,
    /// What could not be read, or was left out.
    pub(super) warnings: Vec<String>,
}

impl Stats {
    pub(super) fn of<T>(answer: &Answer<T>) -> Self {
        let Statistics { spans, .. } = answer.statistics;
        Self { scanned: spans, warnings: answer.warnings.clone() }
    }
}

impl Context {
    /// Ends an object of JSON with its `stats`, and answers it. `started`: when the work began.
    pub(super) fn finish(
        &self,
        mut out: Vec<u8>,
        stats: &Stats,
        started: Moment,
    ) -> Result<Response, UiError> {
        self.write_stats(&mut out, stats, started);
        out.extend_from_slice(b"}\n");
        self.call.held.take(out.len()).map_err(ServiceError::from)?;
        Ok(reply::of(StatusCode::OK, "application/json", out))
    }

    pub(super) fn write_stats(&self, out: &mut Vec<u8>, stats: &Stats, started: Moment) {
        let millis = self.services().clock.now().since(started).as_secs_f64() * 1_000.0;
        let (scanned, partial) = (stats.scanned, !stats.warnings.is_empty());
        let text =
            format!(",\"stats\":{{\"scanned\":{scanned},\"ms\":{millis:.3},\"partial\":{partial}");
        out.extend_from_slice(text.as_bytes());
        if partial {
            out.extend_from_slice(b",\"warnings\":");
            write::texts(out, &stats.warnings);
        }
        out.push(b'}');
    }
}

/// Writes a column: a name and its values, one for each item.
pub(super) fn column<T>(
    out: &mut Vec<u8>,
    name: &str,
    items: impl IntoIterator<Item = T>,
    value: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b',');
    write::text(out, name);
    out.push(b':');
    write::list(out, items, value);
}

pub(super) fn whole(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Nanoseconds as milliseconds, with as many digits behind the point as are needed.
pub(super) fn millis(out: &mut Vec<u8>, nanos: u64) {
    whole(out, nanos / 1_000_000);
    let rest = nanos % 1_000_000;
    if rest > 0 {
        let digits = format!(".{rest:06}");
        out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
}

/// A text, or `null`.
pub(super) fn text_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => write::text(out, text),
        None => out.extend_from_slice(b"null"),
    }
}
