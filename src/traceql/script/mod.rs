//! A language of cases: load spans, query, compare.
//!
//! ```text
//! load
//!   trace t1 at 10s
//!     a name="GET /" kind=server for=1s service="web" span.http.status_code=500
//!       b at=5ms for=10ms status=error message="boom" event "exception" 6ms { .type = "IOError" }
//!       c parent="lost" link "t2" "x" { .weight = 1 }
//!
//! eval search { status = error }
//!   t1: b
//! eval shown { } | by(name) | select(span.http.status_code)
//!   t1 [by(name)="GET /"]: a{http.status_code=500}
//! eval summary { name = "GET /" }
//!   t1: web "GET /" 10s+1s web=3/1
//! eval range from 0s to 1m step 30s { } | count_over_time()
//!   {__name__="count_over_time"} 0 3 0
//! eval instant { } | rate() by (name)
//!   {name="GET /"} 0.0002
//! eval tags span
//!   span: http.status_code
//! eval values resource.service.name where { status = error }
//!   string "web"
//! eval fail { status }
//!   must resolve to a boolean
//! ```
//!
//! Times are counted from a fixed day on; queries ask for the hour from there, unless they say `from` and
//! `to`. The indentation of spans says which is the parent. `limit` and `spss` bound a search; `only LABEL` looks
//! at series that have the label. Traces are compared in their order, everything else in any. Every query is asked of stores that hold the same spans
//! in memory, and in parts of which each load is one; the answers must be the same.
//!
//! `command`: reading commands. `spans`: reading spans. `show`: answers as text. `store`: the stores. Here:
//! running and comparing.

mod command;
mod show;
pub(crate) mod spans;
pub(crate) mod store;

use crate::engine::Engine;
use command::Command;
use platform::Clock;
use query::{ScriptError, ScriptReport};
use store::CaseStore;

/// A script that has been read.
#[derive(Clone, Debug)]
pub struct Script {
    file: String,
    commands: Vec<Command>,
}

impl Script {
    /// `file` is only a name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let commands = command::parse_commands(text).map_err(|(line, message)| ScriptError {
            file: file.to_owned(),
            line,
            message,
        })?;
        Ok(Self { file: file.to_owned(), commands })
    }

    pub fn run(&self, engine: &Engine, clock: &dyn Clock) -> ScriptReport {
        let mut report = ScriptReport::default();
        let failure = |line, message| ScriptError { file: self.file.clone(), line, message };
        let mut stores = Vec::new();
        for command in &self.commands {
            let outcome = match command {
                Command::Clear => {
                    stores.clear();
                    continue;
                }
                Command::Load(line, spans) => {
                    if stores.is_empty() {
                        match [false, true].map(CaseStore::new).into_iter().collect() {
                            Ok(new) => stores = new,
                            Err(message) => {
                                report.failures.push(failure(*line, message));
                                return report;
                            }
                        }
                    }
                    let loaded = stores.iter_mut().try_for_each(|store| store.load(spans));
                    loaded.map_err(|message| (*line, message)).map(|()| 0)
                }
                Command::Evaluate(evaluation) => {
                    let check = |store: &CaseStore| evaluation.check(engine, clock, store);
                    let outcome = stores.iter().try_for_each(check);
                    outcome.map_err(|message| (evaluation.line, message)).map(|()| 1)
                }
            };
            match outcome {
                Ok(passed) => report.passed += passed,
                Err((line, message)) => report.failures.push(failure(line, message)),
            }
        }
        report
    }
}

#[cfg(test)]
mod tests;
