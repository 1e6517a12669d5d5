//! The rows of one piece.

use super::{Needs, Origin, Place, Selection, Source};
use crate::condition::{Prepared, of_block, of_column};
use crate::delete::LogDeletes;
use crate::error::StoreError;
use crate::head::Block;
use crate::identifier::Identifier;
use crate::lines::{ColumnPages, FoundTexts, Lines, find, find_in, rows_where};
use crate::part::{Group, LogPart, Times};
use codec::ByteReader;
use columns::RowSet;
use columns::{ABSENT, Interner, TextColumn, TextList, rows_with_text};
use model::{Labels, MatchOp, Matcher, TimeRange};
use parts::PageBuffer;

/// The buffers of a reading thread, reused from piece to piece.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) times: Vec<i64>,
    streams: Vec<u32>,
    lines: TextList,
    texts: Vec<FoundTexts>,
    fields: Vec<LogField>,
    /// How many of `fields` belong to the present piece.
    used: usize,
    interner: Interner,
    /// Of `recorded`: a column, and how many rows have each of its values.
    pub(super) column: TextColumn,
    pub(super) counts: Vec<u32>,
    pub(super) page: PageBuffer,
}

/// A field of the rows.
#[derive(Debug, Default)]
pub struct LogField {
    pub name: String,
    /// Distinct values, and for each row a code, or [`columns::ABSENT`].
    pub column: TextColumn,
}

/// The lines of a piece that were selected, in order of stream and time.
#[derive(Debug)]
pub struct LogRows<'s> {
    pub times: &'s [i64],
    pub streams: &'s [u32],
    /// Empty when not needed.
    pub lines: &'s TextList,
    /// What was found in lines, if that was asked for.
    pub texts: &'s [FoundTexts],
    /// Those needed that some line has.
    pub fields: &'s [LogField],
}

/// Where less than this share of the rows of a row group is wanted, only these are read of each column.
const FEW_SHARE: usize = 16;

/// What is read of rows beside times, streams and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'w> {
    /// Their lines, where they are needed.
    Lines,
    /// These of the texts that are found in lines.
    Texts(&'w [usize]),
}

/// The rows of a row group that were selected.
#[derive(Debug)]
pub(super) struct GroupRows {
    pub(super) rows: RowSet,
    pub(super) times: Times,
    /// Where conditions, deletes or the reader need lines.
    pub(super) lines: Option<Lines<Group>>,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.streams.clear();
        self.lines.clear();
        self.texts.clear();
        self.used = 0;
    }

    pub(super) fn rows(&self) -> LogRows<'_> {
        LogRows {
            times: &self.times,
            streams: &self.streams,
            lines: &self.lines,
            texts: &self.texts,
            fields: &self.fields[..self.used],
        }
    }

    /// The next field's buffers.
    fn field(&mut self, name: &str) -> &mut LogField {
        if self.used == self.fields.len() {
            self.fields.push(LogField::default());
        }
        self.used += 1;
        let field = &mut self.fields[self.used - 1];
        field.name.clear();
        field.name.push_str(name);
        field
    }
}

