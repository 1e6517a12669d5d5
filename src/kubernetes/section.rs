//! Builds sections of configuration files out of the nodes of an object.

use std::collections::BTreeMap;
use yaml::{Error, Fields, FromNode, Node};

/// Fields of a section, in the order in which they were added.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The node of the object at which fields that have none of their own stand.
    at: Node,
    fields: Vec<(String, Node)>,
}

impl Section {
    pub(crate) fn new(at: &Node) -> Self {
        Self { at: at.clone(), fields: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: Node) -> &mut Self {
        self.fields.push((name.to_owned(), value));
        self
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let value = Node::quoted(value, &self.at);
        self.set(name, value)
    }

    pub(crate) fn texts<S: AsRef<str>>(&mut self, name: &str, values: &[S]) -> &mut Self {
        let values = values.iter().map(|value| Node::quoted(value.as_ref(), &self.at)).collect();
        let list = Node::list(values, &self.at);
        self.set(name, list)
    }

    /// A field of the object under the name that it has in the section.
    pub(crate) fn copy(
        &mut self,
        from: &mut Fields<'_>,
        names: &[(&'static str, &str)],
    ) -> &mut Self {
        for (name, renamed) in names {
            if let Some(node) = from.take(name).filter(|node| !node.is_null()) {
                self.set(renamed, node.clone());
            }
        }
        self
    }

    /// The fields of both; of those with the same name the other's counts.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    pub(crate) fn build(self) -> Node {
        Node::mapping(self.fields, &self.at)
    }
}

/// The fields of a relabeling of the Operator, whose names differ from Prometheus' in case only.
pub(crate) fn relabelings(node: &Node) -> Result<Vec<Node>, Error> {
    node.items()?.iter().map(relabeling).collect()
}

fn relabeling(node: &Node) -> Result<Node, Error> {
    let mut fields = node.fields("relabeling")?;
    let mut section = Section::new(node);
    section.copy(
        &mut fields,
        &[
            ("sourceLabels", "source_labels"),
            ("separator", "separator"),
            ("targetLabel", "target_label"),
            ("regex", "regex"),
            ("modulus", "modulus"),
            ("replacement", "replacement"),
        ],
    );
    // The objects' validation allows `Replace` as well as `replace`.
    if let Some(action) = fields.optional::<String>("action")? {
        section.text("action", &action.to_lowercase());
    }
    fields.end()?;
    Ok(section.build())
}

/// A rule `target ← sources`, as the Operator adds them.
pub(crate) struct Relabel<'a> {
    pub(crate) at: &'a Node,
}

impl Relabel<'_> {
    fn section(&self, sources: &[&str], action: Option<&str>) -> Section {
        let mut section = Section::new(self.at);
        if let Some(action) = action {
            section.text("action", action);
        }
        if !sources.is_empty() {
            section.texts("source_labels", sources);
        }
        section
    }

    /// Copies the value of a label.
    pub(crate) fn copy(&self, source: &str, target: &str) -> Node {
        let mut section = self.section(&[source], None);
        section.text("target_label", target);
        section.build()
    }

    /// Copies the value of a label that is there.
    pub(crate) fn copy_present(&self, source: &str, target: &str) -> Node {
        let mut section = self.section(&[source], None);
        section.text("target_label", target).text("regex", "(.+)").text("replacement", "${1}");
        section.build()
    }

    /// Copies a part of joined labels.
    pub(crate) fn extract(&self, sources: &[&str], regex: &str, target: &str) -> Node {
        let mut section = self.section(sources, None);
        section.text("separator", ";").text("regex", regex).text("replacement", "${1}");
        section.text("target_label", target);
        section.build()
    }

    pub(crate) fn set(&self, target: &str, value: &str) -> Node {
        let mut section = self.section(&[], None);
        // A dollar sign in a value is no group.
        section.text("target_label", target).text("replacement", &value.replace('$', "$$"));
        section.build()
    }

    pub(crate) fn keep(&self, sources: &[&str], regex: &str) -> Node {
        let mut section = self.section(sources, Some("keep"));
        section.text("regex", regex);
        section.build()
    }

    pub(crate) fn drop(&self, sources: &[&str], regex: &str) -> Node {
        let mut section = self.section(sources, Some("drop"));
        section.text("regex", regex);
        section.build()
    }
}

/// Targets that an object names itself, with their labels, as `static_configs` has them.
pub(crate) fn static_group(
    at: &Node,
    targets: &[String],
    labels: &BTreeMap<String, String>,
) -> Node {
    let mut of_labels = Section::new(at);
    labels.iter().for_each(|(name, value)| {
        of_labels.text(name, value);
    });
    let mut group = Section::new(at);
    group.texts("targets", targets).set("labels", of_labels.build());
    group.build()
}

/// An integer or a name, as ports are written.
pub(crate) enum Port {
    Number(u16),
    Name(String),
}

impl FromNode for Port {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text: String = node.read()?;
        Ok(text.parse().map_or_else(|_| Self::Name(text), Self::Number))
    }
}

/// A label's name as service discovery writes it: everything else than letters, digits and underscores
/// is an underscore.
pub(crate) fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}
