//! Log lines in memory, for tests and cases.

use crate::storage::{
    ABSENT, Direction, FieldColumn, Piece, Rows, Scratch, Select, Selection, Storage, StorageError,
    StreamLines, Texts, ValueLines,
};
use model::{ErrorKind, Labels, Room, TimeUnit, matches_all};
use std::collections::BTreeMap;

/// A line with its time in nanoseconds and its structured metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadedLine {
    pub time_ns: i64,
    pub line: Vec<u8>,
    pub fields: Vec<(String, String)>,
}

/// Streams with their lines. Of lines of one stream that are equal in time and text one is kept, as Loki
/// does.
#[derive(Clone, Debug, Default)]
pub struct MemoryLogs {
    streams: BTreeMap<Labels, Vec<LoadedLine>>,
    /// How many lines of a selection make a piece.
    piece_rows: usize,
}

impl MemoryLogs {
    pub fn new() -> Self {
        Self::with_pieces_of(1_000)
    }

    /// For tests of what happens between pieces.
    pub fn with_pieces_of(piece_rows: usize) -> Self {
        Self { streams: BTreeMap::new(), piece_rows: piece_rows.max(1) }
    }

    pub fn add(&mut self, labels: &Labels, lines: impl IntoIterator<Item = LoadedLine>) {
        let stream = self.streams.entry(labels.clone()).or_default();
        stream.extend(lines);
        stream.sort_by_key(|line| line.time_ns);
        let mut kept: Vec<LoadedLine> = Vec::with_capacity(stream.len());
        for line in stream.drain(..) {
            let same_time = kept.iter().rev().take_while(|known| known.time_ns == line.time_ns);
            let is_known = same_time.into_iter().any(|known| known.line == line.line);
            if !is_known {
                kept.push(line);
            }
        }
        *stream = kept;
    }

    pub fn clear(&mut self) {
        self.streams.clear();
    }
}

impl Storage for MemoryLogs {
    fn select<'a>(
        &'a self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let streams: Vec<(&Labels, &Vec<LoadedLine>)> = self
            .streams
            .iter()
            .filter(|(labels, _)| matches_all(select.matchers, labels))
            .collect();
        let mut lines: Vec<(u32, &LoadedLine)> = Vec::new();
        for (number, (_, of_stream)) in streams.iter().enumerate() {
            let inside = of_stream.iter().filter(|line| select.time.contains(line.time_ns));
            lines.extend(inside.map(|line| (number as u32, line)));
        }
        room.take(lines.len() * size_of::<(u32, &LoadedLine)>()).map_err(|refusal| {
            StorageError { kind: refusal.kind(), message: refusal.to_string() }
        })?;
        lines.sort_by_key(|(_, line)| line.time_ns);
        if select.direction == Direction::Backward {
            lines.reverse();
        }
        let mut columns: Vec<Columns> = lines.chunks(self.piece_rows).map(Columns::new).collect();
        columns.retain(|columns| !columns.times.is_empty());
        let pieces = columns.iter().map(Columns::piece).collect();
        let labels = streams.into_iter().map(|(labels, _)| labels).collect();
        let is_wanted = |field: &OwnField| select.wants_field(&field.name);
        columns.iter_mut().for_each(|columns| columns.fields.retain(is_wanted));
        let is_unconditional = select.conditions.is_empty();
        Ok(Box::new(MemorySelection { labels, pieces, columns, is_unconditional }))
    }
}

struct MemorySelection<'a> {
    labels: Vec<&'a Labels>,
    pieces: Vec<Piece>,
    columns: Vec<Columns>,
    /// All lines that were selected matter.
    is_unconditional: bool,
}

#[derive(Default)]
struct OwnTexts {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl OwnTexts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as u32);
    }

    fn texts(&self) -> Texts<'_> {
        Texts { bytes: &self.bytes, ends: &self.ends }
    }
}

struct OwnField {
    name: String,
    codes: Vec<u32>,
    values: OwnTexts,
    /// How many lines have each value.
    lines: Vec<u32>,
    known: BTreeMap<String, u32>,
}

#[derive(Default)]
struct Columns {
    times: Vec<i64>,
    streams: Vec<u32>,
    lines: OwnTexts,
    fields: Vec<OwnField>,
}

