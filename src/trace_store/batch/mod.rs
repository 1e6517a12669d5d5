//! A batch of spans on its way from a decoder to the store.

pub(crate) mod format;

use crate::error::StoreError;
use crate::keys::{Table, ValueKind};
use crate::spans::Spans;
use crate::store::TraceStore;
use crate::telemetry::SPANS_APPLIED;
use crate::value::encode_value;
use crate::{KIND_MAX, STATUS_MAX};
use columns::ids_to_hex;
use engine::{BatchKind, EngineError, Intake};
use format::BATCH_SCHEMA;
use model::{Signal, TenantId, WalPosition};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use wire::otlp::{AnyValue, Attribute};
use wire::{EventRef, LinkRef, SpanRef, SpanSink};

/// How many idle batches are kept for the next requests; more are made when more arrive at once.
const KEPT: usize = 16;

/// A larger batch gives its memory back.
const KEPT_BYTES: usize = 4 << 20;

/// Idle columns, which keep their memory between batches.
#[derive(Debug, Default)]
pub(crate) struct IdleSpans(Mutex<Vec<Spans>>);

impl IdleSpans {
    fn take(&self) -> Spans {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut spans: Spans) {
        let bytes = spans.bytes();
        spans.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && bytes <= KEPT_BYTES {
            kept.push(spans);
        }
    }
}

/// What was stored of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub spans: u64,
}

/// Spans that a decoder adds and the gateway commits. A dropped batch is not stored.
#[derive(Debug)]
pub struct SpanBatch {
    store: TraceStore,
    pub(crate) tenant: TenantId,
    pub(crate) spans: Spans,
    /// The resource and the scope that the decoder named last.
    entities: [u32; 2],
    hex: Vec<u8>,
    /// Why the batch can't be stored.
    refusal: Option<StoreError>,
    /// See [`Intake::origin`].
    counts_once: bool,
}

/// The most bytes of one attribute or name: a page of a part holds all values of a column in a row
/// group.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// The most bytes of a batch: numbers of texts have 32 bits.
const BATCH_BYTES_MAX: usize = 1 << 31;

impl SpanBatch {
    pub(crate) fn new(store: TraceStore, tenant: TenantId) -> Self {
        let spans = store.idle.take();
        Self {
            store,
            tenant,
            spans,
            entities: [0; 2],
            hex: Vec::new(),
            refusal: None,
            counts_once: false,
        }
    }

    /// The batch is stored once although it may arrive again. See [`Intake::origin`].
    pub fn count_once(&mut self) {
        self.counts_once = true;
    }

    fn written(&self) -> Written {
        Written { spans: self.spans.len() as u64 }
    }

