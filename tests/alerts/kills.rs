//! The server is killed while alerts fire. What its file of records says was told is never told again, and in
//! the end everything was told.

use super::sink::Sink;
use super::{alert, one_receiver, post, start};
use crate::kills::cycles;
use crate::support::{Folder, say, wait_for};
use platform::sim::test_seed;
use platform::{Random, SeededRandom};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Alerts that each cycle adds, each a group of its own.
const NEW_ALERTS: usize = 30;

/// The groups of which the newest file of records says that somebody was told.
fn recorded(data: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(data.join("alerting")).unwrap();
    let names = files.map(|file| file.unwrap().path());
    let newest = names.filter(|path| path.to_string_lossy().contains("/state-0")).max();
    let text = std::fs::read_to_string(newest.unwrap()).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let records = whole.lines().skip(1).map(|line| {
        let record: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        record["group"].as_str().unwrap().to_owned()
    });
    records.collect()
}

fn told(sink: &Sink) -> Vec<String> {
    let groups = sink.received();
    groups.iter().map(|payload| payload["groupKey"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nobody_is_told_twice_after_a_kill() {
    let seed = test_seed();
    let random = SeededRandom::new(seed);
    let (folder, sink) = (Folder::new(), Sink::start());
    let route = "group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h";
    let yaml = one_receiver(&sink, route);
    let (mut alerts, mut known, mut repeated) = (Vec::new(), BTreeSet::new(), 0);
    for cycle in 0..cycles(5) {
        let server = start(&folder, &yaml);
        let new = (0..NEW_ALERTS).map(|one| alert(&format!("A{cycle}-{one}"), &[], 36_000));
        alerts.extend(new);
        let before = told(&sink).len();
        post(&server, &alerts);
        std::thread::sleep(Duration::from_millis(random.below(150)));
        server.kill();
        // What was on its way when the server died is heard by then.
        let after = told(&sink);
        for group in &after[before..] {
            assert!(!known.contains(group), "{group} was told again in cycle {cycle}, SEED={seed}");
        }
        known = recorded(&folder.path().join("data"));
        let heard: BTreeSet<&String> = after.iter().collect();
        assert!(known.iter().all(|group| heard.contains(group)), "recorded and not sent");
        repeated = after.len() - heard.len();
    }
    let server = start(&folder, &yaml);
    let before = told(&sink).len();
    post(&server, &alerts);
    let all = wait_for("everything to be told", || {
        let all: BTreeSet<String> = told(&sink).into_iter().collect();
        (all.len() == alerts.len()).then_some(all)
    });
    assert_eq!(all.len(), alerts.len());
    // A further look at every group tells nothing new.
    std::thread::sleep(Duration::from_millis(2_500));
    for group in &told(&sink)[before..] {
        assert!(!known.contains(group), "{group} was told again at the end, SEED={seed}");
    }
    let (count, twice) = (alerts.len(), repeated);
    say(&format!("{count} alerts, {twice} told again because a kill came before the record"));
}
