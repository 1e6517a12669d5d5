//! `mirador test`: compares answers of queries with the expected ones, without a server and without
//! data.
//!
//! Here: scripts of PromQL in Prometheus' test language and of LogQL in one like it, whose readers and
//! runners are in `promql` and `logql`.

use super::{Failure, Outcome, locate, print};
use crate::config::Config;
use clap::Subcommand;
use platform::threads::Helpers;
use platform::{Disk, RealClock};
use promql::Engine;
use promql::script::{MemoryStorage, Script, ScriptError};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FILE_MAX: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum TestCommand {
    /// Scripts in Prometheus' test language: load series, ask, compare (docs/how-to/test-queries.md)
    ///
    /// Queries are evaluated as the server would with the same settings; give --config or --set to
    /// change them. Exits with 1 when an answer is not the expected one.
    Promql {
        /// Each file is a script of its own and begins without series
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Scripts of LogQL: load lines, ask, compare (docs/how-to/test-queries.md)
    ///
    /// Queries are evaluated as the server would with the same settings; give --config or --set to
    /// change them. Exits with 1 when an answer is not the expected one.
    Logql {
        /// Each file is a script of its own and begins without lines
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(config: &Config, command: &TestCommand) -> Outcome {
    match command {
        TestCommand::Promql { files } => {
            let engine = Engine::new(config.promql.engine_options(Helpers::none()));
            scripts(files, |name, text| promql_script(&engine, name, text))
        }
        TestCommand::Logql { files } => {
            let options = config.protocols.logs.engine_options(Helpers::none());
            let engine = logql::Engine::new(options);
            scripts(files, |name, text| logql_script(&engine, name, text))
        }
    }
}

/// A check that failed: the line of the script, and why.
struct FailedCheck {
    line: usize,
    message: String,
}

/// How many answers were as expected, and how many failures there were.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs files; `run` answers how many answers of one were as expected, and the others.
fn scripts(files: &[PathBuf], run: impl Fn(&str, &str) -> (usize, Vec<FailedCheck>)) -> Outcome {
    let mut tally = Tally::default();
    for file in files {
        let text = read(file)?;
        let name = file.display().to_string();
        let (passed, failures) = run(&name, &text);
        print(&report(&name, &text, &failures))?;
        let failed = failures.len();
        print(&format!("{name}: {passed} as expected, {failed} not\n"))?;
        tally.passed += passed;
        tally.failed += failed;
    }
    match tally {
        Tally { failed: 0, passed: 0 } => Err("there is no `eval` in what was given".into()),
        Tally { failed: 0, .. } => Ok(()),
        Tally { failed, passed } => {
            Err(format!("{failed} of {} checks failed", failed + passed).into())
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let (disk, name) = locate(file)?;
    let bytes = disk.read_all(&name, FILE_MAX);
    let bytes = bytes.map_err(|error| format!("can't read {}: {error}", file.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", file.display()).into())
}

fn promql_script(engine: &Engine, name: &str, text: &str) -> (usize, Vec<FailedCheck>) {
    let failed = |error: ScriptError| FailedCheck { line: error.line, message: error.message };
    match Script::parse(name, text) {
        Ok(script) => {
            let report = script.run(engine, &RealClock::new(), &mut MemoryStorage::new());
            (report.passed, report.failures.into_iter().map(failed).collect())
        }
        Err(error) => (0, vec![failed(error)]),
    }
}

fn logql_script(engine: &logql::Engine, name: &str, text: &str) -> (usize, Vec<FailedCheck>) {
    use logql::script::{Script, ScriptError};
    let failed = |error: ScriptError| FailedCheck { line: error.line, message: error.message };
    match Script::parse(name, text) {
        Ok(script) => {
            let report = script.run(engine, &RealClock::new());
            (report.passed, report.failures.into_iter().map(failed).collect())
        }
        Err(error) => (0, vec![failed(error)]),
    }
}

/// Each failure under the line of the script that it is about.
fn report(file: &str, text: &str, failures: &[FailedCheck]) -> String {
    let mut report = String::new();
    for FailedCheck { line: number, message } in failures {
        let line = text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
        let _ = writeln!(report, "{file}:{number}: {}\n    {message}", line.trim());
    }
    report
}
