//! A query as one line of text, in one spelling: parsed again, it is the same tree.

use crate::ast::{
    BinaryExpr, Expr, Extraction, LabelFilter, LabelFormat, LabelSelection, LabelSource,
    LineFilter, LineOperand, LogExpr, LogRange, MetricExpr, RangeAggregation, StageKind, Unwrap,
    VectorAggregation,
};
pub(crate) use model::format_duration_ns as duration;
use model::{Matcher, quote_go};
use query::{BinaryOp, Cardinality, Grouping, VectorMatching, format_number};
use std::fmt;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl fmt::Display for LogExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&selector(&self.matchers))?;
        self.stages.iter().try_for_each(|stage| write!(f, " {}", stage.kind))
    }
}

/// `{app="web", env="prod"}`
pub(crate) fn selector(matchers: &[Matcher]) -> String {
    format!("{{{}}}", joined(matchers, ToString::to_string))
}

fn quoted(text: &str) -> String {
    quote_go(text.as_bytes())
}

fn joined<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

pub(crate) fn line_filter(filter: &LineFilter) -> String {
    let operand = |operand: &LineOperand| match operand {
        LineOperand::Text(text) => quoted(text),
        LineOperand::Ip(pattern) => format!("ip({})", quoted(pattern)),
    };
    let operands: Vec<String> = filter.operands.iter().map(operand).collect();
    format!("{} {}", filter.op.as_str(), operands.join(" or "))
}

/// With the bar or the operator that it begins with.
impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |name: &str, rest: String| {
            if rest.is_empty() { format!("| {name}") } else { format!("| {name} {rest}") }
        };
        let text = match self {
            Self::LineFilter(filter) => line_filter(filter),
            Self::Json(expressions) => with("json", joined(expressions, extraction)),
            Self::Logfmt { strict, keep_empty, expressions } => {
                let strict = if *strict { " --strict" } else { "" };
                let keep = if *keep_empty { " --keep-empty" } else { "" };
                with(&format!("logfmt{strict}{keep}"), joined(expressions, extraction))
            }
            Self::Regexp(pattern) => with("regexp", quoted(pattern)),
            Self::Pattern(pattern) => with("pattern", quoted(pattern)),
            Self::Unpack => "| unpack".to_owned(),
            Self::Decolorize => "| decolorize".to_owned(),
            Self::LabelFilter(filter) => format!("| {filter}"),
            Self::LineFormat(template) => with("line_format", quoted(template)),
            Self::LabelFormat(formats) => with("label_format", joined(formats, label_format)),
            Self::Drop(labels) => with("drop", joined(labels, label_selection)),
            Self::Keep(labels) => with("keep", joined(labels, label_selection)),
        };
        f.write_str(&text)
    }
}

fn extraction(extraction: &Extraction) -> String {
    let Extraction { label, expression } = extraction;
    if label == expression { label.clone() } else { format!("{label}={}", quoted(expression)) }
}

fn label_format(format: &LabelFormat) -> String {
    match &format.value {
        LabelSource::Label(source) => format!("{}={source}", format.label),
        LabelSource::Template(template) => format!("{}={}", format.label, quoted(template)),
    }
}

fn label_selection(selection: &LabelSelection) -> String {
    match selection {
        LabelSelection::Name(name) => name.clone(),
        LabelSelection::Matching(matcher) => matcher.to_string(),
    }
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(matcher) => matcher.fmt(f),
            Self::Number { label, op, value } => {
                write!(f, "{label}{}{}", filter_op(*op), format_number(*value))
            }
            Self::Duration { label, op, nanos } => {
                write!(f, "{label}{}{}", filter_op(*op), duration(*nanos))
            }
            Self::Bytes { label, op, bytes } => write!(f, "{label}{}{bytes}B", filter_op(*op)),
            Self::Ip { label, negated, pattern } => {
                let op = if *negated { "!=" } else { "=" };
                write!(f, "{label}{op}ip({})", quoted(pattern))
            }
            Self::And(left, right) => {
                write!(
                    f,
                    "{} and {}",
                    side(left, matches!(**left, Self::Or(..))),
                    right_side(right)
                )
            }
            Self::Or(left, right) => write!(f, "{left} or {}", right_side(right)),
        }
    }
}

fn filter_op(op: BinaryOp) -> &'static str {
    op.as_str()
}

fn side(filter: &LabelFilter, in_parentheses: bool) -> String {
    if in_parentheses { format!("({filter})") } else { filter.to_string() }
}

fn right_side(filter: &LabelFilter) -> String {
    side(filter, matches!(filter, LabelFilter::And(..) | LabelFilter::Or(..)))
}

