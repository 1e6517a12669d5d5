//! Stages, compiled once for a query.
//!
//! What comes first of a pipeline and looks only at stored lines and fields becomes conditions
//! (`conditions`), which stores know and which are evaluated on columns. Rows that are left go through
//! the other stages one by one (`stages`), with their labels (`labels`).
//! A filter of lines is taken to the front of all stages but `line_format` and `unpack`, which make other
//! lines (`decolorize` does too, but so does Loki); one of labels only where no stage before it makes or
//! drops labels. It does nothing but drop lines, so that its place changes no answer otherwise.

pub(crate) mod conditions;
mod extraction;
mod filter;
pub(crate) mod labels;
mod stages;

use crate::ast::{LabelFilter, LineFilter, LineOp, LineOperand, LogExpr, Stage, StageKind, Unwrap};
use crate::error::ParseError;
use crate::extract::Buffers;
use crate::storage::{Condition, FieldNeeds, Needs};
use conditions::Conditions;
use filter::{RowFilter, as_filter};
use labels::{EXTRACTED, LineLabels};
use model::{Labels, Matcher, SearchRegex};
use stages::{RowStage, Unwrapper};
use std::collections::BTreeSet;
use std::sync::Arc;
use template::Template;

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

/// What stages are compiled for.
pub(crate) struct Compiling<'a> {
    /// Labels that some stage or the result looks at: others need not be extracted.
    pub(crate) wanted: &'a Wanted,
    pub(crate) functions: &'a template::Registry,
    /// What the clock shows, for templates: the same for all lines of a query.
    pub(crate) now_ns: i64,
    pub(crate) early: &'a Arc<EarlyFilters>,
}

/// The conditions of a pipeline that look at one label each. They are looked at as soon as a stage has
/// extracted their label, so that the rest of the line need not be read; also where another stage changes
/// the label before the condition's place is reached: so does Loki.
#[derive(Debug, Default)]
pub(crate) struct EarlyFilters(Vec<RowFilter>);

impl EarlyFilters {
    fn new(log: &LogExpr) -> Self {
        let filters = log.stages.iter().filter_map(|stage| match &stage.kind {
            StageKind::LabelFilter(filter) => RowFilter::new(filter).ok(),
            _ => None,
        });
        Self(filters.filter(|filter| filter.name().is_some()).collect())
    }

    /// Whether a line may go on after a label was extracted.
    pub(crate) fn pass(&self, label: &str, labels: &mut LineLabels<'_>) -> bool {
        self.0.iter().all(|filter| filter.name() != Some(label) || filter.passes(labels))
    }
}

/// One line on its way.
#[derive(Debug)]
pub(crate) struct LineState<'a> {
    pub(crate) time: i64,
    pub(crate) labels: LineLabels<'a>,
    pub(crate) line: Line<'a>,
}

impl<'a> LineState<'a> {
    pub(crate) fn new(stream: &'a Labels) -> Self {
        Self { time: 0, labels: LineLabels::new(stream), line: Line::Stored(&[]) }
    }

    /// Begins with a line, which has its fields added then.
    pub(crate) fn begin(&mut self, time: i64, stream: &'a Labels, line: &'a [u8]) {
        self.time = time;
        self.labels.reset(stream);
        self.line = Line::Stored(line);
    }
}

/// A line as it was stored, or as a stage has made it.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    Stored(&'a [u8]),
    Made(Vec<u8>),
}

impl Line<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Stored(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }

    /// The line, copied where it is the stored one; an empty one is left.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match std::mem::replace(self, Self::Stored(&[])) {
            Self::Stored(bytes) => bytes.to_vec(),
            Self::Made(bytes) => bytes,
        }
    }
}

