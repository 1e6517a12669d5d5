//! The test language of Prometheus: load series, query, compare.
//!
//! ```text
//! load 1m
//!   requests_total{job="api"} 0+10x10
//!
//! eval instant at 5m rate(requests_total[5m])
//!   {job="api"} 0.16666666666666666
//! ```
//!
//! Every instant query is run again in other ways that must not change the answer: with `@` on all
//! selectors at other evaluation times, and as the middle step of a range.
//!
//! Lives here: reading scripts, running them against any [`Backend`], an in-memory one. `series`:
//! the notation for values. `compare`: what counts as equal.

mod command;
mod compare;
mod memory;
mod nhcb;
mod rewrite;
mod series;

pub use command::{Command, Evaluation, Expectation, Load, When};
pub use memory::MemoryStorage;
pub use series::{LoadedSample, LoadedSeries, SequenceValue, load_series};

use crate::engine::{Engine, QueryTimes, QueryValue, Request};
use crate::error::QueryError;
use crate::storage::Storage;
use compare::{check_annotations, check_failure, check_result, middle_of_range};
use platform::Clock;
use query::{ScriptError, ScriptReport};

/// What a script runs against.
pub trait Backend {
    fn clear(&mut self) -> Result<(), String>;
    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String>;
    fn storage(&self) -> &dyn Storage;
}

/// A script that has been read.
#[derive(Clone, Debug)]
pub struct Script {
    file: String,
    commands: Vec<Command>,
}

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

    pub fn run(
        &self,
        engine: &Engine,
        clock: &dyn Clock,
        backend: &mut dyn Backend,
    ) -> ScriptReport {
        let mut report = ScriptReport::default();
        for command in &self.commands {
            let (line, result) = match command {
                Command::Clear { line } => (*line, backend.clear()),
                Command::Load(load) => (load.line, backend.load(&load.all_series())),
                Command::Evaluate(evaluation) => {
                    let runner = Runner { engine, clock, storage: backend.storage() };
                    let result = runner.run(evaluation);
                    report.passed += usize::from(result.is_ok());
                    (evaluation.line, result)
                }
            };
            if let Err(message) = result {
                let file = self.file.clone();
                report.failures.push(ScriptError { file, line, message });
            }
        }
        report
    }
}

struct Runner<'a> {
    engine: &'a Engine,
    clock: &'a dyn Clock,
    storage: &'a dyn Storage,
}

impl Runner<'_> {
    fn run(&self, evaluation: &Evaluation) -> Result<(), String> {
        match evaluation.when {
            When::Range { .. } => self.ask(evaluation, &evaluation.query, evaluation.times()),
            When::Instant { time_ms } => {
                self.instant(evaluation, &evaluation.query, time_ms)?;
                for (query, time_ms) in rewrite::at_variants(&evaluation.query, time_ms)? {
                    self.instant(evaluation, &query, time_ms)
                        .map_err(|message| format!("as {query} at {time_ms} ms: {message}"))?;
                }
                Ok(())
            }
        }
    }

    fn ask(&self, evaluation: &Evaluation, query: &str, times: QueryTimes) -> Result<(), String> {
        let mut request = Request::instant(query, 0);
        request.times = times;
        match (self.engine.run(self.storage, self.clock, &request), evaluation.expects_failure()) {
            (Err(error), true) => check_failure(evaluation, &error),
            (Err(error), false) => Err(format!("error evaluating query: {error}")),
            (Ok(_), true) => Err("expected error but got none".to_owned()),
            (Ok(result), false) => {
                check_annotations(evaluation, &result.annotations)?;
                check_result(evaluation, &result.value)
            }
        }
    }

    fn instant(&self, evaluation: &Evaluation, query: &str, time_ms: i64) -> Result<(), String> {
        self.ask(evaluation, query, QueryTimes::Instant { time_ms })?;
        if evaluation.expects_failure() || evaluation.only_instant {
            return Ok(());
        }
        let context = ["start()", "end()", "range()", "step()"];
        if context.iter().any(|word| query.contains(word)) {
            return Ok(());
        }
        self.middle_step(evaluation, query, time_ms)
            .map_err(|message| format!("in range mode: {message}"))
    }

    fn middle_step(
        &self,
        evaluation: &Evaluation,
        query: &str,
        time_ms: i64,
    ) -> Result<(), String> {
        const MINUTE: i64 = 60_000;
        let request = Request::range(query, time_ms - MINUTE, time_ms + MINUTE, MINUTE);
        let result = self.engine.run(self.storage, self.clock, &request);
        let value = result.map_err(|error: QueryError| error.to_string())?.value;
        if evaluation.ordered {
            return Ok(());
        }
        let QueryValue::Matrix { times_ms, series } = value else {
            return Err("expected a matrix".to_owned());
        };
        compare::check_sorted(&series)?;
        check_result(evaluation, &middle_of_range(evaluation, &times_ms, &series, time_ms))
    }
}

#[cfg(test)]
mod tests;
