//! Cases, and properties over made-up trees.

use crate::{Duration, Error, FromNode, Node, Secret, Size};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq)]
struct Receiver {
    name: String,
    wait: Duration,
    urls: Vec<String>,
    labels: BTreeMap<String, String>,
    password: Option<Secret>,
    is_on: bool,
    limit: Size,
}

impl FromNode for Receiver {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("receiver")?;
        let receiver = Self {
            name: fields.required("name")?,
            wait: fields.or("group_wait", Duration::from_secs(30))?,
            urls: fields.or_default("urls")?,
            labels: fields.or_default("labels")?,
            password: fields.optional("password")?,
            is_on: fields.or("is_on", true)?,
            limit: fields.or_default("limit")?,
        };
        fields.end()?;
        Ok(receiver)
    }
}

fn read(text: &str) -> Result<Receiver, String> {
    Node::parse(text).and_then(|node| node.read()).map_err(|error| error.to_string())
}

#[test]
fn fields_take_what_they_want_of_a_scalar() {
    let text = "\
name: 5
group_wait: 1m30s
urls: [a, \"b\", 'c']
labels: {env: true, version: 1.10, empty: ~}
is_on: no
limit: 10MB
password: &p hunter2
";
    let receiver = read(text).unwrap();
    assert_eq!((receiver.name.as_str(), receiver.wait.ms), ("5", 90_000));
    assert_eq!(receiver.urls, ["a", "b", "c"]);
    let labels: Vec<_> = receiver.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("empty", ""), ("env", "true"), ("version", "1.10")]);
    assert!(!receiver.is_on);
    assert_eq!(receiver.limit.bytes, 10 << 20);
    assert_eq!(receiver.password.unwrap().reveal(), "hunter2");
}

#[test]
fn null_is_absent() {
    let receiver = read("name: a\ngroup_wait: null\nurls:\nlabels: ~\npassword: null\n").unwrap();
    assert_eq!(receiver.wait.ms, 30_000);
    assert!(receiver.urls.is_empty() && receiver.labels.is_empty() && receiver.password.is_none());
}

#[test]
fn errors_have_their_line() {
    let cases = [
        (
            "name: a\ngroup_wiat: 5s",
            "line 2: `group_wiat` is not a field of a receiver; did you mean `group_wait`?",
        ),
        ("name: a\nzzzzzzzzzzzz: 5s", "line 2: `zzzzzzzzzzzz` is not a field of a receiver"),
        ("\n\ngroup_wait: 5s", "line 3: a receiver needs the field `name`"),
        (
            "name: a\ngroup_wait: 5x",
            "line 2: `group_wait`: not a valid duration string: \"5x\": write it like 15s or 1h30m",
        ),
        (
            "name: a\nlimit: 5",
            "line 2: `limit`: `5` is not a size: write it like 10MB, 512KiB or 0",
        ),
        ("name: a\nis_on: maybe", "line 2: `is_on`: expected true or false"),
        ("name: a\nurls: x", "line 2: `urls`: expected a list: write each item behind a `-`"),
        ("name: a\nurls:\n- - x", "line 3: expected a text"),
        ("name: a\nname: b", "line 2: `name` stands here twice: the first is in line 1"),
        ("- a", "line 1: a receiver is a mapping of fields"),
        ("name: a\n---\nname: b", "line 3: a second document begins here: the file holds one"),
        ("name: *x", "line 1: this is not YAML: while parsing node, found unknown anchor"),
        ("name: &x [*x]", "line 1: an alias stands inside its anchor"),
        ("? [a]\n: b", "line 1: a key of a mapping is a text"),
        ("<<: 5\nname: a", "line 1: `<<` merges a mapping, or a list of mappings"),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), Err(expected.to_owned()), "of {text:?}");
    }
}

#[test]
fn aliases_and_merge_keys_are_resolved() {
    let text = "\
common: &common {group_wait: 5s, limit: 1KB}
more: &more {group_wait: 7s, is_on: false}
receiver:
  <<: [*common, *more]
  name: a
  limit: 2KB
";
    let node = Node::parse(text).unwrap();
    let (_, receiver) = node.entries().unwrap().pop().unwrap();
    let receiver: Receiver = receiver.read().unwrap();
    assert_eq!((receiver.wait.ms, receiver.limit.bytes, receiver.is_on), (5_000, 2048, false));
}

#[test]
fn what_aliases_stand_for_is_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    let error = Node::parse(&text).unwrap_err();
    assert!(error.message.contains("stands for more than"), "{error}");
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("{}x{}", open.repeat(100_000), close.repeat(100_000));
        Node::parse(&text).unwrap_err();
    }
    let nested: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(Node::parse(&nested).unwrap_err().message.contains("nested deeper"));
}

#[test]
fn secrets_are_not_printed() {
    let node =
        Node::parse("name: a\npassword: hunter2\nurls:\n- x: 1\n  z: [b, \"5\"]\n- c d\n").unwrap();
    assert!(node.to_text().contains("hunter2"));
    let mut fields = node.fields("receiver").unwrap();
    let secret: Secret = fields.required("password").unwrap();
    assert_eq!(format!("{secret:?}"), "<secret>");
    let expected = "name: a\npassword: <secret>\nurls:\n- x: 1\n  z:\n  - b\n  - \"5\"\n- c d\n";
    assert_eq!(node.to_text(), expected);
}

/// What a tree says, without places.
fn shape(node: &Node) -> String {
    if let Ok(items) = node.items()
        && !node.is_null()
    {
        return format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(","));
    }
    match node.text() {
        _ if node.is_null() => "null".to_owned(),
        Some(text) => format!("{text:?}"),
        None => {
            let entries = node.entries().unwrap().into_iter();
            let entries: Vec<_> = entries.map(|(k, v)| format!("{k:?}:{}", shape(v))).collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

/// The tree as JSON, which is YAML.
fn tree() -> impl Strategy<Value = String> {
    let quoted = |text: String| model::quote_go(text.as_bytes());
    let text = prop_oneof!["[ -~]{0,12}", "[가-힣 :#\n\t'\"-]{0,6}", "(true|null|5|1e3|~|-|<<|)"];
    let leaf = prop_oneof![text.prop_map(quoted), Just("5".to_owned()), Just("null".to_owned())];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let keys = proptest::collection::btree_map("[ -~]{0,8}", inner.clone(), 0..5);
        prop_oneof![
            proptest::collection::vec(inner, 0..5)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            keys.prop_map(move |entries| {
                let entries = entries.into_iter().filter(|(key, _)| key != "<<");
                let entries: Vec<_> = entries.map(|(k, v)| format!("{}: {v}", quoted(k))).collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ \\n:\\-\\[\\]{}&*a#|>'\"!%@?,~<\\\\0-9]{0,80}") {
        if let Ok(node) = Node::parse(&text) {
            shape(&node);
        }
    }

    #[test]
    fn printed_trees_read_alike(text in tree()) {
        let node = Node::parse(&text).unwrap();
        let printed = node.to_text();
        let again = Node::parse(&printed);
        prop_assert!(again.is_ok(), "{printed}: {again:?}");
        prop_assert_eq!(shape(&node), shape(&again.unwrap()), "{}", printed);
    }
}