impl Selection {
    /// Reads a piece. All conditions hold of the rows, and all lie within the selected time. A piece
    /// that is damaged has no rows, and is told in [`Selection::warnings`].
    pub fn read<'s>(
        &self,
        piece: usize,
        scratch: &'s mut Scratch,
    ) -> Result<LogRows<'s>, StoreError> {
        self.read_within(piece, self.time, scratch)
    }

    /// Reads the rows of a piece that also lie within a time, which costs less than reading all.
    pub fn read_within<'s>(
        &self,
        piece: usize,
        time: TimeRange,
        scratch: &'s mut Scratch,
    ) -> Result<LogRows<'s>, StoreError> {
        let Some(time) = common(self.time, time) else {
            scratch.clear();
            return Ok(scratch.rows());
        };
        self.read_content(piece, time, Content::Lines, scratch)
    }

    /// Reads a piece without its lines, but with these of the texts that are found in them.
    pub fn read_texts<'s>(
        &self,
        piece: usize,
        which: &[usize],
        scratch: &'s mut Scratch,
    ) -> Result<LogRows<'s>, StoreError> {
        self.read_content(piece, self.time, Content::Texts(which), scratch)
    }

    fn read_content<'s>(
        &self,
        piece: usize,
        time: TimeRange,
        content: Content<'_>,
        scratch: &'s mut Scratch,
    ) -> Result<LogRows<'s>, StoreError> {
        scratch.clear();
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        match &source.from {
            Origin::Head(blocks) => {
                let block = &blocks[index as usize];
                let rows = self.rows_of_block(source, block, time);
                self.collect_block(source, block, &rows, content, scratch);
            }
            Origin::Part(part) => {
                let read = self.read_group(source, (part, index), (time, content), scratch);
                if let Err(error) = read {
                    scratch.clear();
                    self.part_failed(part.id, error)?;
                }
            }
        }
        Ok(scratch.rows())
    }

    // ── blocks of heads ──

    pub(super) fn rows_of_block(
        &self,
        source: &Source,
        block: &Block,
        time: TimeRange,
    ) -> Vec<usize> {
        let is_wanted =
            |row: &usize| time.contains(block.rows.times[*row]) && self.holds(source, block, *row);
        (0..block.rows.len()).filter(is_wanted).collect()
    }

    /// Puts the columns of the wanted rows into the buffers.
    pub(super) fn collect_block(
        &self,
        source: &Source,
        block: &Block,
        wanted: &[usize],
        content: Content<'_>,
        scratch: &mut Scratch,
    ) {
        for row in wanted {
            let stream = source.streams[block.rows.streams[*row] as usize].unwrap_or_default();
            scratch.streams.push(stream);
            scratch.times.push(block.rows.times[*row]);
            if content == Content::Lines && self.needs.lines {
                scratch.lines.push(block.rows.line(*row));
            }
        }
        if let Content::Texts(which) = content {
            let lines = || wanted.iter().map(|row| block.rows.line(*row));
            let texts = which.iter().map(|text| &self.texts.found[*text]);
            scratch.texts.extend(texts.map(|text| find_in(lines(), text)));
        }
        if self.needs.fields.as_ref().is_none_or(|names| !names.is_empty()) {
            block_fields(block, wanted, &self.needs, scratch);
        }
    }

    pub(super) fn holds(&self, source: &Source, block: &Block, row: usize) -> bool {
        let rows = &block.rows;
        let Some(stream) = source.streams[rows.streams[row] as usize] else { return false };
        if !self.time.contains(rows.times[row]) {
            return false;
        }
        let labels = self.labels(stream);
        let holds = |condition: &Prepared| holds_in_block(condition, block, row, labels);
        let carries = |id: &Identifier| carries_in_block(id, block, row, labels);
        self.identifier.as_ref().is_none_or(carries)
            && self.conditions.iter().all(holds)
            && !is_deleted(&source.deletes, block, row, labels)
    }

    // ── row groups of parts ──

    fn read_group(
        &self,
        source: &Source,
        (part, index): (&LogPart, u32),
        (time, content): (TimeRange, Content<'_>),
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let mut times = std::mem::take(&mut scratch.times);
        let found = self.find_in_group(source, (part, index), time, &mut times, scratch);
        scratch.times = times;
        match found? {
            Some((group, GroupRows { rows, lines, .. })) => {
                self.collect(source, &group, (&rows, lines), content, scratch)
            }
            None => Ok(()),
        }
    }

    /// The rows of a row group that were selected and lie within a time, and their times.
    pub(super) fn find_in_group(
        &self,
        source: &Source,
        (part, index): (&LogPart, u32),
        time: TimeRange,
        times: &mut Vec<i64>,
        scratch: &mut Scratch,
    ) -> Result<Option<(Group, GroupRows)>, StoreError> {
        let group = part.group(index)?;
        let found = self.rows_of_group(source, part, (&group, index), time, scratch)?;
        let Some(mut found) = found else { return Ok(None) };
        match found.rows.len() == group.rows() {
            true => found.times.append_all(times)?,
            false => {
                for row in found.rows.iter() {
                    times.push(found.times.at(row)?);
                }
            }
        }
        Ok(Some((group, found)))
    }

    /// The rows of a row group that were selected and lie within a time; `None` if there are none.
    pub(super) fn rows_of_group(
        &self,
        source: &Source,
        part: &LogPart,
        (group, index): (&Group, u32),
        time: TimeRange,
        scratch: &mut Scratch,
    ) -> Result<Option<GroupRows>, StoreError> {
        let info = &part.index.groups[index as usize];
        let mut times = group.times();
        let mut rows = wanted_runs(source, group);
        if !time.covers(info.time) && !rows.is_empty() {
            rows = rows.and(&rows_within(group, &mut times, time)?);
        }
        let streams = &part.index.streams;
        for condition in &self.conditions {
            if let Prepared::Field(matcher) = condition
                && !rows.is_empty()
            {
                rows = rows.and(&rows_by_field(group, streams, matcher, &mut scratch.page)?);
            }
        }
        let on_lines = self.identifier.is_some()
            || self.conditions.iter().any(|c| !matches!(c, Prepared::Field(_)));
        let has_texts = !self.texts.conditions.is_empty() || !self.texts.found.is_empty();
        let lines = match on_lines || has_texts || self.needs.lines || !source.deletes.is_empty() {
            true if !rows.is_empty() => Some(Lines::new(group.lines()?, group.clone())),
            _ => None,
        };
        if let Some(lines) = &lines {
            if let Some(id) = &self.identifier {
                rows = rows_carrying(group, (streams, id), lines, rows, &mut scratch.page)?;
            }
            for condition in &self.conditions {
                rows = condition.of_group(lines, rows)?;
            }
            rows = self.with_texts(group, streams, lines, rows, &mut scratch.page)?;
        }
        if rows.is_empty() {
            return Ok(None);
        }
        if let Some(lines) = &lines
            && !source.deletes.is_empty()
        {
            let (mut of_times, of_rows) = (Vec::new(), group.head.streams_of_rows());
            times.append_all(&mut of_times)?;
            let field = |name: &str| read_field(group, name, &mut PageBuffer::default());
            let context = (&of_times, &of_rows, streams.as_slice());
            if let Some(deleted) = deleted_rows(&source.deletes, info.time, context, lines, field)?
            {
                rows = rows.and(&deleted.others());
            }
        }
        Ok((!rows.is_empty()).then_some(GroupRows { rows, times, lines }))
    }

    /// The rows among these for which the conditions on texts hold.
    fn with_texts(
        &self,
        group: &Group,
        streams: &[Labels],
        lines: &Lines<Group>,
        rows: RowSet,
        page: &mut PageBuffer,
    ) -> Result<RowSet, StoreError> {
        let mut rows = rows;
        for condition in &self.texts.conditions {
            if rows.is_empty() {
                break;
            }
            let mut exempt = runs_with_label(group, streams, &condition.name);
            if let Some(column) = read_field(group, &condition.name, page)? {
                let has_field = RowSet::of(group.rows(), |row| column.codes[row] != ABSENT);
                exempt = exempt.or(&has_field);
            }
            let others = rows.clone().and(&exempt.clone().others());
            rows = rows.and(&exempt.or(&rows_where(lines, condition, &others)?));
        }
        Ok(rows)
    }

    /// Puts the columns of the wanted rows, but for their times, into the buffers.
    pub(super) fn collect(
        &self,
        source: &Source,
        group: &Group,
        (rows, lines): (&RowSet, Option<Lines<Group>>),
        content: Content<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), StoreError> {
        let is_all = rows.len() == group.rows();
        push_streams(source, group, rows, &mut scratch.streams);
        let few: Option<Vec<u32>> = (rows.len() < group.rows() / FEW_SHARE)
            .then(|| rows.iter().map(|row| row as u32).collect());
        match (lines, content) {
            (Some(lines), Content::Lines) if self.needs.lines => match &few {
                Some(few) => lines.collect_few(few, &mut scratch.lines)?,
                None => lines.collect(rows.iter(), &mut scratch.lines)?,
            },
            (Some(lines), Content::Texts(which)) => {
                for text in which {
                    scratch.texts.push(find(&lines, &self.texts.found[*text], rows)?);
                }
            }
            _ => {}
        }
        let mut page = std::mem::take(&mut scratch.page);
        let collected = group.each_field(self.needs.fields.as_ref(), &mut page, |name, bytes| {
            let column = &mut scratch.field(name).column;
            let mut reader = ByteReader::new(bytes);
            match &few {
                Some(few) => column.decode_some(&mut reader, group.rows(), few)?,
                None => column.decode(&mut reader, group.rows())?,
            }
            if !is_all && few.is_none() {
                column.codes = rows.iter().map(|row| column.codes[row]).collect();
            }
            Ok(())
        });
        scratch.page = page;
        collected
    }
}

