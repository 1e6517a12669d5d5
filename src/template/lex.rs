//! Text and actions into tokens.
//!
//! `{{- ` and ` -}}` take the white space of the text beside them away; comments leave nothing. The
//! first mistake ends the list with a token that says what it is, so that the parser reports mistakes
//! in the order of the text.

/// A piece of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) kind: TokenKind,
    /// Bytes from the beginning of the template.
    pub(crate) position: usize,
    /// As the template writes it; of a mistake, what it is.
    pub(crate) text: std::borrow::Cow<'t, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Text,
    Open,
    Close,
    Space,
    Identifier,
    Keyword,
    Dot,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    Bool,
    Nil,
    Number,
    Character,
    Quoted,
    Raw,
    OpenParenthesis,
    CloseParenthesis,
    Pipe,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Comma,
    End,
    Mistake,
}

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// The tokens of a template. The last one is the end or a mistake.
pub(crate) fn tokens(template: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { template, at: 0, tokens: Vec::new(), parentheses: 0 };
    let end = match lexer.run() {
        Ok(()) => Token { kind: TokenKind::End, position: template.len(), text: "EOF".into() },
        Err((position, message)) => {
            Token { kind: TokenKind::Mistake, position, text: message.into() }
        }
    };
    lexer.tokens.push(end);
    lexer.tokens
}

type Mistake = (usize, String);

