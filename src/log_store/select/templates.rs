//! How many lines of a piece have each template: what programs print each time, with slots for what
//! differs. Most lines in parts have their templates already; others are taken apart.

use super::count::Steps;
use super::read::{GroupRows, read_field};
use super::{Origin, Place, Scratch, Selection, Source};
use crate::error::StoreError;
use crate::head::Block;
use crate::lines::{Lines, Split, WHOLE};
use crate::part::{Group, LogPart};
use columns::{ABSENT, Interner, TextColumn, TextList};
use std::collections::HashMap;

/// Templates of the lines of a piece.
#[derive(Clone, Debug, Default)]
pub struct TemplateCounts {
    /// A zero byte stands for each slot.
    pub templates: TextList,
    /// Values of the fields that were asked for.
    pub values: TextList,
    pub counts: Vec<TemplateCount>,
}

/// Lines of one stream, template, value and step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateCount {
    pub template: u32,
    /// Of the first of the fields that the lines have, or [`ABSENT`].
    pub value: u32,
    pub stream: u32,
    pub step: usize,
    pub rows: u64,
}

type Key = (u32, u32, u32, usize);

/// Counts rows by template, value, stream and step; neighbours often have the same.
#[derive(Default)]
struct Tally {
    counts: HashMap<Key, u64>,
    last: Key,
    rows: u64,
}

impl Tally {
    fn add(&mut self, key: Key) {
        if self.rows > 0 && key != self.last {
            *self.counts.entry(self.last).or_default() += std::mem::take(&mut self.rows);
        }
        self.last = key;
        self.rows += 1;
    }

    fn finish(mut self) -> Vec<TemplateCount> {
        if self.rows > 0 {
            *self.counts.entry(self.last).or_default() += self.rows;
        }
        let count = |((template, value, stream, step), rows)| TemplateCount {
            template,
            value,
            stream,
            step,
            rows,
        };
        self.counts.into_iter().map(count).collect()
    }
}

impl Selection {
    /// Counts the selected lines of a piece by their templates, and by the values of the first of the
    /// fields that a line has. A piece that is damaged has no lines, and is told in
    /// [`Selection::warnings`].
    pub fn count_templates(
        &self,
        piece: usize,
        fields: &[&str],
        steps: Steps<'_>,
        scratch: &mut Scratch,
    ) -> Result<TemplateCounts, StoreError> {
        let Place { source, index } = self.places[piece];
        let source = &self.sources[source as usize];
        match &source.from {
            Origin::Head(blocks) => {
                Ok(self.templates_of_block(source, &blocks[index as usize], fields, steps))
            }
            Origin::Part(part) => {
                let counted =
                    self.templates_of_group(source, (part, index), fields, steps, scratch);
                counted.or_else(|error| {
                    self.part_failed(part.id, error).map(|()| TemplateCounts::default())
                })
            }
        }
    }

    fn templates_of_block(
        &self,
        source: &Source,
        block: &Block,
        fields: &[&str],
        steps: Steps<'_>,
    ) -> TemplateCounts {
        let (mut split, mut tally) = (Split::default(), Tally::default());
        let (mut templates, mut values) = (Interner::default(), Interner::default());
        let names: Vec<u32> =
            fields.iter().filter_map(|name| block.rows.names.find(name)).collect();
        for row in 0..block.rows.len() {
            let Some(stream) = source.streams[block.rows.streams[row] as usize] else { continue };
            if !self.holds(source, block, row) {
                continue;
            }
            split.line(block.rows.line(row));
            let value_of = |name: &u32| block.rows.fields(row).find(|(of, _)| of == name);
            let value = names.iter().find_map(value_of);
            let value = value.map_or(ABSENT, |(_, value)| values.number(value));
            let template = templates.number(&split.template);
            tally.add((template, value, stream, steps.of(block.rows.times[row])));
        }
        let (templates, values) = (templates.texts().clone(), values.texts().clone());
        TemplateCounts { templates, values, counts: tally.finish() }
    }

    fn templates_of_group(
        &self,
        source: &Source,
        (part, index): (&LogPart, u32),
        fields: &[&str],
        steps: Steps<'_>,
        scratch: &mut Scratch,
    ) -> Result<TemplateCounts, StoreError> {
        let group = part.group(index)?;
        let Some(found) = self.rows_of_group(source, part, (&group, index), self.time, scratch)?
        else {
            return Ok(TemplateCounts::default());
        };
        let GroupRows { rows, mut times, lines } = found;
        let mut templates = GroupTemplates::new(&group, lines)?;
        let (codes, values) = first_values(&group, fields, scratch)?;
        let (mut tally, mut start) = (Tally::default(), 0);
        for run in &group.head.runs {
            let of_run = start..start + run.rows as usize;
            start = of_run.end;
            let Some(stream) = source.streams[run.stream as usize] else { continue };
            for row in of_run.filter(|row| rows.contains(*row)) {
                let value = codes.get(row).copied().unwrap_or(ABSENT);
                let step = steps.of(times.at(row)?);
                tally.add((templates.of(row)?, value, stream, step));
            }
        }
        let templates = templates.known.texts().clone();
        Ok(TemplateCounts { templates, values, counts: tally.finish() })
    }
}

/// The templates of a row group's lines. Those that few lines have were not kept: such lines are taken
/// apart again.
struct GroupTemplates {
    lines: Lines<Group>,
    /// For each template of the row group its number among `known`; `None`: it is not kept.
    numbers: Vec<Option<u32>>,
    known: Interner,
    split: Split,
    line: Vec<u8>,
}

impl GroupTemplates {
    fn new(group: &Group, lines: Option<Lines<Group>>) -> Result<Self, StoreError> {
        let lines = match lines {
            Some(lines) => lines,
            None => Lines::new(group.lines()?, group.clone()),
        };
        let mut known = Interner::default();
        let of_group = lines.directory.templates.iter();
        let number = |template: &[u8]| (template != WHOLE).then(|| known.number(template));
        let numbers = of_group.map(number).collect();
        Ok(Self { lines, numbers, known, split: Split::default(), line: Vec::new() })
    }

    fn of(&mut self, row: usize) -> Result<u32, StoreError> {
        let template = usize::from(self.lines.directory.rows[row]);
        if let Some(number) = self.numbers[template] {
            return Ok(number);
        }
        self.line.clear();
        self.lines.append(row, &mut self.line)?;
        self.split.line(&self.line);
        Ok(self.known.number(&self.split.template))
    }
}

/// For each row the value of the first of the fields that it has, as a code; no codes where no row has
/// any.
fn first_values(
    group: &Group,
    fields: &[&str],
    scratch: &mut Scratch,
) -> Result<(Vec<u32>, TextList), StoreError> {
    let (mut codes, mut values) = (Vec::new(), Interner::default());
    for name in fields {
        let Some(column) = read_field(group, name, &mut scratch.page)? else { continue };
        let TextColumn { values: of_column, codes: of_rows, .. } = &column;
        let numbers: Vec<u32> = of_column.iter().map(|value| values.number(value)).collect();
        codes.resize(group.rows(), ABSENT);
        for (code, of_row) in codes.iter_mut().zip(of_rows) {
            if *code == ABSENT && *of_row != ABSENT {
                *code = numbers[*of_row as usize];
            }
        }
    }
    Ok((codes, values.texts().clone()))
}
