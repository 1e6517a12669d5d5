//! Stages, compiled once for a query.
//!
//! What comes first of a pipeline and looks only at stored lines and fields becomes conditions
//! (`conditions`), which stores know and which are evaluated on columns. Rows that are left go through
//! the other stages one by one (`stages`), with their labels (`labels`).
//! Invariant: taking a filter to the front changes no answer, because a filter does nothing but drop
//! lines: a filter of lines is taken to the front of whatever does not change lines, one of labels only
//! where no stage stands before it.

pub(crate) mod conditions;
mod filter;
pub(crate) mod labels;
mod stages;

use crate::ast::{LabelFilter, LineFilter, LineOp, LineOperand, LogExpr, Stage, StageKind, Unwrap};
use crate::error::ParseError;
use crate::storage::{Condition, FieldNeeds, Needs};
use conditions::Conditions;
use filter::{RowFilter, as_filter};
use labels::{EXTRACTED, LineLabels};
use model::{Matcher, SearchRegex};
use stages::{RowStage, Unwrapper};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const UNAVAILABLE: &str = "this stage can't be evaluated yet";

/// Which labels of a line matter in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    These(BTreeSet<String>),
}

/// What a pipeline is for.
#[derive(Clone, Debug)]
pub(crate) struct Purpose {
    /// Whether lines, or how long they are, matter in the end.
    pub(crate) lines: bool,
    pub(crate) labels: Wanted,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) conditions: Conditions,
    stages: Vec<RowStage>,
    unwrap: Option<Unwrapper>,
    pub(crate) needs: Needs,
}

/// One line on its way.
#[derive(Debug)]
pub(crate) struct LineState<'a> {
    pub(crate) time: i64,
    pub(crate) labels: LineLabels<'a>,
    pub(crate) line: &'a [u8],
}

impl Pipeline {
    pub(crate) fn new(
        log: &LogExpr,
        unwrap: Option<&Unwrap>,
        purpose: &Purpose,
    ) -> Result<Self, ParseError> {
        let wanted = wanted_labels(log, unwrap, purpose);
        let mut conditions = Conditions::default();
        let mut stages = Vec::new();
        let mut front = Front::default();
        for stage in &log.stages {
            let failed = |message: String| {
                let shown = &stage.kind;
                ParseError::meaning(stage.position, format!("stage '{shown}' : {message}"))
            };
            if front.takes(stage, &mut conditions).map_err(failed)? {
                continue;
            }
            stages.push(RowStage::new(&stage.kind, &wanted).map_err(failed)?);
        }
        let unwrap = unwrap.map(unwrapper).transpose()?;
        let reads_lines = stages.iter().any(RowStage::reads_line);
        let needs = Needs {
            lines: purpose.lines || reads_lines || conditions.need_lines(),
            fields: field_needs(&wanted, &conditions),
        };
        Ok(Self { conditions, stages, unwrap, needs })
    }

    /// Whether all is said by the conditions, so that rows need not be looked at one by one.
    pub(crate) fn is_columnar(&self) -> bool {
        self.stages.is_empty() && self.unwrap.is_none()
    }

    /// Whether the value of a label counts rather than the line.
    pub(crate) fn unwraps(&self) -> bool {
        self.unwrap.is_some()
    }

    /// Takes a line through the stages behind the conditions; `false` where one of them drops it.
    pub(crate) fn run(&self, state: &mut LineState<'_>) -> bool {
        self.stages.iter().all(|stage| stage.run(state))
    }

    /// The value of a line that has gone through the stages; `None` where it has none.
    pub(crate) fn value(&self, state: &mut LineState<'_>) -> Option<f64> {
        self.unwrap.as_ref()?.value(&mut state.labels)
    }
}

fn unwrapper(unwrap: &Unwrap) -> Result<Unwrapper, ParseError> {
    Unwrapper::new(unwrap)
        .map_err(|message| ParseError::meaning(unwrap.position, format!("unwrap : {message}")))
}

/// What of the stages so far allows to take a filter to the front.
#[derive(Default)]
struct Front {
    lines_changed: bool,
    labels_changed: bool,
}

impl Front {
    /// Whether the stage has become a condition.
    fn takes(&mut self, stage: &Stage, conditions: &mut Conditions) -> Result<bool, String> {
        match &stage.kind {
            StageKind::LineFilter(filter) if !self.lines_changed && !conditions.is_full() => {
                if let Some(condition) = line_condition(filter)? {
                    conditions.push(condition)?;
                    return Ok(true);
                }
                Ok(false)
            }
            StageKind::LabelFilter(filter) if !self.labels_changed => {
                let taken = push_matchers(filter, conditions)?;
                self.labels_changed |= !taken;
                Ok(taken)
            }
            StageKind::LineFormat(_) | StageKind::Unpack | StageKind::Decolorize => {
                (self.lines_changed, self.labels_changed) = (true, true);
                Ok(false)
            }
            StageKind::LineFilter(_) => Ok(false),
            _ => {
                self.labels_changed = true;
                Ok(false)
            }
        }
    }
}

