//! The log store as the engine reads it.

use crate::error::ParseError;
use crate::parse::parse_log;
use crate::pipeline::line_conditions;
use crate::storage::{
    Condition, Direction, FieldColumn, FieldNeeds, FoundRows, Needs, Piece, Rows, Scratch, Select,
    Selection, Storage, StorageError, StreamLines, TextRows, Texts, ValueLines,
};
use log_store::{LogDelete, LogStore, Order, StoreError, TextList};
use model::{Labels, Room, TenantId, TimeRange};
use query::RegexBudget;
use std::sync::Arc;

/// The logs of one tenant.
#[derive(Clone, Debug)]
pub struct TenantLogs<'a> {
    pub store: &'a LogStore,
    pub tenant: &'a TenantId,
}

/// Lines that have just been applied, for readers that follow a tenant.
#[derive(Clone, Debug)]
pub struct FreshLogs<'a> {
    pub store: &'a LogStore,
    pub fresh: &'a [Arc<log_store::Fresh>],
}

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        Self { message: error.to_string(), kind: error.kind() }
    }
}

impl Storage for TenantLogs<'_> {
    fn select<'a>(
        &'a self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let wanted = Wanted::of(select);
        let selection = self.store.select(self.tenant, &wanted.select(select))?;
        take_room(&selection, room)?;
        Ok(Box::new(Stored::new(selection, select)))
    }
}

impl Storage for FreshLogs<'_> {
    fn select<'a>(
        &'a self,
        select: &Select<'_>,
        room: &mut dyn Room,
    ) -> Result<Box<dyn Selection + 'a>, StorageError> {
        let wanted = Wanted::of(select);
        let selection = self.store.select_fresh(self.fresh, &wanted.select(select));
        take_room(&selection, room)?;
        Ok(Box::new(Stored::new(selection, select)))
    }
}

/// What a selected stream and a piece take.
const STREAM_BYTES: usize = 96;
const PIECE_BYTES: usize = 64;

fn take_room(selection: &log_store::Selection, room: &mut dyn Room) -> Result<(), StorageError> {
    let (streams, pieces) = (selection.stream_count(), selection.pieces().len());
    let taken = room.take(streams * STREAM_BYTES + pieces * PIECE_BYTES);
    taken.map_err(|none| StorageError { message: none.to_string(), kind: none.kind() })
}

/// The same in the store's words.
struct Wanted {
    conditions: Vec<log_store::Condition>,
    needs: log_store::Needs,
}

impl Wanted {
    fn of(select: &Select<'_>) -> Self {
        let Needs { lines, fields } = select.needs;
        let fields = match fields {
            FieldNeeds::None => Some(Default::default()),
            FieldNeeds::These(names) => Some(names.clone()),
            FieldNeeds::All => None,
        };
        let needs = log_store::Needs { lines: *lines, fields };
        Self { conditions: select.conditions.iter().map(condition).collect(), needs }
    }

    fn select<'s>(&'s self, select: &'s Select<'_>) -> log_store::Select<'s> {
        let order = match select.direction {
            Direction::Backward => Order::NewestFirst,
            Direction::Forward => Order::OldestFirst,
        };
        let Self { conditions, needs } = self;
        let Select { time, matchers, texts, .. } = *select;
        let identifier = None;
        log_store::Select { time, matchers, conditions, identifier, texts, order, needs }
    }
}

fn condition(condition: &Condition) -> log_store::Condition {
    match condition {
        Condition::Contains { texts, ignore_case } => {
            log_store::Condition::Contains { texts: texts.clone(), ignore_case: *ignore_case }
        }
        Condition::Lacks { texts } => log_store::Condition::Lacks { texts: texts.clone() },
        Condition::Matches { regex, negated } => {
            log_store::Condition::Matches { regex: Arc::clone(regex), negated: *negated }
        }
        Condition::Field(matcher) => log_store::Condition::Field(matcher.clone()),
    }
}

/// The lines that a query selects, to be deleted. Their streams must be named, and their texts looked
/// for as they were stored: fields and parsed labels can't be asked for.
pub fn delete_of(query: &str, regexes: &mut RegexBudget) -> Result<LogDelete, ParseError> {
    let log = parse_log(query, regexes)?;
    let conditions = line_conditions(&log).map_err(|error| error.in_query(query))?;
    let conditions = conditions.iter().map(condition).collect();
    let (except, text) = (Vec::new(), query.to_owned());
    Ok(LogDelete { matchers: log.matchers, except, conditions, text })
}

struct Stored {
    selection: log_store::Selection,
    pieces: Vec<Piece>,
    /// The store leaves out every line for which a condition does not hold.
    checked: u64,
}

