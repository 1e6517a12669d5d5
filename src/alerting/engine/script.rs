//! Runs the scripts of `cases/engine/*.test`, in which hours pass in no time:
//!
//! ```text
//! config
//! route: { receiver: team, group_wait: 30s }
//! receivers: [ { name: team, webhook_configs: [ { url: http://team } ] } ]
//! end
//! alert A x=1
//! wait 10m
//! > 30s team/webhook/0 {} first notification: A{x=1} firing
//! ```
//!
//! `wait` lets time pass and delivers what is due; what was told meanwhile must be exactly what the
//! lines with `>` say, with the time since the beginning. `alert` tells an alert without an end,
//! `resolve` its end, `alert-until 1h` one with an end. `at TIME` sets the calendar. `silence 1h a=b`,
//! `unsilence`; `fail RECEIVER` and `work RECEIVER`: whether deliveries succeed. `restart` forgets all
//! but what is on the disk, `reload` takes another configuration, `watchdog NAME 10m` watches.
//! `hold` leaves deliveries under way, `release` ends them.
//! `shown` and `groups` compare what the API would show with the lines that follow.

use super::*;
use crate::alert::KeptAlert;
use crate::parse_matchers;
use model::Labels;
use std::collections::BTreeSet;

struct Scene {
    engine: Engine,
    steady_ms: i64,
    wall_offset_ms: i64,
    failing: BTreeSet<String>,
    /// Looks that are under way, while they are held.
    held: Option<Vec<Flush>>,
    told: Vec<String>,
    silence: Option<String>,
    silences: usize,
}

const START_MS: i64 = 1_700_000_000_000;

