//! Runs the cases of `cases/*.test`:
//!
//! ```text
//! rules
//!   - source_labels: [a]
//!     target_label: b
//! labels a="1" c="2"
//! gives a="1" b="1" c="2"
//!
//! labels a="3"
//! dropped
//!
//! refused
//!   - action: hashmod
//! with line 1: …
//! ```
//!
//! A block of rules holds until the next. Lines with `#` are comments.

use crate::Rules;
use model::{Labels, LabelsBuilder, quote_go};
use proptest::prelude::*;
use yaml::Node;

fn read(text: &str) -> Result<Rules, String> {
    Node::parse(text).and_then(|node| node.read()).map_err(|error| error.to_string())
}

/// `name="value" other="value"`.
fn labels(text: &str) -> Labels {
    let mut builder = LabelsBuilder::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').expect("a value ends with a quote");
        builder.set(name.trim(), value);
        rest = after;
    }
    builder.build()
}

fn shown(labels: &Labels) -> String {
    let pairs = labels.iter().map(|(name, value)| format!("{name}={}", quote_go(value.as_bytes())));
    pairs.collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Scene {
    block: String,
    rules: Rules,
    labels: Labels,
}

impl Scene {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with(' ') {
            self.block.push_str(line);
            self.block.push('\n');
            return Ok(());
        }
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "rules" | "refused" => self.block.clear(),
            "labels" => {
                if !self.block.is_empty() {
                    self.rules = read(&self.block)?;
                    self.block.clear();
                }
                self.labels = labels(rest);
            }
            "gives" | "dropped" => {
                let given = self.rules.apply(&self.labels).map(|labels| shown(&labels));
                let wanted = (command == "gives").then(|| rest.to_owned());
                if given != wanted {
                    return Err(format!("gave {given:?}"));
                }
            }
            "with" => match read(&self.block) {
                Err(message) if message == rest => self.block.clear(),
                other => return Err(format!("gave {other:?}")),
            },
            other => return Err(format!("no command {other}")),
        }
        Ok(())
    }
}

fn run(name: &str, text: &str) {
    let mut scene = Scene::default();
    let mut failures = Vec::new();
    let mut count = 0;
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        count += 1;
        if let Err(failure) = scene.line(line) {
            failures.push(format!("{name}:{number}: {line}: {failure}"));
        }
    }
    assert!(count > 0 && failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn prometheus_actions() {
    run("prometheus.test", include_str!("cases/prometheus.test"));
}

#[test]
fn victoria_metrics_additions() {
    run("additions.test", include_str!("cases/additions.test"));
}

#[test]
fn what_is_refused() {
    run("refused.test", include_str!("cases/refused.test"));
}

#[test]
fn steps_say_what_each_rule_does() {
    let text = "\
- {source_labels: [a], target_label: b}
- {source_labels: [b], regex: x, action: drop}
- {action: labeldrop, regex: a}
";
    let rules = read(text).unwrap();
    let steps = rules.steps(&labels("a=\"x\""));
    let seen: Vec<_> = steps.iter().map(|step| (shown(&step.labels), step.is_kept)).collect();
    let both = "a=\"x\" b=\"x\"".to_owned();
    assert_eq!(seen, [(both.clone(), true), (both, false)]);
    assert_eq!(steps[1].rule.to_string(), "source_labels:\n- b\nregex: x\naction: drop");
    assert_eq!(rules.steps(&labels("a=\"y\"")).len(), 3);
}

#[test]
fn a_value_has_its_limit() {
    let rules = read("[{source_labels: [a], regex: (.*), replacement: $1$1, target_label: a}]");
    let rules = rules.unwrap();
    let mut labels = Labels::from_pairs([("a", "x".repeat(1 << 19).as_str())]);
    for _ in 0..4 {
        labels = rules.apply(&labels).unwrap();
    }
    assert_eq!(labels.value("a").len(), 1 << 20);
}

proptest! {
    #[test]
    fn no_rule_panics(
        action in 0..crate::Action::ALL.len(),
        regex in "[a-c(.*)$|]{0,6}",
        replacement in "[a$1{}x]{0,8}",
        value in "[a-c.가]{0,6}",
    ) {
        let action = crate::Action::ALL[action].name();
        let quoted = |text: &str| quote_go(text.as_bytes());
        let text = format!(
            "[{{action: {action}, source_labels: [a, b], target_label: b, modulus: 3, match: {regex}, \
             labels: {{c: {replacement}}}, regex: {regex}, replacement: {replacement}}}]",
            regex = quoted(&regex), replacement = quoted(&replacement),
        );
        if let Ok(rules) = read(&text) {
            rules.apply(&Labels::from_pairs([("a", value.as_str()), ("c", "d")]));
        }
    }
}
