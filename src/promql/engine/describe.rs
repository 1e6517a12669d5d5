//! A plan in words, for the trace.

use super::plan::Node;
use crate::selector::Selector;

/// A node in a few words, for the trace.
pub(super) fn describe(node: &Node) -> String {
    match node {
        Node::Number(value) => format!("number {value}"),
        Node::String(_) => "string".to_owned(),
        Node::Vector(selector) => format!("select {}", matchers_text(selector)),
        Node::Range(range) => format!("select {}", matchers_text(&range.selector)),
        Node::Subquery(_) => "subquery".to_owned(),
        Node::Negate(_) => "negate".to_owned(),
        Node::Positive(_) => "plus".to_owned(),
        Node::Binary(binary) => format!("binary {}", binary.op.as_str()),
        Node::Call(call) => format!("call {}", call.function.name),
        Node::Aggregate(aggregate) => format!("aggregate {}", aggregate.op.as_str()),
        Node::Invariant(_) => "once for all steps".to_owned(),
    }
}

fn matchers_text(selector: &Selector) -> String {
    let texts: Vec<String> = selector.matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}
