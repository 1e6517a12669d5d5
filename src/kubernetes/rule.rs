//! PrometheusRules: a file of rules each.

use crate::Object;
use crate::section::Section;
use yaml::{Error, Node};

/// The file that the object stands for, and the names of its groups.
pub(crate) fn file(object: &Object) -> Result<(Node, Vec<String>), Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("PrometheusRule")?;
    let groups: Vec<Node> = fields.or_default("groups")?;
    fields.end()?;
    let mut names = Vec::new();
    let mut kept = Vec::new();
    for group in groups {
        let entries = group.entries()?;
        let name = entries.iter().find(|(name, _)| *name == "name").and_then(|(_, it)| it.text());
        names.push(name.unwrap_or_default().to_owned());
        let mut section = Section::new(&group);
        // Thanos' field says nothing to a single server.
        for (name, node) in entries
            .into_iter()
            .filter(|(name, node)| *name != "partial_response_strategy" && !node.is_null())
        {
            section.set(name, node.clone());
        }
        kept.push(section.build());
    }
    let mut file = Section::new(&spec);
    file.set("groups", Node::list(kept, &spec));
    Ok((file.build(), names))
}
