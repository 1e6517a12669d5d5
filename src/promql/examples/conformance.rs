//! Runs every `*.test` script of a folder and tells, file by file, how many evaluations passed.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a command for people")]

use promql::script::{MemoryStorage, Script};
use promql::{Engine, EngineOptions, ParseOptions};
use std::process::ExitCode;

/// What the scripts of Prometheus assume.
fn options() -> EngineOptions {
    EngineOptions {
        parse: ParseOptions::everything(),
        delayed_name_removal: true,
        start_timestamps: true,
        samples_max: 10_000,
        ..EngineOptions::default()
    }
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        println!("usage: conformance FOLDER [NAME]");
        return ExitCode::FAILURE;
    };
    let only = std::env::args().nth(2).unwrap_or_default();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("can't read {folder}");
        return ExitCode::FAILURE;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let (mut passed, mut failed) = (0, 0);
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ext| ext == "test")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let (good, bad) = run(&name, &text, !only.is_empty());
        println!("{name:28} {good:4} passed {bad:4} failed");
        passed += good;
        failed += bad;
    }
    println!("{:28} {passed:4} passed {failed:4} failed", "total");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(name: &str, text: &str, verbose: bool) -> (usize, usize) {
    let script = match Script::parse(name, text) {
        Ok(script) => script,
        Err(error) => {
            println!("{error}");
            return (0, 1);
        }
    };
    let clock = platform::RealClock::new();
    let report = script.run(&Engine::new(options()), &clock, &mut MemoryStorage::new());
    let shown = if verbose { usize::MAX } else { 3 };
    report.failures.iter().take(shown).for_each(|failure| println!("{failure}"));
    (report.passed, report.failures.len())
}
