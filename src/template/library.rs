//! Templates that others call by name.

use crate::execute::{Named, Template};
use crate::tree::Node;
use std::collections::BTreeMap;

/// The templates of several texts. Of two with the same name the later one holds, unless it is empty.
#[derive(Debug, Default)]
pub struct Library {
    texts: Vec<Template>,
    /// Where each template stands.
    places: BTreeMap<String, usize>,
}

impl Library {
    pub fn add(&mut self, text: Template) {
        let at = self.texts.len();
        for (name, nodes) in text.named_trees() {
            if !self.places.contains_key(name) || !is_blank(nodes) {
                self.places.insert(name.clone(), at);
            }
        }
        self.texts.push(text);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Named<'_>> {
        self.texts.get(*self.places.get(name)?)?.own(name)
    }
}

fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}
