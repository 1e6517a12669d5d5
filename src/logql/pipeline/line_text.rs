//! The label that a stage extracts, as a text that the store finds in its columns.
//!
//! Each slot of a template is filled with a mark, and the label is extracted from that line. Which marks
//! its value holds says on which slots it depends. That is true of all lines of the template as long as
//! what stands in a slot can't change how the rest is read:
//!
//! - JSON: a slot is a value: a text, which ends where the template says, a number or a word of JSON.
//! - logfmt: a slot is a word, which neither begins nor ends a pair. It must not be in a key.
//! - `pattern`: the texts of the pattern must begin and end with bytes that no word has, and hold no
//!   digit, so that they are found in the template only.
//!
//! Of other stages, and other templates, lines are read.

use super::field_reader::FieldReader;
use crate::ast::StageKind;
use crate::extract::logfmt::{self, LogfmtOptions};
use crate::extract::{Buffers, ExtractError, Fields, is_text};
use log_store::{Answer, Found, InTemplate, LineText, Template, TextReader};
use memchr::memmem;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A stage whose labels can be found one by one.
#[derive(Clone, Debug)]
pub(crate) struct TextStage {
    reader: Arc<FieldReader>,
    /// The labels that it makes; `None`: any.
    labels: Option<Vec<String>>,
}

impl TextStage {
    /// `None` for other stages, and for those that make one label in several ways.
    pub(crate) fn of(kind: &StageKind) -> Option<Self> {
        let reader = FieldReader::new(kind).ok()?;
        let labels = match (&reader, kind) {
            (FieldReader::Json | FieldReader::Logfmt(_), _) => None,
            (FieldReader::Pattern(pattern), _) if pattern.is_beside_words() => {
                Some(pattern.names().map(str::to_owned).collect())
            }
            (
                FieldReader::JsonPaths(_) | FieldReader::LogfmtKeys { .. },
                StageKind::Json(expressions) | StageKind::Logfmt { expressions, .. },
            ) => Some(expressions.iter().map(|one| one.label.clone()).collect::<Vec<_>>()),
            _ => return None,
        };
        if let Some(labels) = &labels {
            let is_twice = |index: usize| labels[..index].contains(&labels[index]);
            if (0..labels.len()).any(is_twice) {
                return None;
            }
        }
        Some(Self { reader: Arc::new(reader), labels })
    }

    /// Whether it may make a label of this name.
    pub(crate) fn makes(&self, label: &str) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.iter().any(|known| known == label))
    }

    /// The labels that it makes; `None`: any.
    pub(crate) fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// Whether lines that it can't read have errors.
    pub(crate) fn can_fail(&self) -> bool {
        self.reader.can_fail()
    }

    /// A label that no line has: it says which lines can't be read to their end.
    pub(crate) fn whole(&self) -> Arc<dyn LineText> {
        self.text("")
    }

    pub(crate) fn text(&self, label: &str) -> Arc<dyn LineText> {
        Arc::new(LabelText { reader: Arc::clone(&self.reader), label: label.to_owned() })
    }
}

#[derive(Debug)]
struct LabelText {
    reader: Arc<FieldReader>,
    label: String,
}

impl LineText for LabelText {
    fn reader(&self) -> Box<dyn TextReader + '_> {
        Box::new(LabelReader { text: self, buffers: Buffers::default(), sample: Vec::new() })
    }
}

struct LabelReader<'t> {
    text: &'t LabelText,
    buffers: Buffers,
    /// A template whose slots are filled with marks.
    sample: Vec<u8>,
}

/// Stands in a slot, with its number and [`MARK_END`]: a word, and a number for JSON. Templates have
/// nothing like it.
const MARK: &[u8] = b"0zq";
const MARK_END: &[u8] = b"qz";

fn push_mark(slot: usize, line: &mut Vec<u8>) {
    line.extend_from_slice(MARK);
    line.extend_from_slice(slot.to_string().as_bytes());
    line.extend_from_slice(MARK_END);
}

