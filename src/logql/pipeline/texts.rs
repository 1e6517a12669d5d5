//! What of a pipeline can be done on texts that a store finds in its columns, instead of on lines.
//!
//! Two things. Conditions on labels that the first stage extracts rule lines out before they are put
//! together; the stages look at what is left. And where nothing matters of a line but labels that one
//! stage extracts, rows are counted by the texts themselves, and no stage runs ([`TextPlan`]).

use super::filter::RowFilter;
use super::labels::{ERROR, EXTRACTED, LineLabels};
use super::line_text::TextStage;
use super::stages::{RowStage, Unwrapper};
use super::{Purpose, Wanted};
use crate::ast::{LabelFilter, LogExpr, StageKind, Unwrap};
use crate::storage::{LineTexts, Selection};
use log_store::{TextCondition, TextNumber, TextTest, WantedText};
use model::{Labels, MatchOp};
use std::sync::Arc;

/// How rows are counted by texts in their lines. Of these, [`LineTexts::found`], come first those of
/// labels, then one that tells whether a line can be read to its end, then the one that is unwrapped.
#[derive(Debug)]
pub(crate) struct TextPlan {
    /// The labels that are made of texts.
    names: Vec<String>,
    /// All must pass. Each looks at the label at this place.
    filters: Vec<(usize, RowFilter)>,
    /// The label whose number is unwrapped.
    unwrap: Option<(String, Arc<Unwrapper>)>,
    /// Lines that can't be read are dropped. Otherwise they are an error.
    drops_failed: bool,
    can_fail: bool,
    /// Lines are read to their end also where all of these labels have been found.
    reads_on: bool,
}

impl TextNumber for Unwrapper {
    fn read(&self, text: &[u8]) -> Option<f64> {
        Self::read(self, text).ok()
    }

    fn reads_decimals(&self) -> bool {
        self.takes_numbers()
    }
}

/// What a pipeline asks of texts, and whether it can be done by them.
pub(super) fn of(
    log: &LogExpr,
    unwrap: Option<&Unwrap>,
    (purpose, wanted): (&Purpose, &Wanted),
    stages: &[RowStage],
) -> (LineTexts, Option<TextPlan>) {
    let mut texts = LineTexts::default();
    let is_filter =
        |kind: &StageKind| matches!(kind, StageKind::LineFilter(_) | StageKind::LabelFilter(_));
    let Some(at) = log.stages.iter().position(|stage| !is_filter(&stage.kind)) else {
        return (texts, None);
    };
    let Some(text_stage) = TextStage::of(&log.stages[at].kind) else { return (texts, None) };
    let behind = log.stages[at + 1..].iter().map(|stage| &stage.kind);
    let filters: Vec<&LabelFilter> = behind
        .take_while(|kind| is_filter(kind))
        .filter_map(|kind| match kind {
            StageKind::LabelFilter(filter) => Some(filter),
            _ => None,
        })
        .collect();
    for filter in filters.iter().flat_map(|filter| parts_of(filter)) {
        texts.conditions.extend(condition(&text_stage, filter));
    }
    let is_filtered = |stage: &RowStage| matches!(stage, RowStage::Filter(_));
    let is_alone = match stages {
        [RowStage::Extract(_), others @ ..] => {
            others.len() == filters.len() && others.iter().all(is_filtered)
        }
        _ => false,
    };
    if !is_alone {
        return (texts, None);
    }
    let plan = TextPlan::new(&text_stage, &filters, unwrap, (purpose, wanted));
    if let Some(plan) = &plan {
        texts.found = plan.wanted(&text_stage);
    }
    (texts, plan)
}

/// The filters that must all hold.
fn parts_of(filter: &LabelFilter) -> Vec<&LabelFilter> {
    match filter {
        LabelFilter::And(left, right) => {
            let mut parts = parts_of(left);
            parts.extend(parts_of(right));
            parts
        }
        filter => vec![filter],
    }
}

fn condition(stage: &TextStage, filter: &LabelFilter) -> Option<TextCondition> {
    let filter = RowFilter::new(filter).ok()?;
    let name = filter.only_name().filter(|name| is_made(stage, name))?.to_owned();
    let text = stage.text(&name);
    let test = Arc::new(LabelTest { name: name.clone(), filter });
    Some(TextCondition { name, text, test })
}

/// Labels of such names may come from elsewhere.
fn is_made(stage: &TextStage, name: &str) -> bool {
    stage.makes(name) && !name.starts_with("__") && !name.ends_with(EXTRACTED)
}

/// A filter of one label.
#[derive(Debug)]
struct LabelTest {
    name: String,
    filter: RowFilter,
}

impl TextTest for LabelTest {
    fn holds(&self, text: Option<&[u8]>) -> bool {
        passes(&self.filter, &self.name, text).unwrap_or(true)
    }
}

/// `None` where the value of the label is one that the filter can't read.
fn passes(filter: &RowFilter, name: &str, text: Option<&[u8]>) -> Option<bool> {
    let nothing = Labels::empty();
    let mut labels = LineLabels::new(&nothing);
    if let Some(text) = text {
        labels.set_parsed(name, &String::from_utf8_lossy(text));
    }
    let passes = filter.passes(&mut labels);
    labels.error().is_none().then_some(passes)
}

