//! Conditions on the columns of a piece: looked at for all of its rows, one condition after the other.
//!
//! A text is searched for in all lines at once; a field's condition is evaluated once for each distinct
//! value. What a store has checked is not looked at again.

use crate::storage::{ABSENT, Condition, Rows, Selection};
use memchr::memmem::Finder;
use model::{MatchOp, Matcher, SearchRegex, escape_regex};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::Arc;

/// A text with so many digits is taken for an identifier.
const IDENTIFIER_DIGITS: usize = 4;

/// The rows of a piece that are left.
#[derive(Debug)]
pub(crate) enum Picked {
    All(usize),
    /// Rising.
    Some(Vec<u32>),
}

impl Picked {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(rows) => rows.len(),
        }
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> usize {
        match self {
            Self::All(_) => index,
            Self::Some(rows) => rows[index] as usize,
        }
    }

    /// How many from the place `from` on are rows before `end`.
    pub(crate) fn before(&self, end: usize, from: usize) -> usize {
        match self {
            Self::All(_) => end - from,
            Self::Some(rows) => {
                gallop(rows.len() - from, |offset| (rows[from + offset] as usize) < end)
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        match self {
            Self::All(count) => {
                let kept = (0..*count as u32).filter(|row| keep(*row as usize));
                *self = Self::Some(kept.collect());
            }
            Self::Some(rows) => rows.retain(|row| keep(*row as usize)),
        }
    }
}

/// A condition, ready to be evaluated.
#[derive(Debug)]
enum Check {
    Text(Box<Finder<'static>>),
    Texts { finders: Vec<Finder<'static>>, negated: bool },
    Regex { regex: Arc<Regex>, negated: bool },
    Field(Matcher),
}

/// All conditions of a pipeline.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    /// As the store gets them.
    pub(crate) wanted: Vec<Condition>,
    checks: Vec<Check>,
}

impl Conditions {
    pub(crate) fn is_full(&self) -> bool {
        self.wanted.len() >= crate::storage::CONDITIONS_MAX
    }

    pub(crate) fn push(&mut self, condition: Condition) -> Result<(), String> {
        let check = match &condition {
            Condition::Contains { texts, ignore_case: false } => match &texts[..] {
                [text] => Check::Text(Box::new(finder(text))),
                texts => {
                    Check::Texts { finders: texts.iter().map(finder).collect(), negated: false }
                }
            },
            Condition::Contains { texts, ignore_case: true } => {
                let escaped: Vec<String> = texts.iter().map(|text| escape_regex(text)).collect();
                let regex = SearchRegex::new(&format!("(?i)(?:{})", escaped.join("|")))?;
                Check::Regex { regex: Arc::new(regex.engine().clone()), negated: false }
            }
            Condition::Lacks { texts } => {
                Check::Texts { finders: texts.iter().map(finder).collect(), negated: true }
            }
            Condition::Matches { regex, negated } => {
                Check::Regex { regex: Arc::clone(regex), negated: *negated }
            }
            Condition::Field(matcher) => Check::Field(matcher.clone()),
        };
        self.wanted.push(condition);
        self.checks.push(check);
        Ok(())
    }

    /// Whether a condition asks for a text of many digits: only few lines have an identifier.
    pub(crate) fn seek_identifier(&self) -> bool {
        let is_identifier =
            |text: &String| text.bytes().filter(u8::is_ascii_digit).count() >= IDENTIFIER_DIGITS;
        self.wanted.iter().any(|condition| match condition {
            Condition::Contains { texts, .. } => texts.iter().all(is_identifier),
            Condition::Field(matcher) => {
                matcher.op == MatchOp::Equal && is_identifier(&matcher.value)
            }
            Condition::Lacks { .. } | Condition::Matches { .. } => false,
        })
    }

    /// For each stream whether its labels let its lines through.
    pub(crate) fn streams(&self, selection: &dyn Selection) -> Vec<bool> {
        let fields: Vec<&Matcher> = self
            .checks
            .iter()
            .filter_map(|check| match check {
                Check::Field(matcher) => Some(matcher),
                _ => None,
            })
            .collect();
        let passes = |stream: usize| {
            let labels = selection.labels(stream as u32);
            let holds = |matcher: &&Matcher| {
                labels.get(&matcher.name).is_none_or(|value| matcher.matches(value))
            };
            fields.iter().all(holds)
        };
        (0..selection.stream_count()).map(passes).collect()
    }

    /// The rows for which all conditions hold. `passing`: what [`Self::streams`] said.
    pub(crate) fn pick(
        &self,
        rows: &Rows<'_>,
        selection: &dyn Selection,
        passing: &[bool],
    ) -> Picked {
        let mut picked = Picked::All(rows.times.len());
        if !passing.iter().all(|passes| *passes) {
            let passes = |row: usize| passing.get(rows.streams[row] as usize) == Some(&true);
            picked.retain(passes);
        }
        let unchecked =
            self.checks.iter().enumerate().filter(|(bit, _)| rows.checked >> bit & 1 == 0);
        // Conditions on fields cost least.
        let (fields, lines): (Vec<_>, Vec<_>) =
            unchecked.map(|(_, check)| check).partition(|check| matches!(check, Check::Field(_)));
        for check in fields.into_iter().chain(lines) {
            check.narrow(rows, selection, &mut picked);
        }
        picked
    }
}

fn finder(text: &String) -> Finder<'static> {
    Finder::new(text.as_bytes()).into_owned()
}

impl Check {
    fn narrow(&self, rows: &Rows<'_>, selection: &dyn Selection, picked: &mut Picked) {
        match self {
            Self::Text(finder) => match picked {
                Picked::All(_) => *picked = Picked::Some(rows_with(rows, finder)),
                Picked::Some(_) => picked.retain(|row| finder.find(rows.lines.get(row)).is_some()),
            },
            Self::Texts { finders, negated } => picked.retain(|row| {
                let line = rows.lines.get(row);
                finders.iter().any(|finder| finder.find(line).is_some()) != *negated
            }),
            Self::Regex { regex, negated } => {
                picked.retain(|row| regex.is_match(rows.lines.get(row)) != *negated);
            }
            Self::Field(matcher) => narrow_by_field(matcher, rows, selection, picked),
        }
    }
}

/// The rows whose lines contain a text: one search through all lines, as they lie one behind the other.
fn rows_with(rows: &Rows<'_>, finder: &Finder<'_>) -> Vec<u32> {
    let (bytes, ends) = (rows.lines.bytes, rows.lines.ends);
    if finder.needle().is_empty() {
        return (0..ends.len() as u32).collect();
    }
    let (mut found, mut at, mut first) = (Vec::new(), 0, 0);
    while let Some(hit) = bytes.get(at..).and_then(|rest| finder.find(rest)) {
        let start = at + hit;
        let row = first + gallop(ends.len() - first, |row| ends[first + row] as usize <= start);
        first = row;
        let Some(end) = ends.get(row) else { break };
        let end = *end as usize;
        if start + finder.needle().len() <= end {
            found.push(row as u32);
            at = end;
        } else {
            // The text lies across the end of a line.
            at = start + 1;
        }
    }
    found
}

fn narrow_by_field(
    matcher: &Matcher,
    rows: &Rows<'_>,
    selection: &dyn Selection,
    picked: &mut Picked,
) {
    let absent = matcher.matches("");
    let column = rows.fields.iter().find(|column| column.name == matcher.name);
    let values: Vec<bool> = column.map_or_else(Vec::new, |column| {
        let matches = |code| {
            std::str::from_utf8(column.values.get(code)).is_ok_and(|value| matcher.matches(value))
        };
        (0..column.values.len()).map(matches).collect()
    });
    let holds = |row: usize| match column.and_then(|column| column.codes.get(row)) {
        None | Some(&ABSENT) => absent,
        Some(code) => values.get(*code as usize).copied().unwrap_or(absent),
    };
    // Streams that have the label were chosen by it.
    let exempt: Vec<Range<usize>> = stream_runs(rows)
        .filter(|run| selection.labels(rows.streams[run.start]).get(&matcher.name).is_some())
        .collect();
    if exempt.is_empty() {
        picked.retain(holds);
        return;
    }
    let is_exempt = |row: usize| {
        let before = exempt.partition_point(|run| run.end <= row);
        exempt.get(before).is_some_and(|run| run.start <= row)
    };
    picked.retain(|row| is_exempt(row) || holds(row));
}

/// The rows of each stream, which lie together.
pub(crate) fn stream_runs<'a>(rows: &Rows<'a>) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let streams = rows.streams;
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = *streams.get(at)?;
        let start = at;
        at += gallop(streams.len() - at, |offset| streams[start + offset] == first);
        Some(start..at)
    })
}

