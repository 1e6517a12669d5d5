//! Filters and stages: `{ status = error } >> { kind = client } | by(name) | count() > 2`.

use super::{Parsed, Parser};
use crate::ast::{
    Aggregate, AggregateFilter, AggregateOp, FieldOp, MetricExpr, Pipeline, Relation, Selects,
    SpanExpr, SpanOp, Stage,
};
use crate::fold;
use crate::lex::TokenKind;

/// What parentheses may hold.
#[derive(Debug)]
pub(super) enum Node {
    Spans(Pipeline),
    Metrics(MetricExpr),
}

impl Node {
    fn of_spans(expr: SpanExpr) -> Self {
        Self::Spans(Pipeline { stages: vec![Stage::Spans(expr)] })
    }
}

impl Pipeline {
    /// As an operand of another expression.
    fn into_operand(mut self) -> SpanExpr {
        match self.stages.pop() {
            Some(Stage::Spans(expr)) if self.stages.is_empty() => expr,
            last => {
                self.stages.extend(last);
                SpanExpr::Pipeline(self)
            }
        }
    }
}

impl SpanOp {
    pub(crate) fn of_symbol(symbol: &str) -> Option<Self> {
        let (selects, rest) = match symbol {
            "&&" => return Some(Self::And),
            "||" => return Some(Self::Or),
            _ if symbol.starts_with('!') => (Selects::Unrelated, &symbol[1..]),
            _ if symbol.starts_with('&') => (Selects::Both, &symbol[1..]),
            _ => (Selects::Right, symbol),
        };
        let relation = match rest {
            ">" => Relation::Child,
            ">>" => Relation::Descendant,
            "<" => Relation::Parent,
            "<<" => Relation::Ancestor,
            "~" => Relation::Sibling,
            _ => return None,
        };
        Some(Self::Structural(relation, selects))
    }

    fn precedence(self) -> u8 {
        match self {
            Self::And | Self::Or => 1,
            Self::Structural(..) => 2,
        }
    }
}