impl TextPlan {
    fn new(
        stage: &TextStage,
        filters: &[&LabelFilter],
        unwrap: Option<&Unwrap>,
        (purpose, wanted): (&Purpose, &Wanted),
    ) -> Option<Self> {
        if purpose.lines {
            return None;
        }
        let mut plan = Self {
            names: Vec::new(),
            filters: Vec::new(),
            unwrap: None,
            drops_failed: false,
            can_fail: stage.can_fail(),
            reads_on: false,
        };
        for filter in filters.iter().flat_map(|filter| parts_of(filter)) {
            plan.add_filter(stage, filter)?;
        }
        if let Some(unwrap) = unwrap {
            if !unwrap.filters.is_empty() || !is_made(stage, &unwrap.label) {
                return None;
            }
            plan.unwrap = Some((unwrap.label.clone(), Arc::new(Unwrapper::new(unwrap).ok()?)));
        }
        let labels: Vec<&String> = match &purpose.labels {
            // The unwrapped one is no label of the result.
            Wanted::All => stage.labels()?.iter().filter(|label| !plan.unwraps(label)).collect(),
            Wanted::These(names) => names.iter().filter(|label| stage.makes(label)).collect(),
        };
        for label in labels {
            if !is_made(stage, label) {
                return None;
            }
            plan.number(label);
        }
        plan.reads_on = match wanted {
            Wanted::All => true,
            Wanted::These(wanted) => wanted.iter().any(|name| !plan.makes(name)),
        };
        Some(plan)
    }

    fn add_filter(&mut self, stage: &TextStage, filter: &LabelFilter) -> Option<()> {
        if let LabelFilter::Text(matcher) = filter
            && matcher.name == ERROR
            && matcher.op == MatchOp::Equal
            && matcher.value.is_empty()
        {
            self.drops_failed = true;
            return Some(());
        }
        let filter = RowFilter::new(filter).ok()?;
        let name = filter.only_name().filter(|name| is_made(stage, name))?.to_owned();
        let place = self.number(&name);
        self.filters.push((place, filter));
        Some(())
    }

    /// The place of a label, which is added where it is not there.
    fn number(&mut self, name: &str) -> usize {
        match self.names.iter().position(|known| known == name) {
            Some(place) => place,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        }
    }

    fn wanted(&self, stage: &TextStage) -> Vec<WantedText> {
        let texts =
            self.names.iter().map(|name| WantedText { text: stage.text(name), number: None });
        let whole = WantedText { text: stage.whole(), number: None };
        let unwrapped = self.unwrap.iter().map(|(label, unwrapper)| WantedText {
            text: stage.text(label),
            number: Some(Arc::clone(unwrapper) as Arc<dyn TextNumber>),
        });
        texts.chain([whole]).chain(unwrapped).collect()
    }

    fn unwraps(&self, label: &str) -> bool {
        self.unwrap.as_ref().is_some_and(|(unwrapped, _)| unwrapped == label)
    }

    /// Which of the texts have to be found for these streams; `None` where an extracted label may have
    /// another name, because a stream has one of its own.
    pub(crate) fn needed(&self, selection: &dyn Selection) -> Option<Vec<usize>> {
        let streams = || (0..selection.stream_count()).map(|it| selection.labels(it as u32));
        let has = |name: &str, labels: &Labels| labels.get(name).is_some();
        let (mut needed, mut reads_on) = (Vec::new(), self.reads_on);
        for (place, name) in self.names.iter().enumerate() {
            match streams().all(|labels| !has(name, labels)) {
                true => needed.push(place),
                // Then series are told apart by the stream's label.
                false if !self.is_filtered(place) && streams().all(|labels| has(name, labels)) => {
                    reads_on = true;
                }
                false => return None,
            }
        }
        if self.can_fail && reads_on {
            needed.push(self.names.len());
        }
        if let Some((label, _)) = &self.unwrap {
            if streams().any(|labels| has(label, labels)) {
                return None;
            }
            needed.push(self.names.len() + 1);
        }
        Some(needed)
    }

    /// Whether a label of this name is made of a text.
    pub(crate) fn makes(&self, name: &str) -> bool {
        self.unwraps(name) || self.names.iter().any(|known| known == name)
    }

    /// The label that is made of a text; `None` for a text that is no label's.
    pub(crate) fn name(&self, place: usize) -> Option<&str> {
        self.names.get(place).map(String::as_str)
    }

    pub(crate) fn drops_failed(&self) -> bool {
        self.drops_failed
    }

    pub(crate) fn unwraps_any(&self) -> bool {
        self.unwrap.is_some()
    }

    /// Whether there are conditions on a label.
    pub(crate) fn is_filtered(&self, place: usize) -> bool {
        self.filters.iter().any(|(looked_at, _)| *looked_at == place)
    }

    /// Whether a label's text passes all conditions on it; `None` where one of them can't read it.
    pub(crate) fn passes(&self, place: usize, text: Option<&[u8]>) -> Option<bool> {
        let filters = self.filters.iter().filter(|(looked_at, _)| *looked_at == place);
        let mut all = true;
        for (_, filter) in filters {
            all &= passes(filter, self.name(place)?, text)?;
        }
        Some(all)
    }
}
