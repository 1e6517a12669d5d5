//! Tracks which series were written recently, so that the labels of idle series do not stay in
//! memory.
//!
//! A window lasts an hour, or less while memory is short. At its end, if enough series were idle, a registry without them is
//! built, outside of all locks that batches need, and the next cut installs it. If an idle series
//! is written again in the meantime, it is added again as a new series.

use crate::kind::{MetricHead, Tenant};
use crate::registry::Registry;
use platform::Moment;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// The length of a window.
const IDLE: Duration = Duration::from_secs(3_600);
/// The same while memory is short: longer than the pauses between two samples of nearly all series.
const IDLE_IF_SHORT: Duration = Duration::from_secs(300);
/// A new registry is built when at least one in this many series is idle.
const IDLE_SHARE: usize = 4;

#[derive(Debug)]
pub(crate) struct Activity {
    began: Moment,
    /// The registry to which the numbers belong.
    registry: Option<Arc<RwLock<Registry>>>,
    /// By number.
    is_busy: Vec<bool>,
    thinned: Option<Arc<RwLock<Registry>>>,
}

impl Activity {
    pub(crate) fn new(now: Moment) -> Self {
        Self { began: now, registry: None, is_busy: Vec::new(), thinned: None }
    }

    /// Marks the series that have samples in the head.
    pub(crate) fn note(&mut self, head: &MetricHead) {
        let registry = &head.context.registry;
        if self.registry.as_ref().is_none_or(|known| !Arc::ptr_eq(known, registry)) {
            // A head of a registry that was replaced meanwhile says nothing about the new numbers.
            if self.registry.is_some() {
                return;
            }
            self.registry = Some(Arc::clone(registry));
        }
        let registry = head.context.registry();
        let rows = head.read();
        self.is_busy.resize(registry.len().max(self.is_busy.len()), false);
        match rows.used() {
            Some(used) => used.iter().for_each(|number| self.is_busy[*number as usize] = true),
            None => {
                let all = self.is_busy.iter_mut().enumerate();
                all.for_each(|(number, is_busy)| *is_busy |= rows.has(number as u32));
            }
        }
    }

    /// At the end of the window, builds a registry without the idle series if there are many.
    pub(crate) fn thin(tenant: &Tenant, live: &MetricHead, now: Moment, is_short: bool) {
        let window = if is_short { IDLE_IF_SHORT } else { IDLE };
        let busy = {
            let mut activity = tenant.state.activity();
            if now.since(activity.began) < window || activity.thinned.is_some() {
                return;
            }
            activity.began = now;
            std::mem::take(&mut activity.is_busy)
        };
        let idle = busy.iter().filter(|is_busy| !**is_busy).count();
        if idle * IDLE_SHARE <= busy.len() {
            return;
        }
        let mut thinned = Registry::default();
        let busy = busy.iter().enumerate().filter(|(_, is_busy)| **is_busy);
        for (number, _) in busy {
            let labels = live.context.registry().entry(number as u32).labels.clone();
            thinned.insert(labels);
        }
        tenant.state.activity().thinned = Some(Arc::new(RwLock::new(thinned)));
    }

    pub(crate) fn has_thinned(&self) -> bool {
        self.thinned.is_some()
    }

    /// The registry for the next head, if a new one was built.
    pub(crate) fn take_thinned(&mut self, now: Moment) -> Option<Arc<RwLock<Registry>>> {
        let thinned = self.thinned.take()?;
        *self = Self::new(now);
        self.registry = Some(Arc::clone(&thinned));
        Some(thinned)
    }
}
