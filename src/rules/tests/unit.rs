//! Files of unit tests, in `unit_cases`: those whose name begins with `good` must pass; of the others
//! the failures stand in lines that begin with `# expect: `.

use super::case_files;
use crate::run_unit_tests;
use promql::EngineOptions;

fn run(text: &str) -> Result<crate::UnitTestReport, String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/unit_cases");
    run_unit_tests(text, folder, &EngineOptions::default()).map_err(|error| error.to_string())
}

#[test]
fn unit_tests_tell_what_is_wrong() {
    let (mut passed, mut failed) = (0, 0);
    for (name, text) in case_files("unit_cases") {
        if !name.ends_with(".test.yml") {
            continue;
        }
        let report = run(&text).unwrap();
        let expected = text.lines().filter_map(|line| line.strip_prefix("# expect: "));
        assert_eq!(report.failures.join("\n"), expected.collect::<Vec<_>>().join("\n"), "{name}");
        assert_eq!(report.failures.is_empty(), name.starts_with("good"), "{name}");
        passed += report.passed;
        failed += report.failures.len();
    }
    assert!(passed > 10 && failed > 2, "{passed} passed, {failed} failed");
}

#[test]
fn mistakes_in_files_of_tests_are_named() {
    for (text, expected) in [
        ("tests: [{inputs: []}]", "1:10: `inputs` is not a field of a test"),
        (
            "tests: [{alert_rule_test: [{eval_time: 1m}]}]",
            ": an item under alert_rule_test misses required attribute alertname at eval_time 1m",
        ),
        ("group_eval_order: [a, b, a]", ": group name repeated in evaluation order: a"),
        ("tests: [{input_series: [{series: up, values: x}]}]", ": error parsing number"),
        ("rule_files: [nosuch.yml]", "nosuch.yml: the file can't be read"),
        (
            "tests: [{promql_expr_test: [{expr: up, eval_time: 100y}], interval: 1ms}]\n\
             evaluation_interval: 1ms",
            "",
        ),
    ] {
        match run(text) {
            Ok(report) => {
                assert!(report.failures[0].contains("evaluations: choose"), "{text} {report:?}");
            }
            Err(error) => {
                assert!(error.contains(expected) && !expected.is_empty(), "{text}: {error}")
            }
        }
    }
}