/// `None` where the filter is more than texts.
fn line_condition(filter: &LineFilter) -> Result<Option<Condition>, String> {
    let texts: Option<Vec<String>> = filter
        .operands
        .iter()
        .map(|operand| match operand {
            LineOperand::Text(text) => Some(text.clone()),
            LineOperand::Ip(_) => None,
        })
        .collect();
    let Some(texts) = texts else { return Ok(None) };
    Ok(match filter.op {
        LineOp::Contains => Some(Condition::Contains { texts, ignore_case: false }),
        LineOp::Lacks => Some(Condition::Lacks { texts }),
        LineOp::Matches | LineOp::MatchesNot => {
            Some(regex_condition(&texts, filter.op == LineOp::MatchesNot)?)
        }
        LineOp::Pattern | LineOp::PatternNot => None,
    })
}

/// An expression that only lists texts is a search for them.
fn regex_condition(patterns: &[String], negated: bool) -> Result<Condition, String> {
    let listed = |pattern: &String| {
        let (pattern, ignore_case) =
            pattern.strip_prefix("(?i)").map_or((pattern.as_str(), false), |rest| (rest, true));
        let anchored = model::AnchoredRegex::new(pattern).ok()?;
        Some((anchored.literals()?.to_vec(), ignore_case))
    };
    if let [pattern] = patterns
        && let Some((texts, ignore_case)) = listed(pattern)
    {
        match (negated, ignore_case) {
            (false, ignore_case) => return Ok(Condition::Contains { texts, ignore_case }),
            (true, false) => return Ok(Condition::Lacks { texts }),
            (true, true) => {}
        }
    }
    let joined = match patterns {
        [pattern] => pattern.clone(),
        patterns => {
            let grouped: Vec<String> = patterns.iter().map(|text| format!("(?:{text})")).collect();
            grouped.join("|")
        }
    };
    let regex = SearchRegex::new(&joined)?;
    Ok(Condition::Matches { regex: Arc::new(regex.engine().clone()), negated })
}

/// Conditions of texts that must all hold; `false`, and nothing is pushed, where the filter is more.
fn push_matchers(filter: &LabelFilter, conditions: &mut Conditions) -> Result<bool, String> {
    let mut matchers: Vec<&Matcher> = Vec::new();
    if !collect_matchers(filter, &mut matchers) {
        return Ok(false);
    }
    let room = crate::storage::CONDITIONS_MAX - conditions.wanted.len();
    // Such a name may be that of a field which has been renamed, because its stream has the label.
    let is_plain =
        |matcher: &&Matcher| !matcher.name.starts_with("__") && !matcher.name.ends_with(EXTRACTED);
    if matchers.len() > room || !matchers.iter().all(is_plain) {
        return Ok(false);
    }
    for matcher in matchers {
        conditions.push(Condition::Field(as_filter(matcher)?))?;
    }
    Ok(true)
}

fn collect_matchers<'a>(filter: &'a LabelFilter, matchers: &mut Vec<&'a Matcher>) -> bool {
    match filter {
        LabelFilter::Text(matcher) => {
            matchers.push(matcher);
            true
        }
        LabelFilter::And(left, right) => {
            collect_matchers(left, matchers) && collect_matchers(right, matchers)
        }
        _ => false,
    }
}

/// The labels that the stages, the unwrapped value or the result look at.
fn wanted_labels(log: &LogExpr, unwrap: Option<&Unwrap>, purpose: &Purpose) -> Wanted {
    let Wanted::These(mut wanted) = purpose.labels.clone() else { return Wanted::All };
    let mut names = Vec::new();
    for stage in &log.stages {
        match &stage.kind {
            StageKind::LabelFilter(filter) => RowFilter::names(filter, &mut names),
            // A template may look at any label.
            StageKind::LineFormat(_) => return Wanted::All,
            StageKind::LabelFormat(formats) => {
                for format in formats {
                    match &format.value {
                        crate::ast::LabelSource::Label(source) => names.push(source.clone()),
                        crate::ast::LabelSource::Template(_) => return Wanted::All,
                    }
                }
            }
            StageKind::Drop(selections) | StageKind::Keep(selections) => {
                names.extend(selections.iter().map(|selection| selection.name().to_owned()));
            }
            _ => {}
        }
    }
    if let Some(unwrap) = unwrap {
        names.push(unwrap.label.clone());
        unwrap.filters.iter().for_each(|filter| RowFilter::names(filter, &mut names));
    }
    wanted.extend(names);
    Wanted::These(wanted)
}

/// The fields that labels of these names may come from.
fn field_needs(wanted: &Wanted, conditions: &Conditions) -> FieldNeeds {
    let Wanted::These(wanted) = wanted else { return FieldNeeds::All };
    let renamed = wanted.iter().filter_map(|name| name.strip_suffix(EXTRACTED));
    let names = wanted.iter().map(String::as_str).chain(renamed).chain(conditions.fields());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if names.is_empty() { FieldNeeds::None } else { FieldNeeds::These(names) }
}
