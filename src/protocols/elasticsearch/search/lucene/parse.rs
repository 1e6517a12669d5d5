//! Clauses, and whether each must hold, may hold or must not.
//!
//! As with Lucene `AND`, `OR` and `NOT` say it of the clauses beside them rather than bind one tighter
//! than the other: `a AND b OR c` asks for a and b, and c changes nothing. Parentheses say what belongs
//! together.

use super::super::error::Result;
use super::super::expr::Expr;
use super::super::field::Field;
use super::super::leaf::{Builder, DEPTH_MAX, End};
use super::super::zone::Zone;
use super::lex::{Placed, Range, Token, error, tokens, unescaped};

/// How a text is read.
#[derive(Clone, Debug)]
pub(in super::super) struct Options {
    /// The fields that words without a field are looked for in.
    pub(in super::super) fields: Vec<Field>,
    /// Clauses without an operator between them must all hold.
    pub(in super::super) is_and: bool,
    pub(in super::super) zone: Zone,
}

impl Default for Options {
    fn default() -> Self {
        Self { fields: vec![Field::Line], is_and: false, zone: Zone::UTC }
    }
}

pub(in super::super) fn parse(
    text: &str,
    options: &Options,
    builder: &mut Builder,
) -> Result<Expr> {
    let tokens = tokens(text)?;
    let length = text.chars().count();
    let mut parser = Parser { tokens: &tokens, at: 0, length, options, builder, depth: 0 };
    let expr = parser.clauses(&options.fields)?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((place, _)) => Err(error(*place, "')' closes nothing")),
    }
}

struct Parser<'p> {
    tokens: &'p [Placed],
    at: usize,
    length: usize,
    options: &'p Options,
    builder: &'p mut Builder,
    depth: usize,
}