/// How many of the first `length` items a condition holds for, where it holds for a first part of them
/// and for no other; quick where that part is short.
pub(crate) fn gallop(length: usize, holds: impl Fn(usize) -> bool) -> usize {
    let mut reach = 1;
    while reach < length && holds(reach) {
        reach *= 2;
    }
    let (mut low, mut high) = (reach / 2, reach.min(length));
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn galloping_finds_the_edge(length in 0usize..200, edge in 0usize..200) {
            let edge = edge.min(length);
            prop_assert_eq!(gallop(length, |index| index < edge), edge);
        }

        #[test]
        fn a_search_through_all_lines_finds_those_of_each(
            lines in prop::collection::vec("[ab]{0,4}", 0..20), needle in "[ab]{0,3}",
        ) {
            let bytes = lines.concat();
            let mut end = 0;
            let ends: Vec<u32> = lines.iter().map(|line| { end += line.len() as u32; end }).collect();
            let texts = crate::Texts { bytes: bytes.as_bytes(), ends: &ends };
            let rows = Rows { times: &[], streams: &[], lines: texts, fields: Vec::new(), texts: Vec::new(), checked: 0 };
            let found = rows_with(&rows, &Finder::new(&needle));
            let expected: Vec<u32> =
                (0..lines.len()).filter(|row| lines[*row].contains(&needle)).map(|row| row as u32).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
