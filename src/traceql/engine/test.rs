//! A condition on one attribute, and the rows of which it holds: decided once for each text of a
//! dictionary and each resource or scope, not for each span.

use super::cell::{Cell, compare, compare_numbers};
use super::source::{Columns, Source, children};
use crate::ast::FieldOp;
use crate::fold::Number;
use crate::literal::Literal;
use crate::value::FieldValue;
use model::{MatchOp, Matcher};
use query::{RegexBudget, TooManyRegexes};
use trace_store::{ABSENT, Column, RowSet, TextColumn};

/// `op value`
#[derive(Clone, Debug)]
pub(crate) struct Test {
    op: FieldOp,
    value: FieldValue,
    regex: Option<Matcher>,
    /// Numbers of another type than the value's are not compared: attributes are stored by their types.
    is_strict: bool,
    /// A list fulfils the condition if one of its elements does.
    takes_lists: bool,
}

impl Test {
    pub(crate) fn new(
        op: FieldOp,
        literal: &Literal,
        is_strict: bool,
        regexes: &mut RegexBudget,
    ) -> Result<Self, TooManyRegexes> {
        let regex = match (op, literal) {
            (FieldOp::Match | FieldOp::NotMatch, Literal::Text(pattern)) => {
                Matcher::new(MatchOp::Regex, "", pattern).ok()
            }
            _ => None,
        };
        regex.iter().try_for_each(|regex| regexes.take(regex))?;
        let value = FieldValue::from(literal);
        Ok(Self { op, value, regex, is_strict, takes_lists: true })
    }

    /// `value` alone, which is to be true or false.
    pub(crate) fn is_bool(value: bool) -> Self {
        let value = FieldValue::Bool(value);
        Self { op: FieldOp::Eq, value, regex: None, is_strict: true, takes_lists: false }
    }

    /// Whether it asks for there being a value (`Some(true)`) or none.
    pub(crate) fn asks_presence(&self) -> Option<bool> {
        (self.value == FieldValue::Nil).then_some(self.op == FieldOp::Ne)
    }

    pub(crate) fn relax(&mut self) {
        self.is_strict = false;
    }

    /// The text that a value must be.
    pub(crate) fn equal_text(&self) -> Option<&str> {
        match &self.value {
            FieldValue::Text(text) if self.op == FieldOp::Eq => Some(text),
            _ => None,
        }
    }

    pub(crate) fn holds(&self, cell: Cell<'_>) -> bool {
        if let Some(wanted) = self.asks_presence() {
            return cell.is_nil() != wanted;
        }
        match cell {
            Cell::List(_) if !self.takes_lists => false,
            Cell::List(values) => self.holds_of_list(values),
            _ => self.holds_of_one(cell),
        }
    }

    /// `!=` and `!~`: of no element does the opposite hold.
    fn holds_of_list(&self, values: &[FieldValue]) -> bool {
        let opposite = match self.op {
            FieldOp::Ne => FieldOp::Eq,
            FieldOp::NotMatch => FieldOp::Match,
            _ => return values.iter().any(|value| self.holds_of_one(Cell::of(value))),
        };
        let is_of_type = |value: &&FieldValue| {
            std::mem::discriminant(*value) == std::mem::discriminant(&self.value)
        };
        let opposite = Self { op: opposite, ..self.clone() };
        values.iter().any(|value| is_of_type(&value))
            && !values.iter().any(|value| opposite.holds_of_one(Cell::of(value)))
    }

    fn holds_of_one(&self, cell: Cell<'_>) -> bool {
        match self.op {
            FieldOp::Match | FieldOp::NotMatch => self.matches(cell),
            _ if self.is_strict && self.differs_in_type(cell) => false,
            _ => compare(self.op, cell, Cell::of(&self.value)),
        }
    }

