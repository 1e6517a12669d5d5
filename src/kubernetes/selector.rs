//! Labels that select objects, as rules that keep what they select.

use crate::section::{Relabel, sanitized};
use model::escape_regex;
use std::collections::BTreeMap;
use yaml::{Error, Node};

/// The rules of a selector over the labels of `object` (`service`, `pod`).
pub(crate) fn rules(selector: &Node, object: &str) -> Result<Vec<Node>, Error> {
    let mut fields = selector.fields("selector")?;
    let labels: BTreeMap<String, String> = fields.or_default("matchLabels")?;
    let relabel = Relabel { at: selector };
    let names = |label: &str| {
        let label = sanitized(label);
        let value = format!("__meta_kubernetes_{object}_label_{label}");
        (value, format!("__meta_kubernetes_{object}_labelpresent_{label}"))
    };
    let mut rules = Vec::new();
    for (label, value) in labels {
        let (of_value, present) = names(&label);
        let regex = format!("({});true", escape_regex(&value));
        rules.push(relabel.keep(&[&of_value, &present], &regex));
    }
    let expressions: Vec<Node> = fields.or_default("matchExpressions")?;
    fields.end()?;
    for expression in &expressions {
        let mut fields = expression.fields("expression")?;
        let key: String = fields.required("key")?;
        let operator: String = fields.required("operator")?;
        let values: Vec<String> = fields.or_default("values")?;
        let relabel = Relabel { at: expression };
        let (of_value, present) = names(&key);
        let any = values.iter().map(|value| escape_regex(value)).collect::<Vec<_>>().join("|");
        rules.push(match operator.as_str() {
            "In" => relabel.keep(&[&of_value, &present], &format!("({any});true")),
            "NotIn" => relabel.drop(&[&of_value, &present], &format!("({any});true")),
            "Exists" => relabel.keep(&[&present], "true"),
            "DoesNotExist" => relabel.drop(&[&present], "true"),
            other => {
                let known = "In, NotIn, Exists or DoesNotExist";
                return Err(expression.error(format!("the operator `{other}` is not {known}")));
            }
        });
        fields.end()?;
    }
    Ok(rules)
}

/// Where a monitor looks: all namespaces, or these.
pub(crate) enum Namespaces {
    Any,
    Named(Vec<String>),
}

impl Namespaces {
    /// `own`: where nothing else is said.
    pub(crate) fn read(node: Option<&Node>, own: &str) -> Result<Self, Error> {
        let Some(node) = node else { return Ok(Self::Named(vec![own.to_owned()])) };
        let mut fields = node.fields("namespaceSelector")?;
        let any = fields.or("any", false)?;
        let names: Vec<String> = fields.or_default("matchNames")?;
        fields.end()?;
        Ok(match (any, names.is_empty()) {
            (true, _) => Self::Any,
            (false, true) => Self::Named(vec![own.to_owned()]),
            (false, false) => Self::Named(names),
        })
    }
}
