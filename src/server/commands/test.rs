//! `mirador test`: compares answers of queries with the expected ones, without a server and without
//! data.
//!
//! Here: scripts of PromQL in Prometheus' test language, and of LogQL and TraceQL in ones like it, whose
//! readers and runners are in `promql`, `logql` and `traceql`. Unit tests of rules: `commands::rules`.

use super::{Failure, Outcome, locate, print};
use crate::config::Config;
use clap::Subcommand;
use platform::threads::Helpers;
use platform::{Disk, RealClock};
use promql::Engine;
use promql::script::MemoryStorage;
use query::{ScriptError, ScriptReport};
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
    /// Scripts of TraceQL: load spans, ask, compare (docs/how-to/test-queries.md)
    ///
    /// Queries are evaluated as the server would with the same settings; give --config or --set to
    /// change them. Exits with 1 when an answer is not the expected one.
    Traceql {
        /// Each file is a script of its own and begins without spans
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Unit tests of recording and alerting rules, as promtool runs them (docs/how-to/write-rules.md)
    ///
    /// Rule files are found beside the file that names them. Exits with 1 when something is not as
    /// expected.
    Rules {
        /// Each file is a YAML file of tests
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(config: &Config, command: &TestCommand) -> Outcome {
    match command {
        TestCommand::Promql { files } => {
            let engine = Engine::new(config.promql.engine_options(Helpers::none()));
            scripts(files, |name, text| {
                let script = promql::script::Script::parse(name, text)?;
                Ok(script.run(&engine, &RealClock::new(), &mut MemoryStorage::new()))
            })
        }
        TestCommand::Logql { files } => {
            let options = config.protocols.logs.engine_options(Helpers::none());
            let engine = logql::Engine::new(options);
            scripts(files, |name, text| {
                let script = logql::script::Script::parse(name, text)?;
                Ok(script.run(&engine, &RealClock::new()))
            })
        }
        TestCommand::Traceql { files } => {
            let options = config.protocols.traces.engine_options(Helpers::none());
            let engine = traceql::Engine::new(options);
            scripts(files, |name, text| {
                let script = traceql::script::Script::parse(name, text)?;
                Ok(script.run(&engine, &RealClock::new()))
            })
        }
        TestCommand::Rules { files } => super::rules::test(config, files),
    }
}

/// How many answers were as expected, and how many failures there were.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs files; `run` takes the name and the text of one.
fn scripts(
    files: &[PathBuf],
    run: impl Fn(&str, &str) -> Result<ScriptReport, ScriptError>,
) -> Outcome {
    let mut tally = Tally::default();
    for file in files {
        let text = read(file)?;
        let name = file.display().to_string();
        let ScriptReport { passed, failures } =
            run(&name, &text).unwrap_or_else(ScriptReport::from);
        print(&report(&text, &failures))?;
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

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let (disk, name) = locate(file)?;
    let bytes = disk.read_all(&name, FILE_MAX);
    let bytes = bytes.map_err(|error| format!("can't read {}: {error}", file.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", file.display()).into())
}

/// Each failure under the line of the script that it is about.
fn report(text: &str, failures: &[ScriptError]) -> String {
    let mut report = String::new();
    for ScriptError { file, line: number, message } in failures {
        let line = text.lines().nth(number.saturating_sub(1)).unwrap_or_default();
        let _ = writeln!(report, "{file}:{number}: {}\n    {message}", line.trim());
    }
    report
}
