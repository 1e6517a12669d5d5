//! Windows of time over lines: `sum_over_time({app="web"} | logfmt | unwrap took [5m] offset 1h)`.

use super::{Parsed, Parser};
use crate::ast::{
    Conversion, LabelFilter, LogExpr, LogRange, MetricExpr, RangeAggregation, RangeOp, Unwrap,
};
use crate::error::ParseError;
use crate::lex::{TokenKind, parse_duration};
use query::Position;

/// What has been read of a window; the range may stand before the stages or behind them.
#[derive(Default)]
struct RangeParts {
    range_ns: Option<i64>,
    offset_ns: i64,
    unwrap: Option<Unwrap>,
}

impl Parser<'_> {
    pub(super) fn range_aggregation(&mut self, op: RangeOp) -> Parsed<MetricExpr> {
        let start = self.advance().start;
        self.expect("(")?;
        let mut parameter = None;
        if self.token().kind == TokenKind::Number {
            parameter = Some(self.number()?.value);
            self.expect(",")?;
        } else if !self.token().is("{") && !self.token().is("(") {
            return self.unexpected("NUMBER or { or (");
        }
        let range = self.log_range()?;
        self.expect(")")?;
        let grouping = self.grouping()?;
        let position = Position::new(start, self.last_end());
        let aggregation = RangeAggregation { op, parameter, range, grouping, position };
        self.check_range(&aggregation)?;
        Ok(MetricExpr::Range(Box::new(aggregation)))
    }

    fn check_range(&self, aggregation: &RangeAggregation) -> Parsed<()> {
        let RangeAggregation { op, parameter, range, grouping, position } = aggregation;
        let (position, name) = (*position, op.as_str());
        let refuse = |message: String| self.meaningless(position, message);
        match (op, parameter) {
            (RangeOp::Quantile, None) => {
                return refuse(format!("parameter required for operation {name}"));
            }
            (RangeOp::Quantile, Some(_)) | (_, None) => {}
            (_, Some(value)) => {
                return refuse(format!("parameter {value} not supported for operation {name}"));
            }
        }
        if grouping.is_some() && !op.allows_grouping() {
            return refuse(format!("grouping not allowed for {name} aggregation"));
        }
        match (op.needs_unwrap(), range.unwrap.is_some()) {
            (Some(true), false) => refuse(format!("invalid aggregation {name} without unwrap")),
            (Some(false), true) => refuse(format!("invalid aggregation {name} with unwrap")),
            _ => Ok(()),
        }
    }

    fn log_range(&mut self) -> Parsed<LogRange> {
        let (log, parts) = self.range_parts()?;
        let Some(range_ns) = parts.range_ns else { return self.unexpected("") };
        Ok(LogRange { log, unwrap: parts.unwrap, range_ns, offset_ns: parts.offset_ns })
    }

    /// A selector with stages, range, offset and `unwrap`, partly in parentheses.
    fn range_parts(&mut self) -> Parsed<(LogExpr, RangeParts)> {
        let (mut log, mut parts) = if self.token().is("(") {
            self.nested(|parser| {
                parser.advance();
                let inner = parser.range_parts()?;
                parser.expect(")")?;
                Ok(inner)
            })?
        } else {
            (self.log()?, RangeParts::default())
        };
        if parts.unwrap.is_none() {
            self.stages(&mut log.stages)?;
            parts.unwrap = self.unwrap()?;
        }
        if parts.range_ns.is_none() && self.token().kind == TokenKind::Range {
            parts.range_ns = Some(self.range_duration()?);
            parts.offset_ns = self.offset()?;
            if parts.unwrap.is_none() {
                self.stages(&mut log.stages)?;
                parts.unwrap = self.unwrap()?;
            }
        }
        Ok((log, parts))
    }

    fn range_duration(&mut self) -> Parsed<i64> {
        let token = self.advance();
        let text = token.text.trim_start_matches('[').trim_end_matches(']').trim();
        match parse_duration(text) {
            Ok(nanos) if nanos > 0 => Ok(nanos),
            Ok(_) => self.meaningless(token.position(), "the range must be longer than nothing"),
            Err(message) => Err(ParseError::syntax(token.position(), message)),
        }
    }

    fn offset(&mut self) -> Parsed<i64> {
        if !self.eat_word("offset") {
            return Ok(0);
        }
        let negative = self.eat("-");
        let token = self.expect_kind(TokenKind::Duration, "DURATION")?;
        let nanos = parse_duration(token.text)
            .or_else(|message| self.meaningless(token.position(), message))?;
        Ok(if negative { -nanos } else { nanos })
    }

    fn unwrap(&mut self) -> Parsed<Option<Unwrap>> {
        if !self.token().is("|") || !self.second().is_word("unwrap") {
            return Ok(None);
        }
        let start = self.advance().start;
        self.advance();
        let is_call = self.second().is("(");
        let conversion = Conversion::ALL
            .into_iter()
            .find(|known| is_call && self.token().is_word(known.as_str()));
        let label = if conversion.is_some() {
            self.advance();
            self.expect("(")?;
            let label = self.identifier()?;
            self.expect(")")?;
            label
        } else {
            self.identifier()?
        };
        let mut filters: Vec<LabelFilter> = Vec::new();
        while self.token().is("|") {
            self.advance();
            filters.push(self.label_filter()?);
        }
        let position = Position::new(start, self.last_end());
        Ok(Some(Unwrap { label, conversion, filters, position }))
    }
}
