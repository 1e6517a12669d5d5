//! Rules as files write them, with the checks that Prometheus makes.

use crate::condition::Condition;
use crate::graphite::Graphite;
use crate::pattern::{ANYTHING, FIRST_GROUP, Pattern};
use crate::rule::{Action, Rule, Rules};
use model::{AnchoredRegex, ReplacePattern, SearchRegex, nearest};
use std::collections::BTreeMap;
use yaml::{Error, Fields, FromNode, Node};

const SEPARATOR: &str = ";";

impl FromNode for Rules {
    fn from_node(node: &Node) -> Result<Self, Error> {
        node.read().map(Self)
    }
}

impl FromNode for Rule {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("relabel_config")?;
        let action = fields.or("action", Action::Replace)?;
        let given = Given::read(&mut fields)?;
        let condition: Option<Condition> = fields.optional("if")?;
        let graphite = match action {
            Action::Graphite => Some(graphite(&mut fields)?),
            _ => None,
        };
        given.check(action).map_err(|message| node.error(message))?;
        let regex = given.regex.clone().unwrap_or_else(|| ANYTHING.to_owned());
        let replacement = given.replacement.unwrap_or_else(|| FIRST_GROUP.to_owned());
        let pattern = pattern(action, &regex, &given.target_label, &replacement);
        let pattern = pattern.map_err(|message| node.error(format!("`regex`: {message}")))?;
        fields.end()?;
        Ok(Self {
            action,
            source_labels: given.source_labels,
            separator: given.separator.unwrap_or_else(|| SEPARATOR.to_owned()),
            target_label: given.target_label,
            regex,
            replacement,
            modulus: given.modulus,
            pattern,
            condition,
            graphite,
            text: node.to_text(),
        })
    }
}

impl FromNode for Action {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text: String = node.read()?;
        let lower = text.to_lowercase();
        Self::ALL.iter().find(|action| action.name() == lower).copied().ok_or_else(|| {
            let names = Self::ALL.iter().map(|action| action.name());
            let near = nearest(&lower, names.clone())
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            node.error(format!("unknown relabel action `{text}`{near}"))
        })
    }
}

/// The fields as they are written: whether one is there matters to the checks.
struct Given {
    source_labels: Vec<String>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: u64,
    target_label: String,
    replacement: Option<String>,
}

impl Given {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let regex: Option<OneOrMany> = fields.optional("regex")?;
        Ok(Self {
            source_labels: fields.or_default("source_labels")?,
            separator: present_text(fields, "separator")?,
            regex: regex.map(|regex| regex.0),
            modulus: fields.or_default("modulus")?,
            target_label: fields.or_default("target_label")?,
            replacement: present_text(fields, "replacement")?,
        })
    }

    /// Prometheus' rules of what an action needs and what it does not look at.
    fn check(&self, action: Action) -> Result<(), String> {
        let name = action.name();
        if action == Action::HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        if needs_target(action) && self.target_label.is_empty() {
            return Err(format!(
                "relabel configuration for {name} action requires 'target_label' value"
            ));
        }
        let is_default = |text: &Option<String>, default: &str| {
            text.as_deref().is_none_or(|text| text == default)
        };
        let has_no_regex = is_default(&self.regex, ANYTHING)
            && is_default(&self.replacement, FIRST_GROUP)
            && self.modulus == 0;
        let has_no_separator = is_default(&self.separator, SEPARATOR);
        match action {
            Action::KeepEqual | Action::DropEqual if !(has_no_regex && has_no_separator) => {
                Err(format!(
                    "{name} action requires only 'source_labels' and `target_label`, and no other fields"
                ))
            }
            Action::LabelDrop | Action::LabelKeep => {
                let only_regex = self.source_labels.is_empty()
                    && self.target_label.is_empty()
                    && self.modulus == 0
                    && has_no_separator
                    && is_default(&self.replacement, FIRST_GROUP);
                let message = format!("{name} action requires only 'regex', and no other fields");
                if only_regex { Ok(()) } else { Err(message) }
            }
            _ => Ok(()),
        }
    }
}

fn needs_target(action: Action) -> bool {
    matches!(
        action,
        Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
            | Action::ReplaceAll
            | Action::KeepIfContains
            | Action::DropIfContains
    )
}

/// A text that may be empty: an empty replacement removes a label, an absent one keeps the match.
fn present_text(fields: &mut Fields<'_>, name: &'static str) -> Result<Option<String>, Error> {
    fields.take(name).map(String::from_node).transpose()
}

/// An expression, or VictoriaMetrics' list of alternatives.
struct OneOrMany(String);

impl FromNode for OneOrMany {
    fn from_node(node: &Node) -> Result<Self, Error> {
        match node.text() {
            Some(text) => Ok(Self(text.to_owned())),
            None => {
                let all: Vec<String> = node.read()?;
                let groups: Vec<String> = all.iter().map(|regex| format!("(?:{regex})")).collect();
                Ok(Self(groups.join("|")))
            }
        }
    }
}

fn graphite(fields: &mut Fields<'_>) -> Result<Graphite, Error> {
    let pattern: String = fields.required("match")?;
    let labels: BTreeMap<String, String> = fields.required("labels")?;
    Ok(Graphite::new(&pattern, labels.into_iter().collect()))
}

fn pattern(
    action: Action,
    regex: &str,
    target: &str,
    replacement: &str,
) -> Result<Pattern, String> {
    let uses_groups = |text: &str| text.contains('$');
    match action {
        Action::ReplaceAll | Action::LabelMapAll => SearchRegex::new(regex).map(Pattern::Parts),
        Action::Replace | Action::LabelMap => {
            let is_simple = !uses_groups(target)
                && (replacement == FIRST_GROUP || !uses_groups(replacement))
                && !replacement.contains("{{");
            match is_simple {
                true if regex == ANYTHING => Ok(Pattern::Anything),
                true if !uses_groups(replacement) => {
                    AnchoredRegex::new(regex).map(Pattern::Matching)
                }
                _ => ReplacePattern::new(regex).map(Pattern::Groups),
            }
        }
        _ if regex == ANYTHING => Ok(Pattern::Anything),
        _ => AnchoredRegex::new(regex).map(Pattern::Matching),
    }
}
