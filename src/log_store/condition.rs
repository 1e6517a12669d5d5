//! What must hold of a line, and which rows it holds of.
//!
//! A condition on a line is looked for in templates and slots; only where that can't decide, lines are
//! put together. A condition on a field is decided once for each distinct value.

use crate::error::StoreError;
use crate::lines::{ColumnPages, Lines, Needle, search};
use crate::rows::Rows;
use columns::RowSet;
use columns::{ABSENT, TextColumn};
use model::Matcher;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::sync::Arc;

/// What must hold of a line.
#[derive(Clone, Debug)]
pub enum Condition {
    /// The line contains one of these texts. With `ignore_case`, as `(?i)` compares.
    Contains { texts: Vec<String>, ignore_case: bool },
    /// The line contains none of these.
    Lacks { texts: Vec<String> },
    /// The line matches, or does not match, the unanchored regular expression.
    Matches { regex: Arc<Regex>, negated: bool },
    /// The field of this name (absent = "") satisfies the matcher, for streams that have no label of
    /// that name. Of the lines of other streams it holds always.
    Field(Matcher),
}

/// A condition, made ready for many row groups.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    /// One of the texts; false: none of them. Exact unless `also` decides.
    Texts {
        needles: Vec<Needle>,
        holds: bool,
        also: Option<Arc<Regex>>,
    },
    /// The regular expression, after texts that every match must hold.
    Regex {
        needles: Vec<Needle>,
        regex: Arc<Regex>,
        negated: bool,
    },
    Field(Matcher),
}

/// What lines must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needed<'c> {
    All(&'c [Needle]),
    /// One of these.
    Any(&'c [Needle]),
    Unknown,
}

impl Prepared {
    pub(crate) fn of(condition: &Condition) -> Self {
        match condition {
            Condition::Contains { texts, ignore_case } => {
                let needles = texts.iter().map(|text| Needle::new(text, *ignore_case)).collect();
                let also = ignore_case.then(|| any_case(texts)).flatten();
                match (also, texts.iter().all(|text| text.is_ascii())) {
                    (Some(regex), false) => {
                        Self::Regex { needles: Vec::new(), regex, negated: false }
                    }
                    (also, _) => Self::Texts { needles, holds: true, also },
                }
            }
            Condition::Lacks { texts } => {
                let needles = texts.iter().map(|text| Needle::new(text, false)).collect();
                Self::Texts { needles, holds: false, also: None }
            }
            Condition::Matches { regex, negated } => {
                let needles = if *negated { Vec::new() } else { required_texts(regex.as_str()) };
                Self::Regex { needles, regex: Arc::clone(regex), negated: *negated }
            }
            Condition::Field(matcher) => Self::Field(matcher.clone()),
        }
    }

    /// The texts that every line holds which satisfies it.
    pub(crate) fn needed(&self) -> Needed<'_> {
        match self {
            Self::Texts { needles, holds: true, .. } => Needed::Any(needles),
            Self::Regex { needles, negated: false, .. } => Needed::All(needles),
            Self::Texts { .. } | Self::Regex { .. } | Self::Field(_) => Needed::Unknown,
        }
    }

    /// The rows of a row group whose lines satisfy it; `among` are the rows that matter.
    pub(crate) fn of_group<P: ColumnPages>(
        &self,
        lines: &Lines<P>,
        among: RowSet,
    ) -> Result<RowSet, StoreError> {
        match self {
            Self::Texts { needles, holds, also } => {
                let mut found = RowSet::none(lines.directory.rows.len());
                for needle in needles {
                    found = found.or(&search(lines, needle, &among)?);
                }
                if let Some(regex) = also {
                    let rest = found.clone().others().and(&lines.not_ascii()).and(&among);
                    found = found.or(&matching(lines, &rest, regex)?);
                }
                Ok(among.and(&if *holds { found } else { found.others() }))
            }
            Self::Regex { needles, regex, negated } => {
                let mut among = among;
                for needle in needles {
                    if among.is_empty() {
                        break;
                    }
                    let found = search(lines, needle, &among)?;
                    among = among.and(&found);
                }
                let found = matching(lines, &among, regex)?;
                Ok(among.and(&if *negated { found.others() } else { found }))
            }
            Self::Field(_) => Ok(among),
        }
    }

    /// Whether a line in memory satisfies it.
    pub(crate) fn holds_of_line(&self, line: &[u8]) -> bool {
        match self {
            Self::Texts { needles, holds, also } => {
                let is_found = needles.iter().any(|needle| needle.is_in(line));
                let is_also = || also.as_ref().is_some_and(|regex| regex.is_match(line));
                (is_found || is_also()) == *holds
            }
            Self::Regex { regex, negated, .. } => regex.is_match(line) != *negated,
            Self::Field(_) => true,
        }
    }
}

/// The rows among these whose line matches.
fn matching<P: ColumnPages>(
    lines: &Lines<P>,
    among: &RowSet,
    regex: &Regex,
) -> Result<RowSet, StoreError> {
    let mut found = RowSet::none(lines.directory.rows.len());
    let mut line = Vec::new();
    for row in among.iter() {
        line.clear();
        lines.append(row, &mut line)?;
        if regex.is_match(&line) {
            found.insert(row);
        }
    }
    Ok(found)
}

