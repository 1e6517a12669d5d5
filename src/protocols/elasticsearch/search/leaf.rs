//! Conditions on one field, as both query languages make them.
//!
//! The text of a line is searched for words, folded; every other field is compared as a whole and
//! exactly, as Elasticsearch compares keywords.

use super::date::DateReader;
use super::error::{Result, SearchError};
use super::expr::{Bound, Bounds, Expr, LineTest, ValueTest};
use super::field::{Field, Fields, TIME};
use super::words::{Words, fold};
use super::zone::Zone;
use model::{AnchoredRegex, SearchRegex, escape_regex};
use query::RegexBudget;

/// How many conditions a request may have.
pub(super) const CLAUSES_MAX: usize = 1_024;
/// How deep conditions may lie in each other.
pub(super) const DEPTH_MAX: usize = 64;

/// What the conditions of a request are made with.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) fields: Fields,
    pub(super) now_ms: i64,
    regexes: RegexBudget,
    clauses: usize,
}

/// The end of a range, as it was written.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) text: String,
    pub(super) is_included: bool,
}

impl Builder {
    pub(super) fn new(now_ms: i64) -> Self {
        let (fields, regexes) = (Fields::default(), RegexBudget::default());
        Self { fields, now_ms, regexes, clauses: 0 }
    }

    /// Counts a condition.
    pub(super) fn count(&mut self, more: usize) -> Result<()> {
        self.clauses += more;
        if self.clauses > CLAUSES_MAX {
            return Err(SearchError::too_many_clauses(format!(
                "a request may have {CLAUSES_MAX} conditions: list values in one terms query, or ask in \
                 parts"
            )));
        }
        Ok(())
    }

    /// The words of a text, one behind the other; in other fields, the text itself.
    pub(super) fn text(&mut self, field: Field, text: &str, is_prefix: bool) -> Result<Expr> {
        self.count(1)?;
        match field {
            Field::Line => Ok(Words::new(text, is_prefix)
                .map_or(Expr::None, |words| Expr::Line(LineTest::Words(words)))),
            Field::Time => self.moment(text),
            field if is_prefix => {
                self.value_pattern(field, &format!("{}.*", escape_regex(text)), false)
            }
            field => Ok(Expr::Value(field, ValueTest::Equals(text.to_owned()))),
        }
    }

    /// The span that a date names.
    fn moment(&self, text: &str) -> Result<Expr> {
        let from = self.dates("", Zone::UTC, false).read(text)?;
        let to = self.dates("", Zone::UTC, true).read(text)?;
        Ok(Expr::Time { from, to })
    }

