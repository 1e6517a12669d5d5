//! Runs `cases/config.test`: files that are accepted and refused.
//!
//! ```text
//! # what it is about
//! route: { receiver: nobody }
//! ---
//! refused line 1: undefined receiver "nobody" used in route
//! ===
//! ```

use super::*;

fn outcome(yaml: &str) -> String {
    match Config::parse(yaml) {
        Ok(config) => {
            let names = config.receivers.iter().map(|receiver| {
                let kinds = receiver.integrations.iter().map(|one| one.settings.kind());
                format!("{}[{}]", receiver.name, kinds.collect::<Vec<_>>().join(" "))
            });
            format!("accepted {}", names.collect::<Vec<_>>().join(" "))
        }
        Err(error) => format!("refused {error}"),
    }
}

#[test]
fn files_are_read_as_alertmanager_reads_them() {
    let cases = include_str!("../cases/config.test");
    let mut wrong = Vec::new();
    for case in cases.split("\n===\n").filter(|case| !case.trim().is_empty()) {
        let (yaml, wanted) = case.split_once("\n---\n").expect(case);
        let got = outcome(yaml);
        if got != wanted.trim() {
            wrong.push(format!("{yaml}\n  wanted {}\n  got    {got}", wanted.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_secret_is_shown() {
    let yaml = include_str!("../cases/secrets.yml");
    let config = Config::parse(yaml).unwrap();
    let shown = format!("{} {config:?}", config.text);
    assert!(yaml.matches("CANARY").count() > 10);
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn any_text_is_an_answer() {
    use proptest::prelude::*;
    let yaml = include_str!("../cases/secrets.yml");
    proptest!(|(at in 0..yaml.len(), put in "[ -~\n]{0,3}")| {
        if let (Some(before), Some(after)) = (yaml.get(..at), yaml.get(at + 1..)) {
            let _ = Config::parse(&format!("{before}{put}{after}"));
        }
    });
}