struct Lexer<'t> {
    template: &'t str,
    at: usize,
    tokens: Vec<Token<'t>>,
    /// How many are open.
    parentheses: usize,
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.template.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        let text = self.rest().get(..length).unwrap_or_default();
        self.tokens.push(Token { kind, position: self.at, text: text.into() });
        self.at += length;
    }

    fn mistake<T>(&self, message: impl Into<String>) -> Result<T, Mistake> {
        Err((self.at, message.into()))
    }

    fn run(&mut self) -> Result<(), Mistake> {
        let mut trims_text = false;
        loop {
            let rest = self.rest();
            let end = rest.find("{{").unwrap_or(rest.len());
            let trims_end = trim_marker(rest.get(end + 2..).unwrap_or_default());
            self.text(end, trims_text, trims_end);
            if self.rest().is_empty() {
                return Ok(());
            }
            trims_text = self.action(trims_end)?;
        }
    }

    fn text(&mut self, length: usize, trims_start: bool, trims_end: bool) {
        let end = self.at + length;
        let text = &self.rest()[..length];
        let kept = if trims_start { text.trim_start_matches(SPACES) } else { text };
        self.at += text.len() - kept.len();
        let kept = if trims_end { kept.trim_end_matches(SPACES) } else { kept };
        if !kept.is_empty() {
            self.push(TokenKind::Text, kept.len());
        }
        self.at = end;
    }

    /// An action or a comment, whose opening is known to be there. Whether it ends with ` -}}`.
    fn action(&mut self, trims: bool) -> Result<bool, Mistake> {
        let marker = if trims { 2 } else { 0 };
        let inside = self.rest().get(2 + marker..).unwrap_or_default();
        if inside.starts_with("/*") {
            self.at += 2 + marker;
            return self.comment();
        }
        self.push(TokenKind::Open, 2);
        self.at += marker;
        self.parentheses = 0;
        loop {
            if let Some((length, trims)) = closing(self.rest()) {
                if self.parentheses > 0 {
                    return self.mistake("unclosed left paren");
                }
                self.at += length - 2;
                self.push(TokenKind::Close, 2);
                return Ok(trims);
            }
            self.inside()?;
        }
    }

    fn comment(&mut self) -> Result<bool, Mistake> {
        let Some(length) = self.rest().find("*/") else {
            return self.mistake("unclosed comment");
        };
        self.at += length + 2;
        let Some((length, trims)) = closing(self.rest()) else {
            return self.mistake("comment ends before closing delimiter");
        };
        self.at += length;
        Ok(trims)
    }

    fn inside(&mut self) -> Result<(), Mistake> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return self.mistake("unclosed action");
        };
        match first {
            ' ' | '\t' | '\r' | '\n' => {
                self.push(TokenKind::Space, self.spaces());
            }
            '=' => self.push(TokenKind::Assign, 1),
            ':' if rest.starts_with(":=") => self.push(TokenKind::Declare, 2),
            ':' => return self.mistake("expected :="),
            '|' => self.push(TokenKind::Pipe, 1),
            ',' => self.push(TokenKind::Comma, 1),
            '(' => {
                self.push(TokenKind::OpenParenthesis, 1);
                self.parentheses += 1;
            }
            ')' => {
                let Some(open) = self.parentheses.checked_sub(1) else {
                    return self.mistake("unexpected right paren");
                };
                self.parentheses = open;
                self.push(TokenKind::CloseParenthesis, 1);
            }
            '"' => self.quoted(b'"', TokenKind::Quoted, "unterminated quoted string")?,
            '\'' => self.quoted(b'\'', TokenKind::Character, "unterminated character constant")?,
            '`' => self.raw()?,
            '$' => self.name(TokenKind::Variable)?,
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.name(TokenKind::Field)?;
            }
            '+' | '-' | '.' | '0'..='9' => self.number()?,
            _ if is_word(first) => self.word()?,
            _ => {
                let code = u32::from(first);
                return self.mistake(format!("unrecognized character in action: U+{code:04X}"));
            }
        }
        Ok(())
    }

    /// White space, without the space that belongs to ` -}}`.
    fn spaces(&self) -> usize {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| is_space(*byte)).count();
        let is_marker = rest.get(length..).is_some_and(|rest| rest.starts_with("-}}"));
        if is_marker { length - 1 } else { length }
    }

    fn quoted(&mut self, quote: u8, kind: TokenKind, open: &str) -> Result<(), Mistake> {
        let mut bytes = self.rest().bytes().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\\' if bytes.next().is_some_and(|(_, next)| next != b'\n') => {}
                b'\\' | b'\n' => break,
                _ if byte == quote => {
                    self.push(kind, at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.mistake(open)
    }

    fn raw(&mut self) -> Result<(), Mistake> {
        match self.rest()[1..].find('`') {
            Some(length) => {
                self.push(TokenKind::Raw, length + 2);
                Ok(())
            }
            None => self.mistake("unterminated raw quoted string"),
        }
    }

    /// A field or a variable, with the character that begins it.
    fn name(&mut self, kind: TokenKind) -> Result<(), Mistake> {
        let length = 1 + word_length(&self.rest()[1..]);
        self.check_end(length)?;
        let is_dot = length == 1 && kind == TokenKind::Field;
        self.push(if is_dot { TokenKind::Dot } else { kind }, length);
        Ok(())
    }

    fn word(&mut self) -> Result<(), Mistake> {
        let length = word_length(self.rest());
        self.check_end(length)?;
        let kind = match &self.rest()[..length] {
            "true" | "false" => TokenKind::Bool,
            "nil" => TokenKind::Nil,
            word if KEYWORDS.contains(&word) => TokenKind::Keyword,
            _ => TokenKind::Identifier,
        };
        self.push(kind, length);
        Ok(())
    }

    /// A name ends where something begins that can follow one.
    fn check_end(&self, length: usize) -> Result<(), Mistake> {
        let next = self.rest()[length..].chars().next();
        match next {
            None
            | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | '=' | ')' | '(' | '}') => {
                Ok(())
            }
            Some(next) => self.mistake(format!("bad character U+{:04X} {next:?}", u32::from(next))),
        }
    }

    /// Where digits end and no word begins. Whether it is a number the parser finds out.
    fn number(&mut self) -> Result<(), Mistake> {
        let rest = self.rest().as_bytes();
        let is_sign = |at: usize| matches!(rest.get(at), Some(b'+' | b'-'));
        let mut end = usize::from(is_sign(0));
        let is_hex = rest.get(end..).is_some_and(|rest| matches!(rest, [b'0', b'x' | b'X', ..]));
        while let Some(byte) = rest.get(end) {
            let exponent = if is_hex { b'p' } else { b'e' };
            let is_exponent = byte.to_ascii_lowercase() == exponent && end > 0;
            if byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.' {
                end += 1;
                end += usize::from(is_exponent && is_sign(end));
            } else {
                break;
            }
        }
        let text = &self.rest()[..end];
        let is_bad = text.trim_start_matches(['+', '-']).is_empty()
            || self.rest()[end..].starts_with(|c: char| is_word(c) || c == '+' || c == '-');
        if is_bad {
            return self
                .mistake(format!("bad number syntax: {}", model::quote_go(text.as_bytes())));
        }
        self.push(TokenKind::Number, end);
        Ok(())
    }
}

fn word_length(text: &str) -> usize {
    text.find(|character| !is_word(character)).unwrap_or(text.len())
}

/// Whether what follows `{{` trims the text before it.
fn trim_marker(inside: &str) -> bool {
    matches!(inside.as_bytes(), [b'-', space, ..] if is_space(*space))
}

/// The length of `}}` or ` -}}` where one begins here, and whether it trims the text behind it.
fn closing(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    let is_trim = rest.starts_with(SPACES) && rest[1..].starts_with("-}}");
    is_trim.then_some((4, true))
}
