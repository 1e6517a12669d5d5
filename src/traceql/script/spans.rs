//! Reading spans: a line for each, with its children indented below it.

use crate::attribute::{Attribute, Scope};
use crate::lex::{Token, TokenKind, tokens};
use crate::literal::{Kind, Literal, Status};
use model::parse_duration_ns;
use wire::otlp::{AnyValue, Attribute as Sent};

pub(crate) type Read<T> = Result<T, String>;

/// When the time of scripts begins: 2026-01-01, in nanoseconds since 1970.
pub(crate) const BASE_NS: i64 = 1_767_225_600 * 1_000_000_000;

/// The attributes of something, as they are sent.
pub(crate) type Attributes = Vec<Sent<'static>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct LoadedSpan {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) status: u8,
    pub(crate) message: String,
    /// From [`BASE_NS`] on.
    pub(crate) start_ns: i64,
    pub(crate) length_ns: i64,
    pub(crate) attributes: Attributes,
    pub(crate) resource: Attributes,
    pub(crate) scope: (String, String, Attributes),
    /// Name, time from the start of the span, attributes.
    pub(crate) events: Vec<(String, i64, Attributes)>,
    /// Trace, span, attributes.
    pub(crate) links: Vec<(String, String, Attributes)>,
}

/// The spans of the lines below `load`. `Err`: the line and what is wrong with it.
pub(crate) fn parse(body: &[(usize, &str)]) -> Result<Vec<LoadedSpan>, (usize, String)> {
    let mut spans: Vec<LoadedSpan> = Vec::new();
    let mut trace: Option<(String, i64)> = None;
    // The indentation and the index of the spans that the next one may be below.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, line) in body {
        let at_line = |message| (*number, message);
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        if let Some(head) = text.strip_prefix("trace ") {
            trace = Some(trace_head(head).map_err(at_line)?);
            open.clear();
            continue;
        }
        let Some((id, start)) = &trace else {
            return Err(at_line("expected `trace NAME at TIME` before spans".to_owned()));
        };
        open.retain(|(other, _)| *other < indentation);
        let above = open.last().map(|(_, index)| &spans[*index]);
        let mut span = LoadedSpan { trace: id.clone(), start_ns: *start, ..LoadedSpan::default() };
        if let Some(above) = above {
            span.parent = Some(above.id.clone());
            span.resource.clone_from(&above.resource);
        }
        read_span(text, &mut span).map_err(at_line)?;
        open.push((indentation, spans.len()));
        spans.push(span);
    }
    Ok(spans)
}

/// `t1 at 10s`
fn trace_head(text: &str) -> Read<(String, i64)> {
    let (name, time) = text.split_once(" at ").unwrap_or((text, "0s"));
    Ok((name.trim().to_owned(), duration(time.trim())?))
}

pub(crate) fn duration(text: &str) -> Read<i64> {
    if text == "0" { Ok(0) } else { parse_duration_ns(text) }
}

fn read_span(text: &str, span: &mut LoadedSpan) -> Read<()> {
    let (id, rest) = text.split_once(' ').unwrap_or((text, ""));
    span.id = id.to_owned();
    let (tokens, error) = tokens(rest);
    if let Some(error) = error {
        return Err(error.to_string());
    }
    let mut line = Line { tokens: &tokens };
    while !matches!(line.peek(), TokenKind::End) {
        if line.accept_word("event") {
            let (name, time) = (line.text()?, line.duration()?);
            span.events.push((name, time, line.braces()?));
        } else if line.accept_word("link") {
            let (trace, id) = (line.text()?, line.text()?);
            span.links.push((trace, id, line.braces()?));
        } else {
            line.property(span)?;
        }
    }
    Ok(())
}

struct Line<'t> {
    tokens: &'t [Token<'t>],
}

impl<'t> Line<'t> {
    fn peek(&self) -> &'t TokenKind<'t> {
        self.tokens.first().map_or(&TokenKind::End, |token| &token.kind)
    }

    fn next(&mut self) -> &'t TokenKind<'t> {
        let kind = self.peek();
        self.tokens = self.tokens.get(1..).unwrap_or_default();
        kind
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let is_there = self.tokens.first().is_some_and(|token| token.is_word(word));
        self.tokens = &self.tokens[usize::from(is_there)..];
        is_there
    }

    fn accept(&mut self, symbol: &str) -> bool {
        let is_there = self.tokens.first().is_some_and(|token| token.is(symbol));
        self.tokens = &self.tokens[usize::from(is_there)..];
        is_there
    }

