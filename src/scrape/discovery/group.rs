//! Groups of targets, and the form in which files and HTTP servers send them.

use super::DiscoveryError;
use model::{LABEL_LENGTH_MAX, Labels, LabelsBuilder};
use serde::Deserialize;
use std::collections::BTreeMap;
use yaml::{Error, Node};

pub(crate) const ADDRESS: &str = "__address__";

/// Targets that have labels in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Where it comes from; one group for each source.
    pub source: String,
    pub labels: Labels,
    /// Each with `__address__`.
    pub targets: Vec<Labels>,
    /// Where it stands in a file of the operator; 0 elsewhere.
    pub line: usize,
}

#[derive(Deserialize)]
struct JsonGroup {
    targets: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

/// More targets in one group are a mistake.
const TARGETS_MAX: usize = 1_000_000;

impl Group {
    /// A group as `static_configs` and files write it.
    pub(crate) fn read(node: &Node, source: String) -> Result<Self, Error> {
        let mut fields = node.fields("target group")?;
        let mut targets = Vec::new();
        if let Some(list) = fields.take("targets") {
            let items = list.items()?;
            if items.len() > TARGETS_MAX {
                return Err(list.error(format!("more than {TARGETS_MAX} targets")));
            }
            for item in items {
                let address: String = item.read()?;
                check_length(&address).map_err(|message| item.error(message))?;
                targets.push(Labels::from_pairs([(ADDRESS, address.as_str())]));
            }
        }
        let mut labels = LabelsBuilder::new();
        if let Some(node) = fields.take("labels") {
            for (name, value) in node.entries()? {
                let text: String = value.read()?;
                if name.is_empty() {
                    return Err(value.error(format!("{name:?} is not a valid label name")));
                }
                check_length(name).map_err(|message| value.error(message))?;
                check_length(&text).map_err(|message| value.error(message))?;
                labels.set(name, &text);
            }
        }
        fields.end()?;
        Ok(Self { source, labels: labels.build(), targets, line: node.line() })
    }

    /// A list of groups as JSON.
    pub(crate) fn of_json(body: &[u8], source: &str) -> Result<Vec<Self>, DiscoveryError> {
        let wrong = |error: &dyn std::fmt::Display| DiscoveryError(format!("{source}: {error}"));
        let groups: Vec<JsonGroup> = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
        let groups = groups.into_iter().enumerate();
        groups
            .map(|(index, group)| {
                let (targets, labels) =
                    (group.targets.unwrap_or_default(), group.labels.unwrap_or_default());
                let texts = labels.iter().flat_map(|(name, value)| [name, value]);
                for text in texts.chain(&targets) {
                    check_length(text).map_err(|message| wrong(&message))?;
                }
                let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let target = |address: &String| Labels::from_pairs([(ADDRESS, address.as_str())]);
                Ok(Self {
                    source: format!("{source}:{index}"),
                    labels: Labels::from_pairs(pairs.filter(|(name, _)| !name.is_empty())),
                    targets: targets.iter().map(target).collect(),
                    line: 0,
                })
            })
            .collect()
    }

    /// A list of groups as a file or an HTTP server has it in YAML.
    pub(crate) fn list(text: &str, source: &str) -> Result<Vec<Self>, DiscoveryError> {
        let wrong = |error: Error| DiscoveryError(format!("{source}: {error}"));
        let node = Node::parse(text).map_err(wrong)?;
        let items = node.items().map_err(wrong)?.iter().enumerate();
        items
            .map(|(index, item)| Self::read(item, format!("{source}:{index}")).map_err(wrong))
            .collect()
    }
}

fn check_length(text: &str) -> Result<(), &'static str> {
    if text.len() > LABEL_LENGTH_MAX { Err("the text is too long for a label") } else { Ok(()) }
}
