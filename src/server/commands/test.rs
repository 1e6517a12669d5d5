//! `mirador test`: compares answers of queries with the expected ones, without a server and without
//! data.
//!
//! Here: scripts of PromQL in Prometheus' test language, whose reader and runner are in `promql`.

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
}

pub(super) fn run(config: &Config, command: &TestCommand) -> Outcome {
    match command {
        TestCommand::Promql { files } => promql_scripts(config, files),
    }
}

/// How many answers were as expected, and how many failures there were.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn promql_scripts(config: &Config, files: &[PathBuf]) -> Outcome {
    let engine = Engine::new(config.promql.engine_options(Helpers::none()));
    let mut tally = Tally::default();
    for file in files {
        let text = read(file)?;
        let (passed, failures) = run_script(&engine, &file.display().to_string(), &text);
        print(&report(&text, &failures))?;
        let (name, failed) = (file.display(), failures.len());
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

fn run_script(engine: &Engine, name: &str, text: &str) -> (usize, Vec<ScriptError>) {
    match Script::parse(name, text) {
        Ok(script) => {
            let report = script.run(engine, &RealClock::new(), &mut MemoryStorage::new());
            (report.passed, report.failures)
        }
        Err(error) => (0, vec![error]),
    }
}

/// Each failure under the line of the script that it is about.
fn report(text: &str, failures: &[ScriptError]) -> String {
    let mut report = String::new();
    for failure in failures {
        let line = text.lines().nth(failure.line.saturating_sub(1)).unwrap_or_default();
        let (file, number, message) = (&failure.file, failure.line, &failure.message);
        let _ = writeln!(report, "{file}:{number}: {}\n    {message}", line.trim());
    }
    report
}