fn wants(needs: &Needs, name: &str) -> bool {
    needs.fields.as_ref().is_none_or(|names| names.contains(name))
}

fn holds_in_block(condition: &Prepared, block: &Block, row: usize, labels: &Labels) -> bool {
    match condition {
        Prepared::Field(matcher) => {
            labels.get(&matcher.name).is_some() || of_block(matcher, &block.rows, row)
        }
        condition => condition.holds_of_line(block.rows.line(row)),
    }
}

fn carries_in_block(id: &Identifier, block: &Block, row: usize, labels: &Labels) -> bool {
    block.rows.fields(row).any(|(_, value)| id.is(value))
        || id.is_in_line(block.rows.line(row))
        || id.is_in_labels(labels)
}

fn is_deleted(deletes: &LogDeletes, block: &Block, row: usize, labels: &Labels) -> bool {
    let time = block.rows.times[row];
    deletes.at(block.time).any(|(of, delete)| {
        let holds = |condition: &Prepared| holds_in_block(condition, block, row, labels);
        of.contains(time) && delete.concerns(labels) && delete.conditions.iter().all(holds)
    })
}

/// The fields of the wanted rows of a block, one after the other.
fn block_fields(block: &Block, wanted: &[usize], needs: &Needs, scratch: &mut Scratch) {
    let names: Vec<bool> = block.rows.names.iter().map(|name| wants(needs, name)).collect();
    let mut values: Vec<(u32, u32, &[u8])> = Vec::new();
    for (row, of_block) in wanted.iter().enumerate() {
        let fields = block.rows.fields(*of_block).filter(|(name, _)| names[*name as usize]);
        values.extend(fields.map(|(name, value)| (name, row as u32, value)));
    }
    // Stable, so the values of a field stay in the order of rows.
    values.sort_by_key(|(name, ..)| *name);
    let mut interner = std::mem::take(&mut scratch.interner);
    for of_field in values.chunk_by(|left, right| left.0 == right.0) {
        interner.clear();
        let column = &mut scratch.field(block.rows.names.get(of_field[0].0)).column;
        column.codes.clear();
        column.codes.resize(wanted.len(), ABSENT);
        for (_, row, value) in of_field {
            column.codes[*row as usize] = interner.number(value);
        }
        column.values.clone_from(interner.texts());
    }
    scratch.interner = interner;
}

