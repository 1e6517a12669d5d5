//! What the store is asked for, so that it reads no more than it must.
//!
//! Conditions that must hold of every wanted line become a range of time, matchers of labels and the
//! store's own conditions. Where a line may satisfy a condition in several ways (a word in ASCII letters
//! or in full width; a value in a field or in the line's JSON), each way is a [`Cover`] of its own: no
//! line is in two covers, and together they hold every wanted line. All lines that are read are looked
//! at with the whole query again, so a plan may ask for too much, but never for too little.

use super::expr::{Expr, LineTest, ValueTest};
use super::field::{Field, Fields, INDEX_LABEL, Named, OTHER_INDEX};
use super::words::{Sought, full_width};
use log_store::Condition;
use model::{MatchOp, Matcher, SearchRegex, TimeRange, TimeUnit, escape_regex};
use std::sync::Arc;

/// What a query needs of the store.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// `None`: no line can be wanted.
    pub(super) time: Option<TimeRange>,
    pub(super) covers: Vec<Cover>,
}

/// Lines that satisfy a query in one way.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover {
    pub(super) matchers: Vec<Matcher>,
    pub(super) conditions: Vec<Condition>,
}

/// More values than this are not looked for one by one.
const VALUES_MAX: usize = 32;
/// More conditions than this do not make reading less.
const CONDITIONS_MAX: usize = 32;

impl Plan {
    /// `matchers`: of the indices that are asked for.
    pub(super) fn new(query: &Expr, fields: &Fields, matchers: Vec<Matcher>) -> Self {
        let mut needed = Needed::default();
        needed.visit(query, fields);
        let time = TimeUnit::Nanos.range(needed.from, needed.to).filter(|_| !needed.is_empty);
        let base = Cover {
            matchers: matchers.into_iter().chain(needed.matchers).collect(),
            conditions: needed.conditions,
        };
        let covers = match (needed.sought, needed.equal) {
            (Some(sought), _) => of_words(&base, &sought),
            (None, Some((named, values))) => of_values(&base, &named, &values),
            (None, None) => vec![base],
        };
        Self { time, covers }
    }
}

/// What every wanted line must have.
struct Needed {
    from: i64,
    to: i64,
    is_empty: bool,
    matchers: Vec<Matcher>,
    conditions: Vec<Condition>,
    /// The text that rules out the most.
    sought: Option<Sought>,
    /// A field that must have one of these values.
    equal: Option<(Named, Vec<String>)>,
}

impl Default for Needed {
    fn default() -> Self {
        Self {
            from: i64::MIN,
            to: i64::MAX,
            is_empty: false,
            matchers: Vec::new(),
            conditions: Vec::new(),
            sought: None,
            equal: None,
        }
    }
}

impl Needed {
    fn visit(&mut self, expr: &Expr, fields: &Fields) {
        match expr {
            Expr::And(all) => all.iter().for_each(|one| self.visit(one, fields)),
            Expr::None => self.is_empty = true,
            Expr::Time { from, to } => {
                (self.from, self.to) = (self.from.max(*from), self.to.min(*to));
            }
            Expr::Line(test) => self.line(test),
            Expr::Value(Field::Value(place), test) => self.value(fields.named(*place), test),
            Expr::Value(Field::Index, test) => self.index(test),
            Expr::Not(inner) => {
                if let Expr::Value(Field::Value(place), ValueTest::Equals(text)) = &**inner {
                    self.lacks(fields.named(*place), text);
                }
            }
            Expr::All | Expr::Value(..) | Expr::AtLeast(..) => {}
        }
    }

    fn line(&mut self, test: &LineTest) {
        let sought = match test {
            LineTest::Words(words) => Sought::in_texts(words.chunks().iter().map(String::as_str)),
            LineTest::Pattern { literal, .. } => Sought::in_texts([literal.as_str()]),
            LineTest::Regex(regex) => {
                let regex = Arc::new(regex.engine().clone());
                self.condition(Condition::Matches { regex, negated: false });
                None
            }
        };
        let length = |sought: &Option<Sought>| sought.as_ref().map_or(0, Sought::len);
        if length(&sought) > length(&self.sought) {
            self.sought = sought;
        }
    }

    fn condition(&mut self, condition: Condition) {
        if self.conditions.len() < CONDITIONS_MAX {
            self.conditions.push(condition);
        }
    }

