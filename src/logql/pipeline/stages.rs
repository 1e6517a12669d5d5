//! Stages that look at lines one by one.

use super::extraction::Extractor;
use super::filter::RowFilter;
use super::labels::{ERROR, ERROR_DETAILS, LineLabels};
use super::{Compiling, Line, LineState};
use crate::ast::{
    Conversion, LabelFormat, LabelSelection, LabelSource, LineFilter, LineOp, LineOperand,
    StageKind, Unwrap,
};
use crate::extract::Buffers;
use crate::extract::decolorize::decolorize;
use crate::extract::ip::IpMatcher;
use crate::extract::pattern::LinePattern;
use memchr::memmem::Finder;
use model::{Matcher, SearchRegex};
use std::borrow::Cow;
use template::logql::Entry;
use template::units::{parse_bytes, parse_duration, parse_float};
use template::{Bounds, Template};

const TEMPLATE_ERROR: &str = "TemplateFormatErr";
const SAMPLE_EXTRACTION_ERROR: &str = "SampleExtractionErr";

#[derive(Debug)]
pub(super) enum RowStage {
    Line { operands: Vec<LineCheck>, negated: bool },
    Filter(RowFilter),
    Extract(Box<Extractor>),
    Decolorize,
    LineFormat(Writer),
    LabelFormat(Vec<Format>),
    Drop(Vec<Selected>),
    Keep(Vec<Selected>),
}

#[derive(Debug)]
pub(super) enum LineCheck {
    Text(Box<Finder<'static>>),
    Regex(SearchRegex),
    Pattern(LinePattern),
    Ip(IpMatcher),
}

#[derive(Debug)]
pub(super) enum Format {
    Rename { to: String, from: String },
    Write { to: String, writer: Writer },
}

/// Writes a text by a template.
#[derive(Debug)]
pub(super) struct Writer {
    template: Template,
    now_ns: i64,
}

impl Writer {
    /// `name`: what the template makes, for messages.
    fn new(name: &str, text: &str, compiling: &Compiling<'_>) -> Result<Self, String> {
        let template = Template::parse(name, text, compiling.functions)
            .map_err(|error| format!("invalid {name} template: {error}"))?;
        Ok(Self { template, now_ns: compiling.now_ns })
    }

    /// `None`, and an error of the line, where the template can't be executed.
    fn write(&self, state: &mut LineState<'_>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let entry = Entry {
            labels: &state.labels,
            line: state.line.bytes(),
            timestamp: state.time,
            now: self.now_ns,
        };
        match self.template.execute(&entry, &Bounds::default(), &mut out) {
            Ok(()) => Some(out),
            Err(error) => {
                state.labels.set_error(TEMPLATE_ERROR, &error.to_string());
                None
            }
        }
    }
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
    pub(super) fn new(kind: &StageKind, compiling: &Compiling<'_>) -> Result<Self, String> {
        match kind {
            StageKind::LineFilter(filter) => Self::line_filter(filter),
            StageKind::LabelFilter(filter) => RowFilter::new(filter).map(Self::Filter),
            StageKind::Drop(selections) => Ok(Self::Drop(Selected::all(selections))),
            StageKind::Keep(selections) => Ok(Self::Keep(Selected::all(selections))),
            StageKind::LabelFormat(formats) => {
                let format = |format| Format::new(format, compiling);
                formats.iter().map(format).collect::<Result<_, _>>().map(Self::LabelFormat)
            }
            StageKind::LineFormat(text) => {
                Writer::new("line", text, compiling).map(Self::LineFormat)
            }
            StageKind::Decolorize => Ok(Self::Decolorize),
            StageKind::Json(_)
            | StageKind::Logfmt { .. }
            | StageKind::Regexp(_)
            | StageKind::Pattern(_)
            | StageKind::Unpack => {
                Extractor::new(kind, compiling).map(|extractor| Self::Extract(Box::new(extractor)))
            }
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
            (LineOp::Pattern | LineOp::PatternNot, LineOperand::Text(text)) => {
                LinePattern::new(text).map(LineCheck::Pattern)
            }
            (_, LineOperand::Ip(pattern)) => IpMatcher::new(pattern).map(LineCheck::Ip),
        };
        let operands = filter.operands.iter().map(check).collect::<Result<_, _>>()?;
        Ok(Self::Line { operands, negated: filter.op.is_negative() })
    }