impl Stored {
    fn new(selection: log_store::Selection, select: &Select<'_>) -> Self {
        let piece = |piece: &log_store::Piece| {
            let log_store::Piece { time, rows, bytes } = *piece;
            Piece { time, rows, bytes }
        };
        let pieces = selection.pieces().iter().map(piece).collect();
        let checked = match select.conditions.len() {
            64.. => u64::MAX,
            count => (1 << count) - 1,
        };
        Self { selection, pieces, checked }
    }

    fn rows<'s>(&self, rows: log_store::LogRows<'s>) -> Rows<'s> {
        let field = |field: &'s log_store::LogField| FieldColumn {
            name: &field.name,
            codes: &field.column.codes,
            values: texts(&field.column.values),
        };
        Rows {
            times: rows.times,
            streams: rows.streams,
            lines: texts(rows.lines),
            fields: rows.fields.iter().map(field).collect(),
            texts: rows.texts.iter().map(text_rows).collect(),
            checked: self.checked,
        }
    }
}

fn text_rows(found: &log_store::FoundTexts) -> TextRows<'_> {
    let log_store::FoundTexts { codes, texts: values, numbers, failed, no_numbers } = found;
    TextRows { codes, values: texts(values), numbers, failed, no_numbers }
}

fn texts(list: &TextList) -> Texts<'_> {
    Texts { bytes: &list.bytes, ends: &list.ends }
}

impl Selection for Stored {
    fn stream_count(&self) -> usize {
        self.selection.stream_count()
    }

    fn labels(&self, stream: u32) -> &Labels {
        self.selection.labels(stream)
    }

    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    fn read<'s>(
        &'s self,
        piece: usize,
        scratch: &'s mut Scratch,
    ) -> Result<Rows<'s>, StorageError> {
        Ok(self.rows(self.selection.read(piece, scratch.buffers::<log_store::Scratch>())?))
    }

    fn reads_within(&self) -> bool {
        true
    }

    fn read_within<'s>(
        &'s self,
        piece: usize,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<Rows<'s>, StorageError> {
        let scratch = scratch.buffers::<log_store::Scratch>();
        Ok(self.rows(self.selection.read_within(piece, time, scratch)?))
    }

    fn find_within(
        &self,
        piece: usize,
        time: TimeRange,
        scratch: &mut Scratch,
    ) -> Result<Option<FoundRows>, StorageError> {
        let scratch = scratch.buffers::<log_store::Scratch>();
        let mut found = self.selection.find_within(piece, time, scratch)?;
        let times = std::mem::take(&mut found.times);
        Ok(Some(FoundRows { piece, times, rest: Box::new(found) }))
    }

    fn read_found<'s>(
        &'s self,
        found: FoundRows,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<Rows<'s>, StorageError> {
        let FoundRows { piece, times, rest } = found;
        match rest.downcast::<log_store::FoundRows>() {
            Ok(mut found) => {
                found.times = times;
                let scratch = scratch.buffers::<log_store::Scratch>();
                Ok(self.rows(self.selection.read_found(*found, time, scratch)?))
            }
            Err(_) => self.read_within(piece, time, scratch),
        }
    }

    fn read_texts<'s>(
        &'s self,
        piece: usize,
        which: &[usize],
        scratch: &'s mut Scratch,
    ) -> Result<Option<Rows<'s>>, StorageError> {
        let scratch = scratch.buffers::<log_store::Scratch>();
        Ok(Some(self.rows(self.selection.read_texts(piece, which, scratch)?)))
    }

    fn count(
        &self,
        piece: usize,
        steps: &[i64],
        with_bytes: bool,
        scratch: &mut Scratch,
    ) -> Result<Option<Vec<StreamLines>>, StorageError> {
        let scratch = scratch.buffers::<log_store::Scratch>();
        let steps = log_store::Steps(steps);
        let counts = match with_bytes {
            true => self.selection.count(piece, steps, scratch)?,
            false => self.selection.count_lines(piece, steps, scratch)?,
        };
        let lines = |count: &log_store::LineCount| {
            let log_store::LineCount { stream, step, rows, bytes } = *count;
            StreamLines { stream, step, lines: rows, bytes }
        };
        Ok(Some(counts.iter().map(lines).collect()))
    }

    fn lines_with_values<'s>(
        &'s self,
        piece: usize,
        field: &str,
        scratch: &'s mut Scratch,
    ) -> Result<Option<ValueLines<'s>>, StorageError> {
        let scratch = scratch.buffers::<log_store::Scratch>();
        let known = self.selection.lines_with_values(piece, field, scratch)?;
        Ok(known.map(|known| {
            let log_store::ValueLines { values, lines, without } = known;
            ValueLines { values: texts(values), lines, without }
        }))
    }

    fn warnings(&self) -> Vec<String> {
        self.selection.warnings()
    }
}
