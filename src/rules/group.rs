//! One group while it runs: its rules, evaluated one after the other at a time slot.
//!
//! Invariants: a rule's samples are stored before the next rule is evaluated; a series that a rule gave
//! at the last slot and does not give now is ended by a stale marker, as is what a former rule gave.

use crate::backend::{Backend, Evaluate, EvaluateError, OutSample, Work};
use crate::definition::{Group, GroupKey};
use crate::restore::{RestoreLimits, restore};
use crate::rule::{Occasion, RunningRule, Surroundings};
use crate::sink::AlertSink;
use crate::telemetry::{ALERTS, DURATION, EVALUATIONS, FAILURES, SAMPLES};
use crate::view::{GroupView, Health};
use model::{ErrorKind, Labels, SampleValue, TenantId, stale_marker};
use observe::Notice;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

#[derive(Debug)]
pub(crate) struct RunningGroup {
    pub(crate) key: GroupKey,
    pub(crate) definition: Arc<Group>,
    pub(crate) interval_ms: i64,
    query_offset_ms: i64,
    pub(crate) around: Arc<Surroundings>,
    rules: Vec<Arc<RunningRule>>,
    progress: Mutex<Progress>,
    /// True when the group is to end after the rule that it is at.
    stopped: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Progress {
    evaluated_at_ns: Option<i64>,
    took_seconds: f64,
    /// Series of rules that there are no more, to be ended.
    orphans: Vec<Labels>,
}

/// What a group takes from the configuration where it says nothing itself.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) interval_ms: i64,
    pub(crate) query_offset_ms: i64,
    pub(crate) around: Arc<Surroundings>,
}

impl Defaults {
    fn interval_of(&self, group: &Group) -> i64 {
        match group.interval_ms {
            0 => self.interval_ms,
            interval_ms => interval_ms,
        }
    }

    fn query_offset_of(&self, group: &Group) -> i64 {
        group.query_offset_ms.unwrap_or(self.query_offset_ms)
    }
}

impl RunningGroup {
    /// `restored`: alerts need not be restored, because the server has not just been started.
    pub(crate) fn new(
        key: GroupKey,
        definition: Arc<Group>,
        defaults: &Defaults,
        restored: bool,
    ) -> Self {
        let rule =
            |rule: &crate::Rule| Arc::new(RunningRule::new(Arc::new(rule.clone()), restored));
        let rules = definition.rules.iter().map(rule).collect();
        Self {
            key,
            interval_ms: defaults.interval_of(&definition),
            query_offset_ms: defaults.query_offset_of(&definition),
            around: Arc::clone(&defaults.around),
            definition,
            rules,
            progress: Mutex::default(),
            stopped: watch::Sender::new(false),
        }
    }

    /// Whether a reload with these would change nothing.
    pub(crate) fn is_same(&self, definition: &Group, defaults: &Defaults) -> bool {
        *self.definition == *definition
            && self.interval_ms == defaults.interval_of(definition)
            && self.query_offset_ms == defaults.query_offset_of(definition)
            && self.around == defaults.around
    }

    pub(crate) fn offset_ns(&self) -> i64 {
        match self.definition.align {
            true => 0,
            false => crate::slot::offset_ns(&self.key.file, &self.key.name, self.interval_ns()),
        }
    }

