//! Rule files that are accepted and refused:
//!
//! ```text
//! === the name of a case
//! groups: […]
//! --- refused
//! 3:5: group "a", rule 1, "b": …
//! ```
//!
//! With `--- accepted` the groups follow as they are printed again.

use super::case_files;
use crate::{Languages, read_groups, to_yaml};

fn shown(text: &str) -> (&'static str, String) {
    match read_groups(text, &Languages::default()) {
        Ok(groups) => {
            let printed = to_yaml(&groups);
            let again = read_groups(&printed, &Languages::default());
            assert_eq!(again.as_ref(), Ok(&groups), "{printed}");
            ("accepted", printed)
        }
        Err(errors) => ("refused", errors.iter().map(|error| format!("{error}\n")).collect()),
    }
}

#[test]
fn rule_files_are_accepted_or_refused() {
    let (mut count, mut failures) = (0, String::new());
    for (file, text) in case_files("file_cases") {
        for case in text.split("=== ").skip(1) {
            let (name, case) = case.split_once('\n').unwrap();
            let (yaml, expected) = case.split_once("--- ").unwrap();
            let (kind, expected) = expected.split_once('\n').unwrap();
            let (found_kind, found) = shown(yaml);
            count += 1;
            if (found_kind, found.trim_end()) != (kind.trim_end(), expected.trim_end()) {
                failures.push_str(&format!("{file}: {name}: {found_kind}\n{found}\n"));
            }
        }
    }
    assert!(count > 20, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures}");
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(groups:\n)?([-{}\\[\\]: a-z\"'\n|>&*#]|rules|expr|alert|name){0,60}") {
        let _ = read_groups(&text, &Languages::default());
    }

    /// What is printed is read back as it was, whatever the texts.
    #[test]
    fn printed_groups_are_read_back(name in "\\PC{1,12}", value in "[\\x00-\\u{2fff}]{0,20}") {
        let rule = crate::Rule {
            kind: crate::RuleKind::Alert {
                name: name.clone(),
                hold_ms: 61_000,
                keep_firing_ms: 0,
                annotations: [("a b".to_owned(), value.replace("{{", ""))].into(),
            },
            language: crate::Language::Promql,
            query: "up == 0".to_owned(),
            shown: "up == 0".to_owned(),
            labels: [(name.clone(), value.replace("{{", ""))].into(),
        };
        let group = crate::Group {
            name,
            interval_ms: 5_000,
            query_offset_ms: Some(0),
            limit: 3,
            align: true,
            rules: vec![rule],
        };
        let printed = to_yaml(std::slice::from_ref(&group));
        proptest::prop_assert_eq!(read_groups(&printed, &Languages::default()), Ok(vec![group]), "{}", printed);
    }
}
