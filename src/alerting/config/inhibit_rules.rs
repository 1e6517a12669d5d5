//! `inhibit_rules`

use super::fields::conditions;
use model::Matcher;
use yaml::{Error, FromNode, Node};

/// An alert that meets `source` mutes those that meet `target` and have the same values of `equal`.
#[derive(Clone, Debug)]
pub struct InhibitRule {
    pub name: String,
    pub source: Vec<Matcher>,
    pub target: Vec<Matcher>,
    pub equal: Vec<String>,
}

impl FromNode for InhibitRule {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("inhibit_rule")?;
        let rule = Self {
            name: fields.or_default("name")?,
            source: conditions(
                &mut fields,
                ["source_match", "source_match_re", "source_matchers"],
            )?,
            target: conditions(
                &mut fields,
                ["target_match", "target_match_re", "target_matchers"],
            )?,
            equal: fields.or_default("equal")?,
        };
        fields.end()?;
        Ok(rule)
    }
}
