use super::*;
use crate::options::EngineOptions;
use platform::sim::SimClock;
use platform::threads::Helpers;

/// Without and with threads that help.
fn engines() -> [Engine; 2] {
    let helpers = Helpers::start("traceql", 2).unwrap();
    [Engine::default(), Engine::new(EngineOptions { helpers, ..EngineOptions::default() })]
}

fn run(file: &str, text: &str) {
    let script = Script::parse(file, text).unwrap_or_else(|error| panic!("{error}"));
    for engine in engines() {
        let report = script.run(&engine, &SimClock::new());
        let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert!(report.passed > 0);
    }
}

macro_rules! cases {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let file = concat!(stringify!($name), ".test");
            run(file, include_str!(concat!("../cases/", stringify!($name), ".test")));
        }
    )*};
}

cases!(filters structure stages metrics compare tags traces);

#[test]
fn a_wrong_answer_is_a_failure() {
    let text = "load\n  trace t\n    a\n\neval search { }\n  t: b\n";
    let report = Script::parse("wrong", text).unwrap().run(&Engine::default(), &SimClock::new());
    assert_eq!((report.passed, report.failures.len()), (0, 1));
    assert_eq!(report.failures[0].to_string(), "wrong:5: expected\n  t: b\ngot\n  t: a");
}

#[test]
fn mistakes_of_scripts_have_their_line() {
    for (text, line) in [
        ("\nnosuch", 2),
        ("load\n  a", 2),
        ("load\n  trace t at x", 2),
        ("load\n  trace t\n    a nosuch=1", 3),
        ("load\n  trace t\n    a kind=ok", 3),
        ("eval nosuch { }", 1),
        ("eval range { } | rate()", 1),
    ] {
        assert_eq!(Script::parse("a", text).unwrap_err().line, line, "{text}");
    }
}