    fn differs_in_type(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Int(_) => !matches!(self.value, FieldValue::Int(_)),
            Cell::Float(_) => !matches!(self.value, FieldValue::Float(_)),
            _ => false,
        }
    }

    fn matches(&self, cell: Cell<'_>) -> bool {
        let Some(regex) = &self.regex else { return false };
        let matches = |text: &[u8]| regex.matches(&String::from_utf8_lossy(text));
        cell.with_text(matches).is_some_and(|matches| matches == (self.op == FieldOp::Match))
    }

    /// The spans of which it holds.
    pub(crate) fn rows(&self, source: &Source<'_>, rows: usize) -> RowSet {
        match source {
            Source::Names(names) => self.text_rows(names, rows),
            Source::Durations(durations) => self.duration_rows(durations),
            Source::Statuses(bytes) | Source::Kinds(bytes) => {
                let holds = self.of_bytes(source);
                RowSet::of(rows, |row| holds[usize::from(bytes[row])])
            }
            Source::Spans(columns) => self.column_rows(columns, rows),
            Source::Entities { of, entities, columns } => {
                let holds = self.column_rows(columns, *entities);
                RowSet::of(rows, |row| holds.contains(of[row] as usize))
            }
            Source::Children { ends, columns } => {
                let all = ends.last().map_or(0, |end| *end as usize);
                let holds = self.column_rows(columns, all);
                if holds.is_empty() {
                    return RowSet::none(rows);
                }
                RowSet::of(rows, |row| children(ends, row).any(|child| holds.contains(child)))
            }
            Source::First(sources) => self.first_rows(sources, rows),
            Source::SpanIds(_)
            | Source::ParentIds(_)
            | Source::TraceIds { .. }
            | Source::Numbers(_)
            | Source::Roots { .. }
            | Source::Traces { .. } => RowSet::of(rows, |row| self.holds(source.cell(row))),
        }
    }

    /// For each code of a status or kind.
    fn of_bytes(&self, source: &Source<'_>) -> [bool; 256] {
        std::array::from_fn(|code| {
            let byte = [code as u8];
            match source {
                Source::Statuses(_) => self.holds(Source::Statuses(&byte).cell(0)),
                _ => self.holds(Source::Kinds(&byte).cell(0)),
            }
        })
    }

    fn duration_rows(&self, durations: &[u64]) -> RowSet {
        let Some(wanted) = Cell::of(&self.value).as_number() else {
            return RowSet::of(durations.len(), |_| self.holds(Cell::Duration(0)));
        };
        let rows = durations.len();
        let wanted = match wanted {
            Number::Int(value) | Number::Duration(value) => value,
            float => {
                let op = self.op;
                let holds = |nanos: u64| compare_numbers(op, Number::Float(nanos as f64), float);
                return RowSet::of(rows, |row| holds(durations[row]));
            }
        };
        let nanos = |row: usize| super::source::signed(durations[row]);
        match self.op {
            FieldOp::Eq => RowSet::of(rows, |row| nanos(row) == wanted),
            FieldOp::Ne => RowSet::of(rows, |row| nanos(row) != wanted),
            FieldOp::Lt => RowSet::of(rows, |row| nanos(row) < wanted),
            FieldOp::Le => RowSet::of(rows, |row| nanos(row) <= wanted),
            FieldOp::Gt => RowSet::of(rows, |row| nanos(row) > wanted),
            FieldOp::Ge => RowSet::of(rows, |row| nanos(row) >= wanted),
            _ => RowSet::none(rows),
        }
    }

    fn text_rows(&self, column: &TextColumn, rows: usize) -> RowSet {
        let holds: Vec<bool> =
            column.values.iter().map(|text| self.holds(Cell::Text(text))).collect();
        coded_rows(&column.codes, &holds, rows)
    }

    /// The rows of a table.
    fn column_rows(&self, columns: &Columns, rows: usize) -> RowSet {
        if let Some(wanted) = self.asks_presence() {
            let has_default = columns.default != super::source::Default::Nothing;
            return RowSet::of(rows, |row| (has_default || columns.has(row)) == wanted);
        }
        let with_values = columns.list.iter().enumerate().map(|(index, column)| match column {
            Column::Text(column) => self.text_rows(column, rows),
            Column::Int(column) if columns.are_durations => RowSet::of(rows, |row| {
                column.has(row) && self.holds(Cell::Duration(column.values[row]))
            }),
            Column::Int(column) => self.int_rows(column, rows),
            Column::Double(column) => RowSet::of(rows, |row| {
                column.has(row) && self.holds(Cell::Float(column.values[row]))
            }),
            Column::Bool(column) => {
                let holds = [false, true].map(|value| self.holds(Cell::Bool(value)));
                RowSet::of(rows, |row| column.has(row) && holds[usize::from(column.values[row])])
            }
            Column::Other(column) => {
                let values = columns.lists(index).iter();
                let holds: Vec<bool> = values.map(|value| self.holds(Cell::of(value))).collect();
                coded_rows(&column.codes, &holds, rows)
            }
        });
        let mut found = with_values.fold(RowSet::none(rows), |all, some| all.or(&some));
        if columns.default != super::source::Default::Nothing && self.holds(columns.default.cell())
        {
            let without = RowSet::of(rows, |row| !columns.has(row));
            found = found.or(&without);
        }
        found
    }

    fn int_rows(&self, column: &trace_store::Present<i64>, rows: usize) -> RowSet {
        let FieldValue::Int(wanted) = self.value else {
            return RowSet::of(rows, |row| {
                column.has(row) && self.holds(Cell::Int(column.values[row]))
            });
        };
        let values = &column.values;
        let found = match self.op {
            FieldOp::Eq => RowSet::of(rows, |row| values[row] == wanted),
            FieldOp::Ne => RowSet::of(rows, |row| values[row] != wanted),
            FieldOp::Lt => RowSet::of(rows, |row| values[row] < wanted),
            FieldOp::Le => RowSet::of(rows, |row| values[row] <= wanted),
            FieldOp::Gt => RowSet::of(rows, |row| values[row] > wanted),
            FieldOp::Ge => RowSet::of(rows, |row| values[row] >= wanted),
            _ => RowSet::none(rows),
        };
        match &column.rows {
            Some(present) => found.and(present),
            None => found,
        }
    }

    /// Each span's first source that has a value decides.
    fn first_rows(&self, sources: &[Source<'_>], rows: usize) -> RowSet {
        let mut open = RowSet::all(rows);
        let mut found = RowSet::none(rows);
        for source in sources {
            let present = RowSet::of(rows, |row| source.has(row));
            if present.is_empty() {
                continue;
            }
            found = match self.asks_presence() {
                Some(true) => found.or(&present),
                Some(false) => found,
                None => found.or(&self.rows(source, rows).and(&open).and(&present)),
            };
            open = open.and(&present.others());
        }
        if self.asks_presence() == Some(false) { open } else { found }
    }
}

fn coded_rows(codes: &[u32], holds: &[bool], rows: usize) -> RowSet {
    if holds.iter().all(|holds| !holds) {
        return RowSet::none(rows);
    }
    RowSet::of(rows, |row| match codes[row] {
        ABSENT => false,
        code => holds[code as usize],
    })
}
