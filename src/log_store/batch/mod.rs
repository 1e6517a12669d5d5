//! A batch of lines on its way from a decoder to the store.

pub(crate) mod format;

use crate::error::StoreError;
use crate::rows::Rows;
use crate::store::LogStore;
use crate::streams::StreamTable;
use crate::telemetry::LINES_APPLIED;
use engine::{BatchKind, EngineError, Intake};
use format::BATCH_SCHEMA;
use model::{Labels, Signal, TenantId, WalPosition};
use std::sync::{Mutex, PoisonError};
use wire::LogSink;

/// How many idle batches are kept for the next requests; more are made when more arrive at once.
const KEPT: usize = 16;

/// A larger batch gives its memory back.
const KEPT_BYTES: usize = 4 << 20;

/// Idle columns, which keep their memory between batches.
#[derive(Debug, Default)]
pub(crate) struct IdleRows(Mutex<Vec<Rows>>);

impl IdleRows {
    pub(crate) fn take(&self) -> Rows {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut rows: Rows) {
        rows.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && rows.lines.capacity() + rows.values.capacity() <= KEPT_BYTES {
            kept.push(rows);
        }
    }
}

/// What was stored of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub lines: u64,
    /// The bytes of the lines.
    pub bytes: u64,
}

/// Lines that a decoder adds and the gateway commits. A dropped batch is not stored.
#[derive(Debug)]
pub struct LogBatch {
    pub(crate) store: LogStore,
    pub(crate) tenant: TenantId,
    pub(crate) streams: StreamTable,
    pub(crate) rows: Rows,
    /// The stream that the decoder named last.
    stream: u32,
    /// Why the batch can't be stored.
    refusal: Option<StoreError>,
    /// See [`Intake::origin`].
    origin: Option<Vec<u8>>,
    /// Some line has the time of its arrival.
    is_dated_on_arrival: bool,
}

/// More than any sensible line. A page of a part holds all that a slot or a field has in a row group,
/// which is this and what comes before the row group is full: a larger line would keep its tenant from
/// being written for ever.
const LINE_BYTES_MAX: usize = 32 << 20;

impl LogBatch {
    pub(crate) fn new(store: LogStore, tenant: TenantId) -> Self {
        let rows = store.idle.take();
        Self {
            store,
            tenant,
            streams: StreamTable::default(),
            rows,
            stream: 0,
            refusal: None,
            origin: None,
            is_dated_on_arrival: false,
        }
    }

    /// The batch is stored once although it may arrive again, unless a line has the time of its arrival.
    /// `origin` is the name that its sender gave it, or empty. See [`Intake::origin`].
    pub fn count_once(&mut self, origin: Vec<u8>) {
        self.origin = Some(origin);
    }

    fn written(&self) -> Written {
        Written { lines: self.rows.len() as u64, bytes: self.rows.lines.len() as u64 }
    }

    /// The memory of what it holds.
    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.streams.bytes()
    }

    pub fn lines(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Of fields with one name the last one counts.
    fn push_fields(&mut self, fields: &[(&str, &str)]) {
        for (index, (name, value)) in fields.iter().enumerate() {
            let is_repeated =
                fields.len() <= FEW && fields[index + 1..].iter().any(|(later, _)| later == name);
            if !is_repeated {
                let number = self.rows.names.number(name);
                self.rows.push_field(number, value.as_bytes());
            }
        }
    }

    /// The same for lines with many fields, in time that does not grow with their square.
    fn push_many_fields(&mut self, fields: &[(&str, &str)]) {
        let mut last: Vec<(&str, usize)> = fields.iter().map(|f| f.0).zip(0..).collect();
        last.sort_unstable();
        last.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = later.1;
            }
            is_same
        });
        let once: Vec<(&str, &str)> = last.into_iter().map(|(_, at)| fields[at]).collect();
        once.chunks(FEW).for_each(|fields| self.push_fields(fields));
    }
}

/// Up to this many fields of a line are compared with each other.
const FEW: usize = 32;

impl LogSink for LogBatch {
    fn stream(&mut self, labels: &[u8]) {
        let known = self.streams.find(labels);
        self.stream = known.unwrap_or_else(|| self.streams.number(&Labels::from_canonical(labels)));
    }

    fn dated_on_arrival(&mut self) {
        self.is_dated_on_arrival = true;
    }

    fn line(&mut self, time_ns: i64, line: &[u8], fields: &[(&str, &str)]) {
        let values = fields.iter().map(|(_, value)| value.len()).sum();
        let names: usize = fields.iter().map(|(name, _)| name.len()).sum();
        let (size, most) = (line.len() + values + names, LINE_BYTES_MAX);
        if size > most {
            self.refusal = Some(StoreError::LineTooLarge { size, most });
        } else if !self.rows.has_room(line.len(), values) {
            self.refusal = Some(StoreError::BatchTooLarge);
        }
        if self.refusal.is_some() {
            return;
        }
        self.rows.push_line(self.stream, time_ns, line);
        match fields.len() <= FEW {
            true => self.push_fields(fields),
            false => self.push_many_fields(fields),
        }
    }
}

impl Intake for LogBatch {
    type Done = Written;

    fn kind(&self) -> BatchKind {
        BatchKind { tenant: self.tenant.clone(), signal: Signal::Logs, schema: BATCH_SCHEMA }
    }

    fn size_bytes(&self) -> usize {
        self.bytes()
    }

    fn should_wait(&self) -> bool {
        self.store.is_crowded()
    }

    fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref().filter(|_| !self.is_dated_on_arrival)
    }

    fn stored_before(self) -> Result<Written, EngineError> {
        let written = self.written();
        self.store.idle.give_back(self.rows);
        Ok(written)
    }

    fn encode(&mut self, payload: &mut Vec<u8>) -> Result<(), EngineError> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal.into());
        }
        self.store.prepare(self)?;
        format::encode(self.streams.labels(), &self.rows, payload);
        Ok(())
    }

    fn apply(self, position: WalPosition) -> Result<Written, EngineError> {
        let written = self.written();
        let store = self.store.clone();
        store.apply(self, position)?;
        LINES_APPLIED.add(written.lines);
        Ok(written)
    }
}