    pub fn spans(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The memory of what it holds.
    pub fn bytes(&self) -> usize {
        self.spans.bytes()
    }

    fn text_value(&mut self, text: &[u8]) -> u64 {
        if text.len() > TEXT_BYTES_MAX {
            let (size, most) = (text.len(), TEXT_BYTES_MAX);
            self.refusal = Some(StoreError::SpanTooLarge { size, most });
            return self.spans.text(b"");
        }
        self.spans.text(text)
    }

    fn set(&mut self, table: Table, is_intrinsic: bool, name: &str, value: &AnyValue<'_>) {
        let kind = match value {
            AnyValue::Text(_) => ValueKind::Text,
            AnyValue::Int(_) => ValueKind::Int,
            AnyValue::Double(_) => ValueKind::Double,
            AnyValue::Bool(_) => ValueKind::Bool,
            _ => ValueKind::Other,
        };
        let key = self.spans.key(is_intrinsic, kind, name);
        let bits = match value {
            AnyValue::Text(text) => self.text_value(text.as_bytes()),
            AnyValue::Int(value) => *value as u64,
            AnyValue::Double(value) => value.to_bits(),
            AnyValue::Bool(value) => u64::from(*value),
            other => self.text_value(&encode_value(other)),
        };
        self.spans.table_mut(table).push(key, bits);
    }

    /// Of one key the last value counts, whatever the types.
    fn set_attributes(&mut self, table: Table, attributes: &[Attribute<'_>]) {
        if attributes.len() > FEW {
            return self.set_many(table, attributes);
        }
        for (index, Attribute { key, value }) in attributes.iter().enumerate() {
            if !attributes[index + 1..].iter().any(|later| later.key == *key) {
                self.set(table, false, key, value);
            }
        }
    }

    /// The same for many attributes, in time that does not grow with their square.
    fn set_many(&mut self, table: Table, attributes: &[Attribute<'_>]) {
        let last: HashMap<&str, usize> =
            attributes.iter().zip(0..).map(|(attribute, at)| (&*attribute.key, at)).collect();
        for (at, Attribute { key, value }) in attributes.iter().enumerate() {
            if last.get(&**key) == Some(&at) {
                self.set(table, false, key, value);
            }
        }
    }

    fn set_text(&mut self, table: Table, name: &str, text: &str) {
        if !text.is_empty() {
            let key = self.spans.key(true, ValueKind::Text, name);
            let text = self.text_value(text.as_bytes());
            self.spans.table_mut(table).push(key, text);
        }
    }

    fn set_count(&mut self, table: Table, name: &str, count: u32) {
        if count != 0 {
            let key = self.spans.key(true, ValueKind::Int, name);
            self.spans.table_mut(table).push(key, u64::from(count));
        }
    }

    fn set_id(&mut self, table: Table, name: &str, id: &[u8]) {
        self.hex.clear();
        ids_to_hex(id, &mut self.hex);
        let key = self.spans.key(true, ValueKind::Text, name);
        let text = self.spans.text(&self.hex);
        self.spans.table_mut(table).push(key, text);
    }

    fn push_event(&mut self, event: &EventRef<'_>, start_ns: u64) {
        let key = self.spans.key(true, ValueKind::Text, "name");
        let name = self.text_value(event.name.as_bytes());
        self.spans.table_mut(Table::Event).push(key, name);
        let key = self.spans.key(true, ValueKind::Int, "timeSinceStart");
        let since = event.time_ns.wrapping_sub(start_ns);
        self.spans.table_mut(Table::Event).push(key, since);
        self.set_count(Table::Event, "droppedAttributes", event.dropped_attributes);
        self.set_attributes(Table::Event, &event.attributes);
        self.spans.table_mut(Table::Event).end_row();
    }

    fn push_link(&mut self, link: &LinkRef<'_>) {
        self.set_id(Table::Link, "traceID", &link.trace_id);
        self.set_id(Table::Link, "spanID", &link.span_id);
        self.set_text(Table::Link, "traceState", &link.trace_state);
        self.set_count(Table::Link, "flags", link.flags);
        self.set_count(Table::Link, "droppedAttributes", link.dropped_attributes);
        self.set_attributes(Table::Link, &link.attributes);
        self.spans.table_mut(Table::Link).end_row();
    }
}

/// Up to this many attributes of a row are compared with each other.
const FEW: usize = 64;

impl SpanSink for SpanBatch {
    fn resource(&mut self, attributes: &[Attribute<'_>]) {
        self.set_attributes(Table::Resource, attributes);
        self.entities[0] = self.spans.end_entity(Table::Resource);
    }

    fn scope(&mut self, name: &str, version: &str, attributes: &[Attribute<'_>]) {
        self.set_text(Table::Scope, "name", name);
        self.set_text(Table::Scope, "version", version);
        self.set_attributes(Table::Scope, attributes);
        self.entities[1] = self.spans.end_entity(Table::Scope);
    }

    fn span(&mut self, span: &SpanRef<'_>) {
        if self.spans.bytes() > BATCH_BYTES_MAX {
            self.refusal = Some(StoreError::BatchTooLarge);
        }
        if self.refusal.is_some() {
            return;
        }
        // A decoder that named no resource or scope means one without attributes.
        for table in [Table::Resource, Table::Scope] {
            if self.spans.table(table).rows() == 0 {
                self.spans.end_entity(table);
            }
        }
        let name = self.text_value(span.name.as_bytes()) as u32;
        let spans = &mut self.spans;
        spans.trace_ids.push(span.trace_id);
        spans.span_ids.push(span.span_id);
        spans.parent_ids.push(span.parent_span_id);
        spans.starts.push(span.start_ns);
        spans.lengths.push(span.end_ns.wrapping_sub(span.start_ns));
        spans.names.push(name);
        spans.kinds.push(if span.kind > KIND_MAX { 0 } else { span.kind });
        spans.statuses.push(if span.status > STATUS_MAX { 0 } else { span.status });
        self.set_text(Table::Span, "statusMessage", span.status_message);
        self.set_text(Table::Span, "traceState", span.trace_state);
        self.set_count(Table::Span, "flags", span.flags);
        self.set_count(Table::Span, "droppedAttributes", span.dropped_attributes);
        self.set_count(Table::Span, "droppedEvents", span.dropped_events);
        self.set_count(Table::Span, "droppedLinks", span.dropped_links);
        self.set_attributes(Table::Span, span.attributes);
        span.events.iter().for_each(|event| self.push_event(event, span.start_ns));
        span.links.iter().for_each(|link| self.push_link(link));
        self.spans.end_span(self.entities);
    }
}

impl Intake for SpanBatch {
    type Done = Written;

    fn kind(&self) -> BatchKind {
        BatchKind { tenant: self.tenant.clone(), signal: Signal::Traces, schema: BATCH_SCHEMA }
    }

    fn size_bytes(&self) -> usize {
        self.bytes()
    }

    fn should_wait(&self) -> bool {
        self.store.is_crowded()
    }

    fn origin(&self) -> Option<&[u8]> {
        self.counts_once.then_some(&[])
    }

    fn stored_before(self) -> Result<Written, EngineError> {
        let written = self.written();
        self.store.idle.give_back(self.spans);
        Ok(written)
    }

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal.into());
        }
        self.store.prepare(self)?;
        format::encode(&self.spans, payload);
        Ok(())
    }

    fn apply(self, position: WalPosition) -> Result<Written, EngineError> {
        let written = self.written();
        self.store.apply(&self.tenant, &self.spans, position)?;
        SPANS_APPLIED.add(written.spans);
        self.store.idle.give_back(self.spans);
        Ok(written)
    }
}
