//! Durations that are computed: `[step() * 2]`, `offset (5m + 1s)`.

use super::modifiers::DURATION_WORDS;
use super::{Parsed, Parser};
use crate::ast::{Duration, DurationExpr, DurationKind, NumberLiteral};
use crate::lex::{Keyword, TokenKind};
use query::{BinaryOp, Position};

/// 2^63 nanoseconds, in seconds.
const SECONDS_MAX: f64 = 9_223_372_036.854_776;

impl Parser<'_> {
    /// Between brackets: any duration expression, if it is a plain number a positive one.
    pub(super) fn positive_duration(
        &mut self,
        context: &'static str,
        expected: &'static str,
    ) -> Parsed<Duration> {
        if !self.starts_duration() {
            return self.unexpected(context, expected);
        }
        let expr = self.within_duration((context, expected), |parser| parser.duration_expr(0))?;
        if let Some(number) = literal(&expr)
            && (number.value <= 0.0 || number.value.is_nan())
        {
            return self.error(number.position, "duration must be greater than 0");
        }
        Ok(settled(expr))
    }

    /// Errors inside say where the duration was wanted.
    fn within_duration<T>(
        &mut self,
        wanted: Wanted<'static>,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.duration = Some(wanted);
        let result = parse(self)?;
        self.duration = None;
        Ok(result)
    }

    /// After `offset`: one operand with a sign, so that `x offset -2 ^ 2` is a power of a vector;
    /// anything more needs parentheses.
    pub(super) fn offset_duration(&mut self) -> Parsed<Duration> {
        const CONTEXT: &str = "offset";
        if !self.starts_duration() {
            return self.unexpected(CONTEXT, DURATION_WORDS);
        }
        self.within_duration((CONTEXT, DURATION_WORDS), Self::signed_operand).map(settled)
    }

    fn starts_duration(&self) -> bool {
        match self.token.kind {
            TokenKind::Number | TokenKind::Duration | TokenKind::LeftParen => true,
            TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => true,
            TokenKind::Keyword(Keyword::Step | Keyword::Range) => true,
            TokenKind::Identifier => self.choice().is_some(),
            _ => false,
        }
    }

    fn choice(&self) -> Option<Choice> {
        if self.token.text.eq_ignore_ascii_case("min_of") {
            Some(DurationKind::MinOf)
        } else if self.token.text.eq_ignore_ascii_case("max_of") {
            Some(DurationKind::MaxOf)
        } else {
            None
        }
    }

    fn duration_expr(&mut self, floor: u8) -> Parsed<DurationExpr> {
        self.nested(|parser| {
            let mut left = parser.signed_duration()?;
            let mut operators = 0;
            while let TokenKind::Operator(op) = parser.token.kind {
                if !is_duration_operator(op) || op.precedence() <= floor {
                    break;
                }
                operators += 1;
                parser.depth += 1;
                left = parser.nested(|parser| parser.duration_binary(left, op))?;
            }
            parser.depth -= operators;
            Ok(left)
        })
    }

    fn duration_binary(&mut self, left: DurationExpr, op: BinaryOp) -> Parsed<DurationExpr> {
        let operator = self.advance()?.position();
        let floor = if op == BinaryOp::Pow { op.precedence() - 1 } else { op.precedence() };
        let right = self.duration_expr(floor)?;
        if matches!(&right.kind, DurationKind::Number(number) if number.value == 0.0) {
            match op {
                BinaryOp::Div => return self.error(operator, "division by zero"),
                BinaryOp::Mod => return self.error(operator, "modulo by zero"),
                _ => {}
            }
        }
        let position = left.position.to(right.position);
        let kind = DurationKind::Binary(op, Box::new(left), Box::new(right));
        Ok(DurationExpr { kind, wrapped: false, position })
    }

    /// A sign covers everything but lower operators: `-2 ^ 2` is minus four.
    fn signed_duration(&mut self) -> Parsed<DurationExpr> {
        let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind else {
            return self.duration_operand();
        };
        let start = self.advance()?.start;
        let inner = self.duration_expr(BinaryOp::Mul.precedence())?;
        self.with_sign(op, start, inner)
    }

    fn signed_operand(&mut self) -> Parsed<DurationExpr> {
        let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind else {
            return self.duration_operand();
        };
        let (start, mut op) = (self.advance()?.start, op);
        // Further signs: two that are negative cancel out.
        while let TokenKind::Operator(next @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind {
            self.advance()?;
            op = if next == op { BinaryOp::Add } else { BinaryOp::Sub };
        }
        let inner = self.duration_operand()?;
        self.with_sign(op, start, inner)
    }

    fn with_sign(&self, op: BinaryOp, start: usize, inner: DurationExpr) -> Parsed<DurationExpr> {
        let negative = op == BinaryOp::Sub;
        let position = Position::new(start, inner.position.end);
        if let Some(number) = literal(&inner) {
            let value = if negative { -number.value } else { number.value };
            let number = NumberLiteral { value, is_duration: number.is_duration, position };
            return Ok(DurationExpr {
                kind: DurationKind::Number(number),
                wrapped: false,
                position,
            });
        }
        if !negative {
            return Ok(inner);
        }
        let kind = DurationKind::Minus(Box::new(inner));
        Ok(DurationExpr { kind, wrapped: false, position })
    }

    fn duration_operand(&mut self) -> Parsed<DurationExpr> {
        let start = self.token.start;
        let kind = match self.token.kind {
            TokenKind::Number | TokenKind::Duration => self.duration_number()?,
            TokenKind::Keyword(Keyword::Step) => self.duration_word(DurationKind::Step)?,
            TokenKind::Keyword(Keyword::Range) => self.duration_word(DurationKind::Range)?,
            TokenKind::LeftParen => return self.wrapped_duration(),
            TokenKind::Identifier if self.choice().is_some() => self.duration_choice()?,
            _ => return self.unexpected("", ""),
        };
        let position = Position::new(start, self.last_end);
        Ok(DurationExpr { kind, wrapped: false, position })
    }

    fn duration_number(&mut self) -> Parsed<DurationKind> {
        let number = self.number()?;
        if number.value.is_nan() || number.value.abs() > SECONDS_MAX {
            return self.error(number.position, "duration out of range");
        }
        Ok(DurationKind::Number(number))
    }

    fn duration_word(&mut self, kind: DurationKind) -> Parsed<DurationKind> {
        self.advance()?;
        self.expect(TokenKind::LeftParen, "", "")?;
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(kind)
    }

    fn duration_choice(&mut self) -> Parsed<DurationKind> {
        let choose = self.choice().expect("the caller has looked");
        self.advance()?;
        self.expect(TokenKind::LeftParen, "", "")?;
        let first = Box::new(self.duration_expr(0)?);
        self.expect(TokenKind::Comma, "", "")?;
        let second = Box::new(self.duration_expr(0)?);
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(choose(first, second))
    }

    /// It stands where its inside stands, as far as errors go.
    fn wrapped_duration(&mut self) -> Parsed<DurationExpr> {
        self.advance()?;
        let inner = self.duration_expr(0)?;
        self.expect(TokenKind::RightParen, "", "")?;
        let position = inner.position;
        if let Some(number) = literal(&inner) {
            if number.value.is_sign_positive() {
                return Ok(inner);
            }
            // A plus carries the parentheses: without them `(-2) ^ 2` would be another number.
            let kind = DurationKind::Plus(Box::new(inner));
            return Ok(DurationExpr { kind, wrapped: true, position });
        }
        Ok(DurationExpr { kind: inner.kind, wrapped: true, position })
    }
}

/// The context of an error, and what would have been right.
pub(super) type Wanted<'a> = (&'a str, &'a str);

/// Parentheses around a number mean nothing.
fn literal(expr: &DurationExpr) -> Option<&NumberLiteral> {
    match &expr.kind {
        DurationKind::Number(number) => Some(number),
        DurationKind::Plus(inner) => literal(inner),
        _ => None,
    }
}

type Choice = fn(Box<DurationExpr>, Box<DurationExpr>) -> DurationKind;

fn is_duration_operator(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow)
}

/// A plain number is known at once.
fn settled(expr: DurationExpr) -> Duration {
    match literal(&expr) {
        Some(number) => {
            // Nanoseconds are rounded, milliseconds cut off, as Prometheus does.
            let nanos = (number.value * 1e9).round();
            Duration::Millis((nanos / 1e6) as i64)
        }
        None => Duration::Computed(Box::new(expr)),
    }
}
