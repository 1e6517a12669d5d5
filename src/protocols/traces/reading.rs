//! What the APIs of traces ask of the store: whole traces, searches that no language words, values.

use crate::api::{Api, Context};
use crate::services::ServiceError;
use crate::traces::document::resource_spans;
use crate::traces::json::hex;
use model::{ErrorKind, TimeUnit};
use query::Control;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use trace_store::{ORPHAN, Select};
use traceql::ast::{FieldExpr, FieldOp, Pipeline, Query, Root, SpanExpr, Stage};
use traceql::{
    Attribute, Engine, Intrinsic, Kind, Literal, ParseError, QueryError, Request, Scope,
    SearchLimits, Status, TraceFound, attribute_like,
};
use wire::proto::opentelemetry::proto::trace::v1::ResourceSpans;

impl From<QueryError> for ServiceError {
    fn from(error: QueryError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<ParseError> for ServiceError {
    fn from(error: ParseError) -> Self {
        QueryError::from(error).into()
    }
}

/// An id of up to 32 hexadecimal digits, leading zeros left out or not.
pub(crate) fn trace_id(text: &str) -> Result<[u8; 16], ServiceError> {
    let wrong = |why: &str| {
        let message = format!("trace ids can only be 1 to 32 hexadecimal digits: {text:?} {why}");
        ServiceError::new(ErrorKind::Invalid, message)
    };
    if text.is_empty() || text.len() > 32 {
        return Err(wrong("has none, or more"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong("has something else"));
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| wrong("has something else"))?;
    Ok(number.to_be_bytes())
}

/// An id as Jaeger and Zipkin write it: 16 digits where the first 16 of its 32 are zeros.
pub(crate) fn short_trace_id(id: &[u8]) -> String {
    match id.strip_prefix(&[0; 8]) {
        Some(low) => hex(low),
        None => hex(id),
    }
}

/// What is asked of a single span by parameters, each of which must hold.
#[derive(Debug, Default)]
pub(crate) struct SpanFilter(Vec<FieldExpr>);

/// As many parts as a filter may be deep.
const PARTS_MAX: usize = 100;

impl SpanFilter {
    fn intrinsic(&mut self, intrinsic: Intrinsic, op: FieldOp, value: Literal) {
        self.compare(Attribute::intrinsic(intrinsic), op, value);
    }

    fn compare(&mut self, attribute: Attribute, op: FieldOp, value: Literal) {
        let (left, right) = (FieldExpr::Attribute(attribute), FieldExpr::Literal(value));
        self.0.push(FieldExpr::binary(op, left, right));
    }

    /// An empty name stands for any; so it does in [`SpanFilter::name`].
    pub(crate) fn service(&mut self, name: &str) {
        if !name.is_empty() {
            self.compare(service_name(), FieldOp::Eq, Literal::Text(name.to_owned()));
        }
    }

    pub(crate) fn name(&mut self, name: &str) {
        if !name.is_empty() {
            self.intrinsic(Intrinsic::Name, FieldOp::Eq, Literal::Text(name.to_owned()));
        }
    }

    pub(crate) fn kind(&mut self, kind: Kind) {
        self.intrinsic(Intrinsic::Kind, FieldOp::Eq, Literal::Kind(kind));
    }

    /// Nanoseconds, both ends included.
    pub(crate) fn duration(&mut self, min_ns: Option<i64>, max_ns: Option<i64>) {
        for (op, bound) in [(FieldOp::Ge, min_ns), (FieldOp::Le, max_ns)] {
            if let Some(nanos) = bound {
                self.intrinsic(Intrinsic::Duration, op, Literal::Duration(nanos));
            }
        }
    }

    /// A tag of Jaeger or Zipkin, among them those that are stored as kind and status.
    pub(crate) fn tag(&mut self, key: &str, value: &str) {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == value.to_ascii_lowercase());
        match (key, value.to_ascii_lowercase().as_str(), kind) {
            ("span.kind", _, Some(kind)) => self.kind(kind),
            ("error", "true", _) => self.status(FieldOp::Eq, Status::Error),
            ("error", "false", _) => self.status(FieldOp::Ne, Status::Error),
            ("otel.status_code", "ok", _) => self.status(FieldOp::Eq, Status::Ok),
            ("otel.status_code", "error", _) => self.status(FieldOp::Eq, Status::Error),
            ("otel.status_description", ..) => {
                let value = Literal::Text(value.to_owned());
                self.intrinsic(Intrinsic::StatusMessage, FieldOp::Eq, value);
            }
            _ => self.0.push(attribute_like(key, value)),
        }
    }

    fn status(&mut self, op: FieldOp, status: Status) {
        self.intrinsic(Intrinsic::Status, op, Literal::Status(status));
    }

    /// A tag of whatever value, or an event of this name. `error` is stored as a status.
    pub(crate) fn tag_or_event(&mut self, key: &str) {
        if key == "error" {
            return self.status(FieldOp::Eq, Status::Error);
        }
        let tag = FieldExpr::Attribute(Attribute::named(Scope::None, key));
        let event = FieldExpr::Attribute(Attribute::intrinsic(Intrinsic::EventName));
        let text = FieldExpr::Literal(Literal::Text(key.to_owned()));
        let has_tag = FieldExpr::binary(FieldOp::Ne, tag, FieldExpr::Literal(Literal::Nil));
        let has_event = FieldExpr::binary(FieldOp::Eq, event, text);
        self.0.push(FieldExpr::binary(FieldOp::Or, has_tag, has_event));
    }

    fn into_expr(self) -> Result<Option<FieldExpr>, ServiceError> {
        if self.0.len() > PARTS_MAX {
            let message =
                format!("a search may ask for {PARTS_MAX} things at once: leave out tags");
            return Err(ServiceError::new(ErrorKind::Limit, message));
        }
        Ok(FieldExpr::all_of(self.0))
    }
}

pub(crate) fn service_name() -> Attribute {
    Attribute::named(Scope::Resource, "service.name")
}

impl<A: Api> Context<A> {
    pub(crate) fn trace_engine(&self) -> Engine {
        Engine::new(self.services().traceql.clone())
    }

    /// A request of the language for a time.
    pub(crate) fn trace_request(&self, (start_ns, end_ns): (i64, i64)) -> Request<'_> {
        Request {
            cancel: self.cancel.clone(),
            memory: Some(Arc::clone(&self.services().query_memory)),
            ..Request::new(&self.call.tenant, start_ns, end_ns)
        }
    }

    /// What ends a reading that is not the engine's: its time, or the client.
    pub(crate) fn trace_control(&self) -> Control<'_> {
        let services = self.services();
        let timeout = Duration::from_millis(services.traceql.limits.timeout_ms.unsigned_abs());
        Control::new(&*services.clock, Some(timeout), self.cancel.clone())
    }

