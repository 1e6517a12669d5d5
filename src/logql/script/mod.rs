//! A language of cases: load lines, query, compare.
//!
//! ```text
//! load {app="web"}
//!   10s: level=info took=5ms
//!   20s [user="u1"]: level=error took=7ms
//!   30s..60s/10s: tick {i}
//!
//! eval instant at 1m count_over_time({app="web"}[1m])
//!   {app="web"} 5
//!   {app="web", user="u1"} 1
//!
//! eval range from 0s to 1m step 30s sum(count_over_time({app="web"}[30s]))
//!   {} _ 3 3
//!
//! eval log from 0s to 1m limit 1 backward {app="web"} |= "error"
//!   {app="web", user="u1"} 20s: level=error took=7ms
//!
//! eval fail instant at 1m {app="web"}
//!   log queries are not supported
//! ```
//!
//! Lines after a colon are text as it stands; a text that begins with `"` is a quoted string. `{i}` in
//! repeated lines is their number. `eval log categorized` shows fields and parsed labels apart:
//! `{app="web"} 20s [user="u1"] [level="error"]: …`; `eval instant ordered` compares the order too.
//! Every query is asked of several stores that hold the same lines in pieces of different sizes, and the
//! answers must be the same.
//!
//! `command`: reading. Here: running and comparing.

mod command;

pub use command::{Evaluation, Expectation, ExpectedLine, Load, When};

use crate::engine::{Engine, Request};
use crate::memory::MemoryLogs;
use crate::value::{LogLines, Value};
use command::Command;
use platform::Clock;
use query::{ScriptError, ScriptReport, Series, format_number};

/// A script that has been read.
#[derive(Clone, Debug)]
pub struct Script {
    file: String,
    commands: Vec<Command>,
}

/// How many rows the pieces of the stores have.
const PIECE_ROWS: [usize; 3] = [1, 3, 1_000];

impl Script {
    /// `file` is only a name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let commands = command::parse(text).map_err(|(line, message)| ScriptError {
            file: file.to_owned(),
            line,
            message,
        })?;
        Ok(Self { file: file.to_owned(), commands })
    }

    pub fn run(&self, engine: &Engine, clock: &dyn Clock) -> ScriptReport {
        let mut report = ScriptReport::default();
        let mut stores = PIECE_ROWS.map(MemoryLogs::with_pieces_of);
        for command in &self.commands {
            match command {
                Command::Clear => stores.iter_mut().for_each(MemoryLogs::clear),
                Command::Load(load) => {
                    stores.iter_mut().for_each(|store| store.add(&load.labels, load.lines.clone()));
                }
                Command::Evaluate(evaluation) => {
                    let outcome =
                        stores.iter().try_for_each(|store| check(evaluation, engine, clock, store));
                    match outcome {
                        Ok(()) => report.passed += 1,
                        Err(message) => {
                            let (file, line) = (self.file.clone(), evaluation.line);
                            report.failures.push(ScriptError { file, line, message });
                        }
                    }
                }
            }
        }
        report
    }
}

fn check(
    evaluation: &Evaluation,
    engine: &Engine,
    clock: &dyn Clock,
    store: &MemoryLogs,
) -> Result<(), String> {
    let mut request = Request::new(&evaluation.query, evaluation.when.times());
    request.limit = evaluation.limit;
    request.direction = evaluation.direction;
    let result = engine.run(store, clock, &request);
    match (result, &evaluation.expected) {
        (Err(error), Expectation::Failure(expected)) => {
            let message = error.to_string();
            if message.contains(expected.as_str()) {
                return Ok(());
            }
            Err(format!("expected an error with {expected:?}, got {message:?}"))
        }
        (Err(error), _) => Err(format!("error evaluating query: {error}")),
        (Ok(result), expected) => compare(&result.value, expected, evaluation),
    }
}

fn compare(value: &Value, expected: &Expectation, evaluation: &Evaluation) -> Result<(), String> {
    let (mut found, mut wanted) = match (value, expected) {
        (_, Expectation::Failure(_)) => return Err("expected an error, got an answer".to_owned()),
        (Value::Streams(lines), Expectation::Lines(wanted)) => {
            let wanted = wanted.iter().map(ToString::to_string).collect();
            (shown_lines(lines, evaluation.categorized), wanted)
        }
        (Value::Vector(samples), Expectation::Series(wanted)) => {
            let shown = |labels: &str, value: f64| format!("{labels} {}", rounded(value));
            let found: Vec<String> = samples
                .iter()
                .map(|sample| shown(&sample.labels.to_string(), sample.value))
                .collect();
            (found, shown_series(wanted))
        }
        (Value::Matrix { series, .. }, Expectation::Series(wanted)) => {
            (series.iter().map(shown_column).collect(), shown_series(wanted))
        }
        (Value::Scalar { value, .. }, Expectation::Series(wanted)) => {
            (vec![format!("{{}} {}", rounded(*value))], shown_series(wanted))
        }
        _ => return Err("expected another kind of answer".to_owned()),
    };
    if !evaluation.ordered {
        found.sort();
        wanted.sort();
    }
    if found == wanted {
        return Ok(());
    }
    Err(format!("expected\n  {}\ngot\n  {}", wanted.join("\n  "), found.join("\n  ")))
}

fn shown_series(wanted: &[(String, Vec<Option<f64>>)]) -> Vec<String> {
    wanted.iter().map(|(labels, values)| format!("{labels} {}", shown_values(values))).collect()
}

fn shown_column(series: &Series) -> String {
    let values: Vec<Option<f64>> =
        (0..series.column.steps()).map(|step| series.column.float(step)).collect();
    format!("{} {}", series.labels, shown_values(&values))
}

fn shown_values(values: &[Option<f64>]) -> String {
    let shown = values.iter().map(|value| value.map_or_else(|| "_".to_owned(), rounded));
    shown.collect::<Vec<_>>().join(" ")
}

/// To twelve digits: sums of parts differ in the last ones.
fn rounded(value: f64) -> String {
    let rounded: f64 = format!("{value:.11e}").parse().unwrap_or(value);
    format_number(rounded)
}

fn shown_lines(lines: &LogLines, categorized: bool) -> Vec<String> {
    let shown = |entry: &crate::LogEntry| {
        let labels = &entry.labels;
        let (stream, parts) = if categorized {
            (labels.stream.clone(), vec![labels.fields.clone(), labels.parsed.clone()])
        } else {
            (labels.stream.with(&[&labels.fields, &labels.parsed]), Vec::new())
        };
        let line = entry.line.clone();
        ExpectedLine { time_ns: entry.time_ns, labels: stream, parts, line }.to_string()
    };
    lines.entries.iter().map(shown).collect()
}

#[cfg(test)]
mod tests;
