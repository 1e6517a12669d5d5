//! Aggregations of series, operators between them.

use super::{Parsed, Parser};
use crate::ast::{
    BinaryExpr, Expr, LabelReplace, MetricExpr, NumberLiteral, RangeOp, VectorAggregation, VectorOp,
};
use crate::lex::{Token, TokenKind};
use model::{MatchOp, Matcher, is_plain_name};
use query::{BinaryOp, Cardinality, Grouping, Position, VectorMatching};

const OPERATORS: [(&str, BinaryOp); 12] = [
    ("+", BinaryOp::Add),
    ("-", BinaryOp::Sub),
    ("*", BinaryOp::Mul),
    ("/", BinaryOp::Div),
    ("%", BinaryOp::Mod),
    ("^", BinaryOp::Pow),
    ("==", BinaryOp::Eq),
    ("!=", BinaryOp::Ne),
    (">", BinaryOp::Gt),
    (">=", BinaryOp::Ge),
    ("<", BinaryOp::Lt),
    ("<=", BinaryOp::Le),
];
const WORD_OPERATORS: [(&str, BinaryOp); 3] =
    [("and", BinaryOp::And), ("or", BinaryOp::Or), ("unless", BinaryOp::Unless)];

impl<'a> Parser<'a> {
    /// A whole query.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.operands_above(0)
    }

    /// Operands whose operators all bind tighter than `floor`.
    fn operands_above(&mut self, floor: u8) -> Parsed<Expr> {
        self.nested(|parser| {
            let mut left = parser.operand()?;
            let depth = parser.depth;
            while let Some(op) = parser.operator().filter(|op| op.precedence() > floor) {
                // A long chain makes as deep a tree as nesting does.
                parser.depth += 1;
                left = parser.nested(|parser| parser.binary(left, op))?;
            }
            parser.depth = depth;
            Ok(left)
        })
    }

    fn operator(&self) -> Option<BinaryOp> {
        let token = self.token();
        let symbols = OPERATORS.iter().filter(|_| token.kind == TokenKind::Symbol);
        let words = WORD_OPERATORS.iter().filter(|_| token.kind == TokenKind::Identifier);
        symbols.chain(words).find(|(text, _)| *text == token.text).map(|(_, op)| *op)
    }

    fn binary(&mut self, left: Expr, op: BinaryOp) -> Parsed<Expr> {
        let position = self.advance().position();
        let return_bool = self.eat_word("bool");
        let matching = self.vector_matching(op)?;
        // Only the power operator groups from the right.
        let floor = if op == BinaryOp::Pow { op.precedence() - 1 } else { op.precedence() };
        let right = self.operands_above(floor)?;
        let (left, right) = (self.side(left, "left", op)?, self.side(right, "right", op)?);
        let binary = BinaryExpr { op, return_bool, matching, left, right, position };
        Ok(Expr::Metric(MetricExpr::Binary(Box::new(binary))))
    }

    fn side(&self, side: Expr, name: &str, op: BinaryOp) -> Parsed<MetricExpr> {
        match side {
            Expr::Metric(MetricExpr::Number(number)) if op.is_set() => {
                let message = "of logical/set binary operation";
                let (op, value) = (op.as_str(), number.value);
                let message =
                    format!("unexpected literal for {name} leg {message} ({op}): {value:.6}");
                self.meaningless(number.position, message)
            }
            Expr::Metric(metric) => Ok(metric),
            Expr::Log(log) => {
                let kind = if log.stages.is_empty() { "MatchersExpr" } else { "PipelineExpr" };
                let op = op.as_str();
                let message = format!("unexpected type for {name} leg of binary operation ({op})");
                self.meaningless(log.position, format!("{message}: *syntax.{kind}"))
            }
        }
    }

    fn vector_matching(&mut self, op: BinaryOp) -> Parsed<VectorMatching> {
        let mut matching = VectorMatching::default();
        if op.is_set() {
            matching.cardinality = Cardinality::ManyToMany;
        }
        matching.on = self.eat_word("on");
        if !matching.on && !self.eat_word("ignoring") {
            return Ok(matching);
        }
        matching.labels = self.label_list()?;
        let position = self.token().position();
        let grouped = if self.eat_word("group_left") {
            Cardinality::ManyToOne
        } else if self.eat_word("group_right") {
            Cardinality::OneToMany
        } else {
            return Ok(matching);
        };
        if op.is_set() {
            let message = format!("no grouping allowed for {} operation", op.as_str());
            return self.meaningless(position, message);
        }
        matching.cardinality = grouped;
        // A parenthesis with something else than labels begins the right side.
        if self.token().is("(") && self.is_label_list() {
            matching.include = self.label_list()?;
        }
        Ok(matching)
    }

    fn is_label_list(&self) -> bool {
        let rest = &self.tokens[self.at + 1..];
        let label = |token: &Token<'_>| token.kind == TokenKind::Identifier;
        match rest {
            [first, ..] if first.is(")") => true,
            [first, second, ..] => label(first) && (second.is(",") || second.is(")")),
            _ => false,
        }
    }

    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.eat(")") {
            labels.push(self.identifier()?);
            if !self.token().is(")") {
                self.expect(",")?;
            }
        }
        Ok(labels)
    }

    pub(super) fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.token().is_word("without");
        if !without && !self.token().is_word("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some(Grouping { labels: self.label_list()?, without }))
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.token();
        match token.kind {
            TokenKind::Number => {
                self.number().map(|number| Expr::Metric(MetricExpr::Number(number)))
            }
            TokenKind::Symbol if token.is("{") => self.whole_log(),
            TokenKind::Symbol if token.is("(") => self.paren(),
            TokenKind::Symbol if token.is("-") || token.is("+") => {
                self.number().map(|number| Expr::Metric(MetricExpr::Number(number)))
            }
            TokenKind::Identifier => self.call().map(Expr::Metric),
            _ => self.unexpected(""),
        }
    }

    fn whole_log(&mut self) -> Parsed<Expr> {
        let log = self.log()?;
        if self.token().is("|") {
            // Only `unwrap` is left over by the stages.
            self.advance();
            return self.unexpected("");
        }
        Ok(Expr::Log(log))
    }

    fn paren(&mut self) -> Parsed<Expr> {
        self.advance();
        let inner = self.operands_above(0)?;
        self.expect(")")?;
        match inner {
            Expr::Log(mut log) => {
                self.stages(&mut log.stages)?;
                Ok(Expr::Log(log))
            }
            metric => Ok(metric),
        }
    }

    pub(super) fn number(&mut self) -> Parsed<NumberLiteral> {
        let start = self.token().start;
        let negative = self.eat("-");
        if !negative {
            self.eat("+");
        }
        let value = self.signed(negative)?;
        Ok(NumberLiteral { value, position: Position::new(start, self.last_end()) })
    }

    fn metric(&mut self) -> Parsed<MetricExpr> {
        match self.operands_above(0)? {
            Expr::Metric(metric) => Ok(metric),
            Expr::Log(_) => self.unexpected(""),
        }
    }

    fn call(&mut self) -> Parsed<MetricExpr> {
        let word = self.token();
        if let Some(op) = RangeOp::ALL.into_iter().find(|op| op.as_str() == word.text) {
            return self.range_aggregation(op);
        }
        if let Some(op) = VectorOp::ALL.into_iter().find(|op| op.as_str() == word.text) {
            return self.vector_aggregation(op);
        }
        match word.text {
            "vector" => {
                self.advance();
                self.expect("(")?;
                if self.token().kind != TokenKind::Number {
                    return self.unexpected("NUMBER");
                }
                let number = self.number()?;
                self.expect(")")?;
                Ok(MetricExpr::Vector(number))
            }
            "label_replace" => self.label_replace(),
            _ => self.unexpected(""),
        }
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Parsed<MetricExpr> {
        let start = self.advance().start;
        let before = self.grouping()?;
        self.expect("(")?;
        let mut parameter = None;
        if self.token().kind == TokenKind::Number && self.second().is(",") {
            let token = self.advance();
            parameter = Some(self.aggregate_parameter(op, token)?);
            self.advance();
        }
        let inner = self.metric()?;
        self.expect(")")?;
        let grouping = match before {
            Some(before) => Some(before),
            None => self.grouping()?,
        };
        let position = Position::new(start, self.last_end());
        if op.has_parameter() && parameter.is_none() {
            let message = format!("parameter required for operation {}", op.as_str());
            return self.meaningless(position, message);
        }
        self.check_grouping(op, grouping.as_ref(), position)?;
        let aggregation = VectorAggregation { op, parameter, inner, grouping, position };
        Ok(MetricExpr::Aggregate(Box::new(aggregation)))
    }

    fn check_grouping(
        &self,
        op: VectorOp,
        grouping: Option<&Grouping>,
        position: Position,
    ) -> Parsed<()> {
        match op {
            VectorOp::Sort | VectorOp::SortDesc if grouping.is_some() => {
                self.meaningless(position, "sort and sort_desc doesn't allow grouping by ")
            }
            VectorOp::ApproxTopk if grouping.is_some() => {
                self.meaningless(position, "grouping not allowed for approx_topk aggregation")
            }
            _ => Ok(()),
        }
    }

    fn aggregate_parameter(&self, op: VectorOp, token: Token<'_>) -> Parsed<usize> {
        let (name, text) = (op.as_str(), token.text);
        if !op.has_parameter() {
            let message = format!("unsupported parameter for operation {name}({text},");
            return self.meaningless(token.position(), message);
        }
        match text.parse::<usize>() {
            Ok(0) => {
                let message = "(must be greater than 0)";
                self.meaningless(
                    token.position(),
                    format!("invalid parameter {message} {name}({text}"),
                )
            }
            Ok(count) => Ok(count),
            Err(_) => {
                self.meaningless(token.position(), format!("invalid parameter {name}({text},"))
            }
        }
    }

    fn label_replace(&mut self) -> Parsed<MetricExpr> {
        let start = self.advance().start;
        self.expect("(")?;
        let inner = self.metric()?;
        let mut argument = || {
            self.expect(",")?;
            self.string()
        };
        let (destination, replacement) = (argument()?, argument()?);
        let (source, regex) = (argument()?, argument()?);
        self.expect(")")?;
        let position = Position::new(start, self.last_end());
        match Matcher::new(MatchOp::Regex, &source, &regex) {
            Ok(matcher) => {
                let taken = self.regexes.take(&matcher);
                taken.or_else(|refusal| self.meaningless(position, refusal.to_string()))?;
            }
            Err(message) => {
                let message = format!("invalid regex in label_replace: {message}");
                return self.meaningless(position, message);
            }
        }
        if !is_plain_name(&destination) {
            let shown = model::quote_go(destination.as_bytes());
            let message = format!("invalid destination label name in label_replace: {shown}");
            return self.meaningless(position, message);
        }
        let replace = LabelReplace { inner, destination, replacement, source, regex, position };
        Ok(MetricExpr::LabelReplace(Box::new(replace)))
    }
}
