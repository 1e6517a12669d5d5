//! Every function, operator and modifier has its case in `cases/`.

use super::*;
use crate::{EngineOptions, ParseOptions};
use platform::RealClock;

const CASES: [(&str, &str); 8] = [
    ("aggregations.test", include_str!("../cases/aggregations.test")),
    ("histograms.test", include_str!("../cases/histograms.test")),
    ("info.test", include_str!("../cases/info.test")),
    ("operators.test", include_str!("../cases/operators.test")),
    ("over_time.test", include_str!("../cases/over_time.test")),
    ("rates.test", include_str!("../cases/rates.test")),
    ("scalars.test", include_str!("../cases/scalars.test")),
    ("times.test", include_str!("../cases/times.test")),
];

fn options() -> EngineOptions {
    EngineOptions {
        parse: ParseOptions::everything(),
        delayed_name_removal: true,
        start_timestamps: true,
        ..EngineOptions::default()
    }
}

fn check(options: &EngineOptions) {
    for (name, text) in CASES {
        let script = Script::parse(name, text).unwrap();
        let engine = Engine::new(options.clone());
        let report = script.run(&engine, &RealClock::new(), &mut MemoryStorage::new());
        let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{options:?}\n{}", failures.join("\n"));
        assert!(report.passed > 0, "{name} asks nothing");
    }
}

#[test]
fn cases_hold_with_names_dropped_late() {
    check(&options());
}

#[test]
fn cases_hold_with_names_dropped_at_once() {
    check(&EngineOptions { delayed_name_removal: false, ..options() });
}

#[test]
fn cases_hold_on_several_threads() {
    check(&EngineOptions { threads: 4, ..options() });
}

#[test]
fn every_function_has_a_case() {
    let all = CASES.map(|(_, text)| text).concat();
    for function in crate::functions::all() {
        let call = format!("{}(", function.name);
        assert!(all.contains(&call), "no case calls {}", function.name);
    }
    for op in crate::ast::AggregateOp::ALL {
        assert!(all.contains(op.as_str()), "no case aggregates with {}", op.as_str());
    }
}

#[test]
fn failures_say_where_and_what() {
    let text = "load 1m\n  x 1 2\n\neval instant at 1m x\n  x 3\n";
    let script = Script::parse("wrong.test", text).unwrap();
    let engine = Engine::new(options());
    let report = script.run(&engine, &RealClock::new(), &mut MemoryStorage::new());
    assert_eq!((report.passed, report.failures.len()), (0, 1));
    let message = report.failures[0].to_string();
    assert!(message.starts_with("wrong.test:4: "), "{message}");
    assert!(message.contains('3') && message.contains('2'), "{message}");
}
