//! What is asked of a single span: `span.http.status_code >= 500 && !(status = ok)`.

use super::{Parsed, Parser};
use crate::ast::{FieldExpr, FieldOp, NEGATE_PRECEDENCE, NOT_PRECEDENCE};
use crate::attribute::Attribute;
use crate::fold;
use crate::lex::TokenKind;
use crate::literal::Literal;

/// An expression and how deep its tree is.
type Deep = (FieldExpr, usize);

impl Parser<'_> {
    pub(super) fn whole_field(&mut self) -> Parsed<FieldExpr> {
        Ok(self.nested(|parser| parser.field(0))?.0)
    }

    /// An expression of operators that bind at least as tight as `floor`.
    pub(super) fn field(&mut self, floor: u8) -> Parsed<Deep> {
        let (mut left, mut depth) = self.operand()?;
        while let Some(op) = self.next_op().filter(|op| op.precedence() >= floor) {
            self.at += 1;
            // A power is the only operator that groups to the right.
            let right_floor = op.precedence() + u8::from(op != FieldOp::Pow);
            let (right, right_depth) = self.nested(|parser| parser.field(right_floor))?;
            depth = depth.max(right_depth) + 1;
            self.check_chain(depth)?;
            left = fold::binary(op, left, right);
        }
        Ok((left, depth))
    }

    pub(super) fn next_op(&self) -> Option<FieldOp> {
        let symbol = self.next_symbol()?;
        FieldOp::ALL.into_iter().find(|op| op.as_str() == symbol)
    }

    fn operand(&mut self) -> Parsed<Deep> {
        let Some(token) = self.peek() else { return self.unexpected("a value") };
        let wrap = |make: fn(Box<FieldExpr>) -> FieldExpr| {
            move |(inner, depth): Deep| (make(Box::new(inner)), depth + 1)
        };
        match &token.kind {
            TokenKind::Symbol("(") => {
                self.at += 1;
                let inner = self.nested(|parser| parser.field(0))?;
                self.expect(")")?;
                Ok(inner)
            }
            TokenKind::Symbol("!") => {
                self.at += 1;
                let inner = self.nested(|parser| parser.field(NOT_PRECEDENCE + 1))?;
                Ok(wrap(FieldExpr::Not)(inner))
            }
            TokenKind::Symbol("-") => {
                self.at += 1;
                let (inner, depth) = self.nested(|parser| parser.field(NEGATE_PRECEDENCE + 1))?;
                Ok((fold::negate(inner), depth + 1))
            }
            kind => match value(kind) {
                Some(expr) => {
                    self.at += 1;
                    Ok((expr, 1))
                }
                None => self.no_value(),
            },
        }
    }

    fn no_value<T>(&mut self) -> Parsed<T> {
        match self.next_word() {
            Some(word) => {
                self.at += 1;
                self.wrong(&format!("unknown identifier: {word}"))
            }
            None => self.unexpected("a value or an attribute"),
        }
    }

    /// A value that may be computed, but not from spans: `2 * 5 - 1`.
    pub(super) fn constant(&mut self) -> Parsed<Literal> {
        let start = self.at;
        let (expr, _) = self.nested(|parser| parser.field(FieldOp::Add.precedence()))?;
        match expr {
            FieldExpr::Literal(literal) => Ok(literal),
            _ => {
                self.at = start + 1;
                self.wrong("a fixed value is needed here")
            }
        }
    }
}

/// A token that is an operand by itself.
fn value(kind: &TokenKind<'_>) -> Option<FieldExpr> {
    match kind {
        TokenKind::Attribute(attribute) => Some(FieldExpr::Attribute(attribute.clone())),
        TokenKind::Word(word) => {
            let attribute = Attribute::intrinsic_of_name(word).map(FieldExpr::Attribute);
            attribute.or_else(|| literal_of(kind).map(FieldExpr::Literal))
        }
        _ => literal_of(kind).map(FieldExpr::Literal),
    }
}

/// A token that stands for a value.
pub(crate) fn literal_of(kind: &TokenKind<'_>) -> Option<Literal> {
    match kind {
        TokenKind::Int(value) => Some(Literal::Int(*value)),
        TokenKind::Float(value) => Some(Literal::Float(*value)),
        TokenKind::Duration(nanos) => Some(Literal::Duration(*nanos)),
        TokenKind::Text(text) => Some(Literal::Text(text.clone())),
        TokenKind::Word(word) => Literal::of_word(word),
        TokenKind::End | TokenKind::Attribute(_) | TokenKind::Symbol(_) => None,
    }
}
