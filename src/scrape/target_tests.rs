//! From discovered labels to targets, and from scrapes to series, by the cases of `cases/targets.txt`, which
//! says how they are written.

use crate::config::Job;
use crate::discovery::{Discovery, Group};
use crate::target::{Outcome, of_group};
use std::path::Path;
use std::sync::Arc;

const CASES: &str = include_str!("cases/targets.txt");

/// The job and its static groups.
fn job(text: &str) -> (Arc<Job>, Vec<Group>) {
    let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!("scrape_configs:\n- job_name: j\n{indented}");
    let config = crate::config::Config::of_text(&text, Path::new("prom.yml")).unwrap();
    let job = Arc::clone(&config.jobs[0]);
    let groups = job.discoveries.iter().flat_map(|discovery| match discovery {
        Discovery::Static(groups) => groups.clone(),
        _ => Vec::new(),
    });
    (Arc::clone(&job), groups.collect())
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Kept(target) => format!(
            "{} {} every {} within {}",
            target.url, target.labels, target.interval_ms, target.timeout_ms
        ),
        Outcome::Dropped(labels) => format!("dropped {labels}"),
        Outcome::Wrong(message) => format!("wrong {message}"),
    }
}

#[test]
fn cases() {
    let mut sections: Vec<(bool, usize, String)> = Vec::new();
    for (index, line) in CASES.lines().enumerate() {
        if line.starts_with("=== ") || line == "--- expect" {
            sections.push((line.starts_with("==="), index + 1, String::new()));
        } else if let Some((_, _, body)) = sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    for pair in sections.chunks(2) {
        let [(true, _, config), (false, line, expected)] = pair else {
            panic!("cases/targets.txt: a case has one expectation");
        };
        let (job, groups) = job(config);
        let found = groups.iter().flat_map(|group| of_group(&job, group));
        let found: Vec<String> = found.map(|outcome| shown(&outcome)).collect();
        assert_eq!(found.join("\n"), expected.trim_end(), "cases/targets.txt:{line}");
    }
}

#[test]
fn targets_are_spread_over_the_interval() {
    let list: Vec<String> = (0..100).map(|number| format!("h{number}:1")).collect();
    let (job, groups) = job(&format!("static_configs: [{{targets: [{}]}}]", list.join(", ")));
    let mut quarters = [0; 4];
    for outcome in of_group(&job, &groups[0]) {
        let Outcome::Kept(target) = outcome else { panic!("{outcome:?}") };
        let offset = target.offset_ms(7);
        assert_eq!(offset, target.clone().offset_ms(7));
        quarters[(offset * 4 / target.interval_ms) as usize] += 1;
    }
    assert!(quarters.iter().all(|count| *count > 10), "{quarters:?}");
}
