//! Selectors and the stages behind them.

use super::{Parsed, Parser};
use crate::ast::{
    Extraction, LabelFormat, LabelSelection, LabelSource, LineFilter, LineOp, LineOperand, LogExpr,
    Stage, StageKind,
};
use crate::lex::TokenKind;
use crate::print;
use model::{MatchOp, Matcher};
use query::Position;

/// The words that begin a stage; other words are labels.
const STAGES: [&str; 10] = [
    "json",
    "logfmt",
    "regexp",
    "pattern",
    "unpack",
    "line_format",
    "label_format",
    "decolorize",
    "drop",
    "keep",
];

impl Parser<'_> {
    /// A selector with its stages, in parentheses or not.
    pub(super) fn log(&mut self) -> Parsed<LogExpr> {
        if self.token().is("(") {
            return self.nested(|parser| {
                parser.advance();
                let mut log = parser.log()?;
                parser.expect(")")?;
                parser.stages(&mut log.stages)?;
                Ok(log)
            });
        }
        let start = self.token().start;
        let matchers = self.selector()?;
        self.check_matchers(&matchers, Position::new(start, self.last_end()))?;
        let mut log = LogExpr { matchers, stages: Vec::new(), position: Position::default() };
        self.stages(&mut log.stages)?;
        log.position = Position::new(start, self.last_end());
        Ok(log)
    }

    pub(super) fn selector(&mut self) -> Parsed<Vec<Matcher>> {
        self.expect("{")?;
        let mut matchers = Vec::new();
        if self.eat("}") {
            return Ok(matchers);
        }
        loop {
            let start = self.token().position();
            let name = match self.token().kind {
                TokenKind::Identifier => self.identifier()?,
                _ => return self.unexpected("IDENTIFIER or }"),
            };
            let Some(op) = self.match_op() else { return self.unexpected("=, !=, =~ or !~") };
            matchers.push(self.matcher(op, &name, start)?);
            if self.eat("}") {
                return Ok(matchers);
            }
            if !self.eat(",") {
                return self.unexpected("} or ,");
            }
            if self.eat("}") {
                return Ok(matchers);
            }
        }
    }

    /// A selector that may match streams without any of its labels would read everything.
    fn check_matchers(&self, matchers: &[Matcher], position: Position) -> Parsed<()> {
        if matchers.iter().any(|matcher| !matcher.matches("")) {
            return Ok(());
        }
        let message = "queries require at least one regexp or equality matcher that does not have an \
                       empty-compatible value. For instance, app=~\".*\" does not meet this requirement, \
                       but app=~\".+\" will";
        self.meaningless(position, message)
    }

    pub(super) fn match_op(&mut self) -> Option<MatchOp> {
        let op = match (self.token().kind, self.token().text) {
            (TokenKind::Symbol, "=") => MatchOp::Equal,
            (TokenKind::Symbol, "!=") => MatchOp::NotEqual,
            (TokenKind::Symbol, "=~") => MatchOp::Regex,
            (TokenKind::Symbol, "!~") => MatchOp::NotRegex,
            _ => return None,
        };
        self.advance();
        Some(op)
    }

    /// As many stages as follow; `| unwrap` is none.
    pub(super) fn stages(&mut self, stages: &mut Vec<Stage>) -> Parsed<()> {
        loop {
            let start = self.token().start;
            let kind = if let Some(op) = self.line_op() {
                self.line_filter(op, start)?
            } else if self.token().is("|") && !self.second().is_word("unwrap") {
                self.advance();
                self.stage()?
            } else {
                return Ok(());
            };
            stages.push(Stage { kind, position: Position::new(start, self.last_end()) });
        }
    }

    /// The operator of a line filter, where a text or `ip` follows it: `!=` also compares numbers.
    fn line_op(&mut self) -> Option<LineOp> {
        let token = self.token();
        let op = LineOp::ALL.into_iter().find(|op| token.is(op.as_str()))?;
        let is_comparison = op == LineOp::Lacks
            && self.second().kind != TokenKind::String
            && !self.second().is_word("ip");
        (!is_comparison).then_some(op)
    }

    fn line_filter(&mut self, op: LineOp, start: usize) -> Parsed<StageKind> {
        self.advance();
        let mut operands = vec![self.line_operand(op)?];
        while self.eat_word("or") {
            operands.push(self.line_operand(op)?);
        }
        let filter = LineFilter { op, operands };
        if matches!(op, LineOp::Matches | LineOp::MatchesNot) {
            let position = Position::new(start, self.last_end());
            let shown = print::line_filter(&filter);
            for operand in &filter.operands {
                if let LineOperand::Text(pattern) = operand {
                    self.check_search(pattern, position, &shown)?;
                }
            }
        }
        Ok(StageKind::LineFilter(filter))
    }

    fn line_operand(&mut self, op: LineOp) -> Parsed<LineOperand> {
        if self.token().kind == TokenKind::String {
            return self.string().map(LineOperand::Text);
        }
        let allows_ip = matches!(op, LineOp::Contains | LineOp::Lacks);
        if !(allows_ip && self.token().is_word("ip")) {
            return self.unexpected(if allows_ip { "STRING or ip" } else { "STRING" });
        }
        self.advance();
        self.expect("(")?;
        let pattern = self.string()?;
        self.expect(")")?;
        Ok(LineOperand::Ip(pattern))
    }

    /// What stands behind `|`.
    fn stage(&mut self) -> Parsed<StageKind> {
        let word = self.token();
        let is_stage = word.kind == TokenKind::Identifier && !self.second_compares();
        if !is_stage || !STAGES.contains(&word.text) {
            return self.label_filter().map(StageKind::LabelFilter);
        }
        self.advance();
        match word.text {
            "json" => self.extractions().map(StageKind::Json),
            "logfmt" => self.logfmt(),
            "regexp" => self.regexp(),
            "pattern" => self.string().map(StageKind::Pattern),
            "line_format" => self.string().map(StageKind::LineFormat),
            "label_format" => self.label_formats().map(StageKind::LabelFormat),
            "drop" => self.label_selections().map(StageKind::Drop),
            "keep" => self.label_selections().map(StageKind::Keep),
            "unpack" => Ok(StageKind::Unpack),
            _ => Ok(StageKind::Decolorize),
        }
    }

    /// Whether a comparison follows the word, so that it is a label and no stage. `!=` and `!~` behind a
    /// stage begin a line filter.
    fn second_compares(&self) -> bool {
        ["=", "==", "=~", ">", ">=", "<", "<="].iter().any(|symbol| self.second().is(symbol))
    }

    fn logfmt(&mut self) -> Parsed<StageKind> {
        let (mut strict, mut keep_empty) = (false, false);
        while self.token().kind == TokenKind::Flag {
            match self.token().text {
                "--strict" => strict = true,
                "--keep-empty" => keep_empty = true,
                _ => return self.unexpected("--strict or --keep-empty"),
            }
            self.advance();
        }
        let expressions = self.extractions()?;
        Ok(StageKind::Logfmt { strict, keep_empty, expressions })
    }

    fn regexp(&mut self) -> Parsed<StageKind> {
        let position = self.token().position();
        let pattern = self.string()?;
        self.check_search(&pattern, position, "| regexp")?;
        Ok(StageKind::Regexp(pattern))
    }

    /// `a="x", b`; nothing at all is allowed too.
    fn extractions(&mut self) -> Parsed<Vec<Extraction>> {
        let mut extractions = Vec::new();
        if self.token().kind != TokenKind::Identifier {
            return Ok(extractions);
        }
        loop {
            let label = self.identifier()?;
            let expression = if self.eat("=") { self.string()? } else { label.clone() };
            extractions.push(Extraction { label, expression });
            if !self.eat(",") {
                return Ok(extractions);
            }
        }
    }

    fn label_formats(&mut self) -> Parsed<Vec<LabelFormat>> {
        let mut formats: Vec<LabelFormat> = Vec::new();
        loop {
            let position = self.token().position();
            let label = self.identifier()?;
            self.expect("=")?;
            let value = match self.token().kind {
                TokenKind::Identifier => LabelSource::Label(self.identifier()?),
                TokenKind::String => LabelSource::Template(self.string()?),
                _ => return self.unexpected("IDENTIFIER or STRING"),
            };
            if formats.iter().any(|format| format.label == label) {
                let message = "not allowed in a single format operation";
                let message = format!("multiple label name '{label}' {message}");
                return self.meaningless(position, message);
            }
            formats.push(LabelFormat { label, value });
            if !self.eat(",") {
                return Ok(formats);
            }
        }
    }

    fn label_selections(&mut self) -> Parsed<Vec<LabelSelection>> {
        let mut selections = Vec::new();
        loop {
            let position = self.token().position();
            let name = self.identifier()?;
            selections.push(match self.match_op() {
                Some(op) => LabelSelection::Matching(self.matcher(op, &name, position)?),
                None => LabelSelection::Name(name),
            });
            if !self.eat(",") {
                return Ok(selections);
            }
        }
    }
}
