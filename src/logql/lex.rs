//! From text to tokens, all at once: a query is at most [`crate::LENGTH_MAX`] bytes long.
//!
//! Words are keywords only where the parser expects one, so that a label may be called `rate`.

use crate::error::ParseError;
pub(crate) use model::parse_duration_ns as parse_duration;
use query::Position;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    End,
    Identifier,
    Number,
    Duration,
    Bytes,
    String,
    /// `[5m]`, with its brackets.
    Range,
    /// `--strict`
    Flag,
    Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

impl Token<'_> {
    pub(crate) fn position(&self) -> Position {
        Position::new(self.start, self.start + self.text.len())
    }

    pub(crate) fn is(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Identifier && self.text == word
    }

    /// How errors call it: words of the language by themselves, others by their kind.
    pub(crate) fn describe(&self) -> &str {
        match self.kind {
            TokenKind::End => "$end",
            TokenKind::Identifier if KEYWORDS.contains(&self.text) => self.text,
            TokenKind::Identifier => "IDENTIFIER",
            TokenKind::Number => "NUMBER",
            TokenKind::Duration => "DURATION",
            TokenKind::Bytes => "BYTES",
            TokenKind::String => "STRING",
            TokenKind::Range => "RANGE",
            TokenKind::Flag => "PARSER_FLAG",
            TokenKind::Symbol => self.text,
        }
    }
}

/// Words that the language knows apart from its functions.
const KEYWORDS: [&str; 28] = [
    "and",
    "bool",
    "by",
    "bytes",
    "decolorize",
    "drop",
    "duration",
    "duration_seconds",
    "group_left",
    "group_right",
    "ignoring",
    "ip",
    "json",
    "keep",
    "label_format",
    "line_format",
    "logfmt",
    "offset",
    "on",
    "or",
    "pattern",
    "regexp",
    "unless",
    "unpack",
    "unwrap",
    "vector",
    "without",
    "label_replace",
];

/// Longer ones first.
const SYMBOLS: [&str; 27] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "|", "=", ">", "<", "(", ")", "{",
    "}", ",", "+", "-", "*", "/", "%", "^", "]", ".",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token()?;
        tokens.push(token);
        if token.kind == TokenKind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let trimmed = self.rest().trim_start();
            self.at = self.text.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn take(&mut self, kind: TokenKind, length: usize) -> Token<'a> {
        let start = self.at;
        self.at += length;
        Token { kind, text: &self.text[start..self.at], start }
    }

    fn error<T>(&self, message: &str) -> Result<T, ParseError> {
        Err(ParseError::syntax(Position::new(self.at, self.text.len()), message))
    }

    fn next_token(&mut self) -> Result<Token<'a>, ParseError> {
        self.skip_blank();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(self.take(TokenKind::End, 0));
        };
        match first {
            '"' => self.string(),
            '`' => match rest[1..].find('`') {
                Some(length) => Ok(self.take(TokenKind::String, length + 2)),
                None => self.error("literal not terminated: a back quote is missing"),
            },
            '[' => match rest.find(']') {
                Some(length) => Ok(self.take(TokenKind::Range, length + 1)),
                None => self.error("missing closing ']' in duration"),
            },
            _ if first.is_ascii_digit() => Ok(self.number()),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => Ok(self.number()),
            _ if is_word_start(first) => {
                let length = rest.find(|c| !is_word_part(c)).unwrap_or(rest.len());
                Ok(self.take(TokenKind::Identifier, length))
            }
            '-' if rest[1..].starts_with("-")
                && rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) =>
            {
                let length = rest.find(|c| !is_word_part(c) && c != '-').unwrap_or(rest.len());
                Ok(self.take(TokenKind::Flag, length))
            }
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => Ok(self.take(TokenKind::Symbol, symbol.len())),
                None => self.error(&format!("unexpected character {first:?}")),
            },
        }
    }

    fn string(&mut self) -> Result<Token<'a>, ParseError> {
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            match character {
                _ if escaped => escaped = false,
                '\n' => break,
                '\\' => escaped = true,
                '"' => return Ok(self.take(TokenKind::String, offset + 1)),
                _ => {}
            }
        }
        self.error("literal not terminated: a quote is missing")
    }

    /// A number, with its unit where it is a duration or a size.
    fn number(&mut self) -> Token<'a> {
        let rest = self.rest();
        let length = number_length(rest);
        let with = |is_unit: fn(char) -> bool| {
            let end = rest[length..].find(|c| !is_unit(c)).map_or(rest.len(), |at| length + at);
            (end > length).then_some(end)
        };
        let is_duration = |end: &usize| parse_duration(&rest[..*end]).is_ok();
        if let Some(end) = with(is_duration_part).filter(is_duration) {
            return self.take(TokenKind::Duration, end);
        }
        match with(is_bytes_part).filter(|end| parse_bytes(&rest[..*end]).is_some()) {
            Some(end) => self.take(TokenKind::Bytes, end),
            None => self.take(TokenKind::Number, length),
        }
    }
}

/// As Go's scanner reads numbers: a prefix for the base, or a decimal with an exponent.
fn number_length(text: &str) -> usize {
    let digits = |from: usize| {
        text[from..]
            .find(|c: char| !c.is_ascii_digit() && c != '_')
            .map_or(text.len(), |at| from + at)
    };
    let mut prefix = text.chars();
    if prefix.next() == Some('0') && prefix.next().is_some_and(|c| "xXbBoO".contains(c)) {
        return text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    }
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

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_duration_part(c: char) -> bool {
    c.is_ascii_digit() || "nuµμmshdwy.".contains(c)
}

fn is_bytes_part(c: char) -> bool {
    "BikKMGTP".contains(c)
}

/// `5KB`, `1.5MiB`, `10k`: a size in the query, in any case, with or without its `B`.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    const PREFIXES: &str = "kmgtp";
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.replace('_', "").parse().ok()?;
    let unit = unit.to_ascii_lowercase();
    if unit == "b" {
        return whole(number);
    }
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = unit.strip_suffix('i').map_or((unit, 1000.0_f64), |rest| (rest, 1024.0));
    let power = PREFIXES.find(prefix).filter(|_| prefix.len() == 1)?;
    whole(number * base.powi(power as i32 + 1))
}

fn whole(bytes: f64) -> Option<u64> {
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        let found = tokens(text).unwrap();
        found.iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn numbers_may_have_units() {
        use TokenKind::{Bytes, Duration, End, Identifier, Number};
        for (text, kind) in [
            ("5", Number),
            ("1.5", Number),
            ("1e3", Number),
            (".5", Number),
            ("5m", Duration),
            ("1.5h", Duration),
            ("1h30m", Duration),
            ("500us", Duration),
            ("1d", Duration),
            ("10KB", Bytes),
            ("1.5MiB", Bytes),
            ("512B", Bytes),
            ("2k", Bytes),
        ] {
            assert_eq!(kinds(text), [(kind, text), (End, "")]);
        }
        assert_eq!(kinds("1.5kb"), [(Bytes, "1.5k"), (Identifier, "b"), (End, "")]);
        assert_eq!(kinds("0B"), [(Number, "0B"), (End, "")]);
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        for (text, bytes) in
            [("1KB", 1000), ("1KiB", 1024), ("1.5kB", 1500), ("3B", 3), ("2M", 2_000_000)]
        {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        assert_eq!(parse_bytes("1BB"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_tokens_or_an_error(text in ".*") {
            let _ = tokens(&text);
        }
    }
}
