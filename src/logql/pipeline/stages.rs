//! Stages that look at lines one by one.

use super::filter::RowFilter;
use super::labels::{ERROR, ERROR_DETAILS, LineLabels};
use super::{LineState, UNAVAILABLE, Wanted};
use crate::ast::{
    Conversion, LabelFormat, LabelSelection, LabelSource, LineFilter, LineOp, LineOperand,
    StageKind, Unwrap,
};
use crate::values::{parse_bytes, parse_duration, parse_float};
use memchr::memmem::Finder;
use model::{Matcher, SearchRegex};

const SAMPLE_EXTRACTION_ERROR: &str = "SampleExtractionErr";

#[derive(Debug)]
pub(super) enum RowStage {
    Line { operands: Vec<LineCheck>, negated: bool },
    Filter(RowFilter),
    LabelFormat(Vec<Format>),
    Drop(Vec<Selected>),
    Keep(Vec<Selected>),
}

#[derive(Debug)]
pub(super) enum LineCheck {
    Text(Box<Finder<'static>>),
    Regex(SearchRegex),
}

#[derive(Debug)]
pub(super) enum Format {
    Rename { to: String, from: String },
}

/// A label, where its value matches.
#[derive(Debug)]
pub(super) struct Selected {
    name: String,
    matcher: Option<Matcher>,
}

impl Selected {
    fn all(selections: &[LabelSelection]) -> Vec<Self> {
        let selected = |selection: &LabelSelection| Self {
            name: selection.name().to_owned(),
            matcher: match selection {
                LabelSelection::Name(_) => None,
                LabelSelection::Matching(matcher) => Some(matcher.clone()),
            },
        };
        selections.iter().map(selected).collect()
    }

    fn holds(&self, name: &str, value: &str) -> bool {
        self.name == name && self.matcher.as_ref().is_none_or(|matcher| matcher.matches(value))
    }
}

impl RowStage {
    /// `Err`: what is wrong with the stage.
    pub(super) fn new(kind: &StageKind, _wanted: &Wanted) -> Result<Self, String> {
        match kind {
            StageKind::LineFilter(filter) => Self::line_filter(filter),
            StageKind::LabelFilter(filter) => RowFilter::new(filter).map(Self::Filter),
            StageKind::Drop(selections) => Ok(Self::Drop(Selected::all(selections))),
            StageKind::Keep(selections) => Ok(Self::Keep(Selected::all(selections))),
            StageKind::LabelFormat(formats) => {
                formats.iter().map(Format::new).collect::<Result<_, _>>().map(Self::LabelFormat)
            }
            _ => Err(UNAVAILABLE.to_owned()),
        }
    }

    fn line_filter(filter: &LineFilter) -> Result<Self, String> {
        let check = |operand: &LineOperand| match (filter.op, operand) {
            (LineOp::Contains | LineOp::Lacks, LineOperand::Text(text)) => {
                Ok(LineCheck::Text(Box::new(Finder::new(text.as_bytes()).into_owned())))
            }
            (LineOp::Matches | LineOp::MatchesNot, LineOperand::Text(text)) => {
                SearchRegex::new(text).map(LineCheck::Regex)
            }
            _ => Err(UNAVAILABLE.to_owned()),
        };
        let operands = filter.operands.iter().map(check).collect::<Result<_, _>>()?;
        Ok(Self::Line { operands, negated: filter.op.is_negative() })
    }

    /// Whether it looks at the line.
    pub(super) fn reads_line(&self) -> bool {
        !matches!(self, Self::Filter(_) | Self::LabelFormat(_) | Self::Drop(_) | Self::Keep(_))
    }

    /// `false` where the line is dropped.
    pub(super) fn run(&self, state: &mut LineState<'_>) -> bool {
        match self {
            Self::Line { operands, negated } => {
                let line = state.line;
                operands.iter().any(|operand| operand.holds(line)) != *negated
            }
            Self::Filter(filter) => filter.passes(&mut state.labels),
            Self::LabelFormat(formats) => {
                formats.iter().for_each(|format| format.run(&mut state.labels));
                true
            }
            Self::Drop(selected) => {
                drop_labels(selected, &mut state.labels);
                true
            }
            Self::Keep(selected) => {
                keep_labels(selected, &mut state.labels);
                true
            }
        }
    }
}

impl LineCheck {
    fn holds(&self, line: &[u8]) -> bool {
        match self {
            Self::Text(finder) => finder.find(line).is_some(),
            Self::Regex(regex) => regex.is_match(line),
        }
    }
}

impl Format {
    fn new(format: &LabelFormat) -> Result<Self, String> {
        if format.label == ERROR || format.label == ERROR_DETAILS {
            return Err(format!("{} cannot be formatted", format.label));
        }
        match &format.value {
            LabelSource::Label(from) => {
                Ok(Self::Rename { to: format.label.clone(), from: from.clone() })
            }
            LabelSource::Template(_) => Err(UNAVAILABLE.to_owned()),
        }
    }

    fn run(&self, labels: &mut LineLabels<'_>) {
        match self {
            Self::Rename { to, from } => {
                if let Some(value) = labels.get(from) {
                    let value = value.to_owned();
                    if from != to {
                        labels.remove(from);
                    }
                    labels.set_parsed(to, &value);
                }
            }
        }
    }
}

fn drop_labels(selected: &[Selected], labels: &mut LineLabels<'_>) {
    for one in selected {
        let holds = labels.get(&one.name).is_some_and(|value| one.holds(&one.name, value));
        if holds {
            labels.remove(&one.name);
        }
    }
}

/// Errors stay: they are labels only for those who ask.
fn keep_labels(selected: &[Selected], labels: &mut LineLabels<'_>) {
    let mut gone = Vec::new();
    labels.for_each(|name, value| {
        if !selected.iter().any(|one| one.holds(name, value)) {
            gone.push(name.to_owned());
        }
    });
    gone.iter().for_each(|name| labels.remove(name));
}

/// Reads the value of a label.
#[derive(Debug)]
pub(super) struct Unwrapper {
    label: String,
    conversion: Option<Conversion>,
    filters: Vec<RowFilter>,
}

impl Unwrapper {
    pub(super) fn new(unwrap: &Unwrap) -> Result<Self, String> {
        let filters = unwrap.filters.iter().map(RowFilter::new).collect::<Result<_, _>>()?;
        Ok(Self { label: unwrap.label.clone(), conversion: unwrap.conversion, filters })
    }

    /// `None` where the label is not there, or a filter drops the line. A value that can't be read is an
    /// error of the line, which a filter may drop.
    pub(super) fn value(&self, labels: &mut LineLabels<'_>) -> Option<f64> {
        let text = labels.get(&self.label)?;
        let value = self.read(text.as_bytes()).unwrap_or_else(|message| {
            labels.set_error(SAMPLE_EXTRACTION_ERROR, &message);
            0.0
        });
        self.filters.iter().all(|filter| filter.passes(labels)).then_some(value)
    }

    fn read(&self, text: &[u8]) -> Result<f64, String> {
        match self.conversion {
            None => parse_float(text),
            Some(Conversion::Bytes) => parse_bytes(text).map(|bytes| bytes as f64),
            Some(Conversion::Duration | Conversion::DurationSeconds) => {
                parse_duration(text).map(|nanos| nanos as f64 / 1e9)
            }
        }
    }
}
