//! Pieces that the store counts itself, so that their rows are not read.
//!
//! That is possible where no stage looks at lines, and series are told apart by labels of streams; or by
//! one field, where also no condition leaves lines out and all lines of a piece lie in the same windows.
//! Otherwise `columns` counts them.

use super::Result;
use super::groups::Grouping;
use super::pieces::Reading;
use super::range::{Collected, Counting, Worker};
use crate::pipeline::labels::{ERROR, ERROR_DETAILS, EXTRACTED, LineLabels};
use crate::storage::{Scratch, Selection, StreamLines, Texts, ValueLines};
use model::{LABEL_LENGTH_MAX, Labels};
use query::Portions;
use std::borrow::Cow;
use std::ops::Range;

/// What tells the series of a selection's lines apart.
#[derive(Clone, Debug)]
pub(super) enum Recorded<'a> {
    /// Labels that all streams have, or nothing; with the edges of windows.
    Streams(Vec<i64>),
    /// The field of this name, which is a label of no stream.
    Field(&'a str),
    /// Fields of these names, which are labels of no stream, and maybe labels that all streams have.
    Fields { names: Vec<&'a str>, by_stream: bool },
}

impl Counting {
    /// `None` where lines have to be read.
    pub(super) fn recorded(&self, reading: &Reading<'_>) -> Option<Recorded<'_>> {
        match reading.pipeline.is_columnar() {
            true => self.told_apart(&*reading.selection),
            false => None,
        }
    }

    /// The same, whatever the stages are.
    pub(super) fn told_apart(&self, selection: &dyn Selection) -> Option<Recorded<'_>> {
        let Grouping::Only(names) = &self.grouping else { return None };
        // Labels of these names may come from elsewhere.
        let is_special = |name: &String| {
            name.ends_with(EXTRACTED) || [ERROR, ERROR_DETAILS].contains(&name.as_str())
        };
        if names.iter().any(is_special) {
            return None;
        }
        let streams = || (0..selection.stream_count()).map(|it| selection.labels(it as u32));
        let is_label = |name: &&String| streams().all(|labels| labels.get(name).is_some());
        let is_field = |name: &String| streams().all(|labels| labels.get(name).is_none());
        let (labels, others): (Vec<&String>, Vec<&String>) = names.iter().partition(is_label);
        match &others[..] {
            [] => Some(Recorded::Streams(self.windows.edges())),
            others if self.with_bytes || !others.iter().all(|name| is_field(name)) => None,
            [name] if labels.is_empty() => Some(Recorded::Field(name)),
            others => Some(Recorded::Fields {
                names: others.iter().map(|name| name.as_str()).collect(),
                by_stream: !labels.is_empty(),
            }),
        }
    }

    /// The windows in which all lines of a piece lie; `None` where they lie in different ones.
    fn windows_of(&self, selection: &dyn Selection, piece: usize) -> Option<Range<usize>> {
        let time = selection.pieces().get(piece)?.time;
        let steps = |time: i64| self.windows.first_step(time)..self.windows.end_step(time);
        let (first, last) = (steps(time.min), steps(time.max));
        (first == last).then_some(first)
    }
}

impl Worker<'_> {
    /// Whether the piece could be counted without reading it.
    pub(super) fn count_recorded(
        &mut self,
        reading: &Reading<'_>,
        recorded: &Recorded<'_>,
        (piece, scratch): (usize, &mut Scratch),
        portions: &mut Portions<'_>,
    ) -> Result<bool> {
        let selection = &*reading.selection;
        match recorded {
            Recorded::Streams(edges) => {
                let with_bytes = self.counting.with_bytes;
                let known = selection.count(piece, edges, with_bytes, scratch)?;
                let Some(known) = known else { return Ok(false) };
                self.count_streams(reading, edges, &known, portions)?;
            }
            Recorded::Field(name) => {
                let Some(steps) = self.counting.windows_of(selection, piece) else {
                    return Ok(false);
                };
                let known = selection.lines_with_values(piece, name, scratch)?;
                let Some(known) = known else { return Ok(false) };
                let with: u64 = known.lines.iter().map(|lines| u64::from(*lines)).sum();
                let average = known.values.bytes.len() / known.values.len().max(1);
                self.statistics.metadata_bytes += with * (name.len() + average) as u64;
                self.count_values(steps, &known, portions)?;
            }
            Recorded::Fields { .. } => return Ok(false),
        }
        if let Some(piece) = selection.pieces().get(piece) {
            self.statistics.lines += piece.rows;
            self.statistics.bytes += piece.bytes;
        }
        Ok(true)
    }

    fn count_streams(
        &mut self,
        reading: &Reading<'_>,
        edges: &[i64],
        known: &[StreamLines],
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let (windows, weight) = (self.counting.windows, self.counting.weight());
        let nothing = Labels::empty();
        let mut labels = LineLabels::new(&nothing);
        for of_stream in known.chunk_by(|left, right| left.stream == right.stream) {
            let stream = of_stream[0].stream;
            if !reading.lets_through(stream) {
                continue;
            }
            labels.reset(reading.selection.labels(stream));
            let number = self.table.resolve(&labels, portions, weight)?;
            for StreamLines { step, lines, bytes, .. } in of_stream {
                let edge = edges.get(*step).copied().unwrap_or(i64::MIN);
                let steps = windows.first_step(edge)..windows.end_step(edge);
                if !steps.is_empty() {
                    self.add_lines(number, &steps, *lines, *bytes);
                }
            }
        }
        Ok(())
    }

    fn count_values(
        &mut self,
        steps: Range<usize>,
        known: &ValueLines<'_>,
        portions: &mut Portions<'_>,
    ) -> Result<()> {
        let weight = self.counting.weight();
        let mut numbers = Vec::with_capacity(known.values.len());
        for value in label_values(&known.values) {
            numbers.push(self.table.of_value(&value, portions, weight)?);
        }
        for (number, lines) in numbers.into_iter().zip(known.lines) {
            self.add_lines(number, &steps, u64::from(*lines), 0);
        }
        if known.without > 0 {
            let number = self.table.of_value("", portions, weight)?;
            self.add_lines(number, &steps, known.without, 0);
        }
        Ok(())
    }

    fn add_lines(&mut self, number: usize, steps: &Range<usize>, lines: u64, bytes: u64) {
        self.statistics.lines_after_filters += lines;
        self.collected.reach(self.table.len());
        if let Collected::Tallies(tallies) = &mut self.collected {
            tallies.get(number).add_lines(steps.clone(), lines as i64, bytes as i64);
        }
    }
}

/// Values of a field as those of a label.
fn label_values<'s>(values: &Texts<'s>) -> impl Iterator<Item = Cow<'s, str>> {
    let (values, ascii) = (*values, std::str::from_utf8(values.bytes).ok());
    let ascii = ascii.filter(|text| text.is_ascii());
    (0..values.len()).map(move |index| {
        let value = match ascii.and_then(|text| text.get(values.range(index))) {
            Some(value) => Cow::Borrowed(value),
            None => String::from_utf8_lossy(values.get(index)),
        };
        match value.len() > LABEL_LENGTH_MAX {
            true => Cow::Owned(value[..value.floor_char_boundary(LABEL_LENGTH_MAX)].to_owned()),
            false => value,
        }
    })
}