impl Parser<'_> {
    pub(super) fn pipeline(&mut self) -> Parsed<Node> {
        let mut node = match self.first_stage()? {
            Some(stage) => Node::Spans(Pipeline { stages: vec![stage] }),
            None => self.operators(0)?.0,
        };
        let mut depth = 1;
        loop {
            depth += 1;
            self.check_chain(depth)?;
            node = match node {
                _ if self.accept("|") => match node {
                    Node::Spans(pipeline) => self.stage(pipeline)?,
                    Node::Metrics(inner) => Node::Metrics(self.pick(inner)?),
                },
                Node::Metrics(inner) if self.next_op().is_some_and(FieldOp::is_comparison) => {
                    Node::Metrics(self.metric_filter(inner)?)
                }
                node => return Ok(node),
            };
        }
    }

    /// A stage that may stand first; `coalesce()` may not.
    fn first_stage(&mut self) -> Parsed<Option<Stage>> {
        match self.next_word() {
            Some("by") => self.by().map(Some),
            Some("select") => self.select().map(Some),
            Some(word) if is_aggregate(word) => self.aggregate_filter().map(Some),
            _ => Ok(None),
        }
    }

    /// Filters or metrics with the operators between them; also how deep the tree is.
    fn operators(&mut self, floor: u8) -> Parsed<(Node, usize)> {
        let (mut left, mut depth) = (self.spans_operand()?, 1);
        loop {
            let Some(symbol) = self.next_symbol() else { return Ok((left, depth)) };
            let at = self.at;
            let (pipeline, right_depth) = match left {
                Node::Spans(pipeline) => {
                    let op = SpanOp::of_symbol(symbol).filter(|op| op.precedence() >= floor);
                    let Some(op) = op else { return Ok((Node::Spans(pipeline), depth)) };
                    self.at += 1;
                    let floor = op.precedence() + 1;
                    let (right, right_depth) = self.nested(|parser| parser.operators(floor))?;
                    let Node::Spans(right) = right else { return self.mixed(at) };
                    let left = Box::new(pipeline.into_operand());
                    let right = Box::new(right.into_operand());
                    (Node::of_spans(SpanExpr::Binary { op, left, right }), right_depth)
                }
                Node::Metrics(expr) => {
                    let op = self.next_op().filter(|op| is_metric_op(*op));
                    let op = op.filter(|op| op.precedence() >= floor);
                    let Some(op) = op else { return Ok((Node::Metrics(expr), depth)) };
                    self.at += 1;
                    let floor = op.precedence() + 1;
                    let (right, right_depth) = self.nested(|parser| parser.operators(floor))?;
                    let Node::Metrics(right) = right else { return self.mixed(at) };
                    (Node::Metrics(fold::metrics(op, expr, right)), right_depth)
                }
            };
            left = pipeline;
            depth = depth.max(right_depth) + 1;
            self.check_chain(depth)?;
        }
    }

    fn mixed<T>(&mut self, operator: usize) -> Parsed<T> {
        self.at = operator + 1;
        self.wrong("both sides must be spans, or both numbers: `({ … } | rate()) * 2`")
    }

    fn spans_operand(&mut self) -> Parsed<Node> {
        match self.peek().map(|token| &token.kind) {
            Some(TokenKind::Symbol("{")) => {
                self.at += 1;
                let filter = match self.accept("}") {
                    true => None,
                    false => {
                        let filter = self.whole_field()?;
                        self.expect("}")?;
                        Some(filter)
                    }
                };
                Ok(Node::of_spans(SpanExpr::Filter(filter)))
            }
            Some(TokenKind::Symbol("(")) => {
                self.at += 1;
                let inner = self.nested(Self::pipeline)?;
                self.expect(")")?;
                Ok(match inner {
                    Node::Spans(pipeline) => Node::of_spans(pipeline.into_operand()),
                    metrics => metrics,
                })
            }
            Some(
                TokenKind::Symbol("-")
                | TokenKind::Int(_)
                | TokenKind::Float(_)
                | TokenKind::Duration(_),
            ) => self.number(),
            _ => self.unexpected("`{` or `(`"),
        }
    }

    fn stage(&mut self, mut pipeline: Pipeline) -> Parsed<Node> {
        let stage = match self.next_word() {
            Some("coalesce") => {
                self.at += 1;
                self.expect("(")?;
                self.expect(")")?;
                Stage::Coalesce
            }
            Some(_) => match self.first_stage()? {
                Some(stage) => stage,
                None => return self.metrics(pipeline).map(Node::Metrics),
            },
            None => match self.operators(0)?.0 {
                Node::Spans(next) => Stage::Spans(next.into_operand()),
                Node::Metrics(_) => return self.wrong("a stage must answer spans, not numbers"),
            },
        };
        pipeline.stages.push(stage);
        Ok(Node::Spans(pipeline))
    }

    fn by(&mut self) -> Parsed<Stage> {
        self.at += 1;
        self.expect("(")?;
        let expr = self.whole_field()?;
        self.expect(")")?;
        Ok(Stage::By(expr))
    }

    fn select(&mut self) -> Parsed<Stage> {
        self.at += 1;
        self.attributes().map(Stage::Select)
    }

    fn aggregate_filter(&mut self) -> Parsed<Stage> {
        let aggregate = self.aggregate()?;
        let op = self.next_op();
        if op.is_some_and(FieldOp::is_arithmetic) {
            self.at += 1;
            return self
                .wrong("arithmetic with aggregates is not supported: compare one with a number");
        }
        let Some(op) = op.filter(|op| op.is_comparison()) else {
            return self.unexpected("a comparison");
        };
        self.at += 1;
        if self.next_word().is_some_and(is_aggregate) {
            self.at += 1;
            return self.wrong("an aggregate can be compared with a number only, not with another");
        }
        let value = self.constant()?;
        if value.as_number().is_none() || matches!(op, FieldOp::Match | FieldOp::NotMatch) {
            return self.wrong("an aggregate can be compared with a number or a duration only");
        }
        Ok(Stage::Aggregate(AggregateFilter { aggregate, op, value }))
    }

    fn aggregate(&mut self) -> Parsed<Aggregate> {
        let op = AggregateOp::ALL.into_iter().find(|op| self.is_next_word(op.as_str()));
        self.at += 1;
        self.expect("(")?;
        let aggregate = match op {
            Some(op) => Aggregate::Of(op, self.whole_field()?),
            None => Aggregate::Count,
        };
        self.expect(")")?;
        Ok(aggregate)
    }
}

fn is_aggregate(word: &str) -> bool {
    word == "count" || AggregateOp::ALL.into_iter().any(|op| op.as_str() == word)
}

fn is_metric_op(op: FieldOp) -> bool {
    matches!(op, FieldOp::Add | FieldOp::Sub | FieldOp::Mul | FieldOp::Div)
}
