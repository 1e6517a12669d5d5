//! Counting rows as they lie in columns.
//!
//! 1. The rows of a stream lie together. Those of them for which the conditions hold are split by the
//!    codes of the fields that tell series apart.
//! 2. Labels are put together once for each part.
//! 3. A stream that is one part is counted from edge to edge of windows, others row by row.
//!
//! Where all names are labels of all streams or of none, rows are counted by the codes of fields.

use super::pieces::{Reading, add_field};
use super::range::{Collected, Worker};
use super::recorded::Recorded;
use super::windows::Cursor;
use super::{Bounds, Result};
use crate::pipeline::conditions::{Picked, gallop, stream_runs};
use crate::pipeline::labels::LineLabels;
use crate::storage::{ABSENT, FieldColumn, Rows};
use model::{LABEL_LENGTH_MAX, Labels};
use query::Portions;
use std::collections::HashMap;
use std::ops::Range;

/// The rows of one stream that the conditions leave.
struct StreamRows<'r> {
    stream: &'r Labels,
    /// The fields that tell series apart.
    columns: &'r [&'r FieldColumn<'r>],
    rows: &'r Rows<'r>,
    picked: &'r Picked,
    /// Places in `picked`.
    indexes: Range<usize>,
}

impl Worker<'_> {
    pub(super) fn count_columns(
        &mut self,
        bounds: Bounds<'_>,
        reading: &Reading<'_>,
        rows: &Rows<'_>,
        picked: &Picked,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        self.statistics.lines_after_filters += picked.len() as u64;
        let may_keep = |column: &&FieldColumn<'_>| self.counting.grouping.may_keep(column.name);
        let columns: Vec<&FieldColumn<'_>> = rows.fields.iter().filter(may_keep).collect();
        let mut at = 0;
        for run in stream_runs(rows) {
            bounds.control.check()?;
            let indexes = at..at + picked.before(run.end, at);
            at = indexes.end;
            if !indexes.is_empty() {
                let stream = reading.selection.labels(rows.streams[run.start]);
                let rows = StreamRows { stream, columns: &columns, rows, picked, indexes };
                self.count_stream(&rows, portions)?;
            }
        }
        Ok(())
    }

    /// Counts rows by the codes of fields.
    pub(super) fn count_fields<'r>(
        &mut self,
        bounds: Bounds<'_>,
        reading: &'r Reading<'_>,
        (rows, picked): (&Rows<'_>, &Picked),
        mut codes: FieldCodes<'r>,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        self.statistics.lines_after_filters += picked.len() as u64;
        let (windows, mut at) = (self.counting.windows, 0);
        for run in stream_runs(rows) {
            bounds.control.check()?;
            let end = at + picked.before(run.end, at);
            codes.begin(reading.selection.labels(rows.streams[run.start]));
            let mut cursor = Cursor::new(&windows);
            while at < end {
                let time = |index: usize| rows.times[picked.row(index)];
                let steps = cursor.steps(time(at));
                let until = cursor.same_until();
                let count = gallop(end - at, |offset| time(at + offset) <= until);
                if !steps.is_empty() {
                    let of_steps = (at..at + count).map(|index| picked.row(index));
                    self.add_codes(&mut codes, &steps, of_steps, portions)?;
                }
                at += count;
            }
        }
        Ok(())
    }

    /// Counts rows that lie in the same windows.
    fn add_codes(
        &mut self,
        codes: &mut FieldCodes<'_>,
        steps: &Range<usize>,
        mut rows: impl Iterator<Item = usize>,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        if codes.numbers.len() > FieldCodes::SMALL {
            return rows.try_for_each(|row| {
                let code = codes.code(row);
                self.add_lines_of(codes, code, steps, 1, portions)
            });
        }
        let mut lines = [0u32; FieldCodes::SMALL];
        rows.for_each(|row| lines[codes.code(row)] += 1);
        let mut met = lines.into_iter().enumerate().filter(|(_, lines)| *lines > 0);
        met.try_for_each(|(code, lines)| self.add_lines_of(codes, code, steps, lines, portions))
    }

    fn add_lines_of(
        &mut self,
        codes: &mut FieldCodes<'_>,
        code: usize,
        steps: &Range<usize>,
        lines: u32,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let number = match codes.numbers[code] {
            Some(number) => number as usize,
            None => {
                let weight = self.counting.weight();
                let number = match codes.only_value(code) {
                    Some(value) => self.table.of_value(value, portions, weight)?,
                    None => self.table.resolve(codes.labels_of(code), portions, weight)?,
                };
                self.collected.reach(self.table.len());
                codes.numbers[code] = Some(number as u32);
                number
            }
        };
        if let Collected::Tallies(tallies) = &mut self.collected {
            tallies.get(number).add_lines(steps.clone(), i64::from(lines), 0);
        }
        Ok(())
    }

    fn count_stream(&mut self, rows: &StreamRows<'_>, portions: &mut Portions<'_>) -> Result<()> {
        let SeriesOfRows { groups, numbers } = self.number_rows(rows, portions)?;
        match numbers[..] {
            [number] => self.count_whole(rows, number),
            _ => self.count_parts(rows, &groups, &numbers),
        }
        Ok(())
    }

    /// The series of the rows of one stream at these places in `picked`.
    pub(super) fn series_of(
        &mut self,
        stream: &Labels,
        rows: &Rows<'_>,
        (picked, indexes): (&Picked, Range<usize>),
        portions: &mut Portions<'_>,
    ) -> Result<SeriesOfRows> {
        let may_keep = |column: &&FieldColumn<'_>| self.counting.grouping.may_keep(column.name);
        let columns: Vec<&FieldColumn<'_>> = rows.fields.iter().filter(may_keep).collect();
        let rows = StreamRows { stream, columns: &columns, rows, picked, indexes };
        self.number_rows(&rows, portions)
    }

    fn number_rows(
        &mut self,
        rows: &StreamRows<'_>,
        portions: &mut Portions<'_>,
    ) -> Result<SeriesOfRows> {
        let Split { groups, firsts } = rows.split();
        let counting = self.counting;
        let mut labels = LineLabels::new(rows.stream);
        let mut numbers = Vec::with_capacity(firsts.len());
        for first in &firsts {
            labels.reset(rows.stream);
            for column in rows.columns {
                add_field(column, rows.picked.row(*first), &mut labels);
            }
            numbers.push(self.table.resolve(&labels, portions, counting.weight())?);
        }
        self.collected.reach(self.table.len());
        Ok(SeriesOfRows { groups, numbers })
    }

    fn count_whole(&mut self, rows: &StreamRows<'_>, number: usize) {
        let Collected::Tallies(tallies) = &mut self.collected else { return };
        let start = rows.indexes.start;
        let time = |offset: usize| rows.time(start + offset);
        let bytes = |range: Range<usize>| rows.bytes(start + range.start..start + range.end);
        tallies.get(number).add_run(&self.counting.windows, rows.indexes.len(), time, bytes);
    }

    fn count_parts(&mut self, rows: &StreamRows<'_>, groups: &[u32], numbers: &[usize]) {
        let Collected::Tallies(tallies) = &mut self.collected else { return };
        let mut cursor = Cursor::new(&self.counting.windows);
        for (index, group) in rows.indexes.clone().zip(groups) {
            let steps = cursor.steps(rows.time(index));
            if steps.is_empty() {
                continue;
            }
            let bytes = rows.rows.lines.get(rows.picked.row(index)).len() as i64;
            tallies.get(numbers[*group as usize]).add(steps, bytes);
        }
    }
}

