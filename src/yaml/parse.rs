//! From text to tree: anchors, aliases and merge keys are resolved here, and everything is bounded.

use crate::Error;
use crate::node::{Content, Entry, Node, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// Far above any configuration; a file of rules of this size has a hundred thousand of them.
const TEXT_MAX: usize = 32 << 20;
const DEPTH_MAX: usize = 100;
/// With aliases counted as often as they are used.
const NODES_MAX: usize = 4_000_000;
const MERGE_KEY: &str = "<<";

impl Node {
    /// Reads exactly one document; an empty text is null.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_all(text).and_then(|mut documents| match documents.len() {
            0 => Ok(Self::null(Place { line: 1, column: 1 })),
            1 => Ok(documents.remove(0)),
            _ => Err(documents[1].error("a second document begins here: the file holds one")),
        })
    }

    /// Reads all documents of a text (`---` stands between them), without those that are empty.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, Error> {
        if text.len() > TEXT_MAX {
            let message = format!("the text has {} bytes, at most {TEXT_MAX} are read", text.len());
            return Err(Place { line: 1, column: 1 }.error(message));
        }
        let mut builder = Builder::default();
        for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
            let (event, span) = event.map_err(|error| {
                let place = Place { line: error.marker().line(), column: error.marker().col() + 1 };
                place.error(format!("this is not YAML: {}", error.info()))
            })?;
            builder.take(event, span)?;
        }
        Ok(builder.documents)
    }
}

/// A sequence or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
    /// The key of a mapping whose value comes next.
    key: Option<(String, Place)>,
    merged: Vec<Entry>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: Vec<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && tag.is_none();
                let content = Content::Scalar { text: text.into_owned(), is_plain };
                self.add(Node::new(content, place), anchor)
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(Content::Sequence(Vec::new()), place, anchor)
            }
            Event::MappingStart(anchor, _) => {
                self.begin(Content::Mapping(Vec::new()), place, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.add(node.ok_or_else(|| place.error("an alias stands inside its anchor"))?, 0)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, content: Content, place: Place, anchor: usize) -> Result<(), Error> {
        if self.open.len() == DEPTH_MAX {
            return Err(place.error(format!("values are nested deeper than {DEPTH_MAX} levels")));
        }
        if let Some(Open { content: Content::Mapping(_), key: None, .. }) = self.open.last() {
            return Err(place.error("a key of a mapping is a text"));
        }
        self.open.push(Open { place, anchor, content, key: None, merged: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        if let Content::Mapping(entries) = &mut open.content {
            // What a mapping says itself goes before what is merged into it.
            for merged in open.merged {
                if !entries.iter().any(|entry| entry.name == merged.name) {
                    entries.push(merged);
                }
            }
        }
        self.add(Node::new(open.content, open.place), open.anchor)
    }

    /// Puts a whole node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(node.weight());
        if self.nodes > NODES_MAX {
            return Err(node.error(format!("the text stands for more than {NODES_MAX} values")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping(entries) => match open.key.take() {
                None => open.key = Some(key_of(&node, entries)?),
                Some((name, place)) if name == MERGE_KEY => {
                    merge(&node, place, &mut open.merged)?;
                }
                Some((name, place)) => entries.push(Entry { name, place, value: node }),
            },
            Content::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn key_of(node: &Node, entries: &[Entry]) -> Result<(String, Place), Error> {
    let name = node.text().ok_or_else(|| node.error("a key of a mapping is a text"))?;
    match entries.iter().find(|entry| entry.name == name) {
        Some(first) => {
            let line = first.place.line;
            Err(node.error(format!("`{name}` stands here twice: the first is in line {line}")))
        }
        None => Ok((name.to_owned(), node.place())),
    }
}

/// The entries of the mapping, or of the list of mappings, behind a merge key. The first of a list
/// wins.
fn merge(node: &Node, place: Place, merged: &mut Vec<Entry>) -> Result<(), Error> {
    match node.content() {
        Content::Mapping(entries) => {
            for entry in entries {
                if !merged.iter().any(|known| known.name == entry.name) {
                    merged.push(entry.clone());
                }
            }
            Ok(())
        }
        Content::Sequence(items) if items.iter().all(|item| item.text().is_none()) => {
            items.iter().try_for_each(|item| merge(item, place, merged))
        }
        _ => Err(place.error("`<<` merges a mapping, or a list of mappings")),
    }
}
