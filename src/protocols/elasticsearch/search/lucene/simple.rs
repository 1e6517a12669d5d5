//! The language of `simple_query_string`: `+` and, `|` or, `-` not, quotes, parentheses, `*` at the end of
//! a word. What can't be read is left out, so no text is an error of form.
//!
//! Operators are taken from left to right.

use super::super::error::Result;
use super::super::expr::Expr;
use super::super::leaf::{Builder, DEPTH_MAX};
use super::parse::Options;

pub(in super::super) fn parse(
    text: &str,
    options: &Options,
    builder: &mut Builder,
) -> Result<Expr> {
    let letters: Vec<char> = text.chars().collect();
    let mut parser = Parser { letters: &letters, at: 0, depth: 0, options, builder };
    let mut all = None;
    // A parenthesis that closes nothing is left out.
    while parser.at < parser.letters.len() {
        let more = parser.sequence()?;
        all = parser.joined(all, more, None);
        parser.at += 1;
    }
    Ok(all.unwrap_or(Expr::None))
}

struct Parser<'p> {
    letters: &'p [char],
    at: usize,
    depth: usize,
    options: &'p Options,
    builder: &'p mut Builder,
}

impl Parser<'_> {
    /// Up to the end or a closing parenthesis.
    fn sequence(&mut self) -> Result<Option<Expr>> {
        let (mut all, mut operator, mut is_negated) = (None, None, false);
        while let Some(letter) = self.letters.get(self.at).copied() {
            match letter {
                ')' => break,
                '+' | '|' => {
                    operator = Some(letter == '+');
                    self.at += 1;
                }
                '-' => {
                    is_negated = !is_negated;
                    self.at += 1;
                }
                letter if letter.is_whitespace() => self.at += 1,
                _ => {
                    let mut one = self.item()?;
                    if is_negated {
                        one = one.map(Expr::negate);
                    }
                    all = self.joined(all, one, operator);
                    (operator, is_negated) = (None, false);
                }
            }
        }
        Ok(all)
    }

    fn joined(
        &self,
        left: Option<Expr>,
        right: Option<Expr>,
        is_and: Option<bool>,
    ) -> Option<Expr> {
        match (left, right) {
            (Some(left), Some(right)) if is_and.unwrap_or(self.options.is_and) => {
                Some(Expr::and(vec![left, right]))
            }
            (Some(left), Some(right)) => Some(Expr::any(vec![left, right])),
            (left, right) => left.or(right),
        }
    }

    fn item(&mut self) -> Result<Option<Expr>> {
        if self.letters.get(self.at) == Some(&'(') {
            self.at += 1;
            self.depth += 1;
            let inner = if self.depth > DEPTH_MAX { Ok(None) } else { self.sequence() };
            self.depth -= 1;
            self.at += 1;
            return inner;
        }
        let is_phrase = self.letters.get(self.at) == Some(&'"');
        self.at += usize::from(is_phrase);
        let text = self.text(is_phrase);
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(text) if !is_phrase => (text.to_owned(), true),
            _ => (text, false),
        };
        if text.trim().is_empty() {
            return Ok(is_prefix.then_some(Expr::All));
        }
        let fields = self.options.fields.iter();
        let each = fields.map(|field| self.builder.text(*field, &text, is_prefix));
        Ok(Some(Expr::any(each.collect::<Result<_>>()?)))
    }

    fn text(&mut self, is_phrase: bool) -> String {
        let mut text = String::new();
        while let Some(letter) = self.letters.get(self.at).copied() {
            let ends = match is_phrase {
                true => letter == '"',
                false => letter.is_whitespace() || "()|\"".contains(letter),
            };
            if ends {
                break;
            }
            self.at += 1;
            match self.letters.get(self.at) {
                Some(next) if letter == '\\' => {
                    text.push(*next);
                    self.at += 1;
                }
                _ => text.push(letter),
            }
        }
        self.at += usize::from(is_phrase);
        text
    }
}