/// The fields of a piece that tell series apart: one code for each combination of their values, and the
/// series of those that were met.
pub(super) struct FieldCodes<'r> {
    /// Each with the factor of its codes in those of combinations.
    columns: Vec<(&'r FieldColumn<'r>, usize)>,
    numbers: Vec<Option<u32>>,
    /// Where series have one label, which is a field: its values, if all are UTF-8.
    only: Option<&'r str>,
    /// Series of different streams are different ones.
    by_stream: bool,
    stream: &'r Labels,
    labels: LineLabels<'r>,
}

impl<'r> FieldCodes<'r> {
    /// So few combinations are counted together before they are added to their series.
    const SMALL: usize = 64;
    const MOST: usize = 1 << 17;
    /// Where series of different streams are different ones, the list is made anew for each stream.
    const MOST_BY_STREAM: usize = 256;

    /// `None` where there are too many combinations, or rows can't be counted by fields.
    pub(super) fn new(
        recorded: &Recorded<'_>,
        rows: &'r Rows<'r>,
        nothing: &'r Labels,
    ) -> Option<Self> {
        let (names, by_stream) = match recorded {
            Recorded::Streams(_) => return None,
            Recorded::Field(name) => (std::slice::from_ref(name), false),
            Recorded::Fields { names, by_stream } => (&names[..], *by_stream),
        };
        let most = if by_stream { Self::MOST_BY_STREAM } else { Self::MOST };
        let (mut columns, mut count) = (Vec::new(), 1usize);
        for column in rows.fields.iter().filter(|column| names.contains(&column.name)) {
            columns.push((column, count));
            // One more: for rows without the field.
            count = count.checked_mul(column.values.len() + 1).filter(|count| *count <= most)?;
        }
        let (numbers, labels) = (vec![None; count], LineLabels::new(nothing));
        let only = match (recorded, &columns[..]) {
            (Recorded::Field(_), [(column, 1)]) => std::str::from_utf8(column.values.bytes).ok(),
            _ => None,
        };
        Some(Self { columns, numbers, only, by_stream, stream: nothing, labels })
    }

