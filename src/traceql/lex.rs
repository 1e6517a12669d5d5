//! From text to tokens, all at once: a query is at most [`crate::LENGTH_MAX`] bytes long.
//!
//! An attribute is one token, because its name may hold almost anything: `span.a-b/c`, `.a."b c"`.

use crate::attribute::{Attribute, Scope, is_name_part};
use crate::error::ParseError;
use model::parse_duration_ns;
use query::Position;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind<'a> {
    End,
    /// A word of the language.
    Word(&'a str),
    /// An attribute, or a property with its scope: `span:duration`.
    Attribute(Attribute),
    Int(i64),
    Float(f64),
    Duration(i64),
    Text(String),
    Symbol(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) position: Position,
}

impl Token<'_> {
    pub(crate) fn is(&self, symbol: &str) -> bool {
        matches!(self.kind, TokenKind::Symbol(known) if known == symbol)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self.kind, TokenKind::Word(known) if known == word)
    }
}

/// Longer ones first.
const SYMBOLS: [&str; 35] = [
    "&>>", "&<<", "!>>", "!<<", "&&", "||", "&>", "&<", "&~", "!>", "!<", "!~", "!=", ">>", "<<",
    ">=", "<=", "=~", "=", ">", "<", "~", "|", "(", ")", "{", "}", ",", "+", "-", "*", "/", "%",
    "^", "!",
];

/// `parent.name` is in the grammar of Tempo, which has no answer for it.
const PARENT: &str = "parent";

/// The tokens up to the first thing that is none, and what is wrong with that.
pub(crate) fn tokens(text: &str) -> (Vec<Token<'_>>, Option<ParseError>) {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        match lexer.next_token() {
            Ok(token) => {
                let is_end = token.kind == TokenKind::End;
                tokens.push(token);
                if is_end {
                    return (tokens, None);
                }
            }
            Err(error) => return (tokens, Some(error)),
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

type Lexed<T> = Result<T, ParseError>;

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error<T>(&self, start: usize, message: &str) -> Lexed<T> {
        Err(ParseError::syntax(self.text, Position::new(start, self.text.len()), message))
    }

    fn skip_blank(&mut self) -> Lexed<()> {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            let rest = self.rest();
            let comment = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => end + 2,
                    None => return self.error(self.at, "comment not terminated: `*/` is missing"),
                }
            } else {
                return Ok(());
            };
            self.at += comment;
        }
    }

    fn next_token(&mut self) -> Lexed<Token<'a>> {
        self.skip_blank()?;
        let start = self.at;
        let kind = self.kind(start)?;
        Ok(Token { kind, position: Position::new(start, self.at) })
    }

    fn kind(&mut self, start: usize) -> Lexed<TokenKind<'a>> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(TokenKind::End) };
        let follows = |what: fn(char) -> bool| rest[first.len_utf8()..].starts_with(what);
        match first {
            '"' => self.quoted(start).map(TokenKind::Text),
            '`' => match rest[1..].find('`') {
                Some(length) => {
                    self.at += length + 2;
                    Ok(TokenKind::Text(rest[1..=length].to_owned()))
                }
                None => self.error(start, "literal not terminated: a back quote is missing"),
            },
            _ if first.is_ascii_digit() => self.number(start),
            '.' if follows(|c| c.is_ascii_digit()) => self.number(start),
            '.' => self.attribute(start, Scope::None),
            _ if first.is_alphabetic() || first == '_' => self.word(start),
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Ok(TokenKind::Symbol(symbol))
                }
                None => self.error(start, &format!("unexpected character {first:?}")),
            },
        }
    }

    fn word(&mut self, start: usize) -> Lexed<TokenKind<'a>> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        match self.rest().chars().next() {
            Some('.') if word == PARENT => {
                let message = "parent is not supported: name the attribute's own scope";
                self.error(start, message)
            }
            Some('.') => match Scope::of_name(word) {
                Some(scope) => self.attribute(start, scope),
                None => Ok(TokenKind::Word(word)),
            },
            Some(':') => {
                let name = &self.rest()[1..];
                self.at += 1 + name.find(|c| !is_part(c)).unwrap_or(name.len());
                let name = &self.text[start..self.at];
                match Attribute::intrinsic_of_name(name) {
                    Some(attribute) => Ok(TokenKind::Attribute(attribute)),
                    None => self.error(start, &format!("unknown intrinsic `{name}`")),
                }
            }
            _ => Ok(TokenKind::Word(word)),
        }
    }

    /// The name of an attribute, from its point on.
    fn attribute(&mut self, start: usize, scope: Scope) -> Lexed<TokenKind<'a>> {
        self.at += 1;
        let mut name = String::new();
        while let Some(next) = self.rest().chars().next() {
            if next == '"' {
                self.quoted_part(&mut name)?;
            } else if is_name_part(next) {
                name.push(next);
                self.at += next.len_utf8();
            } else {
                break;
            }
        }
        if name.is_empty() {
            return self.error(start, "the name of an attribute is missing behind the point");
        }
        Ok(TokenKind::Attribute(Attribute::named(scope, name)))
    }

    /// A part of a name in quotes, in which only quotes and backslashes are escaped.
    fn quoted_part(&mut self, name: &mut String) -> Lexed<()> {
        let start = self.at;
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += offset + 1;
                    return Ok(());
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => name.push(escaped),
                    _ => {
                        let message = "in the name of an attribute only \\\" and \\\\ are escapes";
                        return self.error(start + offset, message);
                    }
                },
                _ => name.push(character),
            }
        }
        self.error(start, "the name of an attribute is not terminated: a quote is missing")
    }

    fn quoted(&mut self, start: usize) -> Lexed<String> {
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            match character {
                _ if escaped => escaped = false,
                '\n' => break,
                '\\' => escaped = true,
                '"' => {
                    let text = &self.rest()[..=offset];
                    self.at += offset + 1;
                    let unquoted = model::unquote_go(text).ok();
                    return match unquoted.and_then(|bytes| String::from_utf8(bytes).ok()) {
                        Some(text) => Ok(text),
                        None => self.error(start, "invalid escape in a text"),
                    };
                }
                _ => {}
            }
        }
        self.error(start, "literal not terminated: a quote is missing")
    }

    fn number(&mut self, start: usize) -> Lexed<TokenKind<'a>> {
        let rest = self.rest();
        let is_unit = |c: char| c.is_ascii_alphanumeric() || "µμ.".contains(c);
        let length = number_length(rest);
        let end = rest.find(|c| !is_unit(c)).unwrap_or(rest.len());
        if end > length {
            self.at += end;
            let text = &rest[..end];
            return match parse_duration_ns(text) {
                Ok(nanos) => Ok(TokenKind::Duration(nanos)),
                Err(message) => self.error(start, &message),
            };
        }
        let text = &rest[..length];
        self.at += length;
        let number = if text.contains(['.', 'e', 'E']) {
            text.parse().ok().filter(|value: &f64| value.is_finite()).map(TokenKind::Float)
        } else {
            text.parse().ok().map(TokenKind::Int)
        };
        number.map_or_else(|| self.error(start, &format!("`{text}` is no number")), Ok)
    }
}