/// The slots whose marks a text holds, in its order.
fn marks_in(text: &[u8]) -> Vec<usize> {
    let mut slots = Vec::new();
    for at in memmem::find_iter(text, MARK) {
        let rest = text.get(at + MARK.len()..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        slots.push(digits.fold(0, |slot, digit| slot * 10 + usize::from(digit - b'0')));
    }
    slots
}

impl LabelReader<'_> {
    fn extract(&mut self, line: &[u8], sink: &mut Sink<'_>) -> Result<(), ExtractError> {
        self.text.reader.extract(line, &mut self.buffers, sink)
    }

    fn mark_of(slot: usize) -> Vec<u8> {
        let mut mark = Vec::new();
        push_mark(slot, &mut mark);
        mark
    }

    /// Whether a slot is in a key of logfmt.
    fn has_marked_keys(&mut self, sample: &[u8]) -> bool {
        let (mut text, options) = (Vec::new(), LogfmtOptions::default());
        let mut sink = Sink::new("", &mut text);
        // What is wrong with the sample is told elsewhere.
        let _ = logfmt::extract(sample, options, &mut self.buffers, &mut sink);
        sink.has_marked_names.get()
    }

    fn is_json(&self) -> bool {
        matches!(&*self.text.reader, FieldReader::Json | FieldReader::JsonPaths(_))
    }

    fn fill(&mut self, template: &[u8]) -> Vec<u8> {
        let mut sample = std::mem::take(&mut self.sample);
        sample.clear();
        for (number, segment) in template.split(|byte| *byte == Template::SLOT).enumerate() {
            if let Some(slot) = number.checked_sub(1) {
                push_mark(slot, &mut sample);
            }
            sample.extend_from_slice(segment);
        }
        sample
    }

    fn locate(&mut self, sample: &[u8], template: &Template<'_>) -> InTemplate {
        let is_logfmt =
            matches!(&*self.text.reader, FieldReader::Logfmt(_) | FieldReader::LogfmtKeys { .. });
        if is_logfmt && self.has_marked_keys(sample) {
            return InTemplate::Lines;
        }
        let (mut text, label) = (Vec::new(), &self.text.label);
        let mut sink = Sink::new(label, &mut text);
        let outcome = self.extract(sample, &mut sink);
        let Sink { has_text, has_marked_names, .. } = sink;
        if has_marked_names.get() {
            return InTemplate::Lines;
        }
        let slots = marks_in(&text);
        let Some(first) = slots.first().filter(|_| outcome.is_ok() && has_text) else {
            return InTemplate::Same;
        };
        let answer = match text == Self::mark_of(*first) {
            true if template.is_json && is_quoted(template.text, *first) => Answer::Quoted,
            true => Answer::Bare,
            false => Answer::Part,
        };
        InTemplate::Slots { slots, answer }
    }
}

impl TextReader for LabelReader<'_> {
    fn in_template(&mut self, template: &Template<'_>) -> InTemplate {
        let is_known = match self.is_json() {
            true => template.is_json || !may_be_json(template.text),
            false => !template.is_json,
        };
        if !is_known || memmem::find(template.text, MARK).is_some() {
            return InTemplate::Lines;
        }
        let sample = self.fill(template.text);
        let located = self.locate(&sample, template);
        self.sample = sample;
        located
    }

    fn in_line(&mut self, line: &[u8], text: &mut Vec<u8>) -> Found {
        let label = &self.text.label;
        let mut sink = Sink::new(label, text);
        let outcome = self.extract(line, &mut sink);
        match outcome {
            _ if sink.has_text => Found::Text,
            Ok(()) => Found::Nothing,
            Err(_) => Found::Failed,
        }
    }

    fn is_verbatim(&self, answer: Answer, text: &[u8]) -> bool {
        match answer {
            Answer::Part => false,
            Answer::Quoted => memchr::memchr(b'\\', text).is_none() && is_as_it_is(text),
            Answer::Bare => is_as_it_is(text) && !(self.is_json() && text == b"null"),
        }
    }
}

fn is_as_it_is(text: &[u8]) -> bool {
    text.is_ascii() || is_text(text)
}

/// Whether a slot is what stands between quotes.
fn is_quoted(template: &[u8], slot: usize) -> bool {
    let at = memchr::memchr_iter(Template::SLOT, template).nth(slot);
    at.and_then(|at| at.checked_sub(1)).and_then(|before| template.get(before)) == Some(&b'"')
}

/// Whether lines of a template may be JSON. A slot does not begin with a bracket or a quote: it is a word
/// here.
fn may_be_json(template: &[u8]) -> bool {
    let first = template.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'"'))
}

/// Takes the value of one label.
struct Sink<'s> {
    label: &'s str,
    text: &'s mut Vec<u8>,
    has_text: bool,
    /// Whether a name has a mark.
    has_marked_names: Cell<bool>,
}

impl<'s> Sink<'s> {
    fn new(label: &'s str, text: &'s mut Vec<u8>) -> Self {
        Self { label, text, has_text: false, has_marked_names: Cell::new(false) }
    }

    fn look_at(&self, name: &str) {
        if memmem::find(name.as_bytes(), MARK).is_some() {
            self.has_marked_names.set(true);
        }
    }
}

impl Fields for Sink<'_> {
    fn wants(&self, name: &str) -> bool {
        self.look_at(name);
        name == self.label
    }

    fn wants_below(&self, prefix: &str) -> bool {
        self.look_at(prefix);
        self.label.starts_with(prefix)
    }

    fn field(&mut self, name: &str, value: &str) -> ControlFlow<()> {
        if name != self.label {
            return ControlFlow::Continue(());
        }
        self.text.extend_from_slice(value.as_bytes());
        self.has_text = true;
        ControlFlow::Break(())
    }

    fn absent(&mut self, name: &str) {
        self.has_text |= name == self.label;
    }
}
