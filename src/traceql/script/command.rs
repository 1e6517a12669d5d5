//! Reading commands, and asking what they ask.

use super::show;
use super::spans::{self, BASE_NS, LoadedSpan, Read, duration};
use super::store::CaseStore;
use crate::engine::{Engine, MetricTimes, Metrics, Request, SearchLimits, TagScope};
use crate::error::QueryError;
use crate::lenient::parse_lenient;
use crate::parse::{parse, parse_attribute};
use platform::Clock;
use query::script_blocks;

#[derive(Clone, Debug)]
pub(super) enum Command {
    Clear,
    Load(usize, Vec<LoadedSpan>),
    Evaluate(Evaluation),
}

/// A question and what it should answer.
#[derive(Clone, Debug)]
pub(super) struct Evaluation {
    /// In the script.
    pub(super) line: usize,
    question: Question,
    query: String,
    /// Nanoseconds from [`BASE_NS`] on.
    times: (i64, i64),
    limits: SearchLimits,
    /// Only series that have this label are looked at.
    only: Option<String>,
    expected: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Question {
    Search,
    /// With the attributes of spans.
    Shown,
    Summary,
    Metrics(MetricTimes),
    Tags(Option<TagScope>),
    /// Of an attribute.
    Values(String),
    /// A part of the error's text is expected.
    Fail,
}

/// `Err`: the line of the script, and what is wrong with it.
pub(super) fn parse_commands(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let mut commands = Vec::new();
    for block in script_blocks(text) {
        let (word, rest) = block.head.split_once(' ').unwrap_or((block.head, ""));
        commands.push(match word {
            "clear" => Command::Clear,
            "load" => Command::Load(block.line, spans::parse(&block.body)?),
            "eval" => {
                let body = block.body.iter().map(|(_, line)| line.trim().to_owned()).collect();
                let evaluation = evaluation(block.line, rest, body);
                Command::Evaluate(evaluation.map_err(|message| (block.line, message))?)
            }
            _ => {
                let message = format!("unknown command {word:?}: expected clear, load or eval");
                return Err((block.line, message));
            }
        });
    }
    Ok(commands)
}

/// The first word, and what follows.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').unwrap_or((text, ""))
}

fn evaluation(line: usize, text: &str, expected: Vec<String>) -> Read<Evaluation> {
    const HOUR_NS: i64 = 3_600 * 1_000_000_000;
    let (word, rest) = split(text);
    let mut found = Evaluation {
        line,
        question: Question::Search,
        query: String::new(),
        times: (0, HOUR_NS),
        limits: SearchLimits { traces: 20, spans: 100 },
        only: None,
        expected,
    };
    let (rest, step_ns) = options(rest, &mut found)?;
    found.question = question(word, rest, step_ns)?;
    found.query = match found.question {
        Question::Tags(_) | Question::Values(_) => before_filter(rest).1.to_owned(),
        _ => rest.trim().to_owned(),
    };
    Ok(found)
}

/// Reads `from`, `limit` and their like, and returns what follows, and the step.
fn options<'t>(mut rest: &'t str, found: &mut Evaluation) -> Read<(&'t str, Option<i64>)> {
    let mut step_ns = None;
    loop {
        let (option, after) = split(rest);
        let (value, next) = split(after);
        let count = || value.parse::<usize>().map_err(|_| format!("{value:?} is no number"));
        match option {
            "from" => found.times.0 = duration(value)?,
            "to" => found.times.1 = duration(value)?,
            "step" => step_ns = Some(duration(value)?),
            "limit" => found.limits.traces = count()?,
            "only" => found.only = Some(value.to_owned()),
            "spss" => found.limits.spans = count()?,
            _ => return Ok((rest, step_ns)),
        }
        rest = next;
    }
}

/// What stands before `where`, and behind it.
fn before_filter(text: &str) -> (&str, &str) {
    let (before, filter) = text.split_once("where").unwrap_or((text, ""));
    (before.trim(), filter.trim())
}

