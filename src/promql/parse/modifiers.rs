//! What follows a selector: ranges, subqueries, `offset`, `@`, `anchored`, `smoothed`.

use super::{Parsed, Parser};
use crate::ast::{At, Duration, Expr, MatrixSelector, SubqueryExpr, TimeShift, VectorSelector};
use crate::error::ParseError;
use crate::lex::{Keyword, TokenKind};
use crate::types::Edges;
use query::{Position, format_fixed_go};

impl Parser<'_> {
    pub(super) fn modified(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            expr = match self.token.kind {
                TokenKind::LeftBracket => self.range_or_subquery(expr)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(expr)?,
                TokenKind::At => self.at_modifier(expr)?,
                TokenKind::Keyword(Keyword::Anchored) => self.edges(expr, Edges::Anchored)?,
                TokenKind::Keyword(Keyword::Smoothed) => self.edges(expr, Edges::Smoothed)?,
                _ => return Ok(expr),
            };
        }
    }

    fn range_or_subquery(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.advance()?.position();
        let range = self.positive_duration("subquery or range selector", DURATION_WORDS)?;
        if self.is(TokenKind::RightBracket) {
            let close = self.advance()?.position();
            return range_selector(expr, range, open.to(close));
        }
        self.expect(TokenKind::Colon, "subquery or range", "\":\" or \"]\"")?;
        let step = if self.is(TokenKind::RightBracket) {
            None
        } else {
            let expected = "number, duration, step(), range(), or \"]\"";
            Some(self.positive_duration("subquery selector", expected)?)
        };
        let end = self.expect(TokenKind::RightBracket, "subquery selector", "\"]\"")?.end();
        let shift = TimeShift::default();
        self.depth_of_wrapping()?;
        Ok(Expr::Subquery(Box::new(SubqueryExpr { inner: expr, range, step, shift, end })))
    }

    /// `x[1m:][1m:][1m:]` nests without a parenthesis.
    fn depth_of_wrapping(&mut self) -> Parsed<()> {
        self.depth += 1;
        self.nested(|_| Ok(()))
    }

    fn offset(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.advance()?;
        let offset = self.offset_duration()?;
        let position = expr.position();
        let end = self.last_end;
        let Some((shift, expr_end)) = shift_of(&mut expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return self.error(position, message);
        };
        if !shift.offset.is_zero() {
            return self.error(position, "offset may not be set multiple times");
        }
        shift.offset = offset;
        *expr_end = end;
        Ok(expr)
    }

    fn at_modifier(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.advance()?;
        let position = expr.position();
        let at = match self.token.kind {
            TokenKind::Keyword(Keyword::Start) => self.preprocessor(At::Start)?,
            TokenKind::Keyword(Keyword::End) => self.preprocessor(At::End)?,
            _ => At::Millis(timestamp(self.signed_number("@", "timestamp")?, position)?),
        };
        let end = self.last_end;
        let Some((shift, expr_end)) = shift_of(&mut expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return self.error(position, message);
        };
        if shift.at.is_some() {
            return self.error(position, "@ <timestamp> may not be set multiple times");
        }
        shift.at = Some(at);
        *expr_end = end;
        Ok(expr)
    }

    fn preprocessor(&mut self, at: At) -> Parsed<At> {
        self.advance()?;
        self.expect(TokenKind::LeftParen, "@", "timestamp")?;
        self.expect(TokenKind::RightParen, "@", "timestamp")?;
        Ok(at)
    }

    fn edges(&mut self, mut expr: Expr, edges: Edges) -> Parsed<Expr> {
        self.advance()?;
        let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
        let position = expr.position();
        let selector = match &mut expr {
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &mut matrix.selector,
            Expr::Subquery(_) => {
                let message = format!("{word} modifier is not supported for subqueries");
                return self.error(position, message);
            }
            _ => return self.error(position, format!("{word} modifier not implemented")),
        };
        if selector.edges != Edges::Plain && selector.edges != edges {
            let message = "anchored and smoothed modifiers cannot be used together";
            return self.error(position, message);
        }
        selector.edges = edges;
        Ok(expr)
    }
}

pub(super) const DURATION_WORDS: &str = "number, duration, step(), or range()";

fn range_selector(expr: Expr, range: Duration, brackets: Position) -> Parsed<Expr> {
    let problem = match &expr {
        Expr::Vector(VectorSelector { shift, .. }) if !shift.offset.is_zero() => {
            "no offset modifiers allowed before range"
        }
        Expr::Vector(VectorSelector { shift, .. }) if shift.at.is_some() => {
            "no @ modifiers allowed before range"
        }
        Expr::Vector(_) => "",
        _ => "ranges only allowed for vector selectors",
    };
    match expr {
        Expr::Vector(selector) if problem.is_empty() => {
            Ok(Expr::Matrix(MatrixSelector { selector, range, end: brackets.end }))
        }
        _ => Err(ParseError::at(brackets, problem)),
    }
}

/// Where the modifiers of an expression stand, and its end, which they move.
fn shift_of(expr: &mut Expr) -> Option<(&mut TimeShift, &mut usize)> {
    match expr {
        Expr::Vector(selector) => Some((&mut selector.shift, &mut selector.position.end)),
        Expr::Matrix(matrix) => Some((&mut matrix.selector.shift, &mut matrix.end)),
        Expr::Subquery(subquery) => Some((&mut subquery.shift, &mut subquery.end)),
        _ => None,
    }
}

fn timestamp(seconds: f64, position: Position) -> Parsed<i64> {
    let limit = i64::MAX as f64;
    if !seconds.is_finite() || seconds.abs() >= limit {
        let seconds = format_fixed_go(seconds);
        let message = format!("timestamp out of bounds for @ modifier: {seconds}");
        return Err(ParseError::at(position, message));
    }
    Ok((seconds * 1000.0).round() as i64)
}