impl fmt::Display for MetricExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&format_number(number.value)),
            Self::Vector(number) => write!(f, "vector({})", format_number(number.value)),
            Self::Range(range) => {
                let (head, tail) = range_ends(range);
                write!(f, "{head}{}{tail}", log_range(&range.range))
            }
            Self::Aggregate(aggregate) => {
                write!(f, "{}{})", aggregate_head(aggregate), aggregate.inner)
            }
            Self::Binary(binary) => {
                let (left, right) = sides_in_parentheses(binary);
                let operand = |operand: &Self, in_parentheses: bool| {
                    if in_parentheses { format!("({operand})") } else { operand.to_string() }
                };
                let (left, right) = (operand(&binary.left, left), operand(&binary.right, right));
                write!(f, "{left} {} {right}", operator(binary))
            }
            Self::LabelReplace(replace) => {
                write!(f, "label_replace({}, {})", replace.inner, replace_arguments(replace))
            }
        }
    }
}

pub(crate) fn replace_arguments(replace: &crate::ast::LabelReplace) -> String {
    let arguments = [&replace.destination, &replace.replacement, &replace.source, &replace.regex];
    joined(&arguments, |text| quoted(text))
}

/// What stands before the window and behind it.
pub(crate) fn range_ends(range: &RangeAggregation) -> (String, String) {
    let parameter = range.parameter.map(|value| format!("{}, ", format_number(value)));
    let grouping = range.grouping.as_ref().map(|grouping| format!(" {}", self::grouping(grouping)));
    let head = format!("{}({}", range.op.as_str(), parameter.unwrap_or_default());
    (head, format!("){}", grouping.unwrap_or_default()))
}

fn log_range(range: &LogRange) -> String {
    let unwrapped: String = unwrap_stages(range).iter().map(|stage| format!(" {stage}")).collect();
    format!("{}{unwrapped} {}", range.log, range_text(range))
}

/// `[5m] offset 1h`
pub(crate) fn range_text(range: &LogRange) -> String {
    let window = duration(range.range_ns);
    match range.offset_ns {
        0 => format!("[{window}]"),
        offset => format!("[{window}] offset {}", duration(offset)),
    }
}

pub(crate) fn unwrap_stages(range: &LogRange) -> Vec<String> {
    let Some(Unwrap { label, conversion, filters, .. }) = &range.unwrap else { return Vec::new() };
    let value = conversion.map_or(label.clone(), |known| format!("{}({label})", known.as_str()));
    let filters = filters.iter().map(|filter| format!("| {filter}"));
    std::iter::once(format!("| unwrap {value}")).chain(filters).collect()
}

fn grouping(grouping: &Grouping) -> String {
    let word = if grouping.without { "without" } else { "by" };
    format!("{word} ({})", grouping.labels.join(", "))
}

/// `topk by (app) (3, `
pub(crate) fn aggregate_head(aggregate: &VectorAggregation) -> String {
    let grouping =
        aggregate.grouping.as_ref().map(|grouping| format!(" {} ", self::grouping(grouping)));
    let parameter = aggregate.parameter.map(|count| format!("{count}, "));
    let (grouping, parameter) = (grouping.unwrap_or_default(), parameter.unwrap_or_default());
    format!("{}{grouping}({parameter}", aggregate.op.as_str())
}

/// Which sides of an operator need parentheses.
pub(crate) fn sides_in_parentheses(binary: &BinaryExpr) -> (bool, bool) {
    let precedence = |side: &MetricExpr| match side {
        MetricExpr::Binary(inner) => inner.op.precedence(),
        _ => u8::MAX,
    };
    let (own, is_power) = (binary.op.precedence(), binary.op == BinaryOp::Pow);
    let (left, right) = (precedence(&binary.left), precedence(&binary.right));
    if is_power { (left <= own, right < own) } else { (left < own, right <= own) }
}

/// The operator with everything up to its right side.
pub(crate) fn operator(binary: &BinaryExpr) -> String {
    let bool_word = if binary.return_bool { " bool" } else { "" };
    format!("{}{bool_word}{}", binary.op.as_str(), matching(&binary.matching))
}

fn matching(matching: &VectorMatching) -> String {
    let grouped = match matching.cardinality {
        Cardinality::ManyToOne => " group_left",
        Cardinality::OneToMany => " group_right",
        Cardinality::OneToOne | Cardinality::ManyToMany => "",
    };
    if !matching.on && matching.labels.is_empty() && grouped.is_empty() {
        return String::new();
    }
    let word = if matching.on { "on" } else { "ignoring" };
    let mut text = format!(" {word} ({}){grouped}", matching.labels.join(", "));
    if !grouped.is_empty() {
        text.push_str(&format!(" ({})", matching.include.join(", ")));
    }
    text
}
