//! Tokens of the query language.

use super::super::error::{Result, SearchError};

/// What a text is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Plus,
    Minus,
    Open,
    Close,
    /// A word, with backslashes as they were written, because they take the meaning of `*` and `?` away.
    Term(String),
    /// Between quotes, without backslashes.
    Phrase(String),
    Regex(String),
    Range(Range),
    /// `field:`
    Field(String),
    /// `^2`, which changes nothing here: lines have no score.
    Boost,
    /// `~` with what it is behind: a distance of words or letters.
    Tilde,
}

/// `[a TO b}` or `>=a`: ends, and whether they belong to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Range {
    pub(super) from: Option<(String, bool)>,
    pub(super) to: Option<(String, bool)>,
}

/// A token and the place of its first character, in characters from 1.
pub(super) type Placed = (usize, Token);

/// The longest text that is read.
pub(super) const LENGTH_MAX: usize = 64 << 10;

pub(super) fn error(place: usize, message: &str) -> SearchError {
    SearchError::query(format!("failed to parse the query at character {place}: {message}"))
}

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>> {
    if text.len() > LENGTH_MAX {
        return Err(SearchError::query(format!(
            "the query is longer than {LENGTH_MAX} bytes: list values in a terms query"
        )));
    }
    let letters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { letters: &letters, at: 0, tokens: Vec::new() };
    while lexer.skip_space() {
        lexer.token()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    letters: &'t [char],
    at: usize,
    tokens: Vec<Placed>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    /// Whether something follows.
    fn skip_space(&mut self) -> bool {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek(0).is_some()
    }

    fn push(&mut self, length: usize, token: Token) {
        self.tokens.push((self.at + 1, token));
        self.at += length;
    }

    fn token(&mut self) -> Result<()> {
        let is_behind_field = matches!(self.tokens.last(), Some((_, Token::Field(_))));
        match (self.peek(0), self.peek(1)) {
            (Some('&'), Some('&')) => self.push(2, Token::And),
            (Some('|'), Some('|')) => self.push(2, Token::Or),
            (Some('!'), _) => self.push(1, Token::Not),
            (Some('+'), _) => self.push(1, Token::Plus),
            (Some('-'), _) => self.push(1, Token::Minus),
            (Some('('), _) => self.push(1, Token::Open),
            (Some(')'), _) => self.push(1, Token::Close),
            (Some('"'), _) => return self.quoted('"', Token::Phrase, "quotes"),
            (Some('/'), _) => {
                return self.quoted('/', Token::Regex, "slash of a regular expression");
            }
            (Some('[' | '{'), _) => return self.brackets(),
            (Some('<' | '>'), _) if is_behind_field => return self.comparison(),
            (Some('^'), _) => return self.boost(),
            (Some('~'), _) => {
                let digits = self.number_length(1);
                self.push(1 + digits, Token::Tilde);
            }
            (Some(letter @ (']' | '}' | ':')), _) => {
                let message = format!(
                    "{letter:?} is not expected here: put a backslash before it to search for it"
                );
                return Err(error(self.at + 1, &message));
            }
            _ => return self.term(),
        }
        Ok(())
    }

    fn number_length(&self, from: usize) -> usize {
        let is_number = |c: &&char| c.is_ascii_digit() || **c == '.';
        self.letters.iter().skip(self.at + from).take_while(is_number).count()
    }

    fn boost(&mut self) -> Result<()> {
        match self.number_length(1) {
            0 => Err(error(self.at + 1, "a number is expected behind '^'")),
            digits => {
                self.push(1 + digits, Token::Boost);
                Ok(())
            }
        }
    }

    /// What stands between two of the same sign.
    fn quoted(&mut self, sign: char, make: fn(String) -> Token, name: &str) -> Result<()> {
        let (start, mut text) = (self.at, String::new());
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => {
                    return Err(error(start + 1, &format!("the closing {name} is missing")));
                }
                (Some(letter), _) if letter == sign => break,
                (Some('\\'), Some(next)) => {
                    // An expression keeps its escapes, but that of the slash.
                    if sign == '/' && next != '/' {
                        text.push('\\');
                    }
                    text.push(next);
                    self.at += 2;
                }
                (Some(letter), _) => {
                    text.push(letter);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        self.tokens.push((start + 1, make(text)));
        Ok(())
    }

    /// `[a TO b]`
    fn brackets(&mut self) -> Result<()> {
        let start = self.at;
        let wrong = |message: &str| error(start + 1, message);
        let from_included = self.peek(0) == Some('[');
        self.at += 1;
        let from = self.range_end()?;
        self.skip_space();
        if (self.peek(0), self.peek(1)) != (Some('T'), Some('O')) {
            return Err(wrong("a range is written [from TO to]: TO is missing"));
        }
        self.at += 2;
        let to = self.range_end()?;
        self.skip_space();
        let to_included = match self.peek(0) {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(wrong("the closing bracket of the range is missing")),
        };
        self.at += 1;
        let end = |text: String, is_included| (text != "*").then_some((text, is_included));
        let range = Range { from: end(from, from_included), to: end(to, to_included) };
        self.tokens.push((start + 1, Token::Range(range)));
        Ok(())
    }

    fn range_end(&mut self) -> Result<String> {
        self.skip_space();
        let start = self.at;
        if self.peek(0) == Some('"') {
            self.quoted('"', Token::Phrase, "quotes")?;
            return match self.tokens.pop() {
                Some((_, Token::Phrase(text))) => Ok(text),
                _ => Err(error(start + 1, "an end of a range is expected")),
            };
        }
        let mut text = String::new();
        while let Some(letter) =
            self.peek(0).filter(|c| !c.is_whitespace() && !matches!(c, ']' | '}'))
        {
            let escaped = if letter == '\\' { self.peek(1) } else { None };
            text.push(escaped.unwrap_or(letter));
            self.at += 1 + usize::from(escaped.is_some());
        }
        match text.is_empty() {
            true => Err(error(start + 1, "an end of a range is expected: write * for an open one")),
            false => Ok(text),
        }
    }

    /// `>=5` behind a field.
    fn comparison(&mut self) -> Result<()> {
        let start = self.at;
        let is_from = self.peek(0) == Some('>');
        let is_included = self.peek(1) == Some('=');
        self.at += 1 + usize::from(is_included);
        self.skip_space();
        let end = match self.peek(0) {
            Some('"') => self.range_end()?,
            _ => unescaped(&self.word()),
        };
        if end.is_empty() {
            return Err(error(start + 1, "a value is expected behind the comparison"));
        }
        let end = Some((end, is_included));
        let range = match is_from {
            true => Range { from: end, to: None },
            false => Range { from: None, to: end },
        };
        self.tokens.push((start + 1, Token::Range(range)));
        Ok(())
    }

    /// The letters of a word, as they were written.
    fn word(&mut self) -> String {
        let mut text = String::new();
        while let Some(letter) = self.peek(0) {
            let ends = letter.is_whitespace() || "()[]{}\"^~:".contains(letter);
            if ends && !(letter == ':' && self.is_within_time(&text)) {
                break;
            }
            text.push(letter);
            self.at += 1;
            if letter == '\\'
                && let Some(next) = self.peek(0)
            {
                text.push(next);
                self.at += 1;
            }
        }
        text
    }

    /// Dates in comparisons have colons, which end no word there: `@timestamp:>=2023-11-14T22:13:20Z`.
    fn is_within_time(&self, text: &str) -> bool {
        let is_behind_field = matches!(self.tokens.last(), Some((_, Token::Field(_))));
        let is_date = text.len() >= 11 && text.as_bytes().get(10) == Some(&b'T');
        is_behind_field && is_date
    }

    fn term(&mut self) -> Result<()> {
        let start = self.at;
        let text = self.word();
        let is_field = self.peek(0) == Some(':');
        let token = match text.as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            _ if is_field => {
                self.at += 1;
                Token::Field(unescaped(&text))
            }
            _ => Token::Term(text),
        };
        self.tokens.push((start + 1, token));
        Ok(())
    }
}

/// Without the backslashes that take meanings away.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
    }
    plain
}
