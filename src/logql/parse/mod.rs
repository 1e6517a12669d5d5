//! From tokens to a tree: recursive descent, with a Pratt loop where operators have precedence.
//!
//! `stages`: selectors and the stages behind them. `filter`: conditions on labels. `range`: windows.
//! `metric`: aggregations, operators. Errors are the first thing that is wrong, in Loki's words, with its
//! position.
//! Invariants: nesting is bounded by [`DEPTH_MAX`], the text by [`LENGTH_MAX`], what regular expressions
//! take by the request's [`RegexBudget`].

mod filter;
mod metric;
mod range;
mod stages;
#[cfg(test)]
mod tests;

use crate::ast::{Expr, LogExpr};
use crate::error::ParseError;
use crate::lex::{Token, TokenKind, tokens};
use crate::pipeline;
use model::{MatchOp, Matcher, SearchRegex, unquote_go};
use query::{Position, RegexBudget};

/// How deep expressions may nest.
pub const DEPTH_MAX: usize = 200;
/// How long a query may be, in bytes: Loki's own limit.
pub const LENGTH_MAX: usize = 131_072;

/// Parses and checks a query.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    parse_within(query, &mut RegexBudget::default())
}

/// Parses and checks a query whose request has other regular expressions too.
pub fn parse_within(query: &str, regexes: &mut RegexBudget) -> Result<Expr, ParseError> {
    let parsed = Parser::new(query, regexes).and_then(|mut parser| {
        let expr = parser.expression()?;
        parser.expect_end()?;
        check(&expr)?;
        Ok(expr)
    });
    parsed.map_err(|error| error.in_query(query))
}

/// Compiles all stages: templates, patterns and addresses are read by those who use them.
fn check(expr: &Expr) -> Result<(), ParseError> {
    match expr {
        Expr::Log(log) => pipeline::check(log, None),
        Expr::Metric(metric) => metric
            .ranges()
            .into_iter()
            .try_for_each(|range| pipeline::check(&range.range.log, range.range.unwrap.as_ref())),
    }
}

/// Parses `{app="web"} |= "error"`: lines, not numbers.
pub fn parse_log(query: &str, regexes: &mut RegexBudget) -> Result<LogExpr, ParseError> {
    match parse_within(query, regexes)? {
        Expr::Log(log) => Ok(log),
        Expr::Metric(_) => {
            let message = "only log selector is supported: remove the functions around it";
            Err(ParseError::meaning(Position::default(), message).in_query(query))
        }
    }
}

/// Parses `{app="web"}`, as in `match[]`. The selector may match everything.
pub fn parse_matchers(text: &str, regexes: &mut RegexBudget) -> Result<Vec<Matcher>, ParseError> {
    let parsed = Parser::new(text, regexes).and_then(|mut parser| {
        let matchers = parser.selector()?;
        parser.expect_end()?;
        Ok(matchers)
    });
    parsed.map_err(|error| error.in_query(text))
}

type Parsed<T> = Result<T, ParseError>;

struct Parser<'a> {
    /// Ends with `TokenKind::End`, which is never passed.
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// What is left of the request's regular expressions.
    regexes: &'a mut RegexBudget,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, regexes: &'a mut RegexBudget) -> Parsed<Self> {
        if text.len() >= LENGTH_MAX {
            let length = text.len();
            let message = format!("input size too long ({length} > {LENGTH_MAX}): ask in parts");
            return Err(ParseError::meaning(Position::default(), message));
        }
        Ok(Self { tokens: tokens(text)?, at: 0, depth: 0, regexes })
    }

    // ── tokens ──

    fn token(&self) -> Token<'a> {
        self.tokens[self.at]
    }

    /// The token after the next one.
    fn second(&self) -> Token<'a> {
        self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].position().end)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = self.token().is(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.token().is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<Token<'a>> {
        if self.token().is(symbol) { Ok(self.advance()) } else { self.unexpected(symbol) }
    }

    fn expect_kind(&mut self, kind: TokenKind, expected: &str) -> Parsed<Token<'a>> {
        if self.token().kind == kind { Ok(self.advance()) } else { self.unexpected(expected) }
    }

    fn expect_end(&mut self) -> Parsed<()> {
        if self.token().kind == TokenKind::End { Ok(()) } else { self.unexpected("") }
    }

    fn identifier(&mut self) -> Parsed<String> {
        Ok(self.expect_kind(TokenKind::Identifier, "IDENTIFIER")?.text.to_owned())
    }

    fn string(&mut self) -> Parsed<String> {
        let token = self.expect_kind(TokenKind::String, "STRING")?;
        let failed = |message: &str| ParseError::syntax(token.position(), message);
        let bytes = unquote_go(token.text).map_err(|message| failed(&message))?;
        String::from_utf8(bytes)
            .map_err(|_| failed("invalid UTF-8 in a string: write the characters that you mean"))
    }

    fn unexpected<T>(&self, expected: &str) -> Parsed<T> {
        let token = self.token();
        let expecting =
            if expected.is_empty() { String::new() } else { format!(", expecting {expected}") };
        let message = format!("syntax error: unexpected {}{expecting}", token.describe());
        Err(ParseError::syntax(token.position(), message))
    }

    fn meaningless<T>(&self, position: Position, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::meaning(position, message))
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("expression nests deeper than {DEPTH_MAX} levels: ask in parts");
            return self.meaningless(self.token().position(), message);
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    // ── what stands in several places ──

    fn matcher(&mut self, op: MatchOp, name: &str, position: Position) -> Parsed<Matcher> {
        let value = self.string()?;
        let position = Position::new(position.start, self.last_end());
        let matcher = Matcher::new(op, name, &value)
            .or_else(|message| self.meaningless(position, message))?;
        let taken = self.regexes.take(&matcher);
        taken.or_else(|refusal| self.meaningless(position, refusal.to_string()))?;
        Ok(matcher)
    }

    /// Checks a pattern that may match any part of a line.
    fn check_search(&mut self, pattern: &str, position: Position, stage: &str) -> Parsed<()> {
        let regex = SearchRegex::new(pattern).or_else(|message| {
            self.meaningless(position, format!("stage '{stage}' : {message}"))
        })?;
        let taken = self.regexes.take_compiled(regex.compiled_bytes());
        taken.or_else(|refusal| self.meaningless(position, refusal.to_string()))
    }
}