impl Pipeline {
    pub(crate) fn new(
        log: &LogExpr,
        unwrap: Option<&Unwrap>,
        purpose: &Purpose,
        now_ns: i64,
    ) -> Result<Self, ParseError> {
        let wanted = wanted_labels(log, unwrap, purpose);
        let early = Arc::new(EarlyFilters::new(log));
        let functions = &template::logql::functions();
        let compiling = Compiling { wanted: &wanted, functions, now_ns, early: &early };
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
            front.put(RowStage::new(&stage.kind, &compiling).map_err(failed)?, &mut stages);
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

    /// Takes a line through the stages behind the conditions; `false` where one of them drops it.
    pub(crate) fn run(&self, state: &mut LineState<'_>, buffers: &mut Buffers) -> bool {
        self.stages.iter().all(|stage| stage.run(state, buffers))
    }

    /// The value of a line that has gone through the stages: one for each line, where no label is
    /// unwrapped; `None` where the line has no such label.
    pub(crate) fn value(&self, state: &mut LineState<'_>) -> Option<f64> {
        match &self.unwrap {
            Some(unwrap) => unwrap.value(&mut state.labels),
            None => Some(1.0),
        }
    }
}

fn unwrapper(unwrap: &Unwrap) -> Result<Unwrapper, ParseError> {
    Unwrapper::new(unwrap)
        .map_err(|message| ParseError::meaning(unwrap.position, format!("unwrap : {message}")))
}

/// Checks what only compiling finds: templates, patterns, addresses.
pub(crate) fn check(log: &LogExpr, unwrap: Option<&Unwrap>) -> Result<(), ParseError> {
    Pipeline::new(log, unwrap, &Purpose { lines: true, labels: Wanted::All }, 0).map(|_| ())
}

/// What of the stages so far allows to take a filter to the front.
#[derive(Default)]
struct Front {
    lines_changed: bool,
    labels_changed: bool,
    /// Before this stage there is none that a filter of lines could be taken in front of.
    behind_lines: usize,
}

impl Front {
    /// Puts a stage that has become no condition where it belongs.
    fn put(&mut self, stage: RowStage, stages: &mut Vec<RowStage>) {
        if stage.is_line_filter() {
            stages.insert(self.behind_lines, stage);
            self.behind_lines += 1;
            return;
        }
        let makes_lines = stage.makes_lines();
        stages.push(stage);
        if makes_lines {
            self.behind_lines = stages.len();
        }
    }

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
                push_matchers(filter, conditions)
            }
            StageKind::LineFormat(_) | StageKind::Unpack => {
                (self.lines_changed, self.labels_changed) = (true, true);
                Ok(false)
            }
            StageKind::LineFilter(_) | StageKind::LabelFilter(_) | StageKind::Decolorize => {
                Ok(false)
            }
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
            StageKind::LineFormat(text) => match template_keys(text) {
                Some(keys) => names.extend(keys),
                None => return Wanted::All,
            },
            StageKind::LabelFormat(formats) => {
                for format in formats {
                    match &format.value {
                        crate::ast::LabelSource::Label(source) => names.push(source.clone()),
                        crate::ast::LabelSource::Template(text) => match template_keys(text) {
                            Some(keys) => names.extend(keys),
                            None => return Wanted::All,
                        },
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

/// The labels that a template looks at; `None` where it may look at all of them.
fn template_keys(text: &str) -> Option<Vec<String>> {
    let template = Template::parse("line", text, &template::logql::functions()).ok()?;
    template.keys().map(|keys| keys.into_iter().map(str::to_owned).collect())
}

/// The fields that labels of these names may come from.
fn field_needs(wanted: &Wanted, conditions: &Conditions) -> FieldNeeds {
    let Wanted::These(wanted) = wanted else { return FieldNeeds::All };
    let renamed = wanted.iter().filter_map(|name| name.strip_suffix(EXTRACTED));
    let names = wanted.iter().map(String::as_str).chain(renamed).chain(conditions.fields());
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if names.is_empty() { FieldNeeds::None } else { FieldNeeds::These(names) }
}
