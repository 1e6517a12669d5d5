//! Tokens into the tree.
//!
//! Every function and every variable that a template names must be there; otherwise it is refused.
//! Invariants: nesting is bounded, so that neither parsing, executing nor dropping a tree can exhaust
//! the stack.

mod number;
mod pipeline;

use crate::error::{ParseError, line_and_column};
use crate::lex::{Token, TokenKind, tokens};
use crate::registry::Registry;
use crate::tree::{Branch, Node, Nodes, TemplateCall};
use model::{quote_go, unquote_go};
use std::collections::BTreeMap;

/// Actions within actions and parentheses within parentheses.
const NESTING_MAX: usize = 100;

/// All templates of one text: its own tree under its name, and those that it defines.
pub(crate) fn parse(
    name: &str,
    text: &str,
    registry: &Registry,
) -> Result<BTreeMap<String, Nodes>, ParseError> {
    let tokens = tokens(text);
    let mut parser = Parser {
        tokens,
        at: 0,
        registry,
        variables: vec!["$".to_owned()],
        nesting: 0,
        ranges: 0,
        trees: BTreeMap::new(),
    };
    let parsed = parser.whole().and_then(|nodes| parser.define(name.to_owned(), nodes));
    match parsed {
        Ok(()) => Ok(parser.trees),
        Err(mistake) => {
            let (line, column) = line_and_column(text, mistake.position);
            let message = mistake.message;
            Err(ParseError { name: name.to_owned(), line, column: column + 1, message })
        }
    }
}

struct Mistake {
    position: usize,
    message: String,
}

type Parsed<T> = Result<T, Mistake>;

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
    registry: &'t Registry,
    /// Those that can be named here.
    variables: Vec<String>,
    nesting: usize,
    /// The ranges around, within this template.
    ranges: usize,
    trees: BTreeMap<String, Nodes>,
}