fn engine(yaml: &str) -> Engine {
    let config = Config::parse(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    Engine::new(Arc::new(config), Silences::default(), NotificationLog::default())
}

fn ms(text: &str) -> i64 {
    model::parse_duration(text).unwrap()
}

impl Scene {
    fn now(&self) -> Now {
        Now { wall_ms: START_MS + self.wall_offset_ms + self.steady_ms, steady_ms: self.steady_ms }
    }

    fn put(&mut self, words: &str, ends_in_ms: Option<i64>) {
        let mut words = words.split_whitespace();
        let name = words.next().unwrap();
        let labels = words.map(|pair| pair.split_once('=').unwrap());
        let labels = Labels::from_pairs([("alertname", name)].into_iter().chain(labels));
        let now = self.now();
        let alert = Alert {
            labels,
            annotations: Labels::empty(),
            starts_at_ms: now.wall_ms,
            ends_at_ms: now.wall_ms + ends_in_ms.unwrap_or(0),
            generator_url: String::new(),
        };
        let has_end = ends_in_ms.is_some();
        let told = ToldAlert { alert, has_start: ends_in_ms != Some(0), has_end };
        assert_eq!(self.engine.put(now, vec![told]), 0);
    }

    fn wait(&mut self, length_ms: i64) {
        let end = self.steady_ms + length_ms;
        loop {
            let next = self.engine.due_at_ms().max(self.steady_ms);
            if next > end {
                break;
            }
            self.steady_ms = next;
            let now = self.now();
            for flush in self.engine.due(now) {
                match &mut self.held {
                    Some(held) => held.push(flush),
                    None => self.deliver(flush),
                }
            }
        }
        self.steady_ms = end;
    }

    fn deliver(&mut self, flush: Flush) {
        let mut is_told = true;
        for delivery in flush.deliveries.clone() {
            let receiver = delivery.key.integration.receiver.clone();
            if self.failing.contains(&receiver) {
                is_told = false;
                continue;
            }
            if !delivery.alerts.is_empty() {
                let line = self.line(&delivery);
                self.told.push(line);
            }
            self.engine.delivered(delivery.key, delivery.entry);
        }
        self.engine.flushed(&flush, is_told);
    }

    fn line(&self, delivery: &Delivery) -> String {
        let alert = |alert: &KeptAlert| {
            let state = if alert.is_resolved(delivery.at_ms) { "resolved" } else { "firing" };
            format!("{} {state}", short(&alert.alert.labels))
        };
        let alerts: Vec<String> = delivery.alerts.iter().map(alert).collect();
        let id = &delivery.key.integration;
        let (receiver, kind, index) = (&id.receiver, id.kind, id.index);
        let at = model::format_duration(self.steady_ms);
        let (group, reason) = (&delivery.group_labels, delivery.reason.text());
        let group = braces(group.iter());
        format!("{at} {receiver}/{kind}/{index} {group} {reason}: {}", alerts.join(", "))
    }

    fn silence(&mut self, words: &str) {
        let (length, matchers) = words.split_once(' ').unwrap();
        let now_ms = self.now().wall_ms;
        let silence = Silence {
            id: String::new(),
            matchers: parse_matchers(&matchers.replace(' ', ",")).unwrap(),
            starts_at_ms: now_ms,
            ends_at_ms: now_ms + ms(length),
            updated_at_ms: 0,
            created_by: "me".to_owned(),
            comment: String::new(),
            annotations: Default::default(),
        };
        self.silences += 1;
        let id = format!("s{}", self.silences);
        let change = self.engine.silences.plan(silence, now_ms, || id.clone()).unwrap();
        change.silences().for_each(|one| self.engine.silences.put(one.clone()));
        self.silence = Some(id);
    }

    fn unsilence(&mut self) {
        let id = self.silence.take().unwrap();
        let ended = self.engine.silences.plan_end(&id, self.now().wall_ms).unwrap().unwrap();
        self.engine.silences.put(ended);
    }

    fn restart(&mut self) {
        let config = Arc::clone(self.engine.config());
        let (silences, log) = (self.engine.silences.clone(), self.engine.log.clone());
        self.engine = Engine::new(config, silences, log);
    }

    fn shown(&self) -> Vec<String> {
        let views = self.engine.view_alerts(&Wanted::default(), self.now().wall_ms);
        let mut lines: Vec<String> = views.iter().map(view_line).collect();
        lines.sort();
        lines
    }

    fn groups(&self) -> Vec<String> {
        let groups = self.engine.view_groups(&Wanted::default(), self.now().wall_ms);
        let line = |group: &GroupView| {
            let alerts: Vec<String> = group.alerts.iter().map(view_line).collect();
            format!("{} {}: {}", braces(group.labels.iter()), group.receiver, alerts.join(", "))
        };
        groups.iter().map(line).collect()
    }
}

fn view_line(view: &AlertView) -> String {
    let mut line = format!("{} {}", short(&view.alert.alert.labels), view.state().name());
    for (name, list) in [("silenced", &view.silenced_by), ("muted", &view.muted_by)] {
        if !list.is_empty() {
            line.push_str(&format!(" {name}={}", list.join("+")));
        }
    }
    if !view.inhibited_by.is_empty() {
        line.push_str(" inhibited");
    }
    line
}

fn braces<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn short(labels: &Labels) -> String {
    let others = labels.iter().filter(|(name, _)| *name != "alertname");
    format!("{}{}", labels.value("alertname"), braces(others)).replace("{}", "")
}

fn run(file: &str, script: &str) -> Vec<String> {
    let mut lines = script.lines().enumerate().peekable();
    let mut scene: Option<Scene> = None;
    let mut wrong = Vec::new();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        if matches!(command, "config" | "reload") {
            let yaml: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "end")
                .collect();
            let made = engine(&yaml.join("\n"));
            match (&mut scene, command) {
                (Some(scene), "reload") => {
                    let now = scene.now();
                    scene.engine.reload(now, Arc::clone(made.config()));
                }
                _ => {
                    scene = Some(Scene {
                        engine: made,
                        steady_ms: 0,
                        wall_offset_ms: 0,
                        failing: BTreeSet::new(),
                        held: None,
                        told: Vec::new(),
                        silence: None,
                        silences: 0,
                    });
                }
            }
            continue;
        }
        let scene = scene.as_mut().expect("a script begins with its configuration");
        let mut expected = |got: Vec<String>| {
            let mut wanted = Vec::new();
            while let Some((_, line)) = lines.next_if(|(_, line)| line.trim().starts_with('>')) {
                wanted.push(line.trim().trim_start_matches('>').trim().to_owned());
            }
            if wanted != got {
                let (wanted, got) = (wanted.join("\n    "), got.join("\n    "));
                wrong.push(format!(
                    "{file}:{}: {line}\n  wanted\n    {wanted}\n  got\n    {got}",
                    number + 1
                ));
            }
        };
        match command {
            "at" => {
                let time = chrono::DateTime::parse_from_rfc3339(rest).unwrap();
                scene.wall_offset_ms = time.timestamp_millis() - START_MS - scene.steady_ms;
            }
            "alert" => scene.put(rest, None),
            "alert-until" => {
                let (length, words) = rest.split_once(' ').unwrap();
                scene.put(words, Some(ms(length)));
            }
            "resolve" => scene.put(rest, Some(0)),
            "wait" => {
                scene.wait(ms(rest));
                expected(std::mem::take(&mut scene.told));
            }
            "shown" => expected(scene.shown()),
            "groups" => expected(scene.groups()),
            "silence" => scene.silence(rest),
            "unsilence" => scene.unsilence(),
            "fail" => {
                scene.failing.insert(rest.to_owned());
            }
            "work" => {
                scene.failing.remove(rest);
            }
            "hold" => scene.held = Some(Vec::new()),
            "release" => {
                let held = scene.held.take().unwrap();
                held.into_iter().for_each(|flush| scene.deliver(flush));
                expected(std::mem::take(&mut scene.told));
            }
            "restart" => scene.restart(),
            "watchdog" => {
                let (name, timeout) = rest.split_once(' ').unwrap();
                scene.engine.watchdog = Some(Watchdog::new(name, ms(timeout)));
            }
            other => panic!("{file}:{}: no command {other}", number + 1),
        }
    }
    wrong
}

#[test]
fn scripts() {
    let scripts = [
        ("grouping", include_str!("../cases/engine/grouping.test")),
        ("repeats", include_str!("../cases/engine/repeats.test")),
        ("silences", include_str!("../cases/engine/silences.test")),
        ("inhibition", include_str!("../cases/engine/inhibition.test")),
        ("intervals", include_str!("../cases/engine/intervals.test")),
        ("failures", include_str!("../cases/engine/failures.test")),
    ];
    let wrong: Vec<String> =
        scripts.into_iter().flat_map(|(file, script)| run(file, script)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
