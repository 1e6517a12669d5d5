//! Rule groups as YAML: what is read back gives the same groups.

use crate::definition::{Group, Rule, RuleKind};
use crate::language::Language;
use std::collections::BTreeMap;

type Texts = BTreeMap<String, String>;

/// Groups as YAML again.
pub fn to_yaml(groups: &[Group]) -> String {
    let mut out = String::from("groups:\n");
    for group in groups {
        write_group(&mut out, group, Language::Promql, "    ");
    }
    out
}

/// One group by itself as YAML.
/// `default`: the language that need not be named.
pub fn group_to_yaml(group: &Group, default: Language) -> String {
    let mut out = String::new();
    for line in group_lines(group, default) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Namespaces and their groups as YAML.
pub fn namespaces_to_yaml<'g>(
    namespaces: impl IntoIterator<Item = (&'g str, &'g [Group])>,
    default: Language,
) -> String {
    let mut out = String::new();
    for (namespace, groups) in namespaces {
        out.push_str(&format!("{}:\n", scalar(namespace)));
        groups.iter().for_each(|group| write_group(&mut out, group, default, "    "));
    }
    if out.is_empty() { "{}\n".to_owned() } else { out }
}

/// A group as an item of a list, with what stands before each line.
fn write_group(out: &mut String, group: &Group, default: Language, indent: &str) {
    let marks = std::iter::once("- ").chain(std::iter::repeat("  "));
    for (line, mark) in group_lines(group, default).iter().zip(marks) {
        out.push_str(&format!("{indent}{mark}{line}\n"));
    }
}

fn group_lines(group: &Group, default: Language) -> Vec<String> {
    let mut lines = vec![format!("name: {}", scalar(&group.name))];
    if group.interval_ms != 0 {
        lines.push(format!("interval: {}", model::format_duration(group.interval_ms)));
    }
    if let Some(offset_ms) = group.query_offset_ms {
        lines.push(format!("query_offset: {}", model::format_duration(offset_ms)));
    }
    if group.limit != 0 {
        lines.push(format!("limit: {}", group.limit));
    }
    if group.align {
        lines.push("align_evaluation_time_on_interval: true".to_owned());
    }
    lines.push(if group.rules.is_empty() { "rules: []" } else { "rules:" }.to_owned());
    for rule in &group.rules {
        let rule = rule_lines(rule, default);
        let marks = std::iter::once("- ").chain(std::iter::repeat("  "));
        lines.extend(rule.iter().zip(marks).map(|(line, mark)| format!("    {mark}{line}")));
    }
    lines
}

fn rule_lines(rule: &Rule, default: Language) -> Vec<String> {
    let mut lines = Vec::new();
    let none = Texts::new();
    let annotations = match &rule.kind {
        RuleKind::Record { name } => {
            lines.push(format!("record: {}", scalar(name)));
            &none
        }
        RuleKind::Alert { name, annotations, .. } => {
            lines.push(format!("alert: {}", scalar(name)));
            annotations
        }
    };
    lines.push(format!("expr: {}", scalar(&rule.query)));
    if let RuleKind::Alert { hold_ms, keep_firing_ms, .. } = &rule.kind {
        for (field, value_ms) in [("for", hold_ms), ("keep_firing_for", keep_firing_ms)] {
            if *value_ms != 0 {
                lines.push(format!("{field}: {}", model::format_duration(*value_ms)));
            }
        }
    }
    if rule.language != default {
        lines.push(format!("query_language: {}", rule.language.as_str()));
    }
    for (field, texts) in [("labels", &rule.labels), ("annotations", annotations)] {
        if !texts.is_empty() {
            lines.push(format!("{field}:"));
            let pair = |(name, text): (&String, &String)| {
                format!("    {}: {}", scalar(name), scalar(text))
            };
            lines.extend(texts.iter().map(pair));
        }
    }
    lines
}

/// A text as a scalar on one line: plain where it can't be taken for something else, otherwise in double
/// quotes, whose escapes are those of JSON.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let is_key = text.ends_with(':') || text.contains(": ");
    if begins && !is_word && !is_key && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() && u32::from(c) < 0x100 => {
                out.push_str(&format!("\\x{:02x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
