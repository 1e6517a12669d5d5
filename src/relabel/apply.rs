//! What each action does to a set of labels.

use crate::rule::{Action, Rule, Rules, VALUE_MAX};
use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder, METRIC_NAME};
use std::borrow::Cow;

/// What one rule made of a set of labels.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    pub rule: &'a Rule,
    pub labels: Labels,
    pub is_kept: bool,
}

impl Rules {
    /// The labels after all rules; `None` where one drops them.
    pub fn apply(&self, labels: &Labels) -> Option<Labels> {
        if self.is_empty() {
            return Some(labels.clone());
        }
        let mut builder = LabelsBuilder::from_labels(labels);
        self.apply_to(&mut builder).then(|| builder.build())
    }

    /// Whether the labels are kept. Where they are not, they are as the dropping rule found them.
    pub fn apply_to(&self, labels: &mut LabelsBuilder) -> bool {
        self.0.iter().all(|rule| rule.apply(labels))
    }

    /// What each rule does, up to the one that drops the labels.
    pub fn steps(&self, labels: &Labels) -> Vec<Step<'_>> {
        let mut builder = LabelsBuilder::from_labels(labels);
        let mut steps = Vec::new();
        for rule in &self.0 {
            let is_kept = rule.apply(&mut builder);
            steps.push(Step { rule, labels: builder.build(), is_kept });
            if !is_kept {
                break;
            }
        }
        steps
    }
}

impl Rule {
    /// Whether the labels are kept.
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        if self.condition.as_ref().is_some_and(|condition| !condition.holds(labels)) {
            // As VictoriaMetrics has it: what a rule keeps must also meet its condition.
            return self.action != Action::Keep;
        }
        match self.action {
            Action::Keep => return self.pattern.is_match(&self.source(labels)),
            Action::Drop => return !self.pattern.is_match(&self.source(labels)),
            Action::KeepEqual => return self.equals_target(labels),
            Action::DropEqual => return !self.equals_target(labels),
            Action::KeepMetrics => return self.pattern.is_match(value(labels, METRIC_NAME)),
            Action::DropMetrics => return !self.pattern.is_match(value(labels, METRIC_NAME)),
            Action::KeepIfContains => return self.target_contains(labels),
            Action::DropIfContains => return !self.target_contains(labels),
            Action::KeepIfEqual => return self.sources_are_equal(labels),
            Action::DropIfEqual => return !self.sources_are_equal(labels),
            Action::Replace => self.replace(labels),
            Action::ReplaceAll => self.replace_all(labels),
            Action::HashMod => self.set_target(labels, |source| hash_mod(source, self.modulus)),
            Action::Lowercase => self.set_target(labels, str::to_lowercase),
            Action::Uppercase => self.set_target(labels, str::to_uppercase),
            Action::LabelMap => self.map_names(labels, |name| {
                self.pattern.expand(name, &self.replacement).map(Cow::into_owned)
            }),
            Action::LabelMapAll => self.map_all_names(labels),
            Action::LabelDrop => self.keep_names(labels, |is_match| !is_match),
            Action::LabelKeep => self.keep_names(labels, |is_match| is_match),
            Action::Graphite => {
                if let Some(graphite) = &self.graphite {
                    graphite.apply(labels);
                }
            }
        }
        true
    }

    /// The values of the source labels with separators between them.
    fn source<'a>(&self, labels: &'a LabelsBuilder) -> Cow<'a, str> {
        match self.source_labels.as_slice() {
            [] => "".into(),
            [only] => value(labels, only).into(),
            names => {
                let values: Vec<&str> = names.iter().map(|name| value(labels, name)).collect();
                values.join(&self.separator).into()
            }
        }
    }

    fn equals_target(&self, labels: &LabelsBuilder) -> bool {
        value(labels, &self.target_label) == self.source(labels)
    }

    fn target_contains(&self, labels: &LabelsBuilder) -> bool {
        let target = value(labels, &self.target_label);
        self.source_labels.iter().all(|name| target.contains(value(labels, name)))
    }

    fn sources_are_equal(&self, labels: &LabelsBuilder) -> bool {
        let mut values = self.source_labels.iter().map(|name| value(labels, name));
        let first = values.next().unwrap_or_default();
        values.all(|value| value == first)
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        let source = self.source(labels);
        let Some(target) = self.pattern.expand(&source, &self.target_label) else { return };
        let replacement = filled(&self.replacement, labels);
        let Some(text) = self.pattern.expand(&source, &replacement) else { return };
        if !target.is_empty() {
            let (target, text) = (target.into_owned(), text.into_owned());
            labels.set(&target, &text);
        }
    }

    fn replace_all(&self, labels: &mut LabelsBuilder) {
        let source = self.source(labels);
        let replacement = filled(&self.replacement, labels);
        if let Some(text) = self.pattern.replace_all(&source, &replacement) {
            labels.set(&self.target_label, &text);
        }
    }

    fn set_target(&self, labels: &mut LabelsBuilder, make: impl Fn(&str) -> String) {
        let text = make(&self.source(labels));
        if text.len() <= VALUE_MAX {
            labels.set(&self.target_label, &text);
        }
    }

    /// Copies labels to the names that are made of theirs.
    fn map_names(&self, labels: &mut LabelsBuilder, map: impl Fn(&str) -> Option<String>) {
        for (name, value) in labels.build().iter() {
            if let Some(mapped) = map(name).filter(|mapped| !mapped.is_empty()) {
                labels.set(&mapped, value);
            }
        }
    }

    /// Moves labels to the names that are made of theirs.
    fn map_all_names(&self, labels: &mut LabelsBuilder) {
        for (name, value) in labels.build().iter() {
            let Some(mapped) = self.pattern.replace_all(name, &self.replacement) else { continue };
            labels.remove(name);
            if !mapped.is_empty() {
                labels.set(&mapped, value);
            }
        }
    }

    fn keep_names(&self, labels: &mut LabelsBuilder, keeps: impl Fn(bool) -> bool) {
        for (name, _) in labels.build().iter() {
            if !keeps(self.pattern.is_match(name)) {
                labels.remove(name);
            }
        }
    }
}

fn value<'a>(labels: &'a LabelsBuilder, name: &str) -> &'a str {
    labels.get(name).unwrap_or_default()
}

/// The last eight bytes of the MD5 sum, as a number, as Prometheus has it.
fn hash_mod(source: &str, modulus: u64) -> String {
    let sum: [u8; 16] = Md5::digest(source.as_bytes()).into();
    let (_, low) = sum.split_at(8);
    let number = low.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    (number % modulus.max(1)).to_string()
}

/// VictoriaMetrics' `{{label}}` in a replacement stands for the value of the label.
fn filled<'a>(template: &'a str, labels: &LabelsBuilder) -> Cow<'a, str> {
    if !template.contains("{{") {
        return template.into();
    }
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        // A dollar sign in a value is no group.
        out.push_str(&value(labels, name.trim()).replace('$', "$$"));
        rest = after;
    }
    out.push_str(rest);
    out.into()
}
