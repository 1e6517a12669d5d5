//! Recording rules over the past: the groups that run are evaluated at their time slots of a range, one
//! group after the other, and what they give is stored as if they had run then.
//!
//! Alerting rules are left out: nobody is to be told of the past.
//! Invariant: one backfill runs at a time, and what it reads and writes goes the way of any rule.

use crate::backend::Backend;
use crate::definition::{Group, RuleKind};
use crate::group::{Defaults, RunningGroup};
use crate::sink::CountingSink;
use crate::slot;
use crate::view::Health;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Time slots of all groups together; more would take weeks.
const SLOTS_MAX: u64 = 10_000_000;

/// Milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackfillRange {
    pub start_ms: i64,
    pub end_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackfillState {
    #[default]
    Running,
    Done,
    Stopped,
}

impl BackfillState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

/// How far a backfill is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackfillProgress {
    pub state: BackfillState,
    pub groups: usize,
    /// Time slots of all groups: those that are done, and all.
    pub slots_done: u64,
    pub slots: u64,
    /// Evaluations that failed: what they would have given is missing.
    pub failures: u64,
    pub last_error: Option<String>,
}

/// A backfill that runs or has run.
#[derive(Debug)]
pub(crate) struct Backfill {
    range: BackfillRange,
    groups: Vec<RunningGroup>,
    progress: Mutex<BackfillProgress>,
    stopped: AtomicBool,
}

impl Backfill {
    /// `Err` says what to do about the range or the groups.
    pub(crate) fn new(range: BackfillRange, running: &[Arc<RunningGroup>]) -> Result<Self, String> {
        if range.end_ms < range.start_ms {
            return Err("the end is before the start: exchange them".to_owned());
        }
        let groups: Vec<_> = running.iter().filter_map(|group| only_records(group)).collect();
        if groups.is_empty() {
            return Err("there is no group with recording rules among those asked for".to_owned());
        }
        let slots = groups.iter().map(|group| slots_of(group, range)).sum();
        if slots > SLOTS_MAX {
            let text = format!(
                "the range has {slots} time slots, the most is {SLOTS_MAX}: ask for it in parts"
            );
            return Err(text);
        }
        let progress =
            BackfillProgress { groups: groups.len(), slots, ..BackfillProgress::default() };
        let (progress, stopped) = (Mutex::new(progress), AtomicBool::new(false));
        Ok(Self { range, groups, progress, stopped })
    }

    /// No panic can happen while it is held.
    fn locked(&self) -> MutexGuard<'_, BackfillProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn progress(&self) -> BackfillProgress {
        self.locked().clone()
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
    }

    pub(crate) async fn run(&self, backend: &dyn Backend) {
        let sink = CountingSink::default();
        for group in &self.groups {
            let mut slot_ns = first_slot(group, self.range);
            while slot_ns.div_euclid(1_000_000) <= self.range.end_ms {
                if self.stopped.load(Relaxed) {
                    self.locked().state = BackfillState::Stopped;
                    return;
                }
                group.iterate(backend, &sink, slot_ns.div_euclid(1_000_000)).await;
                self.note(group);
                slot_ns += group.interval_ns();
            }
        }
        self.locked().state = BackfillState::Done;
    }

    fn note(&self, group: &RunningGroup) {
        let rules = group.view().rules;
        let bad: Vec<_> = rules.iter().filter(|rule| rule.health == Health::Bad).collect();
        let mut progress = self.locked();
        progress.slots_done += 1;
        progress.failures += bad.len() as u64;
        if let Some(rule) = bad.last() {
            progress.last_error.clone_from(&rule.last_error);
        }
    }
}

/// A group of its own with the recording rules of one that runs.
fn only_records(group: &RunningGroup) -> Option<RunningGroup> {
    let is_record = |rule: &&crate::Rule| matches!(rule.kind, RuleKind::Record { .. });
    let rules: Vec<_> = group.definition.rules.iter().filter(is_record).cloned().collect();
    if rules.is_empty() {
        return None;
    }
    let definition = Group { rules, ..(*group.definition).clone() };
    let defaults = Defaults {
        interval_ms: group.interval_ms,
        query_offset_ms: 0,
        around: Arc::clone(&group.around),
    };
    // The past is complete: nothing is late any more.
    let definition = Group { query_offset_ms: Some(0), ..definition };
    Some(RunningGroup::new(group.key.clone(), Arc::new(definition), &defaults, true))
}

fn first_slot(group: &RunningGroup, range: BackfillRange) -> i64 {
    let before_ns = range.start_ms.saturating_mul(1_000_000).saturating_sub(1);
    slot::at_or_before(before_ns, group.interval_ns(), group.offset_ns()) + group.interval_ns()
}

fn slots_of(group: &RunningGroup, range: BackfillRange) -> u64 {
    let end_ns = range.end_ms.saturating_add(1).saturating_mul(1_000_000).saturating_sub(1);
    let length_ns = end_ns.saturating_sub(first_slot(group, range));
    match u64::try_from(length_ns) {
        Ok(length_ns) => length_ns / group.interval_ns().unsigned_abs().max(1) + 1,
        Err(_) => 0,
    }
}
