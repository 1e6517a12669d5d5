//! The language of `alert_cases`: rules over series in memory, and a clock that the case drives. A
//! command stands at the beginning of a line, what belongs to it below it, indented by two blanks.
//!
//! ```text
//! rules                     the rules that run, as YAML; what runs already is reloaded
//!   groups: …
//! load 1m                   series in Prometheus' notation, from now on
//!   up{job="a"} 1 1 0
//! at 5m                     evaluates every group at each of its times up to this one
//! restart                   the server was away until now: all state is lost, alerts are restored
//! alerts                    all alerts: state, labels, since when active, value
//!   firing {alertname="Down"} since 1m value 0
//! ask up                    an expression at this time
//!   {job="a"} 1
//! sent                      what was sent since the last `sent`, in order of labels
//!   {alertname="Down"} from 1m to 5m
//! rule Down ok              health of a rule; after `err` the error follows
//! group a 3                 how many rules have been evaluated
//! ```

use crate::alert::ALERT_NAME;
use crate::backend::{Backend, Evaluate, Question};
use crate::definition::{GroupKey, Origin};
use crate::group::{Defaults, RunningGroup, end_series};
use crate::restore::RestoreLimits;
use crate::rule::Surroundings;
use crate::{AlertSink, Language, Languages, MemoryBackend, read_groups};
use model::{Labels, SampleValue, TenantId, format_duration, format_float_go, parse_duration};
use promql::EngineOptions;
use promql::script::{LoadedSeries, load_series};
use query::CancelFlag;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct Sent(Mutex<Vec<model::Alert>>);

impl AlertSink for Sent {
    fn send(&self, _: &TenantId, alerts: Vec<model::Alert>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

/// Nothing here waits: memory answers at once.
pub(crate) fn finished<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory does not wait"),
    }
}

struct Running {
    group: RunningGroup,
    evaluated: usize,
    restores: bool,
}

pub(crate) struct Scene {
    backend: MemoryBackend,
    sink: Arc<Sent>,
    running: Vec<Running>,
    series: Vec<LoadedSeries>,
    loaded_before_ms: i64,
    now_ms: i64,
    rules: String,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            backend: MemoryBackend::new(EngineOptions::default()),
            sink: Arc::default(),
            running: Vec::new(),
            series: Vec::new(),
            loaded_before_ms: 0,
            now_ms: 0,
            rules: String::new(),
        }
    }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn defaults() -> Defaults {
    let around = Arc::new(Surroundings {
        external_labels: Labels::from_pairs([("cluster", "eu")]),
        external_url: "http://mon".to_owned(),
        resend_ms: 60_000,
    });
    Defaults { interval_ms: 60_000, query_offset_ms: 0, around }
}

fn compare(found: Vec<String>, expected: &[String]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let shown =
        |lines: &[String]| lines.iter().map(|line| format!("    {line}\n")).collect::<String>();
    Err(format!("  expected\n{}  found\n{}", shown(expected), shown(&found)))
}

