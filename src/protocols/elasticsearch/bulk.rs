//! `POST /_bulk`: a line says what to do, and the next one is the document.
//!
//! The items of the answer are written while the documents are read, because what becomes of each is
//! known then; they are sent only after all lines are durable. A document that can't be stored is an
//! error of its item, at which agents drop it; the others are stored.

use super::filter::Filter;
use super::{Elasticsearch, answer};
use crate::Call;
use crate::bounds::Held;
use crate::logs::{
    BadRecord, Guard, RecordRoom, RecordShape, RecordWriter, commit, room_for_lines,
};
use crate::services::ServiceError;
use crate::{percent_decode_segment, reply};
use axum::http::StatusCode;
use axum::response::Response;
use model::ErrorKind;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::json::{JsonError, JsonKind, JsonReader};
use wire::{Rejections, flatten_json};

/// The index of documents that name none.
const INDEX_LABEL: &str = "_index";

pub(super) async fn bulk(state: Arc<Elasticsearch>, call: Call) -> Response {
    let started_ms = state.services.clock.wall_ms();
    let filter = Filter::new(call.parameter("filter_path").as_deref());
    let fill = {
        let (state, filter) = (Arc::clone(&state), filter.clone());
        move |call: &Call, guard: &mut Guard<'_>| fill(&state, call, &filter, guard)
    };
    match commit(&state.services, call, fill).await {
        Ok((items, committed)) => {
            let took_ms = state.services.clock.wall_ms().saturating_sub(started_ms).max(0);
            let errors = committed.rejected.count > 0;
            answer::marked(reply::of(
                StatusCode::OK,
                "application/json",
                body(&filter, took_ms, errors, &items.text),
            ))
        }
        Err(error) => answer::failure(error.kind, &error.message),
    }
}

fn body(filter: &Filter, took_ms: i64, errors: bool, items: &str) -> String {
    let mut parts = Vec::new();
    if filter.wants(&["took"]) {
        parts.push(format!("\"took\":{took_ms}"));
    }
    if filter.wants(&["errors"]) {
        parts.push(format!("\"errors\":{errors}"));
    }
    // Parts of an answer that are empty after filtering are left out.
    let is_left = !items.is_empty() || filter.wants(&["items", "x", "status"]);
    if filter.wants(&["items"]) && is_left {
        parts.push(format!("\"items\":[{items}]"));
    }
    format!("{{{}}}", parts.join(","))
}

fn fill(
    state: &Elasticsearch,
    call: &Call,
    filter: &Filter,
    guard: &mut Guard<'_>,
) -> Result<(Items, Rejections), ServiceError> {
    room_for_lines(&call.held, call.body.len())?;
    let mut reading = Reading {
        path_index: index_in_path(&call.path),
        shape: state.shape.clone().of_call(call),
        now_ns: state.services.clock.wall_ms().saturating_mul(1_000_000),
        writer: RecordWriter::default(),
        room: RecordRoom::default(),
        items: Items::new(filter),
        rejected: Rejections::default(),
    };
    let mut lines = call.body.split(|byte| *byte == b'\n').enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let action = Action::read(line).map_err(|error| malformed(index + 1, &error))?;
        let source = match action.operation {
            Operation::Delete => &b""[..],
            _ => lines.next().map_or(&b""[..], |(_, line)| line.trim_ascii()),
        };
        reading.item(&action, source, guard, &call.held)?;
    }
    Ok((reading.items, reading.rejected))
}

fn malformed(line: usize, error: &JsonError) -> ServiceError {
    let message = format!("Malformed action/metadata line [{line}]: {error}");
    ServiceError::new(ErrorKind::Invalid, message)
}

