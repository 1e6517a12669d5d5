//! Runs the cases of `cases/*.test`:
//!
//! ```text
//! label level error
//! line level=error n=15
//! time 1700000000000000000
//!
//! template {{ .level | upper }}
//! gives ERROR
//!
//! template {{ div 1 0 }}
//! fails template: line:1:3: executing "line" at <div 1 0>: error calling div: …
//!
//! template {{ nosuch }}
//! refused template: line:1: function "nosuch" not defined
//! ```
//!
//! Labels, line and time hold until they are set again; `clear` takes all labels away. What is given as
//! a quoted string is read as Go reads it. Lines with `#` are comments.

use super::{Labels, entry};
use crate::logql::functions;
use crate::{Bounds, Template};
use std::fmt::Write;

#[derive(Default)]
struct Scene {
    labels: Labels,
    line: Vec<u8>,
    time: i64,
    template: String,
}

fn text(given: &str) -> Vec<u8> {
    if given.len() > 1 && given.starts_with('"') && given.ends_with('"') {
        return model::unquote_go(given).unwrap();
    }
    given.as_bytes().to_vec()
}

impl Scene {
    /// One line of a file; `Err` says what is wrong with the result.
    fn run(&mut self, line: &str) -> Result<(), String> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "clear" => self.labels.clear(),
            "label" => {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                self.labels.insert(name.to_owned(), String::from_utf8(text(value)).unwrap());
            }
            "line" => self.line = text(rest),
            "time" => self.time = rest.parse().unwrap(),
            "template" => self.template = String::from_utf8(text(rest)).unwrap(),
            "gives" => return self.compare("", &text(rest)),
            "fails" => return self.compare("fails: ", &text(rest)),
            "refused" => return self.compare("refused: ", &text(rest)),
            other => return Err(format!("no command {other}")),
        }
        Ok(())
    }

    fn compare(&self, kind: &str, wanted: &[u8]) -> Result<(), String> {
        let wanted = [kind.as_bytes(), wanted].concat();
        let got = match Template::parse("line", &self.template, &functions()) {
            Err(error) => format!("refused: {error}").into_bytes(),
            Ok(template) => {
                let entry = entry(&self.labels, &self.line, self.time);
                let mut out = Vec::new();
                match template.execute(&entry, &Bounds::default(), &mut out) {
                    Ok(()) => out,
                    Err(error) => format!("fails: {error}").into_bytes(),
                }
            }
        };
        if got == wanted {
            return Ok(());
        }
        let [template, wanted, got] =
            [self.template.as_bytes(), &wanted, &got].map(model::quote_go);
        Err(format!("{template}\n  wanted {wanted}\n  got    {got}"))
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the cases are files of this crate")]
fn cases_give_what_they_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut failures = String::new();
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut scene = Scene::default();
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            count += usize::from(line.starts_with("gives"));
            if let Err(failure) = scene.run(line) {
                writeln!(failures, "{name}:{}: {failure}", number + 1).unwrap();
            }
        }
    }
    assert!(count > 100, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures}");
}