    /// Now, and some more: clocks of senders run ahead.
    pub(crate) fn newest_ns(&self) -> i64 {
        let grace = self.services().trace_options.future_grace_ns();
        self.services().clock.wall_ns().saturating_add(grace)
    }

    /// The trace, with what could not be read; empty if there is none.
    pub(crate) fn whole_trace(
        &self,
        trace_id: [u8; 16],
    ) -> Result<(Vec<ResourceSpans>, Vec<String>), ServiceError> {
        let time = TimeUnit::Nanos.everything();
        let wanted = Select { time, trace_id: Some(trace_id), are_whole: true };
        let store = &self.services().traces()?.store;
        let selection = store.select(&self.call.tenant, &wanted)?;
        let mut found = Vec::new();
        for index in 0..selection.pieces().len() {
            let Some(piece) = selection.read(index)? else { continue };
            found.extend(resource_spans(&piece, 0..piece.rows())?);
        }
        Ok((found, selection.warnings()))
    }

    /// Reads traces one after the other; one that was deleted since it was found is left out.
    pub(crate) fn each_trace(
        &self,
        ids: &[[u8; 16]],
        mut each: impl FnMut(Vec<ResourceSpans>) -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let control = self.trace_control();
        for id in ids {
            control.check().map_err(QueryError::from)?;
            let (spans, _) = self.whole_trace(*id)?;
            if !spans.is_empty() {
                each(spans)?;
            }
        }
        Ok(())
    }