impl Columns {
    fn new(lines: &[(u32, &LoadedLine)]) -> Self {
        let mut lines = lines.to_vec();
        lines.sort_by_key(|(stream, line)| (*stream, line.time_ns));
        let mut columns = Self::default();
        for (row, (stream, line)) in lines.iter().enumerate() {
            columns.times.push(line.time_ns);
            columns.streams.push(*stream);
            columns.lines.push(&line.line);
            for (name, value) in &line.fields {
                columns.field(name, lines.len()).set(row, value);
            }
        }
        columns
    }

    fn field(&mut self, name: &str, rows: usize) -> &mut OwnField {
        let index = self.fields.iter().position(|field| field.name == name).unwrap_or_else(|| {
            self.fields.push(OwnField {
                name: name.to_owned(),
                codes: vec![ABSENT; rows],
                values: OwnTexts::default(),
                lines: Vec::new(),
                known: BTreeMap::new(),
            });
            self.fields.len() - 1
        });
        &mut self.fields[index]
    }

    fn count(&self, steps: &[i64]) -> Vec<StreamLines> {
        let line = |row: usize| {
            let step = steps.partition_point(|start| *start <= self.times[row]).saturating_sub(1);
            let bytes = self.lines.texts().get(row).len() as u64;
            StreamLines { stream: self.streams[row], step, lines: 1, bytes }
        };
        (0..self.times.len()).map(line).collect()
    }

    fn lines_with_values(&self, field: &str) -> ValueLines<'_> {
        let all = self.times.len() as u64;
        match self.fields.iter().find(|known| known.name == field) {
            Some(OwnField { values, lines, .. }) => {
                let with: u32 = lines.iter().sum();
                ValueLines { values: values.texts(), lines, without: all - u64::from(with) }
            }
            None => ValueLines { values: Texts::default(), lines: &[], without: all },
        }
    }

    fn piece(&self) -> Piece {
        let (min, max) = self
            .times
            .iter()
            .fold((i64::MAX, i64::MIN), |(min, max), time| (min.min(*time), max.max(*time)));
        let (rows, bytes) = (self.times.len() as u64, self.lines.bytes.len() as u64);
        Piece { time: TimeUnit::Nanos.between(min, max), rows, bytes }
    }
}

impl OwnField {
    fn set(&mut self, row: usize, value: &str) {
        let next = self.known.len() as u32;
        let code = *self.known.entry(value.to_owned()).or_insert_with(|| {
            self.values.push(value.as_bytes());
            self.lines.push(0);
            next
        });
        self.lines[code as usize] += 1;
        self.codes[row] = code;
    }
}

impl Selection for MemorySelection<'_> {
    fn stream_count(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, stream: u32) -> &Labels {
        self.labels[stream as usize]
    }

    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    fn read<'s>(&'s self, piece: usize, _: &'s mut Scratch) -> Result<Rows<'s>, StorageError> {
        let columns = self.columns.get(piece).ok_or_else(|| StorageError {
            message: format!("there is no piece {piece}"),
            kind: ErrorKind::Bug,
        })?;
        let lent = |field: &'s OwnField| FieldColumn {
            name: &field.name,
            codes: &field.codes,
            values: field.values.texts(),
        };
        Ok(Rows {
            times: &columns.times,
            streams: &columns.streams,
            lines: columns.lines.texts(),
            fields: columns.fields.iter().map(lent).collect(),
            texts: Vec::new(),
            checked: 0,
        })
    }

    fn count(
        &self,
        piece: usize,
        steps: &[i64],
        _: bool,
        _: &mut Scratch,
    ) -> Result<Option<Vec<StreamLines>>, StorageError> {
        let columns = self.columns.get(piece).filter(|_| self.is_unconditional);
        Ok(columns.map(|columns| columns.count(steps)))
    }

    fn lines_with_values<'s>(
        &'s self,
        piece: usize,
        field: &str,
        _: &'s mut Scratch,
    ) -> Result<Option<ValueLines<'s>>, StorageError> {
        let columns = self.columns.get(piece).filter(|_| self.is_unconditional);
        Ok(columns.map(|columns| columns.lines_with_values(field)))
    }
}
