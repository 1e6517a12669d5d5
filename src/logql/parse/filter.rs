//! Conditions on labels: `status >= 400 and (level="error" or took > 1s)`.
//!
//! `and` binds tighter than `or`. A comma, and nothing at all between two conditions, mean `and` too, but
//! take everything behind them as their right side, as in Loki.

use super::{Parsed, Parser};
use crate::ast::LabelFilter;
use crate::lex::{TokenKind, parse_bytes, parse_duration};
use model::MatchOp;
use query::{BinaryOp, Position, parse_number};

const COMPARISONS: [(&str, BinaryOp); 7] = [
    ("=", BinaryOp::Eq),
    ("==", BinaryOp::Eq),
    ("!=", BinaryOp::Ne),
    (">", BinaryOp::Gt),
    (">=", BinaryOp::Ge),
    ("<", BinaryOp::Lt),
    ("<=", BinaryOp::Le),
];

impl Parser<'_> {
    pub(super) fn label_filter(&mut self) -> Parsed<LabelFilter> {
        self.filters_above(0)
    }

    /// Conditions whose operators all bind tighter than `floor`: 1 for `or`, 2 for `and`.
    fn filters_above(&mut self, floor: u8) -> Parsed<LabelFilter> {
        self.nested(|parser| {
            let mut left = parser.one_filter()?;
            let depth = parser.depth;
            loop {
                let token = parser.token();
                let begins_another = token.is("(") || token.kind == TokenKind::Identifier;
                let (is_and, inner_floor) = match token.text {
                    "or" if token.is_word("or") && floor < 1 => (false, 1),
                    "and" if token.is_word("and") && floor < 2 => (true, 2),
                    "or" | "and" if token.kind == TokenKind::Identifier => break,
                    _ if token.is(",") => (true, 0),
                    _ if begins_another => (true, 0),
                    _ => break,
                };
                if token.is(",") || token.is_word("and") || token.is_word("or") {
                    parser.advance();
                }
                // A long chain makes as deep a tree as nesting does.
                parser.depth += 1;
                let right = Box::new(parser.filters_above(inner_floor)?);
                left = if is_and {
                    LabelFilter::And(Box::new(left), right)
                } else {
                    LabelFilter::Or(Box::new(left), right)
                };
            }
            parser.depth = depth;
            Ok(left)
        })
    }

    fn one_filter(&mut self) -> Parsed<LabelFilter> {
        if self.eat("(") {
            let filter = self.filters_above(0)?;
            self.expect(")")?;
            return Ok(filter);
        }
        let start = self.token().position();
        if self.token().kind != TokenKind::Identifier {
            return self.unexpected("");
        }
        let label = self.identifier()?;
        let operator = self.token();
        let is_comparison = operator.kind == TokenKind::Symbol;
        let comparison =
            COMPARISONS.iter().find(|(text, _)| is_comparison && *text == operator.text);
        if matches!(operator.text, "=" | "!=" | "=~" | "!~") && is_comparison {
            let is_text = self.second().kind == TokenKind::String;
            if is_text || comparison.is_none() {
                let op = self.match_op().unwrap_or(MatchOp::Equal);
                return self.matcher(op, &label, start).map(LabelFilter::Text);
            }
            if self.second().is_word("ip") {
                return self.ip_filter(label);
            }
        }
        match comparison {
            Some((_, op)) => {
                self.advance();
                self.compared(label, *op)
            }
            None => self.unexpected(""),
        }
    }

    fn ip_filter(&mut self, label: String) -> Parsed<LabelFilter> {
        let negated = self.advance().text == "!=";
        self.advance();
        self.expect("(")?;
        let pattern = self.string()?;
        self.expect(")")?;
        Ok(LabelFilter::Ip { label, negated, pattern })
    }

    /// A number, a duration or a size.
    fn compared(&mut self, label: String, op: BinaryOp) -> Parsed<LabelFilter> {
        let negative = self.token().is("-");
        if negative || self.token().is("+") {
            self.advance();
        }
        let token = self.token();
        let filter = match token.kind {
            TokenKind::Number => LabelFilter::Number { label, op, value: self.signed(negative)? },
            TokenKind::Duration => {
                let nanos = parse_duration(token.text)
                    .or_else(|message| self.meaningless(token.position(), message))?;
                self.advance();
                let nanos = if negative { -nanos } else { nanos };
                LabelFilter::Duration { label, op, nanos }
            }
            TokenKind::Bytes if !negative => {
                let Some(bytes) = parse_bytes(token.text) else { return self.unexpected("a size") };
                self.advance();
                LabelFilter::Bytes { label, op, bytes }
            }
            _ => return self.unexpected(""),
        };
        Ok(filter)
    }

    /// A number whose sign has been read.
    pub(super) fn signed(&mut self, negative: bool) -> Parsed<f64> {
        let token = self.expect_kind(TokenKind::Number, "NUMBER")?;
        let value = parse_number(token.text).or_else(|message| {
            let message = message.strip_prefix("error parsing number: ").unwrap_or(&message);
            let message = format!("unable to parse literal as a float: {message}");
            self.meaningless(Position::new(token.start, self.last_end()), message)
        })?;
        Ok(if negative { -value } else { value })
    }
}