    /// A stream that has the label must have a value of it that passes; a line of other streams that has
    /// the field, too. Where neither is there, the value may lie in the line, or be a list.
    fn value(&mut self, named: &Named, test: &ValueTest) {
        let Some(passing) = passing_values(test) else { return };
        let absent_or = format!("(?:{passing})?");
        if let Ok(matcher) = Matcher::new(MatchOp::Regex, &named.label, &absent_or) {
            self.matchers.push(matcher);
        }
        if named.is_level {
            // `detected_level` may stand in for it.
            return;
        }
        let values: Vec<String> = match test {
            ValueTest::Equals(text) => vec![text.clone()],
            ValueTest::OneOf(texts) if texts.len() <= VALUES_MAX => texts.iter().cloned().collect(),
            _ => Vec::new(),
        };
        if !values.is_empty() && self.equal.is_none() {
            self.equal = Some((named.clone(), values));
        }
        let or_list = format!("(?:{passing}|{LIST})?");
        // Where the label has another name, the field does not count for streams that have the label.
        if named.label == named.name
            && let Ok(matcher) = Matcher::new(MatchOp::Regex, &named.name, &or_list)
        {
            self.condition(Condition::Field(matcher));
        }
    }

    /// Streams without the label are in an index too.
    fn index(&mut self, test: &ValueTest) {
        let Some(passing) = passing_values(test) else { return };
        let absent = if test.holds(OTHER_INDEX) { "?" } else { "" };
        let pattern = format!("(?:{passing}){absent}");
        self.matchers.extend(Matcher::new(MatchOp::Regex, INDEX_LABEL, &pattern));
    }

    fn lacks(&mut self, named: &Named, text: &str) {
        if !text.is_empty() {
            self.matchers.push(Matcher::not_equal(&named.label, text));
            if named.label == named.name {
                self.condition(Condition::Field(Matcher::not_equal(&named.name, text)));
            }
        }
    }
}

/// The values of a field that hold a list.
const LIST: &str = r"\[(?s:.*)";

/// An expression for the values that pass a test; `None` where it would rule nothing out.
fn passing_values(test: &ValueTest) -> Option<String> {
    match test {
        ValueTest::Equals(text) => Some(escape_regex(text)),
        ValueTest::OneOf(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| escape_regex(text)).collect();
            Some(texts.join("|"))
        }
        ValueTest::Any | ValueTest::Matches(_) | ValueTest::Range(_) => None,
    }
}

/// With a text that every wanted line holds, in each of its forms.
fn of_words(base: &Cover, sought: &Sought) -> Vec<Cover> {
    let with = |conditions: Vec<Condition>| {
        let mut cover = base.clone();
        // Texts rule out the most.
        cover.conditions.splice(0..0, conditions);
        cover
    };
    match sought {
        Sought::Forms(forms) => {
            vec![with(vec![Condition::Contains { texts: forms.clone(), ignore_case: false }])]
        }
        Sought::Ascii(text) => {
            let texts = vec![text.clone()];
            let usual = with(vec![Condition::Contains { texts, ignore_case: true }]);
            let Ok(regex) = SearchRegex::new(&format!("(?i){}", escape_regex(text))) else {
                return vec![base.clone()];
            };
            let regex = Arc::new(regex.engine().clone());
            let wide = with(vec![
                Condition::Contains { texts: full_width(text), ignore_case: false },
                Condition::Matches { regex, negated: true },
            ]);
            vec![usual, wide]
        }
    }
}

/// With values of which a label, a field or the line's JSON must have one: one cover for each of these
/// places, and one for fields that hold a list.
fn of_values(base: &Cover, named: &Named, values: &[String]) -> Vec<Cover> {
    let of_label = one_of(&named.label, values);
    let of_field = one_of(&named.name, values);
    let list = Matcher::new(MatchOp::Regex, &named.name, LIST);
    let is_unusual = values.iter().any(|value| value.is_empty() || value.starts_with('['));
    let (Ok(of_label), Ok(of_field), Ok(list), false) = (of_label, of_field, list, is_unusual)
    else {
        return vec![base.clone()];
    };
    let cover = |label: Matcher, conditions: Vec<Condition>| {
        let mut cover = base.clone();
        cover.matchers.push(label);
        cover.conditions.splice(0..0, conditions);
        cover
    };
    let no_label = Matcher::equal(&named.label, "");
    let mut in_line = vec![Condition::Field(Matcher::equal(&named.name, ""))];
    let texts: Option<Vec<Vec<String>>> = values.iter().map(|value| json_texts(value)).collect();
    if let Some(texts) = texts {
        let mut texts = texts.concat();
        texts.sort();
        texts.dedup();
        in_line.push(Condition::Contains { texts, ignore_case: false });
    }
    vec![
        cover(of_label, Vec::new()),
        cover(no_label.clone(), vec![Condition::Field(of_field)]),
        cover(no_label.clone(), in_line),
        cover(no_label, vec![Condition::Field(list)]),
    ]
}