/// What ended a list of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    End,
    Else,
    Text,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn name(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

impl<'t> Parser<'t> {
    // ── tokens ──

    fn peek_with_space(&self) -> &Token<'t> {
        let last = self.tokens.len().saturating_sub(1);
        &self.tokens[self.at.min(last)]
    }

    fn peek(&mut self) -> &Token<'t> {
        while self.peek_with_space().kind == TokenKind::Space {
            self.at += 1;
        }
        self.peek_with_space()
    }

    fn next(&mut self) -> Token<'t> {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn next_is(&mut self, kind: TokenKind) -> bool {
        self.peek().kind == kind
    }

    /// Whether a keyword comes next, which is then taken.
    fn takes_keyword(&mut self, keyword: &str) -> bool {
        let token = self.peek();
        let is_it = token.kind == TokenKind::Keyword && token.text == keyword;
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Parsed<Token<'t>> {
        let token = self.next();
        if token.kind == kind { Ok(token) } else { unexpected(&token, context) }
    }

    fn enter(&mut self) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting <= NESTING_MAX {
            return Ok(());
        }
        let position = self.peek().position;
        mistake(position, format!("nested more than {NESTING_MAX} deep"))
    }

    // ── texts and actions ──

    fn whole(&mut self) -> Parsed<Nodes> {
        let (nodes, ending) = self.nodes()?;
        match ending {
            Ending::Text => Ok(nodes),
            Ending::End => mistake(self.last_position(), "unexpected {{end}}"),
            Ending::Else => mistake(self.last_position(), "unexpected {{else}}"),
        }
    }

    fn last_position(&self) -> usize {
        self.tokens.get(self.at.saturating_sub(1)).map_or(0, |token| token.position)
    }

    /// Up to `{{end}}`, `{{else` or the end of the text.
    fn nodes(&mut self) -> Parsed<(Nodes, Ending)> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                TokenKind::Text => nodes.push(Node::Text(token.text.into_owned())),
                TokenKind::Open => match self.action()? {
                    Action::Node(node) => nodes.push(node),
                    Action::Definition => {}
                    Action::Ending(ending) => return Ok((nodes, ending)),
                },
                TokenKind::End => return Ok((nodes, Ending::Text)),
                _ => return unexpected(&token, "input"),
            }
        }
    }

    fn action(&mut self) -> Parsed<Action> {
        if !self.next_is(TokenKind::Keyword) {
            return Ok(Action::Node(Node::Action(self.pipeline("command", TokenKind::Close)?)));
        }
        let keyword = self.next();
        let node = match &*keyword.text {
            "if" => Node::If(self.branch(Control::If)?),
            "with" => Node::With(self.branch(Control::With)?),
            "range" => Node::Range(self.branch(Control::Range)?),
            "template" => self.template(keyword.position)?,
            "block" => self.block(keyword.position)?,
            "break" => self.leave(&keyword, Node::Break)?,
            "continue" => self.leave(&keyword, Node::Continue)?,
            "define" => return self.definition(&keyword).map(|()| Action::Definition),
            "end" => {
                self.expect(TokenKind::Close, "end")?;
                return Ok(Action::Ending(Ending::End));
            }
            // What follows is up to whoever asked for the nodes.
            _ => return Ok(Action::Ending(Ending::Else)),
        };
        Ok(Action::Node(node))
    }

    fn leave(&mut self, keyword: &Token<'_>, node: Node) -> Parsed<Node> {
        if self.ranges == 0 {
            return mistake(
                keyword.position,
                format!("{{{{{}}}}} outside {{{{range}}}}", keyword.text),
            );
        }
        self.expect(TokenKind::Close, &format!("{{{{{}}}}}", keyword.text))?;
        Ok(node)
    }

    /// `if`, `with` or `range`, behind the keyword, with all its branches.
    fn branch(&mut self, control: Control) -> Parsed<Branch> {
        self.enter()?;
        let outside = self.variables.len();
        let pipeline = self.pipeline(control.name(), TokenKind::Close)?;
        let inside = self.variables.len();
        self.ranges += usize::from(control == Control::Range);
        let listed = self.nodes();
        self.ranges -= usize::from(control == Control::Range);
        let (body, ending) = listed?;
        self.variables.truncate(inside);
        let otherwise = match ending {
            Ending::End => Vec::new(),
            Ending::Else => self.otherwise(control)?,
            Ending::Text => return mistake(self.last_position(), "unexpected EOF"),
        };
        self.variables.truncate(outside);
        self.nesting -= 1;
        Ok(Branch { pipeline, body, otherwise })
    }

    /// What follows `{{else`: `if` or `with` again, or a last list of nodes.
    fn otherwise(&mut self, control: Control) -> Parsed<Nodes> {
        if control == Control::If && self.takes_keyword("if") {
            return Ok(vec![Node::If(self.branch(Control::If)?)]);
        }
        if control == Control::With && self.takes_keyword("with") {
            return Ok(vec![Node::With(self.branch(Control::With)?)]);
        }
        self.expect(TokenKind::Close, "else")?;
        match self.nodes()? {
            (nodes, Ending::End) => Ok(nodes),
            (_, Ending::Else) => mistake(self.last_position(), "expected end; found {{else}}"),
            (_, Ending::Text) => mistake(self.last_position(), "unexpected EOF"),
        }
    }

    // ── templates within ──

    fn template(&mut self, position: usize) -> Parsed<Node> {
        let name = self.template_name("template clause")?;
        let pipeline = if self.next_is(TokenKind::Close) {
            self.at += 1;
            None
        } else {
            Some(self.pipeline("template clause", TokenKind::Close)?)
        };
        Ok(Node::Template(TemplateCall { position, name, pipeline }))
    }

    fn template_name(&mut self, context: &str) -> Parsed<String> {
        let token = self.next();
        if !matches!(token.kind, TokenKind::Quoted | TokenKind::Raw) {
            return unexpected(&token, context);
        }
        let name = unquote(&token)?;
        String::from_utf8(name).or_else(|_| mistake(token.position, "the name is not text"))
    }

    /// `{{block "name" pipeline}}`: defines a template and calls it.
    fn block(&mut self, position: usize) -> Parsed<Node> {
        let context = "block clause";
        let name = self.template_name(context)?;
        let pipeline = Some(self.pipeline(context, TokenKind::Close)?);
        self.body_of(name.clone(), context)?;
        Ok(Node::Template(TemplateCall { position, name, pipeline }))
    }

    fn definition(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        let context = "define clause";
        if self.nesting > 0 {
            return mistake(keyword.position, "unexpected <define> in command");
        }
        let name = self.template_name(context)?;
        self.expect(TokenKind::Close, context)?;
        self.body_of(name, context)
    }

    /// The nodes of another template, which knows no variables from outside.
    fn body_of(&mut self, name: String, context: &str) -> Parsed<()> {
        self.enter()?;
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.nodes()?;
        match ending {
            Ending::End => {}
            Ending::Else => {
                return mistake(
                    self.last_position(),
                    format!("unexpected {{{{else}}}} in {context}"),
                );
            }
            Ending::Text => return mistake(self.last_position(), "unexpected EOF"),
        }
        (self.variables, self.ranges) = (outside, ranges);
        self.nesting -= 1;
        self.define(name, nodes)
    }

    /// A template may be defined again where one of the two is empty.
    fn define(&mut self, name: String, nodes: Nodes) -> Parsed<()> {
        let is_empty = |nodes: &Nodes| {
            nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
        };
        match self.trees.get(&name) {
            Some(known) if !is_empty(known) && is_empty(&nodes) => Ok(()),
            Some(known) if !is_empty(known) => {
                let name = quote_go(name.as_bytes());
                mistake(self.last_position(), format!("multiple definition of template {name}"))
            }
            _ => {
                self.trees.insert(name, nodes);
                Ok(())
            }
        }
    }
}

enum Action {
    Node(Node),
    Definition,
    Ending(Ending),
}

fn mistake<T>(position: usize, message: impl Into<String>) -> Parsed<T> {
    Err(Mistake { position, message: message.into() })
}

fn unexpected<T>(token: &Token<'_>, context: &str) -> Parsed<T> {
    let text = &*token.text;
    let shown = match token.kind {
        TokenKind::Mistake => return mistake(token.position, text),
        TokenKind::End => "EOF".to_owned(),
        TokenKind::Keyword => format!("<{text}>"),
        _ => match text.char_indices().nth(10) {
            Some((end, _)) => format!("{}...", quote_go(&text.as_bytes()[..end])),
            None => quote_go(text.as_bytes()),
        },
    };
    mistake(token.position, format!("unexpected {shown} in {context}"))
}

fn unquote(token: &Token<'_>) -> Parsed<Vec<u8>> {
    unquote_go(&token.text).or_else(|message| mistake(token.position, message))
}