/// The rows of the streams that matched.
fn wanted_runs(source: &Source, group: &Group) -> RowSet {
    runs_where(group, |stream| source.streams[stream as usize].is_some())
}

fn runs_with_label(group: &Group, streams: &[Labels], name: &str) -> RowSet {
    runs_where(group, |stream| streams[stream as usize].get(name).is_some())
}

fn runs_where(group: &Group, holds: impl Fn(u32) -> bool) -> RowSet {
    if group.head.runs.iter().all(|run| holds(run.stream)) {
        return RowSet::all(group.rows());
    }
    let (mut rows, mut start) = (RowSet::none(group.rows()), 0);
    for run in &group.head.runs {
        let end = start + run.rows as usize;
        if holds(run.stream) {
            rows.insert_range(start..end);
        }
        start = end;
    }
    rows
}

/// The rows among these that carry an identifier.
fn rows_carrying(
    group: &Group,
    (streams, id): (&[Labels], &Identifier),
    lines: &Lines<Group>,
    among: RowSet,
    page: &mut PageBuffer,
) -> Result<RowSet, StoreError> {
    let mut found = runs_where(group, |stream| id.is_in_labels(&streams[stream as usize]));
    for text in id.texts() {
        group.each_field(None, page, |_, bytes| {
            let insert = |rows| found.insert_range(rows);
            Ok(rows_with_text(&mut ByteReader::new(bytes), group.rows(), text, insert)?)
        })?;
    }
    let rest = among.clone().and(&found.clone().others());
    let of_lines = id.of_lines(lines, &rest)?;
    Ok(among.and(&found.or(&of_lines)))
}