    pub(crate) fn interval_ns(&self) -> i64 {
        self.interval_ms.saturating_mul(1_000_000)
    }

    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Returns when the group is to end.
    pub(crate) async fn stopping(&self) {
        // The sender lives as long as the group.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the state of the group as it was before a reload: of each rule that has the same name
    /// and labels, in order where several have.
    pub(crate) fn take_over(&self, other: &Self) {
        let mut former: BTreeMap<_, Vec<&Arc<RunningRule>>> = BTreeMap::new();
        for rule in other.rules.iter().rev() {
            former.entry(rule.identity()).or_default().push(rule);
        }
        for rule in &self.rules {
            if let Some(same) = former.get_mut(&rule.identity()).and_then(Vec::pop) {
                rule.take_over(same);
            }
        }
        let left = former.into_values().flatten();
        let mut orphans: Vec<Labels> =
            left.flat_map(|rule| rule.state().previous.clone()).collect();
        let other = other.progress();
        orphans.extend(other.orphans.iter().cloned());
        let mut progress = self.progress();
        progress.evaluated_at_ns = other.evaluated_at_ns;
        progress.took_seconds = other.took_seconds;
        progress.orphans = orphans;
    }

    /// All series that the group gave at its last slot.
    pub(crate) fn series(&self) -> BTreeSet<Labels> {
        self.rules.iter().flat_map(|rule| rule.state().previous.clone()).collect()
    }

    /// What is to be ended when the group is gone.
    pub(crate) fn all_orphans(&self) -> BTreeSet<Labels> {
        let mut series = self.series();
        series.extend(self.progress().orphans.iter().cloned());
        series
    }

    pub(crate) fn occasion(&self, slot_ms: i64) -> Occasion {
        Occasion {
            tenant: self.key.tenant.clone(),
            slot_ms,
            query_offset_ms: self.query_offset_ms,
            interval_ms: self.interval_ms,
            limit: self.definition.limit,
            around: Arc::clone(&self.around),
        }
    }

    /// Evaluates all rules at a time slot.
    pub(crate) async fn iterate(&self, backend: &dyn Backend, sink: &dyn AlertSink, slot_ms: i64) {
        let began_ns = backend.wall_ns();
        let on = self.occasion(slot_ms);
        for rule in &self.rules {
            if self.is_stopped() {
                return;
            }
            self.evaluate(rule, backend, sink, &on).await;
        }
        self.end_orphans(backend, &on).await;
        // The wall clock may have been set back meanwhile.
        let took_ns = backend.wall_ns().saturating_sub(began_ns).max(0);
        let mut progress = self.progress();
        progress.evaluated_at_ns = Some(began_ns);
        progress.took_seconds = took_ns as f64 / 1e9;
    }

    async fn evaluate(
        &self,
        rule: &Arc<RunningRule>,
        backend: &dyn Backend,
        sink: &dyn AlertSink,
        on: &Occasion,
    ) {
        EVALUATIONS.increment();
        let began_ns = backend.wall_ns();
        let outcome = match on_query_thread(rule, backend, on).await {
            Ok((samples, took_seconds)) => {
                DURATION.observe(took_seconds);
                rule.state().took_seconds = took_seconds;
                send(rule, sink, on);
                self.store(rule, backend, on, samples).await
            }
            Err(error) => Err(error),
        };
        let mut state = rule.state();
        state.evaluated_at_ns = Some(began_ns);
        match outcome {
            Ok(()) => (state.health, state.last_error) = (Health::Good, None),
            Err(error) => {
                FAILURES.increment();
                (state.health, state.last_error) = (Health::Bad, Some(error.to_string()));
                drop(state);
                let (file, group) = (&self.key.file, &self.key.name);
                let name = rule.rule.name();
                Notice::warn(
                    "a rule could not be evaluated",
                    &[("file", file), ("group", group), ("rule", &name), ("error", &error)],
                );
            }
        }
    }

    /// Stores what a rule gave, and ends the series that it does not give any more.
    async fn store(
        &self,
        rule: &Arc<RunningRule>,
        backend: &dyn Backend,
        on: &Occasion,
        mut samples: Vec<OutSample>,
    ) -> Result<(), EvaluateError> {
        let series: BTreeSet<Labels> = samples.iter().map(|one| one.labels.clone()).collect();
        let vanished: Vec<Labels> = rule.state().previous.difference(&series).cloned().collect();
        let others = self.rules.iter().filter(|other| !Arc::ptr_eq(other, rule));
        let elsewhere: BTreeSet<Labels> = match vanished.is_empty() {
            true => BTreeSet::new(),
            false => others.flat_map(|other| other.state().previous.clone()).collect(),
        };
        let vanished = vanished.into_iter().filter(|labels| !elsewhere.contains(labels));
        samples.extend(vanished.map(|labels| stale(labels, on.time_ms())));
        SAMPLES.add(samples.len() as u64);
        if !samples.is_empty() {
            backend.write(&on.tenant, samples).await?;
        }
        rule.state().previous = series;
        Ok(())
    }

    async fn end_orphans(&self, backend: &dyn Backend, on: &Occasion) {
        let orphans = std::mem::take(&mut self.progress().orphans);
        if orphans.is_empty() {
            return;
        }
        let series = self.series();
        let ended = orphans.iter().filter(|labels| !series.contains(labels));
        let samples: Vec<_> = ended.map(|labels| stale(labels.clone(), on.time_ms())).collect();
        if let Err(error) = backend.write(&on.tenant, samples).await {
            let text = "series of rules that are gone could not be ended: this is tried again";
            Notice::warn(text, &[("group", &self.key.name), ("error", &error)]);
            self.progress().orphans = orphans;
        }
    }

    /// Reads back since when alerts are active. Afterwards their series are written.
    pub(crate) async fn restore(&self, backend: &dyn Backend, now_ms: i64, limits: RestoreLimits) {
        for rule in self.rules.iter().filter(|rule| rule.rule.is_alert()) {
            let (rule, tenant) = (Arc::clone(rule), self.key.tenant.clone());
            let kept = Arc::clone(&rule);
            let work: Work = Box::new(move |by: &dyn Evaluate| {
                restore(&rule, by, &tenant, now_ms, limits);
            });
            if let Err(error) = backend.run(&self.key.tenant, work).await {
                let text = "the `for` of alerts could not be restored: they wait anew";
                Notice::warn(text, &[("group", &self.key.name), ("error", &error)]);
                kept.state().alerts.restored = true;
            }
        }
    }

    pub(crate) fn view(&self) -> GroupView {
        let (evaluated_at_ns, took_seconds) = {
            let progress = self.progress();
            (progress.evaluated_at_ns, progress.took_seconds)
        };
        GroupView {
            key: self.key.clone(),
            interval_ms: self.interval_ms,
            limit: self.definition.limit,
            evaluated_at_ns,
            took_seconds,
            rules: self.rules.iter().map(|rule| rule.view()).collect(),
        }
    }
}

pub(crate) fn stale(labels: Labels, time_ms: i64) -> OutSample {
    OutSample { labels, time_ms, value: SampleValue::Float(stale_marker()) }
}

fn send(rule: &RunningRule, sink: &dyn AlertSink, on: &Occasion) {
    let alerts = rule.take_due(on);
    if !alerts.is_empty() {
        ALERTS.add(alerts.len() as u64);
        sink.send(&on.tenant, alerts);
    }
}

/// Evaluates a rule in its tenant's turn. Answers what is to be stored and how long it took.
async fn on_query_thread(
    rule: &Arc<RunningRule>,
    backend: &dyn Backend,
    on: &Occasion,
) -> Result<(Vec<OutSample>, f64), EvaluateError> {
    let (tell, told) = oneshot::channel();
    let (rule, occasion) = (Arc::clone(rule), on.clone());
    let work: Work = Box::new(move |by: &dyn Evaluate| {
        let began = by.now();
        let outcome = rule.evaluate(by, &occasion);
        let took = by.now().saturating_sub(began).as_secs_f64();
        // Nobody is told where the group has been stopped meanwhile.
        let _ = tell.send(outcome.map(|samples| (samples, took)));
    });
    backend.run(&on.tenant, work).await?;
    let panicked = |_| EvaluateError::new(ErrorKind::Bug, "the evaluation of the rule panicked");
    told.await.unwrap_or_else(|error| Err(panicked(error)))
}

/// Ends series of groups that are gone.
pub(crate) async fn end_series(
    backend: &dyn Backend,
    tenant: &TenantId,
    series: BTreeSet<Labels>,
    time_ms: i64,
) {
    let samples: Vec<_> = series.into_iter().map(|labels| stale(labels, time_ms)).collect();
    if samples.is_empty() {
        return;
    }
    if let Err(error) = backend.write(tenant, samples).await {
        let text = "series of rule groups that are gone could not be ended";
        Notice::warn(text, &[("tenant", tenant), ("error", &error)]);
    }
}