/// The segment before `_bulk`, where there is one.
fn index_in_path(path: &str) -> Option<String> {
    let above = path.trim_end_matches('/').strip_suffix("/_bulk")?;
    let above = above.strip_prefix("/insert").unwrap_or(above);
    let above = above.strip_prefix("/elasticsearch").unwrap_or(above);
    let index = above.strip_prefix('/')?;
    (!index.is_empty()).then(|| percent_decode_segment(index))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    Index,
    Update,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What is to be done with a document.
#[derive(Debug)]
struct Action {
    operation: Operation,
    index: Option<String>,
    id: Option<String>,
}

impl Action {
    /// `{"create": {"_index": "logs", "_id": "1"}}`.
    fn read(line: &[u8]) -> Result<Self, JsonError> {
        let (mut operation, mut index, mut id) = (None, None, None);
        let mut reader = JsonReader::new(line);
        reader.object(|reader, key| {
            let known = [Operation::Create, Operation::Index, Operation::Update, Operation::Delete];
            let named = known.into_iter().find(|known| key.is(known.name()));
            if named.is_none() || operation.is_some() {
                return Err(reader.error("one of create, index, update and delete before this"));
            }
            operation = named;
            reader.object(|reader, key| {
                let place = match () {
                    () if key.is("_index") => &mut index,
                    () if key.is("_id") => &mut id,
                    () => return reader.skip().map(drop),
                };
                match reader.kind()? {
                    JsonKind::Text => reader.text()?.append_to(place.insert(String::new())),
                    JsonKind::Null => reader.null()?,
                    _ => *place = Some(String::from_utf8_lossy(reader.skip()?).into_owned()),
                }
                Ok(())
            })
        })?;
        reader.end()?;
        let operation = operation.ok_or_else(|| reader.error("an action"))?;
        Ok(Self { operation, index, id })
    }
}

/// Why an item is refused, as Elasticsearch calls it.
#[derive(Debug, thiserror::Error)]
enum BadItem {
    #[error("{0} can't be done: only documents that are new can be sent here")]
    Operation(&'static str),
    #[error("an index is missing")]
    Index,
    #[error("failed to parse: {0}")]
    Json(#[from] JsonError),
    #[error("{0}")]
    Record(#[from] BadRecord),
}

impl BadItem {
    fn kind(&self) -> &'static str {
        match self {
            Self::Operation(_) | Self::Index => "illegal_argument_exception",
            Self::Json(_) | Self::Record(_) => "document_parsing_exception",
        }
    }

    /// The reason under which it is to be counted; `None` where it is counted already.
    fn counted_as(&self) -> Option<&'static str> {
        match self {
            Self::Operation(_) => Some("operation"),
            Self::Index => Some("index"),
            Self::Json(_) => Some("json"),
            Self::Record(bad) => bad.kind(),
        }
    }
}

struct Reading {
    path_index: Option<String>,
    shape: RecordShape,
    now_ns: i64,
    writer: RecordWriter,
    room: RecordRoom,
    items: Items,
    rejected: Rejections,
}

impl Reading {
    fn item(
        &mut self,
        action: &Action,
        source: &[u8],
        guard: &mut Guard<'_>,
        held: &Held,
    ) -> Result<(), ServiceError> {
        let index = action.index.clone().or_else(|| self.path_index.clone()).unwrap_or_default();
        self.room.ask(held, source.len())?;
        let stored = self.document(action, &index, source, guard);
        if let Err(bad) = &stored
            && let Some(kind) = bad.counted_as()
        {
            self.rejected.add(kind, || bad.to_string());
        }
        self.items.add(action, &index, stored.err(), held)
    }

    fn document(
        &mut self,
        action: &Action,
        index: &str,
        source: &[u8],
        guard: &mut Guard<'_>,
    ) -> Result<(), BadItem> {
        match action.operation {
            Operation::Create | Operation::Index => {}
            other => return Err(BadItem::Operation(other.name())),
        }
        if index.is_empty() {
            return Err(BadItem::Index);
        }
        let Self { writer, shape, now_ns, .. } = self;
        write_document(index, action.id.as_deref(), source, (shape, *now_ns), writer, guard)?;
        Ok(())
    }
}

/// Passes on a document as a line of its index.
fn write_document(
    index: &str,
    id: Option<&str>,
    source: &[u8],
    (shape, now_ns): (&RecordShape, i64),
    writer: &mut RecordWriter,
    guard: &mut Guard<'_>,
) -> Result<(), BadItem> {
    writer.begin();
    writer.labels.push(INDEX_LABEL, index);
    let mut reader = JsonReader::new(source);
    flatten_json(&mut reader, &mut writer.fields)?;
    reader.end()?;
    if let Some(id) = id {
        writer.fields.push("_id", id);
    }
    let whole = |text: &mut String| text.push_str(&String::from_utf8_lossy(source));
    Ok(writer.write(shape, now_ns, guard, whole)?)
}

/// The items of the answer, as JSON.
#[derive(Debug)]
pub(super) struct Items {
    text: String,
    /// What was asked for the text.
    granted: usize,
    wants: [bool; 8],
}

/// The keys of an item that was created, in the order of `Items::wants`, without `error`.
const KEYS: [&str; 8] =
    ["_index", "_id", "_version", "result", "_shards", "_seq_no", "_primary_term", "status"];
const PORTION: usize = 64 << 10;
/// What an item takes beside index, id and reason.
const ITEM_SIZE: usize = 300;

impl Items {
    fn new(filter: &Filter) -> Self {
        // The second key is the operation, for which clients write a star.
        let wants = |key: &str| {
            ["create", "index"].iter().any(|operation| filter.wants(&["items", operation, key]))
        };
        Self { text: String::new(), granted: 0, wants: KEYS.map(wants) }
    }

    fn add(
        &mut self,
        action: &Action,
        index: &str,
        bad: Option<BadItem>,
        held: &Held,
    ) -> Result<(), ServiceError> {
        let reason = bad.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = action.id.as_deref();
        let needed = ITEM_SIZE + 6 * (index.len() + id.map_or(0, str::len) + reason.len());
        if self.text.len() + needed > self.granted {
            held.take(needed.max(PORTION))?;
            self.granted += needed.max(PORTION);
        }
        let start = self.text.len();
        if start > 0 {
            self.text.push(',');
        }
        let _ = write!(self.text, "{{\"{}\":{{", action.operation.name());
        let first = self.text.len();
        let status = if bad.is_some() { 400 } else { 201 };
        self.key(0, first, || json!(index).to_string());
        match id {
            Some(id) => self.key(1, first, || json!(id).to_string()),
            None if bad.is_none() => self.key(1, first, || format!("\"{}\"", new_id())),
            None => self.key(1, first, || "null".to_owned()),
        }
        match bad {
            None => {
                self.key(2, first, || "1".to_owned());
                self.key(3, first, || "\"created\"".to_owned());
                self.key(4, first, || r#"{"total":1,"successful":1,"failed":0}"#.to_owned());
                self.key(5, first, || "0".to_owned());
                self.key(6, first, || "1".to_owned());
                self.key(7, first, || status.to_string());
            }
            Some(bad) => {
                self.key(7, first, || status.to_string());
                let error = json!({ "type": bad.kind(), "reason": reason });
                let comma = if self.text.len() > first { "," } else { "" };
                let _ = write!(self.text, "{comma}\"error\":{error}");
            }
        }
        match self.text.len() > first {
            true => self.text.push_str("}}"),
            // Nothing of the item is wanted.
            false => self.text.truncate(start),
        }
        Ok(())
    }

    fn key(&mut self, key: usize, first: usize, value: impl FnOnce() -> String) {
        if self.wants[key] {
            let comma = if self.text.len() > first { "," } else { "" };
            let _ = write!(self.text, "{comma}\"{}\":{}", KEYS[key], value());
        }
    }
}

/// An id for a document that came without one. Documents are not found by it: clients expect one.
pub(super) fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:020x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Why a document was not stored, as Elasticsearch calls it, and in words.
pub(super) type Reason = (&'static str, String);

/// One document that is not part of a bulk request.
pub(super) fn fill_one(
    state: &Elasticsearch,
    call: &Call,
    (index, id): (&str, Option<&str>),
    guard: &mut Guard<'_>,
) -> Result<(Option<Reason>, Rejections), ServiceError> {
    room_for_lines(&call.held, call.body.len())?;
    RecordRoom::default().ask(&call.held, call.body.len())?;
    let now_ns = state.services.clock.wall_ms().saturating_mul(1_000_000);
    let shape = state.shape.clone().of_call(call);
    let mut writer = RecordWriter::default();
    let source = call.body.trim_ascii();
    let mut rejected = Rejections::default();
    match write_document(index, id, source, (&shape, now_ns), &mut writer, guard) {
        Ok(()) => Ok((None, rejected)),
        Err(bad) => {
            if let Some(kind) = bad.counted_as() {
                rejected.add(kind, || bad.to_string());
            }
            Ok((Some((bad.kind(), bad.to_string())), rejected))
        }
    }
}
