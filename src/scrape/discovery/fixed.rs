//! `static_configs`: targets that the configuration names.

use super::Group;
use yaml::{Error, Node};

pub(super) fn read(node: &Node) -> Result<Vec<Group>, Error> {
    let items = node.items()?.iter().enumerate();
    items
        .map(|(index, item)| match item.is_null() {
            true => Err(item.error("empty or null section in static_configs")),
            false => Group::read(item, index.to_string()),
        })
        .collect()
}
