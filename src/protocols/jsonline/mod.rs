//! Lines of JSON, as VictoriaLogs takes them: `POST /insert/jsonline`.
//!
//! Each line of the body is a record; VictoriaLogs' parameters and headers say which of its fields are
//! the line, the time and the labels of the stream. A line that can't be stored is reported, and the
//! others are stored.

use crate::logs::{
    BadRecord, Guard, RecordRoom, RecordShape, RecordWriter, ShapeNames, commit, room_for_lines,
};
use crate::route::bind;
use crate::services::ServiceError;
use crate::{Access, Body, Call, Handler, Protocol, Route, Services, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use serde_json::json;
use std::sync::Arc;
use wire::json::{JsonError, JsonReader};
use wire::{Rejections, flatten_json};

#[cfg(test)]
mod tests;

/// What the handlers see.
#[derive(Debug)]
struct JsonLine {
    services: Arc<Services>,
    shape: RecordShape,
}

/// The fields that are the line, in the order in which they count.
const LINE_FIELDS: &[&str] = &["_msg", "message", "msg", "log"];
const TIME_FIELDS: &[&str] = &["_time", "@timestamp", "timestamp", "time"];

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let labels = &services.log_options.stream_fields;
    let shape = RecordShape::new(ShapeNames { line: LINE_FIELDS, time: TIME_FIELDS, labels });
    let state = Arc::new(JsonLine { services: Arc::clone(services), shape });
    Protocol { routes: bind(&state, ROUTES), ..Protocol::new("jsonline") }
}

static ROUTES: &[Route<Handler<JsonLine>>] = &[Route {
    methods: &[Method::POST],
    path: "/insert/jsonline",
    access: Access::Tenant(Scope::Write),
    body: Body::Whole,
    needs_stores: true,
    handler: handler!(insert),
    refuse: reply::refuse_plainly,
    about: "Lines of JSON, with VictoriaLogs' parameters",
}];

/// How many lines that were refused are reported.
const REPORTED_MAX: usize = 20;

/// The lines that were refused first: their numbers, and why.
type Report = Vec<(usize, String)>;

async fn insert(state: Arc<JsonLine>, call: Call) -> Response {
    let fill = {
        let state = Arc::clone(&state);
        move |call: &Call, guard: &mut Guard<'_>| fill(&state, call, guard)
    };
    match commit(&state.services, call, fill).await {
        Ok((report, committed)) => {
            let (stored, refused) = (committed.lines, committed.rejected.count);
            if refused == 0 {
                return reply::empty(StatusCode::OK);
            }
            let error = |(line, error)| json!({ "line": line, "error": error });
            let errors: Vec<_> = report.into_iter().map(error).collect();
            let body = json!({ "stored": stored, "refused": refused, "errors": errors });
            // A sender that is answered 400 drops the whole body: only if nothing of it is stored.
            let status = if stored > 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            reply::json(status, &body)
        }
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

fn fill(
    state: &JsonLine,
    call: &Call,
    guard: &mut Guard<'_>,
) -> Result<(Report, Rejections), ServiceError> {
    room_for_lines(&call.held, call.body.len())?;
    let shape = state.shape.clone().of_call(call);
    let now_ns = state.services.clock.wall_ms().saturating_mul(1_000_000);
    let (mut writer, mut room) = (RecordWriter::default(), RecordRoom::default());
    let (mut report, mut rejected) = (Report::new(), Rejections::default());
    for (index, line) in call.body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        room.ask(&call.held, line.len())?;
        let Err(bad) = record(line, &shape, now_ns, &mut writer, guard) else { continue };
        if let Some(kind) = bad.kind() {
            rejected.add(kind, || bad.to_string());
        }
        if report.len() < REPORTED_MAX {
            report.push((index + 1, bad.to_string()));
        }
    }
    Ok((report, rejected))
}

#[derive(Debug, thiserror::Error)]
enum BadLine {
    #[error("this is no object of JSON: {0}")]
    Json(#[from] JsonError),
    #[error(transparent)]
    Record(#[from] BadRecord),
}

impl BadLine {
    /// The reason under which it is to be counted.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => Some("json"),
            Self::Record(bad) => bad.kind(),
        }
    }
}

fn record(
    line: &[u8],
    shape: &RecordShape,
    now_ns: i64,
    writer: &mut RecordWriter,
    guard: &mut Guard<'_>,
) -> Result<(), BadLine> {
    writer.begin();
    let mut reader = JsonReader::new(line);
    flatten_json(&mut reader, &mut writer.fields)?;
    reader.end()?;
    let whole = |text: &mut String| text.push_str(&String::from_utf8_lossy(line));
    Ok(writer.write(shape, now_ns, guard, whole)?)
}