    /// The rows of a stream follow.
    fn begin(&mut self, stream: &'r Labels) {
        self.stream = stream;
        if self.by_stream {
            self.numbers.fill(None);
        }
    }

    #[inline]
    fn code(&self, row: usize) -> usize {
        let code = |(column, factor): &(&FieldColumn<'_>, usize)| {
            let code = column.codes.get(row).map_or(usize::MAX, |code| *code as usize);
            code.min(column.values.len()) * factor
        };
        self.columns.iter().map(code).sum()
    }

    /// The value of the label, where it is the only one that series have and can be one as it stands.
    fn only_value(&self, code: usize) -> Option<&'r str> {
        let values = self.columns.first()?.0.values;
        let value = self.only?.get(values.range(code)).filter(|_| code < values.len())?;
        (value.len() <= LABEL_LENGTH_MAX).then_some(value)
    }

    /// The labels of a combination that the present stream has.
    fn labels_of(&mut self, code: usize) -> &LineLabels<'r> {
        self.labels.reset(self.stream);
        for (column, factor) in &self.columns {
            let code = code / factor % (column.values.len() + 1);
            if code < column.values.len() {
                let value = String::from_utf8_lossy(column.values.get(code));
                self.labels.add_field(column.name, &value);
            }
        }
        &self.labels
    }
}

/// The series of some rows.
pub(super) struct SeriesOfRows {
    /// The place in `numbers` of each row's series; empty where all have one.
    groups: Vec<u32>,
    numbers: Vec<usize>,
}

impl SeriesOfRows {
    pub(super) fn number(&self, row: usize) -> usize {
        self.numbers[self.groups.get(row).map_or(0, |group| *group as usize)]
    }
}

/// Rows split by the values of some fields.
struct Split {
    /// The number of each row's group; empty where there is one group only.
    groups: Vec<u32>,
    /// The first row of each group.
    firsts: Vec<usize>,
}

impl StreamRows<'_> {
    fn time(&self, index: usize) -> i64 {
        self.rows.times[self.picked.row(index)]
    }

    /// The bytes of some lines.
    fn bytes(&self, indexes: Range<usize>) -> i64 {
        let lines = &self.rows.lines;
        if let Picked::All(_) = self.picked {
            let before = |row: usize| row.checked_sub(1).and_then(|row| lines.ends.get(row));
            let end = |row: usize| before(row).map_or(0, |end| i64::from(*end));
            return end(indexes.end) - end(indexes.start);
        }
        indexes.map(|index| lines.get(self.picked.row(index)).len() as i64).sum()
    }

    /// One field after the other: the groups so far are split by its codes.
    fn split(&self) -> Split {
        let indexes = &self.indexes;
        let mut split = Split { groups: Vec::new(), firsts: vec![indexes.start] };
        for column in self.columns {
            let code =
                |index: usize| column.codes.get(self.picked.row(index)).copied().unwrap_or(ABSENT);
            let first = code(indexes.start);
            if split.groups.is_empty() && indexes.clone().all(|index| code(index) == first) {
                continue;
            }
            if split.groups.is_empty() {
                split.groups = vec![0; indexes.len()];
            }
            let mut known = Numbers::new(split.firsts.len(), column.values.len());
            let mut firsts = Vec::new();
            for (index, group) in indexes.clone().zip(&mut split.groups) {
                let next = firsts.len() as u32;
                *group = known.number(*group, code(index), next);
                if *group == next {
                    firsts.push(index);
                }
            }
            split.firsts = firsts;
        }
        split
    }
}

/// The numbers of pairs of a group and a code: a table where there are few, else a map.
enum Numbers {
    Table { numbers: Vec<u32>, codes: usize },
    Map(HashMap<(u32, u32), u32>),
}

impl Numbers {
    const TABLE_MAX: usize = 1 << 14;

    fn new(groups: usize, values: usize) -> Self {
        // One more: for rows without the field.
        let codes = values + 1;
        match groups.checked_mul(codes).filter(|pairs| *pairs <= Self::TABLE_MAX) {
            Some(pairs) => Self::Table { numbers: vec![u32::MAX; pairs], codes },
            None => Self::Map(HashMap::new()),
        }
    }

    /// The number of a pair; `next` where it is met for the first time.
    #[inline]
    fn number(&mut self, group: u32, code: u32, next: u32) -> u32 {
        match self {
            Self::Table { numbers, codes } => {
                let code = (code as usize).min(*codes - 1);
                match numbers.get_mut(group as usize * *codes + code) {
                    Some(number) if *number == u32::MAX => {
                        *number = next;
                        next
                    }
                    Some(number) => *number,
                    None => next,
                }
            }
            Self::Map(numbers) => *numbers.entry((group, code)).or_insert(next),
        }
    }
}
