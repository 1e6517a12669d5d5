//! From tokens to a tree: recursive descent, with a Pratt loop where operators have precedence.
//!
//! Errors are the first thing that is wrong, in Prometheus' words, with its position. What is
//! grammatical but meaningless (wrong types, two names) is found afterwards, in `check`.
//! Invariants: nesting is bounded by [`DEPTH_MAX`], the text by [`LENGTH_MAX`],
//! what regular expressions take by the request's [`RegexBudget`].

mod check;
mod duration;
mod modifiers;
mod selector;

use crate::ast::{AggregateExpr, BinaryExpr, Call, Expr, NumberLiteral, ParenExpr, UnaryExpr};
use crate::error::ParseError;
use crate::functions;
use crate::lex::{Keyword, Lexer, Token, TokenKind};
use crate::options::ParseOptions;
use crate::types::StringLiteral;
use model::{Labels, Matcher, parse_duration, quote_go, unquote_go};
use query::{
    AggregateOp, BinaryOp, Cardinality, Position, RegexBudget, VectorMatching, parse_number,
};

/// How deep expressions may nest.
pub const DEPTH_MAX: usize = 200;
/// How long a query may be, in bytes: thousands of names in one selector. A tree takes some thirty
/// times the memory of its text.
pub const LENGTH_MAX: usize = 1 << 20;

/// Parses and checks an expression.
pub fn parse(query: &str, options: &ParseOptions) -> Result<Expr, ParseError> {
    parse_within(query, options, &mut RegexBudget::default())
}

/// Parses and checks an expression whose request has other regular expressions too.
pub fn parse_within(
    query: &str,
    options: &ParseOptions,
    regexes: &mut RegexBudget,
) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, options, regexes)?;
    let result = parser.whole_expression().and_then(|mut expr| {
        check::check(&mut expr, query)?;
        Ok(expr)
    });
    result.map_err(|error| error.in_query(query))
}

/// Parses `up{job="api"}`, as in `match[]`.
pub fn parse_selector(text: &str, regexes: &mut RegexBudget) -> Result<Vec<Matcher>, ParseError> {
    let options = ParseOptions::default();
    let mut parser = Parser::new(text, &options, regexes)?;
    let selector = parser.whole_selector();
    selector.map(|selector| selector.matchers).map_err(|error| error.in_query(text))
}

/// Parses `up{job="api"}` as the name of one series.
pub fn parse_metric(text: &str) -> Result<Labels, ParseError> {
    let (options, mut regexes) = (ParseOptions::default(), RegexBudget::default());
    let mut parser = Parser::new(text, &options, &mut regexes)?;
    parser.whole_metric().map_err(|error| error.in_query(text))
}

type Parsed<T> = Result<T, ParseError>;

pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token.
    token: Token<'a>,
    /// The end of the token before it.
    last_end: usize,
    depth: usize,
    /// Arguments of how many aggregations are being read; errors inside say so.
    aggregations: usize,
    /// What is left of the request's regular expressions.
    regexes: &'a mut RegexBudget,
    /// What a duration that is being read is for.
    duration: Option<duration::Wanted<'static>>,
    options: &'a ParseOptions,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(
        text: &'a str,
        options: &'a ParseOptions,
        regexes: &'a mut RegexBudget,
    ) -> Parsed<Self> {
        if text.len() > LENGTH_MAX {
            let length = text.len();
            let message = format!(
                "query of {length} bytes is longer than {LENGTH_MAX}; ask in parts, or select \
                 with fewer or shorter matchers"
            );
            return Err(ParseError::at(Position::default(), message));
        }
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token().map_err(|error| error.in_query(text))?;
        Ok(Self {
            lexer,
            token,
            last_end: 0,
            depth: 0,
            aggregations: 0,
            regexes,
            duration: None,
            options,
        })
    }

    fn advance(&mut self) -> Parsed<Token<'a>> {
        let token = self.token;
        self.last_end = token.end();
        if token.kind != TokenKind::End {
            self.token = self.lexer.next_token()?;
        }
        Ok(token)
    }

    fn is(&self, kind: TokenKind) -> bool {
        self.token.kind == kind
    }

    fn eat(&mut self, kind: TokenKind) -> Parsed<bool> {
        let found = self.is(kind);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, kind: TokenKind, context: &str, expected: &str) -> Parsed<Token<'a>> {
        if self.is(kind) { self.advance() } else { self.unexpected(context, expected) }
    }

    fn unexpected<T>(&self, context: &str, expected: &str) -> Parsed<T> {
        let mut message = format!("unexpected {}", self.token.describe());
        let (context, expected) = match (context, self.duration) {
            ("", Some(wanted)) => wanted,
            ("", None) if self.aggregations > 0 => ("aggregation", expected),
            _ => (context, expected),
        };
        if !context.is_empty() {
            message.push_str(&format!(" in {context}"));
        }
        if !expected.is_empty() {
            message.push_str(&format!(", expected {expected}"));
        }
        Err(ParseError::at(self.token.position(), message))
    }

    fn error<T>(&self, position: Position, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::at(position, message))
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!(
                "expression nests deeper than {DEPTH_MAX} levels; put parts of a long chain in \
                 parentheses, or ask in parts"
            );
            return self.error(self.token.position(), message);
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn whole_expression(&mut self) -> Parsed<Expr> {
        if self.is(TokenKind::End) {
            return self.error(Position::default(), "no expression found in input");
        }
        let expr = self.expression(0)?;
        if self.is(TokenKind::End) { Ok(expr) } else { self.unexpected("", "") }
    }

    /// An expression whose operators all bind tighter than `floor`.
    fn expression(&mut self, floor: u8) -> Parsed<Expr> {
        self.nested(|parser| {
            let mut left = parser.prefixed()?;
            let mut operators = 0;
            while let TokenKind::Operator(op) = parser.token.kind {
                if op.precedence() <= floor {
                    break;
                }
                operators += 1;
                // A long chain makes as deep a tree as nesting does.
                parser.depth += 1;
                left = parser.nested(|parser| parser.binary(left, op))?;
            }
            parser.depth -= operators;
            Ok(left)
        })
    }

    fn binary(&mut self, left: Expr, op: BinaryOp) -> Parsed<Expr> {
        self.advance()?;
        let return_bool = self.eat(TokenKind::Keyword(Keyword::Bool))?;
        let matching = self.vector_matching()?;
        // Only the power operator groups from the right.
        let floor = if op == BinaryOp::Pow { op.precedence() - 1 } else { op.precedence() };
        let right = self.expression(floor)?;
        let matching = Some(matching);
        Ok(Expr::Binary(Box::new(BinaryExpr { op, left, right, return_bool, matching })))
    }

    fn vector_matching(&mut self) -> Parsed<VectorMatching> {
        let on = self.is(TokenKind::Keyword(Keyword::On));
        let mut matching = VectorMatching { on, ..VectorMatching::default() };
        if matching.on || self.is(TokenKind::Keyword(Keyword::Ignoring)) {
            self.advance()?;
            matching.labels = self.grouping_labels()?;
            matching.cardinality = match self.token.kind {
                TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.advance()?;
                if self.is(TokenKind::LeftParen) {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill_values(&mut matching)?;
        Ok(matching)
    }

    /// `fill`, or one or both of `fill_left` and `fill_right`.
    fn fill_values(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        while let TokenKind::Keyword(keyword) = self.token.kind {
            let (left, right) = match keyword {
                Keyword::Fill => (true, true),
                Keyword::FillLeft => (true, false),
                Keyword::FillRight => (false, true),
                _ => return Ok(()),
            };
            let taken =
                (left && matching.fill_left.is_some()) || (right && matching.fill_right.is_some());
            if taken {
                return Ok(());
            }
            let value = Some(self.fill_value()?);
            matching.fill_left = if left { value } else { matching.fill_left };
            matching.fill_right = if right { value } else { matching.fill_right };
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        let position = self.advance()?.position();
        if !self.options.experimental_functions {
            return self.error(position, "binop fill modifiers are experimental and not enabled");
        }
        self.expect(TokenKind::LeftParen, "fill modifier", "\"(\"")?;
        let value = self.signed_number("fill modifier", "number")?;
        self.expect(TokenKind::RightParen, "fill modifier", "\")\"")?;
        Ok(value)
    }

    /// Signs bind tighter than everything but the power operator.
    fn prefixed(&mut self) -> Parsed<Expr> {
        let negative = match self.token.kind {
            TokenKind::Operator(BinaryOp::Add) => false,
            TokenKind::Operator(BinaryOp::Sub) => true,
            _ => {
                let primary = self.primary()?;
                return self.modified(primary);
            }
        };
        let start = self.advance()?.start;
        let inner = self.expression(BinaryOp::Mul.precedence())?;
        Ok(match inner {
            Expr::Number(number) => Expr::Number(NumberLiteral {
                value: if negative { -number.value } else { number.value },
                is_duration: number.is_duration,
                position: Position::new(start, number.position.end),
            }),
            inner => Expr::Unary(UnaryExpr { negative, inner: Box::new(inner), start }),
        })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.token.kind {
            TokenKind::Number | TokenKind::Duration => self.number().map(Expr::Number),
            TokenKind::String => self.string().map(Expr::String),
            TokenKind::LeftParen => self.paren(),
            TokenKind::LeftBrace => self.vector_selector(None).map(Expr::Vector),
            TokenKind::Aggregate(op) => self.aggregate_or_metric(op),
            TokenKind::Identifier
            | TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range) => {
                let word = self.advance()?;
                if self.is(TokenKind::LeftParen) {
                    return self.call(word);
                }
                self.vector_selector(Some(word)).map(Expr::Vector)
            }
            kind if is_metric_word(kind) => {
                let word = self.advance()?;
                self.vector_selector(Some(word)).map(Expr::Vector)
            }
            _ => self.unexpected("", ""),
        }
    }

    fn paren(&mut self) -> Parsed<Expr> {
        let start = self.advance()?.start;
        let inner = Box::new(self.expression(0)?);
        let end = self.expect(TokenKind::RightParen, "", "")?.end();
        Ok(Expr::Paren(ParenExpr { inner, position: Position::new(start, end) }))
    }

    fn number(&mut self) -> Parsed<NumberLiteral> {
        let token = self.advance()?;
        let position = token.position();
        let is_duration = token.kind == TokenKind::Duration;
        let value = if is_duration {
            parse_duration(token.text).map(|millis| millis as f64 / 1000.0)
        } else {
            parse_number(token.text)
        };
        match value {
            Ok(value) => Ok(NumberLiteral { value, is_duration, position }),
            Err(message) => self.error(position, message),
        }
    }

    fn signed_number(&mut self, context: &str, expected: &str) -> Parsed<f64> {
        let negative = self.is(TokenKind::Operator(BinaryOp::Sub));
        if negative || self.is(TokenKind::Operator(BinaryOp::Add)) {
            self.advance()?;
        }
        if !matches!(self.token.kind, TokenKind::Number | TokenKind::Duration) {
            return self.unexpected(context, expected);
        }
        let value = self.number()?.value;
        Ok(if negative { -value } else { value })
    }

    fn string(&mut self) -> Parsed<StringLiteral> {
        let token = self.advance()?;
        match unquote_go(token.text) {
            Ok(bytes) => Ok(StringLiteral { bytes, position: token.position() }),
            Err(message) => self.error(token.position(), message),
        }
    }

    /// A string that names something.
    fn quoted_name(&mut self) -> Parsed<String> {
        let literal = self.string()?;
        match String::from_utf8(literal.bytes) {
            Ok(name) => Ok(name),
            Err(_) => self.error(literal.position, "invalid UTF-8 in a quoted name"),
        }
    }

    fn call(&mut self, word: Token<'a>) -> Parsed<Expr> {
        let arguments = self.call_arguments()?;
        let position = Position::new(word.start, self.last_end);
        let Some(function) = functions::lookup(word.text) else {
            let name = quote_go(word.text.as_bytes());
            return self.error(word.position(), format!("unknown function with name {name}"));
        };
        if function.experimental && !self.options.experimental_functions {
            let name = quote_go(word.text.as_bytes());
            return self.error(word.position(), format!("function {name} is not enabled"));
        }
        Ok(Expr::Call(Call { function, arguments, position }))
    }

    fn call_arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect(TokenKind::LeftParen, "", "")?;
        let mut arguments = Vec::new();
        if self.eat(TokenKind::RightParen)? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.is(TokenKind::Comma) {
                break;
            }
            let comma = self.advance()?.position();
            if self.is(TokenKind::RightParen) {
                return self.error(comma, "trailing commas not allowed in function call args");
            }
        }
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(arguments)
    }

    fn aggregate_or_metric(&mut self, op: AggregateOp) -> Parsed<Expr> {
        let word = self.advance()?;
        let grouped = matches!(
            self.token.kind,
            TokenKind::Keyword(Keyword::By | Keyword::Without) | TokenKind::LeftParen
        );
        if !grouped {
            return self.vector_selector(Some(word)).map(Expr::Vector);
        }
        let before = self.grouping()?;
        if !self.is(TokenKind::LeftParen) {
            return self.unexpected("aggregation", "");
        }
        self.aggregations += 1;
        let arguments = self.call_arguments()?;
        self.aggregations -= 1;
        let (grouping, without) = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let position = Position::new(word.start, self.last_end);
        self.aggregate(op, arguments, grouping, without, position)
    }

    fn aggregate(
        &self,
        op: AggregateOp,
        mut arguments: Vec<Expr>,
        grouping: Vec<String>,
        without: bool,
        position: Position,
    ) -> Parsed<Expr> {
        let Some(inner) = arguments.pop() else {
            return self.error(position, "no arguments for aggregate expression provided");
        };
        if op.is_experimental() && !self.options.experimental_functions {
            let message = "is experimental and must be enabled with --enable-feature=promql-experimental-functions";
            return self.error(position, format!("{}() {message}", op.as_str()));
        }
        let (given, wanted) = (arguments.len() + 1, 1 + usize::from(op.has_parameter()));
        if given != wanted {
            let message = "wrong number of arguments for aggregate expression provided";
            return self.error(position, format!("{message}, expected {wanted}, got {given}"));
        }
        let parameter = arguments.pop();
        let aggregate = AggregateExpr { op, inner, parameter, grouping, without, position };
        Ok(Expr::Aggregate(Box::new(aggregate)))
    }

    /// `by (…)` or `without (…)`, where it stands here.
    fn grouping(&mut self) -> Parsed<Option<(Vec<String>, bool)>> {
        let without = self.is(TokenKind::Keyword(Keyword::Without));
        if !without && !self.is(TokenKind::Keyword(Keyword::By)) {
            return Ok(None);
        }
        self.advance()?;
        Ok(Some((self.grouping_labels()?, without)))
    }

    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        self.expect(TokenKind::LeftParen, CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        while !self.is(TokenKind::RightParen) {
            labels.push(self.grouping_label()?);
            if !self.is(TokenKind::RightParen) {
                self.expect(TokenKind::Comma, CONTEXT, "\",\" or \")\"")?;
            }
        }
        self.advance()?;
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let position = self.token.position();
        let label = match self.token.kind {
            TokenKind::String => self.quoted_name()?,
            kind if is_label_word(kind) => self.advance()?.text.to_owned(),
            _ => return self.unexpected("grouping opts", "label"),
        };
        if label.is_empty() {
            return self.error(position, "invalid label name for grouping: \"\"");
        }
        Ok(label)
    }
}

/// Words of the language that can also be metrics.
fn is_metric_word(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier | TokenKind::MetricIdentifier | TokenKind::Aggregate(_) => true,
        TokenKind::Operator(op) => op.is_set(),
        TokenKind::Keyword(keyword) => !matches!(
            keyword,
            Keyword::Bool
                | Keyword::Fill
                | Keyword::FillLeft
                | Keyword::FillRight
                | Keyword::GroupLeft
                | Keyword::GroupRight
                | Keyword::Ignoring
                | Keyword::On
        ),
        _ => false,
    }
}

/// Words of the language that can also be labels.
fn is_label_word(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier | TokenKind::MetricIdentifier => true,
        // Prometheus' grammar leaves out this one.
        TokenKind::Keyword(Keyword::Without) => false,
        TokenKind::Aggregate(_) | TokenKind::Keyword(_) => true,
        TokenKind::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
