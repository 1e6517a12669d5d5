//! Which filters become conditions, and where the others stand.
//!
//! A filter of lines is taken to the front of all stages but `line_format` and `unpack`, which make other
//! lines (`decolorize` does too, but so does Loki); one of labels only where no stage before it makes or
//! drops labels. It does nothing but drop lines, so that its place changes no answer otherwise.

use super::Wanted;
use super::conditions::Conditions;
use super::filter::as_filter;
use super::labels::{ERROR, ERROR_DETAILS, EXTRACTED};
use super::stages::RowStage;
use crate::ast::{
    LabelFilter, LabelSelection, LineFilter, LineOp, LineOperand, LogExpr, Stage, StageKind,
};
use crate::error::ParseError;
use crate::storage::{CONDITIONS_MAX, Condition};
use model::{AnchoredRegex, MatchOp, Matcher, SearchRegex, escape_regex};
use std::sync::Arc;

/// What of the stages so far allows to take a filter to the front.
#[derive(Default)]
pub(super) struct Front {
    lines_changed: bool,
    labels_changed: bool,
    /// Before this stage there is none that a filter of lines could be taken in front of.
    behind_lines: usize,
}

impl Front {
    /// Puts a stage that has become no condition where it belongs.
    pub(super) fn put(&mut self, stage: RowStage, stages: &mut Vec<RowStage>) {
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
    pub(super) fn takes(
        &mut self,
        stage: &Stage,
        conditions: &mut Conditions,
    ) -> Result<bool, String> {
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

/// What must hold of a line for a query to select it; refuses queries that do more than to look for
/// texts and expressions in lines as they were stored.
pub(crate) fn line_conditions(log: &LogExpr) -> Result<Vec<Condition>, ParseError> {
    let of_stage = |stage: &Stage| {
        let refused = |message: String| {
            ParseError::meaning(stage.position, format!("stage '{}' : {message}", stage.kind))
        };
        let only = || refused("only |=, !=, |~ and !~ with texts can be used here".to_owned());
        let StageKind::LineFilter(filter) = &stage.kind else { return Err(only()) };
        line_condition(filter).map_err(refused)?.ok_or_else(only)
    };
    log.stages.iter().map(of_stage).collect()
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
        let anchored = AnchoredRegex::new(pattern).ok()?;
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
    let mut matchers: Vec<Matcher> = Vec::new();
    if !collect_matchers(filter, &mut matchers)? {
        return Ok(false);
    }
    let room = CONDITIONS_MAX - conditions.wanted.len();
    // Such a name may be that of a field which has been renamed, because its stream has the label.
    let is_plain =
        |matcher: &Matcher| !matcher.name.starts_with("__") && !matcher.name.ends_with(EXTRACTED);
    if matchers.len() > room || !matchers.iter().all(is_plain) {
        return Ok(false);
    }
    for matcher in matchers {
        conditions.push(Condition::Field(matcher))?;
    }
    Ok(true)
}

/// `false` where the filter is more than texts that must all match.
fn collect_matchers(filter: &LabelFilter, matchers: &mut Vec<Matcher>) -> Result<bool, String> {
    match filter {
        LabelFilter::Text(matcher) => {
            matchers.push(as_filter(matcher)?);
            Ok(true)
        }
        LabelFilter::And(left, right) => {
            Ok(collect_matchers(left, matchers)? && collect_matchers(right, matchers)?)
        }
        LabelFilter::Or(..) => {
            let mut values = Vec::new();
            let Some(name) = listed_values(filter, &mut values) else { return Ok(false) };
            matchers.push(Matcher::new(MatchOp::Regex, name, &values.join("|"))?);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The label of `level="error" or level="warn"`, and the values, escaped. An empty value would match
/// lines without the label, which an expression that lists it does too.
fn listed_values<'a>(filter: &'a LabelFilter, values: &mut Vec<String>) -> Option<&'a str> {
    match filter {
        LabelFilter::Text(matcher) if matcher.op == MatchOp::Equal => {
            values.push(escape_regex(&matcher.value));
            Some(&matcher.name)
        }
        LabelFilter::Or(left, right) => {
            let name = listed_values(left, values)?;
            (listed_values(right, values)? == name).then_some(name)
        }
        _ => None,
    }
}

/// Whether a stage that keeps or drops labels changes none that somebody looks at. Log volumes are asked
/// for with `drop __error__`.
pub(super) fn does_nothing(kind: &StageKind, wanted: &Wanted, before: &[RowStage]) -> bool {
    let is_error = |name: &str| name == ERROR || name == ERROR_DETAILS;
    let can_fail = before.iter().any(RowStage::can_fail);
    match (kind, wanted) {
        (StageKind::Drop(selections), wanted) => {
            selections.iter().all(|selection| match selection {
                LabelSelection::Name(name) if is_error(name) => !can_fail,
                LabelSelection::Name(name) => {
                    matches!(wanted, Wanted::These(wanted) if !wanted.contains(name))
                }
                LabelSelection::Matching(_) => false,
            })
        }
        (StageKind::Keep(selections), Wanted::These(wanted)) => {
            let is_kept = |name: &String| {
                selections.iter().any(|it| matches!(it, LabelSelection::Name(kept) if kept == name))
            };
            wanted.iter().all(|name| is_error(name) || is_kept(name))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pipeline, Purpose};
    use super::*;
    use crate::ast::Expr;
    use std::collections::BTreeSet;

    /// What becomes a condition, and whether nothing else is left.
    fn compiled(stages: &str, labels: &[&str]) -> (usize, bool) {
        let Ok(Expr::Log(log)) = crate::parse(&format!("{{a=\"b\"}} {stages}")) else {
            panic!("{stages}")
        };
        let names: BTreeSet<String> = labels.iter().map(|name| (*name).to_owned()).collect();
        let purpose = Purpose { lines: false, labels: Wanted::These(names) };
        let pipeline = Pipeline::new(&log, None, &purpose, 0).unwrap();
        (pipeline.conditions.wanted.len(), pipeline.is_columnar())
    }

    #[test]
    fn filters_of_what_is_stored_are_conditions() {
        for (stages, conditions, columnar) in [
            ("|= \"x\" |~ \"y.z\" != \"u\" or \"v\"", 3, true),
            ("| x=\"1\", y=~\"2|3\" | z!=\"\"", 3, true),
            ("| x=\"1\" or x=\"2\" or x=\"3\"", 1, true),
            ("| x=\"1\" or y=\"2\"", 0, false),
            ("| drop __error__", 0, true),
            ("| drop __error__, other | keep level, x", 0, true),
            ("| drop level", 0, false),
            ("| json | drop __error__", 0, false),
            ("| logfmt |= \"x\" | y=\"1\"", 1, false),
            ("| decolorize |= \"x\"", 1, false),
            ("| line_format \"x\" |= \"x\"", 0, false),
            ("| x > 5 | y=\"1\"", 1, false),
            ("| drop other | y=\"1\"", 1, true),
            ("| x_extracted=\"1\"", 0, false),
            ("|= ip(\"::1\")", 0, false),
        ] {
            assert_eq!(compiled(stages, &["level"]), (conditions, columnar), "{stages}");
        }
    }
}
