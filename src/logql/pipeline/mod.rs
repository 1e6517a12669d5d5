//! Stages, compiled once for a query.
//!
//! What comes first of a pipeline and looks only at stored lines and fields becomes conditions (`front`,
//! `conditions`), which stores know and which are evaluated on columns. Rows that are left go through the
//! other stages one by one (`stages`, `extraction`, `field_reader`, `filter`), with their labels (`labels`). Where a store
//! finds in its columns what a stage extracts, less has to be read (`texts`, `line_text`).

pub(crate) mod conditions;
mod extraction;
mod field_reader;
mod filter;
mod front;
pub(crate) mod labels;
mod line_text;
mod stages;
pub(crate) mod texts;

use crate::ast::{LabelSelection, LogExpr, StageKind, Unwrap};
use crate::error::ParseError;
use crate::extract::Buffers;
use crate::storage::{FieldNeeds, LineTexts, Needs};
use conditions::Conditions;
use filter::RowFilter;
pub(crate) use front::line_conditions;
use front::{Front, does_nothing};
use labels::{EXTRACTED, LineLabels};
use model::Labels;
use stages::{RowStage, Unwrapper};
use std::collections::BTreeSet;
use std::sync::Arc;
use template::Template;
use texts::TextPlan;

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
    pub(crate) texts: LineTexts,
    /// How rows are counted without their lines, where that is possible.
    pub(crate) text_plan: Option<TextPlan>,
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
            if does_nothing(&stage.kind, &wanted, &stages)
                || front.takes(stage, &mut conditions).map_err(failed)?
            {
                continue;
            }
            front.put(RowStage::new(&stage.kind, &compiling).map_err(failed)?, &mut stages);
        }
        let (texts, text_plan) = texts::of(log, unwrap, (purpose, &wanted), &stages);
        let unwrap = unwrap.map(unwrapper).transpose()?;
        let reads_lines = stages.iter().any(RowStage::reads_line);
        let needs = Needs { lines: purpose.lines || reads_lines, fields: field_needs(&wanted) };
        Ok(Self { conditions, stages, unwrap, needs, texts, text_plan })
    }

    /// Whether all is said by the conditions, so that rows need not be looked at one by one.
    pub(crate) fn is_columnar(&self) -> bool {
        self.stages.is_empty() && self.unwrap.is_none()
    }

    /// Whether some lines may not come through.
    pub(crate) fn drops_lines(&self) -> bool {
        !self.conditions.wanted.is_empty() || !self.stages.is_empty()
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
                let looked_at =
                    selections.iter().filter(|it| matches!(it, LabelSelection::Matching(_)));
                names.extend(looked_at.map(|selection| selection.name().to_owned()));
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
fn field_needs(wanted: &Wanted) -> FieldNeeds {
    let Wanted::These(wanted) = wanted else { return FieldNeeds::All };
    let renamed = wanted.iter().filter_map(|name| name.strip_suffix(EXTRACTED));
    let names: BTreeSet<String> =
        wanted.iter().map(String::as_str).chain(renamed).map(str::to_owned).collect();
    if names.is_empty() { FieldNeeds::None } else { FieldNeeds::These(names) }
}
