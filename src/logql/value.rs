//! What a query answers, and what it counts about itself.

use crate::labels::LabelPairs;
use crate::storage::Direction;
use model::Labels;
use query::{HeldMemory, QueryError, Series};
use std::collections::HashMap;
use std::sync::Arc;

/// The result of a query.
#[derive(Debug)]
pub struct QueryResult {
    pub value: Value,
    pub statistics: Statistics,
    /// What the reader should know, such as data that could not be read.
    pub warnings: Vec<String>,
    /// What the value holds of the memory; given back when the result is dropped.
    pub(crate) memory: HeldMemory,
}

impl QueryResult {
    /// What is made of the result counts against the query's memory too.
    pub fn hold(&self, bytes: usize) -> Result<(), QueryError> {
        self.memory.take(bytes)
    }
}

#[derive(Clone, Debug)]
pub enum Value {
    Streams(LogLines),
    /// In the order of labels, or in the one that `sort` and `topk` define.
    Vector(Vec<VectorSample>),
    /// In the order of labels; all series share the steps.
    Matrix {
        times_ms: Arc<[i64]>,
        series: Vec<Series>,
    },
    Scalar {
        time_ms: i64,
        value: f64,
    },
}

#[derive(Clone, Debug)]
pub struct VectorSample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: f64,
}

/// Lines in the order that was asked for.
#[derive(Clone, Debug)]
pub struct LogLines {
    pub direction: Direction,
    pub entries: Vec<LogEntry>,
}

#[derive(Clone, Debug)]
pub struct LogEntry {
    pub time_ns: i64,
    pub line: Vec<u8>,
    pub labels: Arc<EntryLabels>,
}

/// The labels of a line, by where they come from. No name stands in two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryLabels {
    /// Those of its stream.
    pub stream: LabelPairs,
    /// Its structured metadata.
    pub fields: LabelPairs,
    /// What stages have made, errors among them.
    pub parsed: LabelPairs,
}

impl EntryLabels {
    /// About what they take of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.stream.bytes() + self.fields.bytes() + self.parsed.bytes()
    }
}

/// Lines with the same labels.
#[derive(Clone, Debug)]
pub struct LogStream<'a> {
    pub labels: LabelPairs,
    /// In the order that was asked for.
    pub entries: Vec<&'a LogEntry>,
}

impl LogLines {
    /// Grouped by the labels of their streams; fields and parsed labels stay with each line.
    pub fn categorized(&self) -> Vec<LogStream<'_>> {
        self.grouped(|labels| labels.stream.clone())
    }

    /// Grouped by all of their labels, wherever they come from.
    pub fn merged(&self) -> Vec<LogStream<'_>> {
        self.grouped(|labels| labels.stream.with(&[&labels.fields, &labels.parsed]))
    }

    /// In the order of labels.
    fn grouped(&self, labels: impl Fn(&EntryLabels) -> LabelPairs) -> Vec<LogStream<'_>> {
        let mut numbers: HashMap<LabelPairs, usize> = HashMap::new();
        // Many lines share their labels.
        let mut known: HashMap<*const EntryLabels, usize> = HashMap::new();
        let mut streams: Vec<LogStream<'_>> = Vec::new();
        for entry in &self.entries {
            let number = *known.entry(Arc::as_ptr(&entry.labels)).or_insert_with(|| {
                let labels = labels(&entry.labels);
                *numbers.entry(labels.clone()).or_insert_with(|| {
                    streams.push(LogStream { labels, entries: Vec::new() });
                    streams.len() - 1
                })
            });
            streams[number].entries.push(entry);
        }
        streams.sort_by(|left, right| left.labels.cmp(&right.labels));
        streams
    }
}

/// What a query looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Lines that were read, and how many bytes they have.
    pub lines: u64,
    pub bytes: u64,
    /// Of the fields that were read.
    pub metadata_bytes: u64,
    /// Lines that went through all filters.
    pub lines_after_filters: u64,
    /// Lines or samples of the answer.
    pub entries_returned: u64,
    pub streams: u64,
}

impl Statistics {
    pub(crate) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.metadata_bytes += other.metadata_bytes;
        self.lines_after_filters += other.lines_after_filters;
        self.entries_returned += other.entries_returned;
        self.streams += other.streams;
    }
}
