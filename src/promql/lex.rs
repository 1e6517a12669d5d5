//! From text to tokens. Tokens are made one at a time, when the parser asks, because the meaning of a
//! character depends on the brackets around it.

mod number;

use crate::error::ParseError;
use model::{quote_go, quote_rune_go};
use number::{Numeral, numeral};
use query::{AggregateOp, BinaryOp, Position};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    End,
    Number,
    Duration,
    String,
    Identifier,
    /// An identifier with a colon: only a metric can be called that.
    MetricIdentifier,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=` in a label matcher.
    Equal,
    EqualRegex,
    NotEqualRegex,
    At,
    Operator(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

const KEYWORDS: [(&str, Keyword); 17] = [
    ("anchored", Keyword::Anchored),
    ("bool", Keyword::Bool),
    ("by", Keyword::By),
    ("end", Keyword::End),
    ("fill", Keyword::Fill),
    ("fill_left", Keyword::FillLeft),
    ("fill_right", Keyword::FillRight),
    ("group_left", Keyword::GroupLeft),
    ("group_right", Keyword::GroupRight),
    ("ignoring", Keyword::Ignoring),
    ("offset", Keyword::Offset),
    ("on", Keyword::On),
    ("range", Keyword::Range),
    ("smoothed", Keyword::Smoothed),
    ("start", Keyword::Start),
    ("step", Keyword::Step),
    ("without", Keyword::Without),
];

const WORD_OPERATORS: [(&str, BinaryOp); 4] = [
    ("and", BinaryOp::And),
    ("or", BinaryOp::Or),
    ("unless", BinaryOp::Unless),
    ("atan2", BinaryOp::Atan2),
];

/// The words that mean something between brackets.
const DURATION_WORDS: [&str; 4] = ["step", "range", "min_of", "max_of"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

impl Token<'_> {
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(crate) fn position(&self) -> Position {
        Position::new(self.start, self.end())
    }

    /// How error messages call it.
    pub(crate) fn describe(&self) -> String {
        let quoted = quote_go(self.text.as_bytes());
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Number => format!("number {}", self.shortened()),
            TokenKind::Duration => format!("duration {}", self.shortened()),
            TokenKind::String => format!("string {}", self.shortened()),
            TokenKind::Identifier => format!("identifier {quoted}"),
            TokenKind::MetricIdentifier => format!("metric identifier {quoted}"),
            TokenKind::Operator(_)
            | TokenKind::At
            | TokenKind::EqualRegex
            | TokenKind::NotEqualRegex => format!("<op:{}>", self.text),
            TokenKind::Aggregate(_) => format!("<aggr:{}>", self.text),
            TokenKind::Keyword(_) => format!("<{}>", self.text),
            _ => quoted,
        }
    }

    fn shortened(&self) -> String {
        if self.text.chars().count() <= 10 {
            return quote_go(self.text.as_bytes());
        }
        let start: String = self.text.chars().take(10).collect();
        format!("{}...", quote_go(start.as_bytes()))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    at: usize,
    paren_depth: usize,
    in_braces: bool,
    in_brackets: bool,
    /// Since the bracket opened.
    got_colon: bool,
    got_duration: bool,
}

type Lexed<'a> = Result<Token<'a>, ParseError>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str) -> Self {
        Self {
            input,
            at: 0,
            paren_depth: 0,
            in_braces: false,
            in_brackets: false,
            got_colon: false,
            got_duration: false,
        }
    }

    pub(crate) fn next_token(&mut self) -> Lexed<'a> {
        self.skip_blank();
        let start = self.at;
        let Some(first) = self.peek() else {
            return self.end_of_input();
        };
        if self.in_braces {
            return self.in_braces_token(start, first);
        }
        match first {
            '"' | '\'' => self.string(start, first),
            '`' => self.raw_string(start),
            _ if first.is_ascii_digit() || self.is_leading_dot(first) => self.number(start),
            _ if is_word_start(first) || first == ':' => {
                if self.in_brackets {
                    self.bracket_word(start, first)
                } else {
                    self.word(start)
                }
            }
            _ => self.symbol(start, first),
        }
    }

    fn is_leading_dot(&self, first: char) -> bool {
        first == '.' && self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit)
    }

    fn rest(&self) -> &'a str {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_blank(&mut self) {
        loop {
            let trimmed = self.rest().trim_start_matches([' ', '\t', '\n', '\r']);
            self.at = self.input.len() - trimmed.len();
            // Between brackets there are no comments.
            if self.in_brackets || !trimmed.starts_with('#') {
                return;
            }
            let length = trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
            self.at += length;
        }
    }

    fn token(&self, kind: TokenKind, start: usize) -> Lexed<'a> {
        Ok(Token { kind, text: &self.input[start..self.at], start })
    }

    fn take(&mut self, kind: TokenKind, start: usize, length: usize) -> Lexed<'a> {
        self.at = start + length;
        self.token(kind, start)
    }

    fn error<T>(&self, start: usize, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::at(Position::new(start, self.input.len()), message.into()))
    }

    fn end_of_input(&mut self) -> Lexed<'a> {
        let start = self.at;
        if self.in_braces {
            return self.error(start, "unexpected end of input inside braces");
        }
        if self.in_brackets && !self.got_duration {
            return self.error(start, "unexpected end of input in duration expression");
        }
        if self.paren_depth > 0 {
            return self.error(start, "unclosed left parenthesis");
        }
        if self.in_brackets {
            return self.error(start, "unclosed left bracket");
        }
        self.token(TokenKind::End, start)
    }

    fn in_braces_token(&mut self, start: usize, first: char) -> Lexed<'a> {
        match first {
            '"' | '\'' => self.string(start, first),
            '`' => self.raw_string(start),
            ',' => self.take(TokenKind::Comma, start, 1),
            '}' => {
                self.in_braces = false;
                self.take(TokenKind::RightBrace, start, 1)
            }
            '{' => self.error(start, "unexpected left brace '{'"),
            '=' if self.rest().starts_with("=~") => self.take(TokenKind::EqualRegex, start, 2),
            '=' => self.take(TokenKind::Equal, start, 1),
            '!' if self.rest().starts_with("!~") => self.take(TokenKind::NotEqualRegex, start, 2),
            '!' if self.rest().starts_with("!=") => {
                self.take(TokenKind::Operator(BinaryOp::Ne), start, 2)
            }
            '!' => {
                let next = self.rest().chars().nth(1);
                let message = "unexpected character after '!' inside braces";
                self.error(start, format!("{message}: {}", quote_rune_go(next)))
            }
            _ if is_word_start(first) => {
                self.at += self.rest().find(|c| !is_word_part(c)).unwrap_or(self.rest().len());
                self.token(TokenKind::Identifier, start)
            }
            _ => {
                let character = quote_rune_go(Some(first));
                self.error(start, format!("unexpected character inside braces: {character}"))
            }
        }
    }

    fn symbol(&mut self, start: usize, first: char) -> Lexed<'a> {
        const SYMBOLS: [(&str, TokenKind); 17] = [
            ("==", TokenKind::Operator(BinaryOp::Eq)),
            ("!=", TokenKind::Operator(BinaryOp::Ne)),
            ("<=", TokenKind::Operator(BinaryOp::Le)),
            ("</", TokenKind::Operator(BinaryOp::TrimUpper)),
            ("<", TokenKind::Operator(BinaryOp::Lt)),
            (">=", TokenKind::Operator(BinaryOp::Ge)),
            (">/", TokenKind::Operator(BinaryOp::TrimLower)),
            (">", TokenKind::Operator(BinaryOp::Gt)),
            ("+", TokenKind::Operator(BinaryOp::Add)),
            ("-", TokenKind::Operator(BinaryOp::Sub)),
            ("*", TokenKind::Operator(BinaryOp::Mul)),
            ("/", TokenKind::Operator(BinaryOp::Div)),
            ("%", TokenKind::Operator(BinaryOp::Mod)),
            ("^", TokenKind::Operator(BinaryOp::Pow)),
            (",", TokenKind::Comma),
            ("@", TokenKind::At),
            ("=", TokenKind::Equal),
        ];
        match first {
            '(' | ')' | '{' | '[' | ']' => return self.bracket(start, first),
            '=' if self.rest().starts_with("=~") => {
                return self.error(start, "unexpected character after '=': '~'");
            }
            '!' if !self.rest().starts_with("!=") => {
                let next = quote_rune_go(self.rest().chars().nth(1));
                return self.error(start, format!("unexpected character after '!': {next}"));
            }
            _ => {}
        }
        if let Some((text, kind)) = SYMBOLS.iter().find(|(text, _)| self.rest().starts_with(text)) {
            return self.take(*kind, start, text.len());
        }
        let within =
            if self.in_brackets && !self.got_duration { " in duration expression" } else { "" };
        self.error(start, format!("unexpected character{within}: {}", quote_rune_go(Some(first))))
    }

    fn bracket(&mut self, start: usize, first: char) -> Lexed<'a> {
        match first {
            '(' => {
                self.paren_depth += 1;
                self.take(TokenKind::LeftParen, start, 1)
            }
            // Prometheus names the place where it would have continued.
            ')' if self.paren_depth == 0 => {
                self.error(start + 1, "unexpected right parenthesis ')'")
            }
            ')' => {
                self.paren_depth -= 1;
                self.take(TokenKind::RightParen, start, 1)
            }
            '{' => {
                self.in_braces = true;
                self.take(TokenKind::LeftBrace, start, 1)
            }
            '[' if self.in_brackets => self.error(start, "unexpected left bracket '['"),
            '[' => {
                (self.in_brackets, self.got_colon, self.got_duration) = (true, false, false);
                self.take(TokenKind::LeftBracket, start, 1)
            }
            _ if !self.in_brackets => self.error(start, "unexpected right bracket ']'"),
            _ => {
                self.in_brackets = false;
                self.take(TokenKind::RightBracket, start, 1)
            }
        }
    }

    /// Between brackets only the words of duration expressions may stand, and one colon.
    fn bracket_word(&mut self, start: usize, first: char) -> Lexed<'a> {
        if first == ':' {
            if !self.got_duration {
                return self
                    .error(start, "unexpected colon before duration in duration expression");
            }
            if std::mem::replace(&mut self.got_colon, true) {
                return self.error(start, "unexpected colon ':'");
            }
            return self.take(TokenKind::Colon, start, 1);
        }
        let length = self.rest().find(|c| !is_word_part(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_ascii_lowercase();
        if DURATION_WORDS.contains(&word.as_str()) {
            self.got_duration = true;
            let kind = match word.as_str() {
                "step" => TokenKind::Keyword(Keyword::Step),
                "range" => TokenKind::Keyword(Keyword::Range),
                _ => TokenKind::Identifier,
            };
            return self.take(kind, start, length);
        }
        let character = quote_rune_go(Some(first));
        if self.got_duration {
            return self.error(start, format!("unexpected character: {character}, expected ':'"));
        }
        self.error(start, format!("unexpected character in duration expression: {character}"))
    }

    fn word(&mut self, start: usize) -> Lexed<'a> {
        let length =
            self.rest().find(|c| !is_word_part(c) && c != ':').unwrap_or(self.rest().len());
        self.at += length;
        let kind = self.word_kind(&self.input[start..self.at]);
        self.token(kind, start)
    }

    fn word_kind(&self, word: &str) -> TokenKind {
        let lower = word.to_ascii_lowercase();
        if matches!(lower.as_str(), "inf" | "nan") {
            return TokenKind::Number;
        }
        if let Some((_, op)) = WORD_OPERATORS.iter().find(|(text, _)| *text == lower) {
            return TokenKind::Operator(*op);
        }
        if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.as_str() == lower) {
            return TokenKind::Aggregate(op);
        }
        if let Some((_, keyword)) = KEYWORDS.iter().find(|(text, _)| *text == lower) {
            let fill = matches!(keyword, Keyword::Fill | Keyword::FillLeft | Keyword::FillRight);
            // These words were added to the language late: where no parenthesis follows they are metrics.
            if !fill || self.rest().trim_start().starts_with('(') {
                return TokenKind::Keyword(*keyword);
            }
        }
        if word.contains(':') { TokenKind::MetricIdentifier } else { TokenKind::Identifier }
    }

    fn number(&mut self, start: usize) -> Lexed<'a> {
        self.got_duration = true;
        match numeral(self.rest()) {
            Numeral::Number(length) => self.take(TokenKind::Number, start, length),
            Numeral::Duration(length) => self.take(TokenKind::Duration, start, length),
            Numeral::Bad(length) => {
                let text = quote_go(&self.rest().as_bytes()[..length]);
                self.error(start, format!("bad number or duration syntax: {text}"))
            }
        }
    }

    fn string(&mut self, start: usize, quote: char) -> Lexed<'a> {
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            match character {
                _ if escaped => escaped = false,
                '\n' => break,
                '\\' => escaped = true,
                _ if character == quote => return self.take(TokenKind::String, start, offset + 1),
                _ => {}
            }
        }
        self.error(start, "unterminated quoted string")
    }

    fn raw_string(&mut self, start: usize) -> Lexed<'a> {
        match self.rest()[1..].find('`') {
            Some(length) => self.take(TokenKind::String, start, length + 2),
            None => self.error(start, "unterminated raw string"),
        }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit()
}