/// What a clause has to do.
#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    /// The place of the next token, or behind the last one.
    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.length + 1, |(place, _)| *place)
    }

    fn eat(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    /// Clauses up to the end or a closing parenthesis.
    fn clauses(&mut self, fields: &[Field]) -> Result<Expr> {
        let mut found: Vec<(Occur, Expr)> = Vec::new();
        while !matches!(self.peek(), None | Some(Token::Close)) {
            let place = self.place();
            let (and, or) = (self.eat(&Token::And), self.eat(&Token::Or));
            if (and || or) && found.is_empty() {
                return Err(error(place, "a condition is expected before AND and OR"));
            }
            self.connect(&mut found, and, or);
            let occur = self.occur(and, or);
            let clause = self.clause(fields)?;
            found.push((occur, clause));
        }
        Ok(combined(found))
    }

    /// What an operator says of the clause before it.
    fn connect(&self, found: &mut [(Occur, Expr)], and: bool, or: bool) {
        if let Some((occur, _)) = found.last_mut()
            && *occur != Occur::MustNot
        {
            if and {
                *occur = Occur::Must;
            } else if or && self.options.is_and {
                *occur = Occur::Should;
            }
        }
    }

    fn occur(&mut self, and: bool, or: bool) -> Occur {
        if self.eat(&Token::Not) || self.eat(&Token::Minus) {
            return Occur::MustNot;
        }
        let is_plus = self.eat(&Token::Plus);
        match is_plus || and || (self.options.is_and && !or) {
            true => Occur::Must,
            false => Occur::Should,
        }
    }

    fn clause(&mut self, fields: &[Field]) -> Result<Expr> {
        if let Some(Token::Field(name)) = self.peek() {
            let name = name.clone();
            return self.of_field(&name);
        }
        let expr = match self.peek() {
            Some(Token::Open) => self.group(fields)?,
            _ => self.leaf(fields)?,
        };
        self.modifiers()?;
        Ok(expr)
    }

    fn of_field(&mut self, name: &str) -> Result<Expr> {
        let place = self.place();
        self.at += 1;
        if name == "_exists_" {
            return match self.tokens.get(self.at) {
                Some((_, Token::Term(text) | Token::Phrase(text))) => {
                    let field = self.builder.fields.find(&unescaped(text));
                    self.at += 1;
                    self.builder.exists(field)
                }
                _ => Err(error(self.place(), "the name of a field is expected behind _exists_:")),
            };
        }
        if name.contains('*') && name != "*" {
            return Err(error(place, "a pattern is no name of a field here: name one field"));
        }
        let field = self.builder.fields.find(name);
        match self.peek() {
            None | Some(Token::Close | Token::And | Token::Or) => {
                Err(error(self.place(), "a value is expected behind the field"))
            }
            Some(Token::Field(_)) => {
                Err(error(self.place(), "a value is expected: put quotes around one with a colon"))
            }
            _ => {
                let is_negated = self.eat(&Token::Minus);
                let expr = self.clause(&[field])?;
                // A minus behind a field belongs to a number.
                if is_negated { self.negative(field, expr) } else { Ok(expr) }
            }
        }
    }

    /// `field:-5`
    fn negative(&mut self, field: Field, _: Expr) -> Result<Expr> {
        match self.tokens.get(self.at - 1) {
            Some((_, Token::Term(text))) => {
                let text = format!("-{}", unescaped(text));
                self.builder.text(field, &text, false)
            }
            _ => Err(error(self.place(), "'-' is expected before the field")),
        }
    }

    fn group(&mut self, fields: &[Field]) -> Result<Expr> {
        let place = self.place();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(place, &format!("parentheses nest deeper than {DEPTH_MAX}")));
        }
        self.at += 1;
        let expr = self.clauses(fields)?;
        self.depth -= 1;
        match self.eat(&Token::Close) {
            true => Ok(expr),
            false => Err(error(place, "the closing parenthesis is missing")),
        }
    }

    fn leaf(&mut self, fields: &[Field]) -> Result<Expr> {
        let place = self.place();
        let Some((_, token)) = self.tokens.get(self.at) else {
            return Err(error(place, "a condition is expected"));
        };
        self.at += 1;
        let located = |found: Result<Expr>| {
            found.map_err(|mut wrong| {
                wrong.reason = format!("{} (at character {place} of the query)", wrong.reason);
                wrong
            })
        };
        let each = fields.iter().map(|field| located(self.of_token(*field, token, place)));
        Ok(Expr::any(each.collect::<Result<_>>()?))
    }

    fn of_token(&mut self, field: Field, token: &Token, place: usize) -> Result<Expr> {
        match token {
            Token::Term(text) if has_wildcard(text) => self.builder.wildcard(field, text, false),
            Token::Term(text) => self.builder.text(field, &unescaped(text), false),
            Token::Phrase(text) => self.builder.text(field, text, false),
            Token::Regex(text) => self.builder.regex(field, text, false),
            Token::Range(Range { from, to }) => {
                let end = |end: &Option<(String, bool)>| {
                    end.clone().map(|(text, is_included)| End { text, is_included })
                };
                self.builder.range(field, (end(from), end(to)), ("", self.options.zone))
            }
            _ => Err(error(place, "a condition is expected here")),
        }
    }

    fn modifiers(&mut self) -> Result<()> {
        while self.eat(&Token::Boost) {}
        match self.peek() {
            Some(Token::Tilde) => Err(error(
                self.place(),
                "distances (~) are not known here: use a wildcard, or several words",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a star or question mark keeps its meaning.
fn has_wildcard(text: &str) -> bool {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' | '?' => return true,
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
    false
}

/// Clauses that may hold matter where none must.
fn combined(clauses: Vec<(Occur, Expr)>) -> Expr {
    let (mut all, mut some) = (Vec::new(), Vec::new());
    let is_needed = clauses.iter().any(|(occur, _)| *occur == Occur::Must);
    for (occur, clause) in clauses {
        match occur {
            Occur::Must => all.push(clause),
            Occur::MustNot => all.push(clause.negate()),
            Occur::Should => some.push(clause),
        }
    }
    if !is_needed && !some.is_empty() {
        all.push(Expr::any(some));
    }
    Expr::and(all)
}