    /// Writes traces one after the other as a list. What is written is held until the answer is sent.
    pub(crate) fn write_traces(
        &self,
        out: &mut Vec<u8>,
        ids: &[[u8; 16]],
        write: impl Fn(&mut Vec<u8>, &[ResourceSpans]),
    ) -> Result<usize, ServiceError> {
        let mut count = 0;
        out.push(b'[');
        self.each_trace(ids, |spans| {
            if count > 0 {
                out.push(b',');
            }
            let before = out.len();
            write(out, &spans);
            count += 1;
            Ok(self.call.held.take(out.len() - before)?)
        })?;
        out.push(b']');
        Ok(count)
    }

    /// How many spans of a trace name a parent that is not there.
    pub(crate) fn orphans(&self, trace_id: [u8; 16]) -> Result<u64, ServiceError> {
        let time = TimeUnit::Nanos.everything();
        let wanted = Select { time, trace_id: Some(trace_id), are_whole: true };
        let selection = self.services().traces()?.store.select(&self.call.tenant, &wanted)?;
        let mut count = 0;
        for index in 0..selection.pieces().len() {
            let Some(piece) = selection.read(index)? else { continue };
            count += piece.parents()?.iter().filter(|parent| **parent == ORPHAN).count() as u64;
        }
        Ok(count)
    }

    /// The newest traces with a span that the filter finds.
    pub(crate) fn find_traces(
        &self,
        times: (i64, i64),
        filter: SpanFilter,
        limit: usize,
    ) -> Result<Vec<TraceFound>, ServiceError> {
        let spans = SpanExpr::Filter(filter.into_expr()?);
        let root = Root::Spans(Pipeline { stages: vec![Stage::Spans(spans)] });
        let query = Query { root, hints: Vec::new() };
        let limits = SearchLimits { traces: limit, spans: 1 };
        let (services, request) = (self.services(), self.trace_request(times));
        let store = &services.traces()?.store;
        let found =
            self.trace_engine().search(store, &*services.clock, &request, &query, limits)?;
        Ok(found.value)
    }

    /// The values of an attribute among the spans that the filter finds, as texts.
    pub(crate) fn trace_values(
        &self,
        times: (i64, i64),
        attribute: &Attribute,
        filter: SpanFilter,
    ) -> Result<BTreeSet<String>, ServiceError> {
        let (services, request) = (self.services(), self.trace_request(times));
        let (store, filter) = (&services.traces()?.store, filter.into_expr()?);
        let engine = self.trace_engine();
        let found =
            engine.tag_values(store, &*services.clock, &request, attribute, filter.as_ref())?;
        Ok(found.value.iter().map(ToString::to_string).collect())
    }

    /// As much of the time before now as one search may look at, three days at most: what lists without
    /// times are made of.
    pub(crate) fn recent(&self) -> (i64, i64) {
        const RECENT_NS: i64 = 72 * 3_600 * 1_000_000_000;
        let end = self.newest_ns();
        let most = self.services().traceql.limits.search_length_max_ns;
        let length = if most > 0 { most.min(RECENT_NS) } else { RECENT_NS };
        (end.saturating_sub(length), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_may_be_short() {
        assert_eq!(trace_id("0aB").unwrap(), 0xabu128.to_be_bytes());
        assert_eq!(trace_id(&"f".repeat(32)).unwrap(), [0xff; 16]);
        for wrong in ["", "+ab", "xy", &"0".repeat(33)] {
            assert!(trace_id(wrong).is_err(), "{wrong}");
        }
        assert_eq!(short_trace_id(&0xabu128.to_be_bytes()), "00000000000000ab");
        assert_eq!(short_trace_id(&[1; 16]), "01".repeat(16));
    }
}
