//! Numbers over time: `| quantile_over_time(duration, 0.9) by (name) | topk(3)`.

use super::spans::Node;
use super::{Parsed, Parser};
use crate::ast::{
    AggregateOp, Compare, FieldOp, MetricExpr, MetricFunction, Pipeline, SpanExpr, SpanMetrics,
    Stage,
};
use crate::lex::TokenKind;
use crate::literal::Literal;

/// How many values of an attribute `compare` shows unless told.
const COMPARE_TOP: usize = 10;
/// The most that it shows.
const COMPARE_TOP_MAX: usize = 1_000;
/// How many attributes series may be grouped by.
const GROUP_KEYS_MAX: usize = 5;

impl Parser<'_> {
    /// A function of spans, at the end of a pipeline.
    pub(super) fn metrics(&mut self, pipeline: Pipeline) -> Parsed<MetricExpr> {
        let function = self.function()?;
        let by = match self.is_next_word("by") {
            true => self.group_keys(&function)?,
            false => Vec::new(),
        };
        Ok(MetricExpr::Spans(Box::new(SpanMetrics { pipeline, function, by })))
    }

    fn function(&mut self) -> Parsed<MetricFunction> {
        let word = self.next_word().unwrap_or_default();
        let over_time = |op: &AggregateOp| word.strip_suffix("_over_time") == Some(op.as_str());
        let aggregate = AggregateOp::ALL.into_iter().find(over_time);
        let is_known = aggregate.is_some()
            || matches!(
                word,
                "rate"
                    | "count_over_time"
                    | "quantile_over_time"
                    | "histogram_over_time"
                    | "compare"
            );
        if !is_known {
            return self.unexpected("a stage or a function of metrics");
        }
        self.at += 1;
        self.expect("(")?;
        let function = match (aggregate, word) {
            (Some(op), _) => MetricFunction::OverTime(op, self.attribute()?),
            (_, "rate") => MetricFunction::Rate,
            (_, "count_over_time") => MetricFunction::CountOverTime,
            (_, "histogram_over_time") => MetricFunction::Histogram(self.attribute()?),
            (_, "quantile_over_time") => {
                let attribute = self.attribute()?;
                MetricFunction::Quantile(attribute, self.quantiles()?)
            }
            _ => MetricFunction::Compare(self.compare()?),
        };
        self.expect(")")?;
        Ok(function)
    }

    fn quantiles(&mut self) -> Parsed<Vec<f64>> {
        let mut quantiles = Vec::new();
        self.expect(",")?;
        loop {
            let quantile = match self.peek().map(|token| &token.kind) {
                Some(TokenKind::Float(value)) => *value,
                Some(TokenKind::Int(value)) => *value as f64,
                _ => return self.unexpected("a quantile from 0 to 1"),
            };
            self.at += 1;
            if !(0.0..=1.0).contains(&quantile) {
                return self.wrong("a quantile must be from 0 to 1");
            }
            quantiles.push(quantile);
            if !self.accept(",") {
                return Ok(quantiles);
            }
        }
    }

    fn compare(&mut self) -> Parsed<Compare> {
        if !self.is_next("{") {
            return self.unexpected("`{`");
        }
        let selection = match self.nested(Self::pipeline)? {
            Node::Spans(Pipeline { mut stages }) if stages.len() == 1 => stages.pop(),
            _ => None,
        };
        let Some(Stage::Spans(SpanExpr::Filter(selection))) = selection else {
            return self.wrong("compare needs one filter: `compare({ status = error })`");
        };
        let mut compare = Compare { selection, top: COMPARE_TOP, window: None };
        if self.accept(",") {
            compare.top = self.count()?.min(COMPARE_TOP_MAX);
        }
        if self.accept(",") {
            let start = self.integer()?;
            self.expect(",")?;
            compare.window = Some((start, self.integer()?));
        }
        Ok(compare)
    }

    fn integer(&mut self) -> Parsed<i64> {
        let Some(TokenKind::Int(value)) = self.peek().map(|token| &token.kind) else {
            return self.unexpected("a whole number");
        };
        self.at += 1;
        Ok(*value)
    }

    fn count(&mut self) -> Parsed<usize> {
        match usize::try_from(self.integer()?) {
            Ok(count @ 1..) => Ok(count),
            _ => self.wrong("the number must be greater than 0"),
        }
    }

    fn group_keys(&mut self, function: &MetricFunction) -> Parsed<Vec<crate::Attribute>> {
        self.at += 1;
        if matches!(function, MetricFunction::Compare(_)) {
            return self.wrong("compare cannot be grouped: it looks at all attributes anyway");
        }
        let by = self.attributes()?;
        if by.len() > GROUP_KEYS_MAX {
            let message = format!("metrics can be grouped by {GROUP_KEYS_MAX} attributes at most");
            return self.wrong(&message);
        }
        Ok(by)
    }

    /// `topk(3)`, behind the bar.
    pub(super) fn pick(&mut self, inner: MetricExpr) -> Parsed<MetricExpr> {
        let is_top = self.is_next_word("topk");
        if !is_top && !self.is_next_word("bottomk") {
            return self.unexpected("topk or bottomk");
        }
        self.at += 1;
        self.expect("(")?;
        let count = self.count()?;
        self.expect(")")?;
        self.check_second_stage(&inner)?;
        Ok(MetricExpr::Pick { inner: Box::new(inner), is_top, count })
    }

    /// `> 10`, behind metrics.
    pub(super) fn metric_filter(&mut self, inner: MetricExpr) -> Parsed<MetricExpr> {
        let op = self.next_op();
        self.at += 1;
        let Some(op) = op.filter(|op| !matches!(op, FieldOp::Match | FieldOp::NotMatch)) else {
            return self.wrong("metrics cannot be compared by regular expressions");
        };
        let value = self.constant()?;
        if value.as_number().is_none() {
            return self.wrong("metrics can be compared with a number or a duration only");
        }
        self.check_second_stage(&inner)?;
        Ok(MetricExpr::Filter { inner: Box::new(inner), op, value })
    }

    fn check_second_stage(&self, inner: &MetricExpr) -> Parsed<()> {
        let mut has_compare = false;
        inner.each_of_spans(&mut |metrics| {
            has_compare |= matches!(metrics.function, MetricFunction::Compare(_));
        });
        match has_compare {
            true => self.wrong("compare() cannot be used with second stages"),
            false => Ok(()),
        }
    }

    /// A number beside metrics: `100 * (…)`.
    pub(super) fn number(&mut self) -> Parsed<Node> {
        let is_negative = self.accept("-");
        let literal = self.peek().and_then(|token| super::literal_of(&token.kind));
        let number = match (literal, is_negative) {
            (
                Some(literal @ (Literal::Int(_) | Literal::Float(_) | Literal::Duration(_))),
                false,
            ) => literal,
            (Some(Literal::Int(value)), true) => Literal::Int(value.wrapping_neg()),
            (Some(Literal::Float(value)), true) => Literal::Float(-value),
            (Some(Literal::Duration(value)), true) => Literal::Duration(-value),
            _ => return self.unexpected("a number"),
        };
        self.at += 1;
        Ok(Node::Metrics(MetricExpr::Number(number)))
    }
}