impl Scene {
    pub(crate) fn run(&mut self, line: &str, block: &[String]) -> Result<(), String> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "rules" => {
                self.rules = block.join("\n");
                self.reload(true)
            }
            "load" => self.load(parse_duration(rest)?, block),
            "at" => self.advance(parse_duration(rest)?),
            "restart" => {
                self.now_ms = parse_duration(rest)?;
                self.running.clear();
                self.reload(false)
            }
            "alerts" => compare(self.alerts(), block),
            "ask" => compare(self.ask(rest)?, block),
            "sent" => compare(self.sent(), block),
            "rule" => {
                let (name, expected) = rest.split_once(' ').unwrap_or((rest, ""));
                compare(vec![self.health(name)?], &[expected.to_owned()])
            }
            other => Err(format!("there is no command {other}")),
        }
    }

    fn reload(&mut self, restored: bool) -> Result<(), String> {
        let groups = read_groups(&self.rules, &Languages::default())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
        let former = std::mem::take(&mut self.running);
        for group in groups {
            let file = "rules.yml".to_owned();
            let name = group.name.clone();
            let key = GroupKey { tenant: tenant(), origin: Origin::Files, file, name };
            let group = RunningGroup::new(key, Arc::new(group), &defaults(), restored);
            if let Some(same) = former.iter().find(|one| one.group.key == group.key) {
                group.take_over(&same.group);
            }
            self.running.push(Running { group, evaluated: 0, restores: !restored });
        }
        for gone in former {
            if self.running.iter().all(|one| one.group.key != gone.group.key) {
                let series = gone.group.all_orphans();
                finished(end_series(&self.backend, &tenant(), series, self.now_ms));
            }
        }
        Ok(())
    }

    fn load(&mut self, interval_ms: i64, block: &[String]) -> Result<(), String> {
        for line in block {
            self.series.push(load_series(line, self.now_ms, interval_ms)?);
        }
        self.loaded_before_ms = self.now_ms;
        Ok(())
    }

    /// Evaluates what is due, in the order of time.
    fn advance(&mut self, until_ms: i64) -> Result<(), String> {
        let due = |now: i64, interval: i64| (now.div_euclid(interval) + 1) * interval;
        loop {
            let next = self.running.iter().map(|one| due(self.now_ms, one.group.interval_ms)).min();
            let Some(slot_ms) = next.filter(|slot| *slot <= until_ms) else { break };
            self.show_samples(slot_ms);
            for one in &mut self.running {
                if slot_ms % one.group.interval_ms == 0 {
                    finished(one.group.iterate(&self.backend, &*self.sink, slot_ms));
                    one.evaluated += 1;
                    if one.evaluated >= 2 && std::mem::take(&mut one.restores) {
                        let limits = RestoreLimits { outage_ms: 3_600_000, grace_ms: 600_000 };
                        finished(one.group.restore(&self.backend, slot_ms, limits));
                    }
                }
            }
            self.now_ms = slot_ms;
        }
        self.show_samples(until_ms);
        self.now_ms = until_ms;
        Ok(())
    }

    fn show_samples(&mut self, until_ms: i64) {
        self.backend.set_now(until_ms);
        for one in &self.series {
            self.backend.load(one, (self.loaded_before_ms, until_ms + 1));
        }
        self.backend.commit();
        self.loaded_before_ms = until_ms + 1;
    }

    fn alerts(&self) -> Vec<String> {
        let rules = self.running.iter().flat_map(|one| one.group.view().rules);
        let alerts = rules.filter_map(|rule| rule.alerting).flat_map(|alerting| alerting.alerts);
        alerts
            .map(|alert| {
                let (state, labels) = (alert.state.as_str(), &alert.labels);
                let since = format_duration(alert.active_at_ms);
                let value = format_float_go(alert.value);
                let kept = alert.keep_firing_since_ms.map(format_duration);
                let kept = kept.map_or(String::new(), |since| format!(" kept since {since}"));
                let annotations = match alert.annotations.is_empty() {
                    true => String::new(),
                    false => format!(" {}", alert.annotations),
                };
                format!("{state} {labels} since {since} value {value}{kept}{annotations}")
            })
            .collect()
    }

    fn ask(&self, query: &str) -> Result<Vec<String>, String> {
        let question = Question {
            tenant: &tenant(),
            language: Language::Promql,
            query,
            time_ms: self.now_ms,
            window_ms: 0,
            lookback_ms: None,
            cancel: CancelFlag::new(),
        };
        let found = self.backend.instant(&question).map_err(|error| error.to_string())?;
        let mut lines: Vec<String> = found
            .iter()
            .map(|one| match &one.value {
                SampleValue::Float(value) => format!("{} {}", one.labels, format_float_go(*value)),
                SampleValue::Histogram(histogram) => format!("{} {histogram}", one.labels),
            })
            .collect();
        lines.sort();
        Ok(lines)
    }

    fn sent(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.sink.0.lock().unwrap());
        let line = |alert: &model::Alert| {
            assert!(alert.labels.get(ALERT_NAME).is_some());
            let (from, to) = (alert.starts_at_ms, alert.ends_at_ms);
            format!("{} from {} to {}", alert.labels, format_duration(from), format_duration(to))
        };
        sent.iter().map(line).collect()
    }

    fn health(&self, name: &str) -> Result<String, String> {
        let mut rules = self.running.iter().flat_map(|one| one.group.view().rules);
        let rule = rules.find(|rule| rule.rule.name() == name).ok_or("there is no such rule")?;
        let state = rule.alerting.map(|alerting| format!(" {}", alerting.state.as_str()));
        let error = rule.last_error.map(|error| format!(" {error}"));
        let (state, error) = (state.unwrap_or_default(), error.unwrap_or_default());
        Ok(format!("{}{state}{error}", rule.health.as_str()))
    }
}

#[test]
fn memory_has_a_clock_of_its_own() {
    let backend = MemoryBackend::new(EngineOptions::default());
    backend.set_now(7);
    assert_eq!(backend.wall_ns(), 7_000_000);
}