/// Digits, a point, an exponent.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| {
        text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| from + at)
    };
    let mut end = digits(0);
    if text[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent_end = digits(end + 1 + sign);
        if exponent_end > end + 1 + sign {
            end = exponent_end;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<TokenKind<'_>> {
        let (tokens, error) = tokens(text);
        assert_eq!(error, None, "{text}");
        tokens.into_iter().map(|token| token.kind).filter(|kind| *kind != TokenKind::End).collect()
    }

    #[test]
    fn names_of_attributes_hold_almost_anything() {
        for (text, scope, name) in [
            (".http.method", Scope::None, "http.method"),
            ("span.a-b/c:d@e", Scope::Span, "a-b/c:d@e"),
            ("resource.\"a b\"", Scope::Resource, "a b"),
            ("event.a.\"b \\\" c\".d", Scope::Event, "a.b \" c.d"),
            ("link.이름", Scope::Link, "이름"),
            ("instrumentation.x", Scope::Instrumentation, "x"),
        ] {
            assert_eq!(kinds(text), [TokenKind::Attribute(Attribute::named(scope, name))]);
        }
        assert_eq!(kinds("span.a=1").len(), 3);
    }

    #[test]
    fn numbers_may_have_units() {
        use TokenKind::{Duration, Float, Int};
        for (text, kind) in [
            ("5", Int(5)),
            ("1.5", Float(1.5)),
            (".25", Float(0.25)),
            ("1e3", Float(1000.0)),
            ("1.5s", Duration(1_500_000_000)),
            ("1h30m", Duration(5_400_000_000_000)),
            ("50us", Duration(50_000)),
            ("1d", Duration(86_400_000_000_000)),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
        }
        for text in
            ["99999999999999999999", "5x", "1.2.3", "\"a", "`a", "span. = 1", "a:b", "$", "."]
        {
            assert!(tokens(text).1.is_some(), "{text}");
        }
    }

    #[test]
    fn comments_are_blank() {
        assert_eq!(kinds("{ // a\n /* b */ }").len(), 2);
        assert!(tokens("{ /* b").1.is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_tokens_or_an_error(text in ".*") {
            let _ = tokens(&text);
        }
    }
}