    fn dates<'f>(&self, format: &'f str, zone: Zone, rounds_up: bool) -> DateReader<'f> {
        DateReader { now_ms: self.now_ms, zone, format, rounds_up }
    }

    pub(super) fn exact(&mut self, field: Field, text: &str, ignore_case: bool) -> Result<Expr> {
        match (field, ignore_case) {
            (Field::Line | Field::Time, _) | (_, false) => self.text(field, text, false),
            (field, true) => {
                self.count(1)?;
                self.value_pattern(field, &escape_regex(text), true)
            }
        }
    }

    /// One of these values.
    pub(super) fn one_of(&mut self, field: Field, texts: Vec<String>) -> Result<Expr> {
        match field {
            Field::Line | Field::Time => {
                let each = texts.iter().map(|text| self.text(field, text, false));
                Ok(Expr::any(each.collect::<Result<_>>()?))
            }
            field => {
                self.count(1)?;
                Ok(Expr::Value(field, ValueTest::OneOf(texts.into_iter().collect())))
            }
        }
    }

    pub(super) fn exists(&mut self, field: Field) -> Result<Expr> {
        self.count(1)?;
        Ok(match field {
            // Every line has these.
            Field::Time | Field::Line | Field::Index | Field::Id => Expr::All,
            field => Expr::Value(field, ValueTest::Any),
        })
    }

    /// A pattern with `*` and `?`; a backslash takes their meaning away.
    pub(super) fn wildcard(
        &mut self,
        field: Field,
        pattern: &str,
        ignore_case: bool,
    ) -> Result<Expr> {
        let pieces = pieces(pattern);
        if pieces.iter().all(|piece| matches!(piece, Piece::Many)) {
            return self.exists(field);
        }
        if let [Piece::Literal(text)] = &pieces[..] {
            return self.exact(field, text, ignore_case);
        }
        match field {
            Field::Line => {
                if let [Piece::Literal(text), Piece::Many] = &pieces[..]
                    && text.chars().all(char::is_alphanumeric)
                {
                    return self.text(field, text, true);
                }
                self.count(1)?;
                self.line_pattern(&pieces)
            }
            Field::Time => Err(self.no_pattern()),
            field => {
                self.count(1)?;
                let regex = |piece: &Piece| match piece {
                    Piece::Literal(text) => escape_regex(text),
                    Piece::Many => ".*".to_owned(),
                    Piece::One => ".".to_owned(),
                };
                let regex: String = pieces.iter().map(regex).collect();
                self.value_pattern(field, &regex, ignore_case)
            }
        }
    }

    fn no_pattern(&self) -> SearchError {
        SearchError::query(format!("[{TIME}] is a date: it has no patterns, ask for a range"))
    }

    /// A pattern that a word of the line matches.
    fn line_pattern(&mut self, pieces: &[Piece]) -> Result<Expr> {
        let mut regex = String::new();
        if !matches!(pieces.first(), Some(Piece::Many)) {
            regex.push_str(BEFORE_WORD);
        }
        let mut literal = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => {
                    let mut folded = String::new();
                    fold(text, &mut folded);
                    regex.push_str(&escape_regex(&folded));
                    if folded.len() > literal.len() {
                        literal = folded;
                    }
                }
                Piece::Many => regex.push_str(r"\S*"),
                Piece::One => regex.push_str(r"\S"),
            }
        }
        if !matches!(pieces.last(), Some(Piece::Many)) {
            regex.push_str(BEHIND_WORD);
        }
        let regex = self.search_regex(&regex)?;
        Ok(Expr::Line(LineTest::Pattern { regex, literal }))
    }

    fn search_regex(&mut self, pattern: &str) -> Result<SearchRegex> {
        let regex = SearchRegex::new(pattern).map_err(SearchError::query)?;
        self.regexes
            .take_compiled(regex.compiled_bytes())
            .map_err(|many| SearchError::too_many_clauses(many.to_string()))?;
        Ok(regex)
    }

    /// A regular expression: of whole values, or of any part of a line, there without regard to case.
    pub(super) fn regex(&mut self, field: Field, pattern: &str, ignore_case: bool) -> Result<Expr> {
        self.count(1)?;
        match field {
            Field::Line => {
                let regex = self.search_regex(&format!("(?i){pattern}"))?;
                Ok(Expr::Line(LineTest::Regex(regex)))
            }
            Field::Time => Err(self.no_pattern()),
            field => self.value_pattern(field, pattern, ignore_case),
        }
    }

    fn value_pattern(&mut self, field: Field, pattern: &str, ignore_case: bool) -> Result<Expr> {
        let pattern = if ignore_case { format!("(?i){pattern}") } else { pattern.to_owned() };
        let regex = AnchoredRegex::new(&pattern).map_err(SearchError::query)?;
        if let Some(bytes) = regex.compiled_bytes() {
            self.regexes
                .take_compiled(bytes)
                .map_err(|many| SearchError::too_many_clauses(many.to_string()))?;
        }
        Ok(Expr::Value(field, ValueTest::Matches(regex)))
    }

    /// What lies between two ends.
    pub(super) fn range(
        &mut self,
        field: Field,
        (from, to): (Option<End>, Option<End>),
        (format, zone): (&str, Zone),
    ) -> Result<Expr> {
        self.count(1)?;
        if field == Field::Time {
            let from = from.map(|end| -> Result<i64> {
                // What is not included ends with the last moment that its text names.
                let time = self.dates(format, zone, !end.is_included).read(&end.text)?;
                Ok(if end.is_included { time } else { time.saturating_add(1) })
            });
            let to = to.map(|end| -> Result<i64> {
                let time = self.dates(format, zone, end.is_included).read(&end.text)?;
                Ok(if end.is_included { time } else { time.saturating_sub(1) })
            });
            let (from, to) =
                (from.transpose()?.unwrap_or(i64::MIN), to.transpose()?.unwrap_or(i64::MAX));
            return Ok(if from <= to { Expr::Time { from, to } } else { Expr::None });
        }
        if field == Field::Line {
            return Err(SearchError::query(
                "the line is a text: it has no ranges, search it for words",
            ));
        }
        let bound = |end: Option<End>| -> Bound { end.map(|end| (end.text, end.is_included)) };
        Ok(Expr::Value(field, ValueTest::Range(Bounds::new(bound(from), bound(to)))))
    }
}

const BEFORE_WORD: &str = r"(?:^|[^\w]|[\p{Hangul}\p{Han}\p{Hiragana}\p{Katakana}])";
const BEHIND_WORD: &str = r"(?:$|[^\w]|[\p{Hangul}\p{Han}\p{Hiragana}\p{Katakana}])";

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    Many,
    One,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '*' => {
                if pieces.last() != Some(&Piece::Many) {
                    pieces.push(Piece::Many);
                }
                continue;
            }
            '?' => {
                pieces.push(Piece::One);
                continue;
            }
            '\\' => letters.next().unwrap_or('\\'),
            other => other,
        };
        match pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push(literal),
            _ => pieces.push(Piece::Literal(literal.to_string())),
        }
    }
    pieces
}
