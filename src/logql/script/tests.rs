use super::*;
use crate::options::EngineOptions;
use platform::sim::SimClock;
use platform::threads::Helpers;

/// Without and with threads that help.
fn engines() -> [Engine; 2] {
    let helpers = Helpers::start("logql", 2).unwrap();
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

cases!(lines stages windows series);

#[test]
fn a_wrong_answer_is_a_failure() {
    let text = "load {a=\"b\"}\n  1s: x\n\neval instant at 1s count_over_time({a=\"b\"}[1s])\n  {a=\"b\"} 2\n";
    let report = Script::parse("wrong", text).unwrap().run(&Engine::default(), &SimClock::new());
    assert_eq!((report.passed, report.failures.len()), (0, 1));
    let shown = report.failures[0].to_string();
    assert_eq!(shown, "wrong:4: expected\n  {a=\"b\"} 2\ngot\n  {a=\"b\"} 1");
}

#[test]
fn mistakes_of_scripts_have_their_line() {
    for (text, line) in
        [("\nnosuch", 2), ("load {a=b}", 1), ("load {a=\"b\"}\n  x: y", 1), ("eval log at 5", 1)]
    {
        assert_eq!(Script::parse("a", text).unwrap_err().line, line, "{text}");
    }
}