fn one_of(name: &str, values: &[String]) -> Result<Matcher, String> {
    match values {
        [value] => Ok(Matcher::equal(name, value)),
        values => {
            let texts: Vec<String> = values.iter().map(|value| escape_regex(value)).collect();
            Matcher::new(MatchOp::Regex, name, &texts.join("|"))
        }
    }
}

/// One of these stands in every line whose JSON has the value; `None` where none is sure to. Writers of
/// JSON may give any letter by its number, and some others a backslash.
fn json_texts(value: &str) -> Option<Vec<String>> {
    let is_escaped = |c: char| c.is_control() || matches!(c, '"' | '\\' | '/');
    let run = value.split(is_escaped).max_by_key(|run| run.len())?;
    (!run.is_empty()).then(|| vec![run.to_owned(), "\\u".to_owned()])
}

#[cfg(test)]
mod tests {
    use super::super::leaf::Builder;
    use super::super::lucene;
    use super::*;

    fn plan(query: &str) -> Plan {
        let mut builder = Builder::new(0);
        let expr = lucene::parse(query, &lucene::Options::default(), &mut builder).unwrap();
        Plan::new(&expr, &builder.fields, Vec::new())
    }

    fn shown(query: &str) -> Vec<String> {
        let covers = plan(query).covers;
        let texts = |cover: &Cover| {
            let matchers = cover.matchers.iter().map(ToString::to_string);
            let conditions = cover.conditions.iter().map(|condition| match condition {
                Condition::Field(matcher) => format!("field {matcher}"),
                Condition::Contains { texts, ignore_case } => format!("{texts:?} {ignore_case}"),
                other => format!("{other:?}").chars().take(7).collect(),
            });
            matchers.chain(conditions).collect::<Vec<_>>().join(" & ")
        };
        covers.iter().map(texts).collect()
    }

    #[test]
    fn the_longest_word_is_looked_for() {
        assert_eq!(
            shown("an AND error"),
            [r#"["error"] true"#, r#"["ＥＲＲＯＲ", "Ｅｒｒｏｒ", "ｅｒｒｏｒ"] false & Matches"#]
        );
        assert_eq!(shown("an OR error"), [""]);
        assert_eq!(
            shown("결제"),
            ["[\"결제\", \"\u{1100}\u{1167}\u{11af}\u{110c}\u{1166}\"] false"]
        );
    }

    #[test]
    fn a_value_may_be_in_four_places() {
        let covers = shown("app:web");
        let rest = r#"app=~"(?:web)?" & app="" & "#;
        let list = r#"field app=~"(?:web|\\[(?s:.*))?""#;
        assert_eq!(
            covers,
            [
                format!(r#"app=~"(?:web)?" & app="web" & {list}"#),
                format!(r#"{rest}field app="web" & {list}"#),
                format!(r#"{rest}field app="" & ["\\u", "web"] false & {list}"#),
                format!(r#"{rest}field app=~"\\[(?s:.*)" & {list}"#),
            ]
        );
        let texts = |value: &str| json_texts(value).map(|texts| texts.join(" "));
        assert_eq!(texts("결제").as_deref(), Some("결제 \\u"));
        assert_eq!(texts("a/bcd").as_deref(), Some("bcd \\u"));
        assert_eq!(texts("\""), None);
    }

    #[test]
    fn times_are_cut() {
        let time = plan("@timestamp:[2023 TO 2024] AND @timestamp:<2023-06").time.unwrap();
        assert_eq!((time.max - time.min) / 86_400_000_000_000, 150);
        assert_eq!(plan("@timestamp:2023 AND @timestamp:2024").time, None);
    }
}