    pub(super) fn is_line_filter(&self) -> bool {
        matches!(self, Self::Line { .. })
    }

    /// Whether it can set an error.
    pub(super) fn can_fail(&self) -> bool {
        !matches!(self, Self::Line { .. } | Self::Decolorize | Self::Drop(_) | Self::Keep(_))
    }

    /// Whether no filter of lines may be taken in front of it.
    pub(super) fn makes_lines(&self) -> bool {
        match self {
            Self::LineFormat(_) => true,
            Self::Extract(extractor) => extractor.makes_lines(),
            _ => false,
        }
    }

    /// Whether it looks at the line.
    pub(super) fn reads_line(&self) -> bool {
        !matches!(self, Self::Filter(_) | Self::LabelFormat(_) | Self::Drop(_) | Self::Keep(_))
    }

    /// `false` where the line is dropped.
    pub(super) fn run(&self, state: &mut LineState<'_>, buffers: &mut Buffers) -> bool {
        match self {
            Self::Line { operands, negated } => {
                let line = state.line.bytes();
                operands.iter().any(|operand| operand.holds(line)) != *negated
            }
            Self::Filter(filter) => filter.passes(&mut state.labels),
            Self::Extract(extractor) => extractor.run(state, buffers),
            Self::Decolorize => {
                if let Cow::Owned(line) = decolorize(state.line.bytes()) {
                    state.line = Line::Made(line);
                }
                true
            }
            Self::LabelFormat(formats) => {
                format_labels(formats, state);
                true
            }
            Self::LineFormat(writer) => {
                if let Some(line) = writer.write(state) {
                    state.line = Line::Made(line);
                }
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
            Self::Pattern(pattern) => pattern.is_match(line),
            Self::Ip(addresses) => addresses.is_match(line),
        }
    }
}

impl Format {
    fn new(format: &LabelFormat, compiling: &Compiling<'_>) -> Result<Self, String> {
        if format.label == ERROR || format.label == ERROR_DETAILS {
            return Err(format!("{} cannot be formatted", format.label));
        }
        match &format.value {
            LabelSource::Label(from) => {
                Ok(Self::Rename { to: format.label.clone(), from: from.clone() })
            }
            LabelSource::Template(text) => {
                let writer = Writer::new("label", text, compiling)?;
                Ok(Self::Write { to: format.label.clone(), writer })
            }
        }
    }
}

/// Templates see the labels as they were before any of the others has written, but renamed.
fn format_labels(formats: &[Format], state: &mut LineState<'_>) {
    let mut written = Vec::new();
    for format in formats {
        match format {
            Format::Rename { to, from } => state.labels.rename(from, to),
            Format::Write { to, writer } => {
                written.extend(writer.write(state).map(|text| (to, text)))
            }
        }
    }
    for (to, text) in written {
        state.labels.set_parsed(to, &String::from_utf8_lossy(&text));
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

    /// Whether values are numbers, without units.
    pub(super) fn takes_numbers(&self) -> bool {
        self.conversion.is_none()
    }

    pub(super) fn read(&self, text: &[u8]) -> Result<f64, String> {
        match self.conversion {
            None => parse_float(text),
            Some(Conversion::Bytes) => parse_bytes(text).map(|bytes| bytes as f64),
            Some(Conversion::Duration | Conversion::DurationSeconds) => {
                parse_duration(text).map(|nanos| nanos as f64 / 1e9)
            }
        }
    }
}