    fn expect(&mut self, symbol: &str) -> Read<()> {
        if self.accept(symbol) {
            return Ok(());
        }
        Err(format!("expected `{symbol}`, found {:?}", self.peek()))
    }

    fn text(&mut self) -> Read<String> {
        match self.next() {
            TokenKind::Text(text) => Ok(text.clone()),
            other => Err(format!("expected a text in quotes, found {other:?}")),
        }
    }

    fn duration(&mut self) -> Read<i64> {
        match self.next() {
            TokenKind::Duration(nanos) => Ok(*nanos),
            TokenKind::Int(0) => Ok(0),
            other => Err(format!("expected a duration, found {other:?}")),
        }
    }

    /// A value, or several in parentheses.
    fn value(&mut self) -> Read<AnyValue<'static>> {
        if self.accept("(") {
            let mut values = Vec::new();
            while !self.accept(")") {
                values.push(self.value()?);
                self.accept(",");
            }
            return Ok(AnyValue::Array(values));
        }
        let sign = if self.accept("-") { -1 } else { 1 };
        match self.next() {
            TokenKind::Int(value) => Ok(AnyValue::Int(value * sign)),
            TokenKind::Float(value) => Ok(AnyValue::Double(value * sign as f64)),
            TokenKind::Text(text) => Ok(AnyValue::Text(text.clone().into())),
            TokenKind::Word("true") => Ok(AnyValue::Bool(true)),
            TokenKind::Word("false") => Ok(AnyValue::Bool(false)),
            TokenKind::Word("nil") => Ok(AnyValue::Map(Vec::new())),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }

    /// `{ .type = "IOError", .count = 2 }`, or nothing.
    fn braces(&mut self) -> Read<Attributes> {
        let mut attributes = Vec::new();
        if !self.accept("{") {
            return Ok(attributes);
        }
        while !self.accept("}") {
            let TokenKind::Attribute(Attribute::Named { scope: Scope::None, name }) = self.next()
            else {
                return Err("expected an attribute without a scope: `.name = 1`".to_owned());
            };
            self.expect("=")?;
            attributes.push(Sent { key: name.clone().into(), value: self.value()? });
            self.accept(",");
        }
        Ok(attributes)
    }

    /// `kind=server`, `span.a=1`
    fn property(&mut self, span: &mut LoadedSpan) -> Read<()> {
        let key = self.next();
        self.expect("=")?;
        match key {
            TokenKind::Attribute(Attribute::Named { scope, name }) => {
                let value = self.value()?;
                let attributes = match scope {
                    Scope::Span => &mut span.attributes,
                    Scope::Resource => &mut span.resource,
                    Scope::Instrumentation => &mut span.scope.2,
                    _ => return Err(format!("expected span, resource or instrumentation: {name}")),
                };
                attributes.retain(|known| known.key != name.as_str());
                attributes.push(Sent { key: name.clone().into(), value });
                Ok(())
            }
            TokenKind::Word(word) => self.word(word, span),
            other => Err(format!("expected a property of the span, found {other:?}")),
        }
    }

    fn word(&mut self, word: &str, span: &mut LoadedSpan) -> Read<()> {
        match word {
            "name" => span.name = self.text()?,
            "message" => span.message = self.text()?,
            "parent" => span.parent = Some(self.text()?),
            "scope" => span.scope.0 = self.text()?,
            "version" => span.scope.1 = self.text()?,
            "at" => span.start_ns += self.duration()?,
            "for" => span.length_ns = self.duration()?,
            "service" => {
                let value = AnyValue::Text(self.text()?.into());
                span.resource.retain(|known| known.key != "service.name");
                span.resource.push(Sent { key: "service.name".into(), value });
            }
            "kind" => match self.literal() {
                Some(Literal::Kind(kind)) => span.kind = kind as u8,
                _ => return Err(format!("expected one of {:?}", Kind::ALL.map(Kind::as_str))),
            },
            "status" => match self.literal() {
                Some(Literal::Status(status)) => span.status = status as u8,
                _ => return Err(format!("expected one of {:?}", Status::ALL.map(Status::as_str))),
            },
            _ => {
                return Err(format!(
                    "unknown property {word:?}: expected name, kind, status, message, at, for, \
                     parent, service, scope, version, an attribute, event or link"
                ));
            }
        }
        Ok(())
    }

    fn literal(&mut self) -> Option<Literal> {
        crate::parse::literal_of(self.next())
    }
}
