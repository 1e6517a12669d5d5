//! Selectors (`up{job="api"}`) and the names of single series.

use super::{Parsed, Parser, is_metric_word};
use crate::ast::{TimeShift, VectorSelector};
use crate::lex::{Token, TokenKind};
use crate::types::Edges;
use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use query::{BinaryOp, Position};

impl<'a> Parser<'a> {
    pub(super) fn whole_selector(&mut self) -> Parsed<VectorSelector> {
        let name = if is_metric_word(self.token.kind) { Some(self.advance()?) } else { None };
        if name.is_none() && !self.is(TokenKind::LeftBrace) {
            return self.unexpected("", "");
        }
        let selector = self.vector_selector(name)?;
        if self.is(TokenKind::End) { Ok(selector) } else { self.unexpected("", "") }
    }

    /// The braces, where there are any, after a name that has been read.
    pub(super) fn vector_selector(&mut self, name: Option<Token<'a>>) -> Parsed<VectorSelector> {
        let start = name.map_or(self.token.start, |name| name.start);
        let mut matchers = Vec::new();
        if self.is(TokenKind::LeftBrace) {
            self.advance()?;
            while !self.is(TokenKind::RightBrace) {
                matchers.push(self.label_matcher()?);
                if !self.is(TokenKind::RightBrace) {
                    self.expect(TokenKind::Comma, "label matching", "\",\" or \"}\"")?;
                }
            }
            self.advance()?;
        }
        let name = name.map_or("", |name| name.text);
        if !name.is_empty() {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        Ok(VectorSelector {
            name: name.to_owned(),
            matchers,
            shift: TimeShift::default(),
            edges: Edges::Plain,
            position: Position::new(start, self.last_end),
            labels_only: false,
        })
    }

    fn label_matcher(&mut self) -> Parsed<Matcher> {
        const CONTEXT: &str = "label matching";
        let start = self.token.position();
        let quoted = self.is(TokenKind::String);
        let name = match self.token.kind {
            TokenKind::Identifier => self.advance()?.text.to_owned(),
            TokenKind::String => self.quoted_name()?,
            _ => return self.unexpected(CONTEXT, "identifier or \"}\""),
        };
        let op = match self.token.kind {
            TokenKind::Equal => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::Ne) => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotEqualRegex => MatchOp::NotRegex,
            _ if quoted => return Ok(Matcher::equal(METRIC_NAME, &name)),
            _ => return self.unexpected(CONTEXT, "label matching operator"),
        };
        self.advance()?;
        if !self.is(TokenKind::String) {
            return self.unexpected(CONTEXT, "string");
        }
        let value = self.string()?;
        match Matcher::new(op, &name, &value.text()) {
            Ok(matcher) => self.counted(matcher, start.to(value.position)),
            Err(message) => self.error(start.to(value.position), message),
        }
    }

    fn counted(&mut self, matcher: Matcher, position: Position) -> Parsed<Matcher> {
        match self.regexes.take(&matcher) {
            Ok(()) => Ok(matcher),
            Err(too_many) => self.error(position, too_many.to_string()),
        }
    }

    pub(super) fn whole_metric(&mut self) -> Parsed<Labels> {
        let labels = self.metric()?;
        if self.is(TokenKind::End) { Ok(labels) } else { self.unexpected("", "") }
    }

    fn metric(&mut self) -> Parsed<Labels> {
        let mut builder = LabelsBuilder::new();
        let name = if is_metric_word(self.token.kind) { Some(self.advance()?) } else { None };
        if self.is(TokenKind::LeftBrace) {
            self.advance()?;
            while !self.is(TokenKind::RightBrace) {
                self.label_pair(&mut builder)?;
                if !self.is(TokenKind::RightBrace) {
                    self.expect(TokenKind::Comma, "label set", "\",\" or \"}\"")?;
                }
            }
            self.advance()?;
        }
        if let Some(name) = name {
            builder.set(METRIC_NAME, name.text);
        }
        Ok(builder.build())
    }

    fn label_pair(&mut self, builder: &mut LabelsBuilder) -> Parsed<()> {
        const CONTEXT: &str = "label set";
        let quoted = self.is(TokenKind::String);
        let name = match self.token.kind {
            TokenKind::Identifier => self.advance()?.text.to_owned(),
            TokenKind::String => self.quoted_name()?,
            _ => return self.unexpected(CONTEXT, "identifier or \"}\""),
        };
        if quoted && !self.is(TokenKind::Equal) {
            builder.set(METRIC_NAME, &name);
            return Ok(());
        }
        self.expect(TokenKind::Equal, CONTEXT, "\"=\"")?;
        if !self.is(TokenKind::String) {
            return self.unexpected(CONTEXT, "string");
        }
        let value = self.quoted_name()?;
        builder.set(&name, &value);
        Ok(())
    }
}