fn question(word: &str, rest: &str, step_ns: Option<i64>) -> Read<Question> {
    let scope = || match before_filter(rest).0 {
        "" => Ok(None),
        name => {
            let scope = TagScope::of_name(name);
            scope.map(Some).ok_or_else(|| format!("unknown scope {name:?}"))
        }
    };
    Ok(match word {
        "search" => Question::Search,
        "shown" => Question::Shown,
        "summary" => Question::Summary,
        "instant" => Question::Metrics(MetricTimes::Instant),
        "range" => {
            let step_ns = step_ns.ok_or("expected `step`")?;
            Question::Metrics(MetricTimes::Range { step_ns })
        }
        "tags" => Question::Tags(scope()?),
        "values" => Question::Values(before_filter(rest).0.to_owned()),
        "fail" => Question::Fail,
        _ => {
            return Err(format!(
                "unknown question {word:?}: expected search, shown, summary, range, instant, tags, \
                 values or fail"
            ));
        }
    })
}

impl Evaluation {
    pub(super) fn check(&self, engine: &Engine, clock: &dyn Clock, store: &CaseStore) -> Read<()> {
        let answer = self.answer(engine, clock, store);
        let (found, expected) = match (answer, &self.question) {
            (Err(error), Question::Fail) => {
                let message = error.to_string();
                let expected = self.expected.join(" ");
                return match message.contains(&expected) {
                    true => Ok(()),
                    false => Err(format!("expected an error with {expected:?}, got {message:?}")),
                };
            }
            (Ok(_), Question::Fail) => return Err("expected an error, got an answer".to_owned()),
            (Err(error), _) => return Err(format!("error evaluating query: {error}")),
            (Ok(found), _) => (found, self.expected.clone()),
        };
        let has_order =
            matches!(self.question, Question::Search | Question::Shown | Question::Summary);
        let sorted = |mut lines: Vec<String>| {
            if !has_order {
                lines.sort();
            }
            lines.join("\n  ")
        };
        let (found, expected) = (sorted(found), sorted(expected));
        match found == expected {
            true => Ok(()),
            false => Err(format!("expected\n  {expected}\ngot\n  {found}")),
        }
    }

    fn answer(
        &self,
        engine: &Engine,
        clock: &dyn Clock,
        store: &CaseStore,
    ) -> Result<Vec<String>, QueryError> {
        let (start, end) = (BASE_NS + self.times.0, BASE_NS + self.times.1);
        let request = Request::new(&store.tenant, start, end);
        let filter = || parse_lenient(&self.query);
        let store = &store.store;
        Ok(match &self.question {
            Question::Search | Question::Shown | Question::Summary => {
                let query = parse(&self.query)?;
                let found = engine.search(store, clock, &request, &query, self.limits)?.value;
                match self.question {
                    Question::Summary => show::summaries(&found),
                    _ => show::traces(&found, self.question == Question::Shown),
                }
            }
            Question::Metrics(times) => {
                let wanted = Metrics { times: *times, exemplars: 0 };
                let query = parse(&self.query)?;
                let mut found = engine.metrics(store, clock, &request, &query, &wanted)?.value;
                if let Some(only) = &self.only {
                    found.retain(|series| series.labels.iter().any(|(name, _)| name == only));
                }
                show::series(&found)
            }
            Question::Tags(scope) => {
                let found = engine.tag_names(store, clock, &request, *scope, filter().as_ref())?;
                show::tag_names(&found.value)
            }
            Question::Values(tag) => {
                let tag = parse_attribute(tag)?;
                let found = engine.tag_values(store, clock, &request, &tag, filter().as_ref())?;
                show::tag_values(&found.value)
            }
            Question::Fail => {
                let query = parse(&self.query)?;
                match query.is_metrics() {
                    true => {
                        let times = MetricTimes::Range { step_ns: 60_000_000_000 };
                        let wanted = Metrics { times, exemplars: 0 };
                        show::series(
                            &engine.metrics(store, clock, &request, &query, &wanted)?.value,
                        )
                    }
                    false => {
                        let found = engine.search(store, clock, &request, &query, self.limits)?;
                        show::summaries(&found.value)
                    }
                }
            }
        })
    }
}
