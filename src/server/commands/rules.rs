//! `mirador check-rules` and `mirador test rules`: rule files and their unit tests, without a server and
//! without data.

use super::{Outcome, print};
use crate::config::Config;
use platform::threads::Helpers;
use rules::{FilesError, Group, UnitTestReport, load_files, run_unit_tests};
use std::path::{Path, PathBuf};

/// Reads rule files as the server would with these settings.
pub(super) fn check(config: &Config, globs: &[String]) -> Outcome {
    let promql = config.promql.engine_options(Helpers::none()).parse;
    let languages = config.rules.options(&promql, "").languages;
    let mut wrong = Vec::new();
    for glob in globs {
        match load_files(std::slice::from_ref(glob), &languages) {
            Ok(files) if files.is_empty() => wrong.push(format!("{glob} names no file")),
            Ok(files) => {
                files.iter().try_for_each(|(path, groups)| print(&summary(path, groups)))?;
            }
            Err(FilesError(errors)) => wrong.extend(errors),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn summary(path: &str, groups: &[Group]) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let rules = groups.iter().map(|group| group.rules.len()).sum();
    format!("{path}: {}, {}\n", counted(groups.len(), "group"), counted(rules, "rule"))
}

/// Runs files of unit tests, each by itself.
pub(super) fn test(config: &Config, files: &[PathBuf]) -> Outcome {
    let options = config.promql.engine_options(Helpers::none());
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let text = super::test::read(file)?;
        let folder = file.parent().unwrap_or(Path::new("")).display().to_string();
        let report = run_unit_tests(&text, &folder, &options).unwrap_or_else(|error| {
            UnitTestReport { passed: 0, failures: vec![error.to_string()] }
        });
        let name = file.display();
        for failure in &report.failures {
            print(&format!("{name}: {failure}\n\n"))?;
        }
        let (good, bad) = (report.passed, report.failures.len());
        print(&format!("{name}: {good} as expected, {bad} not\n"))?;
        passed += good;
        failed += bad;
    }
    match (passed, failed) {
        (0, 0) => Err("there is no test in what was given".into()),
        (_, 0) => Ok(()),
        _ => Err(format!("{failed} of {} checks failed", failed + passed).into()),
    }
}