pub(super) fn read_field(
    group: &Group,
    name: &str,
    page: &mut PageBuffer,
) -> Result<Option<TextColumn>, StoreError> {
    let mut column = TextColumn::default();
    Ok(group.field(name, &mut column, page)?.then_some(column))
}

/// The times that two ranges have in common; `None` if there are none.
pub(super) fn common(one: TimeRange, other: TimeRange) -> Option<TimeRange> {
    one.unit().range(one.min.max(other.min), one.max.min(other.max))
}

/// The rows within a time: those of a stream are in order of time.
fn rows_within(group: &Group, times: &mut Times, time: TimeRange) -> Result<RowSet, StoreError> {
    let mut rows = RowSet::none(group.rows());
    for run in group.head.run_rows() {
        let first = run.first_from(time.min, times)?;
        let behind = match time.max.checked_add(1) {
            Some(behind) => run.first_from(behind, times)?,
            None => run.rows().end,
        };
        rows.insert_range(first..behind.max(first));
    }
    Ok(rows)
}

/// The rows of a row group whose field satisfies a matcher, and those of streams with a label of that
/// name.
fn rows_by_field(
    group: &Group,
    streams: &[Labels],
    matcher: &Matcher,
    page: &mut PageBuffer,
) -> Result<RowSet, StoreError> {
    let exempt = runs_with_label(group, streams, &matcher.name);
    // A value that is no text is compared as people see it, with replacement characters.
    let is_plain = !matcher.value.is_empty() && !matcher.value.contains('\u{FFFD}');
    if matcher.op == MatchOp::Equal && is_plain {
        let found = group.rows_with(&matcher.name, matcher.value.as_bytes(), page)?;
        return Ok(found.map_or(exempt.clone(), |rows| rows.or(&exempt)));
    }
    let column = read_field(group, &matcher.name, page)?;
    Ok(of_column(matcher, column.as_ref(), &exempt))
}

/// Appends the numbers in the selection of the rows' streams.
fn push_streams(source: &Source, group: &Group, rows: &RowSet, into: &mut Vec<u32>) {
    let (mut start, is_all) = (0, rows.len() == rows.rows());
    for run in &group.head.runs {
        let end = start + run.rows as usize;
        if let Some(number) = source.streams[run.stream as usize] {
            let count = match is_all {
                true => run.rows as usize,
                false => rows.count(start..end),
            };
            into.resize(into.len() + count, number);
        }
        start = end;
    }
}

/// The rows of a row group that deletes concern; `None` if there are none. `rows` is for each row its
/// time and the place of its stream, and the labels of those.
pub(crate) fn deleted_rows<P: ColumnPages, C: std::borrow::Borrow<TextColumn>>(
    deletes: &LogDeletes,
    time: TimeRange,
    rows: (&Vec<i64>, &Vec<u32>, &[Labels]),
    lines: &Lines<P>,
    mut field: impl FnMut(&str) -> Result<Option<C>, StoreError>,
) -> Result<Option<RowSet>, StoreError> {
    let (times, streams, labels) = rows;
    let mut deleted: Option<RowSet> = None;
    for (of, delete) in deletes.at(time) {
        let is_concerned = |stream: u32| delete.concerns(&labels[stream as usize]);
        let mut concerned = RowSet::none(times.len());
        let mut at = 0;
        for run in streams.chunk_by(|left, right| left == right) {
            if is_concerned(run[0]) {
                let inside = (at..at + run.len()).filter(|row| of.contains(times[*row]));
                inside.for_each(|row| concerned.insert(row));
            }
            at += run.len();
        }
        for condition in &delete.conditions {
            concerned = match condition {
                Prepared::Field(matcher) => {
                    let exempt = RowSet::of(times.len(), |row| {
                        labels[streams[row] as usize].get(&matcher.name).is_some()
                    });
                    let column = field(&matcher.name)?;
                    let column = column.as_ref().map(std::borrow::Borrow::borrow);
                    concerned.and(&of_column(matcher, column, &exempt))
                }
                condition => condition.of_group(lines, concerned)?,
            };
        }
        if !concerned.is_empty() {
            deleted = Some(deleted.map_or(concerned.clone(), |before| before.or(&concerned)));
        }
    }
    Ok(deleted)
}