/// The texts as an expression that ignores case: letters beyond ASCII have cases too, and the Kelvin
/// sign is a `k`.
fn any_case(texts: &[String]) -> Option<Arc<Regex>> {
    let folds = |text: &String| {
        !text.is_ascii() || text.bytes().any(|byte| matches!(byte | 32, b'k' | b's'))
    };
    if !texts.iter().any(folds) {
        return None;
    }
    let texts: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    Regex::new(&format!("(?i:{})", texts.join("|"))).ok().map(Arc::new)
}

/// Texts that every match of the expression holds; shorter ones than three bytes rule nothing out.
fn required_texts(pattern: &str) -> Vec<Needle> {
    let parser = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
    let Ok(hir) = parser else { return Vec::new() };
    let mut found = Required::default();
    found.visit(&hir);
    found.end();
    // The longest rules out the most.
    found.needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    found.needles
}

#[derive(Default)]
struct Required {
    needles: Vec<Needle>,
    /// The literal bytes that come one after the other.
    text: Vec<u8>,
    ignore_case: bool,
}

impl Required {
    fn end(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.len() >= 3
            && let Ok(text) = std::str::from_utf8(&text)
        {
            self.needles.push(Needle::new(text, self.ignore_case));
        }
        self.ignore_case = false;
    }

    fn visit(&mut self, hir: &regex_syntax::hir::Hir) {
        use regex_syntax::hir::HirKind;
        match hir.kind() {
            HirKind::Literal(literal) => self.text.extend_from_slice(&literal.0),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.visit(part)),
            HirKind::Capture(capture) => self.visit(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                self.end();
                self.visit(&repetition.sub);
                self.end();
            }
            HirKind::Empty | HirKind::Look(_) => {}
            // The cases of a letter beyond ASCII end a text: see `any_case`.
            HirKind::Class(class) => match letter(class) {
                Some(letter) => {
                    self.text.push(letter);
                    self.ignore_case = true;
                }
                None => self.end(),
            },
            HirKind::Repetition(_) | HirKind::Alternation(_) => self.end(),
        }
    }
}

/// The letter, if the class is one ASCII letter in both cases and nothing else.
fn letter(class: &regex_syntax::hir::Class) -> Option<u8> {
    let singles: Vec<u8> = match class {
        regex_syntax::hir::Class::Unicode(class) => {
            let single = |range: &regex_syntax::hir::ClassUnicodeRange| {
                (range.start() == range.end() && range.start().is_ascii())
                    .then(|| range.start() as u8)
            };
            class.ranges().iter().map(single).collect::<Option<_>>()?
        }
        regex_syntax::hir::Class::Bytes(class) => {
            let single = |range: &regex_syntax::hir::ClassBytesRange| {
                (range.start() == range.end() && range.start().is_ascii()).then(|| range.start())
            };
            class.ranges().iter().map(single).collect::<Option<_>>()?
        }
    };
    let [upper, lower] = singles[..] else { return None };
    (upper.is_ascii_uppercase() && upper.to_ascii_lowercase() == lower).then_some(lower)
}

/// The rows whose field satisfies a matcher; `exempt` are rows of streams that have a label of that
/// name. `None`: no row here has the field.
pub(crate) fn of_column(matcher: &Matcher, column: Option<&TextColumn>, exempt: &RowSet) -> RowSet {
    let rows = exempt.rows();
    let absent = matcher.matches("");
    let Some(column) = column else {
        return if absent { RowSet::all(rows) } else { exempt.clone() };
    };
    let holds: Vec<bool> = column.values.iter().map(|v| matcher.matches(&text_of(v))).collect();
    let of_row = |row: usize| match column.codes[row] {
        ABSENT => absent,
        code => holds[code as usize],
    };
    RowSet::of(rows, of_row).or(exempt)
}

/// The same for the rows of a block.
pub(crate) fn of_block(matcher: &Matcher, rows: &Rows, row: usize) -> bool {
    let name = rows.names.find(&matcher.name);
    let value = name.and_then(|name| rows.fields(row).find(|(of, _)| *of == name));
    matcher.matches(&text_of(value.map_or(&[][..], |(_, value)| value)))
}

fn text_of(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_names_the_texts_that_it_needs() {
        let texts = |pattern: &str| format!("{:?}", required_texts(pattern));
        assert!(texts("user [a-z]+ from [0-9.]+ port").contains("ignore_case: false"));
        assert_eq!(required_texts("user [a-z]+ from [0-9.]+ port").len(), 3);
        assert_eq!(required_texts("(?i)CONNECTION RESET").len(), 1);
        assert!(texts("(?i)CONNECTION RE").contains("ignore_case: true"));
        assert_eq!(required_texts("abc|abd.*x").len(), 0);
        assert_eq!(required_texts("(error)+x?code").len(), 2);
        assert_eq!(required_texts("(abc)?").len(), 0);
    }
}
