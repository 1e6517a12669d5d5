//! The condition in front of a rule: `if: '{job="api",path=~"/v1/.*"}'`, or a list of such selectors of
//! which one must hold.

use model::{LabelsBuilder, METRIC_NAME, MatchOp, Matcher, is_plain_name, unquote_go};
use yaml::{Error, FromNode, Node};

/// Selectors of series, any of which may match.
#[derive(Clone, Debug)]
pub(crate) struct Condition(Vec<Vec<Matcher>>);

impl Condition {
    pub(crate) fn holds(&self, labels: &LabelsBuilder) -> bool {
        self.0.iter().any(|selector| {
            selector.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
        })
    }
}

impl FromNode for Condition {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let one = |node: &Node| {
            let text: String = node.read()?;
            selector(&text).map_err(|message| node.error(format!("`{text}`: {message}")))
        };
        match node.text() {
            Some(_) => one(node).map(|selector| Self(vec![selector])),
            None => node.items()?.iter().map(one).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// `name{label="value",other=~"expression"}`.
fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.trim();
    let (name, braces) = text.split_at(text.find('{').unwrap_or(text.len()));
    let name = name.trim();
    let mut matchers = Vec::new();
    if !name.is_empty() {
        let is_name = is_plain_name(&name.replace(':', "_"));
        matchers.push(Matcher::equal(METRIC_NAME, name));
        if !is_name {
            return Err(format!("`{name}` is not the name of a metric"));
        }
    }
    if braces.is_empty() {
        return if matchers.is_empty() {
            Err("the selector is empty".to_owned())
        } else {
            Ok(matchers)
        };
    }
    let mut rest = braces[1..].trim_start();
    while !rest.starts_with('}') {
        let (matcher, after) = matcher(rest)?;
        matchers.push(matcher);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err("expected `,` or `}` behind a matcher".to_owned()),
        }
    }
    if rest.len() > 1 {
        Err(format!("`{}` stands behind the selector", &rest[1..]))
    } else {
        Ok(matchers)
    }
}

/// One matcher at the start, and what follows it.
fn matcher(text: &str) -> Result<(Matcher, &str), String> {
    let end = text.find(['=', '!']).ok_or("a matcher is like label=\"value\"")?;
    let (name, rest) = text.split_at(end);
    let operators = [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ];
    let found = operators.iter().find_map(|(sign, op)| Some((rest.strip_prefix(sign)?, *op)));
    let (rest, op) = found.ok_or("an operator of a matcher is =, !=, =~ or !~")?;
    let rest = rest.trim_start();
    let length = quoted_length(rest).ok_or("the value of a matcher stands in quotes")?;
    let (quoted, rest) = rest.split_at(length);
    let value = unquote_go(quoted)?;
    let value = String::from_utf8(value).map_err(|_| "the value of a matcher is not UTF-8")?;
    Ok((Matcher::new(op, name.trim(), &value)?, rest))
}

/// How long the quoted text at the start is, its quotes included.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != '`' => is_escaped = true,
            c if c == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}
