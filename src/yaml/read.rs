//! Scalars and lists as values.

use crate::{Error, Node};
use std::collections::BTreeMap;

/// A type that can be read from a node.
pub trait FromNode: Sized {
    fn from_node(node: &Node) -> Result<Self, Error>;
}

/// The text of a scalar, however it is quoted. Null is the empty text, as Go's decoder has it.
impl FromNode for String {
    fn from_node(node: &Node) -> Result<Self, Error> {
        if node.is_null() {
            return Ok(Self::new());
        }
        node.text().map(str::to_owned).ok_or_else(|| node.error("expected a text"))
    }
}

impl FromNode for bool {
    fn from_node(node: &Node) -> Result<Self, Error> {
        match node.text().unwrap_or_default() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
            _ => Err(node.error("expected true or false")),
        }
    }
}

macro_rules! numbers {
    ($($kind:ty: $expected:literal,)*) => {
        $(
            impl FromNode for $kind {
                fn from_node(node: &Node) -> Result<Self, Error> {
                    let text = node.text().unwrap_or_default();
                    text.parse().map_err(|_| node.error($expected))
                }
            }
        )*
    };
}

numbers! {
    i64: "expected a whole number",
    i32: "expected a whole number",
    u64: "expected a whole number, 0 or more",
    u32: "expected a whole number, 0 or more",
    u16: "expected a whole number between 0 and 65535",
    usize: "expected a whole number, 0 or more",
    f64: "expected a number",
}

impl<T: FromNode> FromNode for Option<T> {
    fn from_node(node: &Node) -> Result<Self, Error> {
        if node.is_null() { Ok(None) } else { T::from_node(node).map(Some) }
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node) -> Result<Self, Error> {
        node.items()?.iter().map(T::from_node).collect()
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let entries = node.entries()?.into_iter();
        entries.map(|(name, value)| Ok((name.to_owned(), T::from_node(value)?))).collect()
    }
}

/// The node itself, to be read later.
impl FromNode for Node {
    fn from_node(node: &Node) -> Result<Self, Error> {
        Ok(node.clone())
    }
}
