//! From tokens to a tree: recursive descent, with Pratt loops where operators have precedence.
//!
//! `field`: what is asked of a span. `spans`: filters, stages and how they are combined. `metrics`:
//! numbers over time. Here: the tokens, the bounds, the entry points.
//! Invariants: nesting is bounded by [`DEPTH_MAX`], the depth of a tree by [`CHAIN_MAX`], the text by
//! [`LENGTH_MAX`]; what is returned has been validated.

mod field;
mod metrics;
mod spans;

use crate::ast::{FieldExpr, Hint, Query, Root};
use crate::attribute::Attribute;
use crate::check;
use crate::error::ParseError;
use crate::lex::{Token, TokenKind, tokens};
use query::Position;

pub(crate) use field::literal_of;

/// How many bytes a query may have.
pub const LENGTH_MAX: usize = 128 << 10;
/// How deep parentheses and signs may nest.
pub const DEPTH_MAX: usize = 100;
/// How deep the tree of a query may be: a chain `a || b || …` is one level deeper with each operator.
pub(crate) const CHAIN_MAX: usize = 1_000;

type Parsed<T> = Result<T, ParseError>;

pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > LENGTH_MAX {
        let message = format!("a query may have {LENGTH_MAX} bytes, this one has {}", text.len());
        return Err(ParseError::invalid(message));
    }
    let (tokens, error) = tokens(text);
    let mut parser = Parser::new(text, &tokens, error);
    let root = parser.root()?;
    let hints = parser.hints()?;
    parser.end()?;
    let query = Query { root, hints };
    check::query(&query)?;
    Ok(query)
}

/// An attribute as it stands in a query, or as clients name it: `span.http.method`, `duration`.
pub fn parse_attribute(text: &str) -> Result<Attribute, ParseError> {
    let (tokens, error) = tokens(text);
    let mut parser = Parser::new(text, &tokens, error);
    let attribute = parser.attribute()?;
    parser.end()?;
    Ok(attribute)
}

/// An expression of fields that these tokens of a query are, all of them.
pub(crate) fn parse_field(text: &str, tokens: &[Token<'_>]) -> Result<FieldExpr, ParseError> {
    let mut parser = Parser::new(text, tokens, None);
    let expr = parser.whole_field()?;
    parser.end()?;
    check::filter(&expr)?;
    Ok(expr)
}

pub(crate) struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token<'t>],
    /// What is wrong with the text behind the last token.
    broken: Option<ParseError>,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, tokens: &'t [Token<'t>], broken: Option<ParseError>) -> Self {
        Self { text, tokens, broken, at: 0, depth: 0 }
    }

    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.at)
    }

    fn is_next(&self, symbol: &str) -> bool {
        self.peek().is_some_and(|token| token.is(symbol))
    }

    fn is_next_word(&self, word: &str) -> bool {
        self.peek().is_some_and(|token| token.is_word(word))
    }

    fn next_symbol(&self) -> Option<&'static str> {
        match self.peek()?.kind {
            TokenKind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn next_word(&self) -> Option<&'t str> {
        match self.peek()?.kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let is_there = self.is_next(symbol);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.accept(symbol) { Ok(()) } else { self.unexpected(&format!("`{symbol}`")) }
    }

    /// The error that something else stands here than `wanted`.
    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        let Some(token) = self.peek() else {
            let end = Position::new(self.text.len(), self.text.len());
            let at_end = || self.syntax(end, &format!("unexpected end, expecting {wanted}"));
            return Err(self.broken.clone().unwrap_or_else(at_end));
        };
        let position = token.position;
        let shown = match &token.kind {
            TokenKind::End => "end of the query".to_owned(),
            _ => format!("`{}`", &self.text[position.start..position.end]),
        };
        Err(self.syntax(position, &format!("syntax error: unexpected {shown}, expecting {wanted}")))
    }

    fn syntax(&self, position: Position, what: &str) -> ParseError {
        ParseError::syntax(self.text, position, what)
    }

    /// An error that names the token before the next one.
    fn wrong<T>(&self, what: &str) -> Parsed<T> {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let position = last.map_or_else(Position::default, |token| token.position);
        Err(self.syntax(position, what))
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return self.wrong(&format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `depth`: of a tree that has become larger.
    fn check_chain(&self, depth: usize) -> Parsed<()> {
        let message = "too many operators in one expression: use a regular expression (`=~ \"a|b\"`) \
                       or several queries";
        if depth > CHAIN_MAX { self.wrong(message) } else { Ok(()) }
    }

    fn end(&self) -> Parsed<()> {
        match self.peek() {
            None | Some(Token { kind: TokenKind::End, .. }) if self.broken.is_none() => Ok(()),
            _ => self.unexpected("an operator, `|`, `with` or the end"),
        }
    }

    fn root(&mut self) -> Parsed<Root> {
        match self.pipeline()? {
            spans::Node::Spans(pipeline) => Ok(Root::Spans(pipeline)),
            spans::Node::Metrics(expr) => Ok(Root::Metrics(expr)),
        }
    }

    /// `with(most_recent=true)`
    fn hints(&mut self) -> Parsed<Vec<Hint>> {
        let mut hints = Vec::new();
        if !self.is_next_word("with") {
            return Ok(hints);
        }
        self.at += 1;
        self.expect("(")?;
        loop {
            let Some(name) = self.next_word() else { return self.unexpected("a hint") };
            self.at += 1;
            self.expect("=")?;
            let value = self.constant()?;
            hints.push(Hint { name: name.to_owned(), value });
            if !self.accept(",") {
                self.expect(")")?;
                return Ok(hints);
            }
        }
    }

    fn attribute(&mut self) -> Parsed<Attribute> {
        let attribute = match self.peek().map(|token| &token.kind) {
            Some(TokenKind::Attribute(attribute)) => Some(attribute.clone()),
            Some(TokenKind::Word(word)) => Attribute::intrinsic_of_name(word),
            _ => None,
        };
        let Some(attribute) = attribute else { return self.unexpected("an attribute") };
        self.at += 1;
        Ok(attribute)
    }

    fn attributes(&mut self) -> Parsed<Vec<Attribute>> {
        self.expect("(")?;
        let mut attributes = vec![self.attribute()?];
        while self.accept(",") {
            attributes.push(self.attribute()?);
        }
        self.expect(")")?;
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests;
