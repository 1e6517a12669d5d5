//! Spans in flight: those that have begun and have not ended, as far as senders tell of them.
//!
//! Lives here: the table of each tenant, in memory only; `marks` (spans that tell of a span in flight),
//! `heartbeat` (records of logs that do).
//! A span is forgotten when it ends, when its sender says that it stopped, or when nothing was heard of it
//! for [`HEARTBEATS`] of the times in which something should have been.
//! Invariants: a table never has more spans than the setting, all tables not more than
//! [`TABLES`] times as many, and a span keeps no more than bounded texts. The lock is held for work in
//! memory only.

mod heartbeat;
mod marks;

pub(crate) use heartbeat::Heartbeats;
pub(crate) use marks::Lifecycles;

use model::TenantId;
use observe::{CounterFamily, Gauge, Metric};
use platform::{Clock, Moment};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static CHANGES: CounterFamily = CounterFamily::new(
    "mirador_traces_active_changes_total",
    "Spans in flight that were told of for the first time (begun), that ended, of which nothing was heard \
     any more (expired), or for which there was no room (refused).",
    &["change"],
);
static ACTIVE: Gauge =
    Gauge::new("mirador_traces_active", "Spans in flight that senders have told of.");
pub(crate) static METRICS: &[&dyn Metric] = &[&CHANGES, &ACTIVE];

/// After so many times without a sign of it, a span is forgotten.
const HEARTBEATS: u32 = 3;

/// All tenants together have room for so many times the spans of one.
const TABLES: usize = 16;

/// The longest text of a span that is kept, in bytes.
const TEXT_MAX: usize = 512;

/// What spans in flight may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveOptions {
    /// Spans of one tenant; 0: none are kept.
    pub spans_max: usize,
    /// How often something is heard of a span whose sender does not say so.
    pub heartbeat: Duration,
}

/// How it is known that a span is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// A span that was sent when it began.
    Pending,
    /// A span that was sent before it ended.
    Partial,
    /// A record of logs that is sent again and again.
    Heartbeat,
}

impl ToldBy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Partial => "partial",
            Self::Heartbeat => "heartbeat",
        }
    }
}

/// A trace and a span of it.
pub(crate) type SpanKey = ([u8; 16], [u8; 8]);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActiveSpan {
    pub(crate) key: SpanKey,
    /// `None` in a span without a parent.
    pub(crate) parent_id: Option<[u8; 8]>,
    pub(crate) service: Arc<str>,
    pub(crate) name: Arc<str>,
    /// What it is busy with: a statement, a path; may be empty.
    pub(crate) detail: Arc<str>,
    /// As OTLP numbers them.
    pub(crate) kind: u8,
    pub(crate) start_ns: u64,
    pub(crate) told_by: ToldBy,
    /// How often something is heard of it, if its sender says so.
    pub(crate) heartbeat: Option<Duration>,
}

/// A text as it is kept: not longer than may be.
pub(crate) fn kept(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(TEXT_MAX)].into()
}

/// What a request tells of spans in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) begun: Vec<ActiveSpan>,
    /// Taken out after the others were put in.
    pub(crate) ended: Vec<SpanKey>,
}

/// A span and when it is forgotten.
#[derive(Debug)]
struct Known {
    span: ActiveSpan,
    until: Moment,
}

type Table = HashMap<SpanKey, Known>;

#[derive(Debug, Default)]
struct Tables {
    by_tenant: HashMap<TenantId, Table>,
    spans: usize,
    /// When all tables were looked through last for spans to be forgotten.
    swept: Option<Moment>,
}

/// So much time lies between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The spans in flight of all tenants.
#[derive(Debug)]
pub struct ActiveSpans {
    clock: Arc<dyn Clock>,
    options: ActiveOptions,
    tables: Mutex<Tables>,
}

impl ActiveSpans {
    pub fn new(options: ActiveOptions, clock: Arc<dyn Clock>) -> Self {
        Self { clock, options, tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a tenant has any.
    pub(crate) fn are_any(&self, tenant: &TenantId) -> bool {
        self.tables().by_tenant.contains_key(tenant)
    }

    /// Takes what a request told once its spans are stored.
    pub(crate) fn apply(&self, tenant: &TenantId, changes: Changes) {
        if changes.begun.is_empty() && changes.ended.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut tables = self.tables();
        if !changes.begun.is_empty() && self.options.spans_max > 0 {
            tables.sweep(now);
            tables.begin(tenant, changes.begun, now, self.options);
        }
        tables.end(tenant, &changes.ended);
        ACTIVE.set(tables.spans as f64);
    }

    /// The spans in flight of a tenant, those that began first at the head.
    pub(crate) fn list(&self, tenant: &TenantId) -> Vec<ActiveSpan> {
        let mut tables = self.tables();
        tables.expire(tenant, self.clock.now());
        ACTIVE.set(tables.spans as f64);
        let table = tables.by_tenant.get(tenant);
        let mut list: Vec<ActiveSpan> =
            table.into_iter().flat_map(HashMap::values).map(|known| known.span.clone()).collect();
        drop(tables);
        list.sort_unstable_by_key(|span| (span.start_ns, span.key));
        list
    }
}

/// Forgets the spans of a table of which nothing was heard; answers how many.
fn forget(table: &mut Table, now: Moment) -> usize {
    let before = table.len();
    table.retain(|_, known| known.until > now);
    before - table.len()
}

impl Tables {
    /// Forgets those of all tenants, from time to time.
    fn sweep(&mut self, now: Moment) {
        if self.swept.is_some_and(|swept| now.since(swept) < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        let mut forgotten = 0;
        self.by_tenant.retain(|_, table| {
            forgotten += forget(table, now);
            !table.is_empty()
        });
        self.expired(forgotten);
    }

    fn expire(&mut self, tenant: &TenantId, now: Moment) {
        let Some(table) = self.by_tenant.get_mut(tenant) else { return };
        let forgotten = forget(table, now);
        if table.is_empty() {
            self.by_tenant.remove(tenant);
        }
        self.expired(forgotten);
    }

    fn expired(&mut self, count: usize) {
        self.spans -= count;
        if count > 0 {
            CHANGES.add(&["expired"], count as u64);
        }
    }

    fn begin(
        &mut self,
        tenant: &TenantId,
        begun: Vec<ActiveSpan>,
        now: Moment,
        options: ActiveOptions,
    ) {
        let all_max = options.spans_max.saturating_mul(TABLES);
        let (mut new, mut refused) = (0, 0);
        let table = self.by_tenant.entry(tenant.clone()).or_default();
        for span in begun {
            let heartbeat = span.heartbeat.unwrap_or(options.heartbeat);
            let until = Moment(now.0.saturating_add(heartbeat.saturating_mul(HEARTBEATS)));
            let is_known = table.contains_key(&span.key);
            if !is_known && (table.len() >= options.spans_max || self.spans >= all_max) {
                refused += 1;
                continue;
            }
            table.insert(span.key, Known { span, until });
            if !is_known {
                self.spans += 1;
                new += 1;
            }
        }
        if table.is_empty() {
            self.by_tenant.remove(tenant);
        }
        for (change, count) in [("begun", new), ("refused", refused)] {
            if count > 0 {
                CHANGES.add(&[change], count);
            }
        }
    }

    fn end(&mut self, tenant: &TenantId, ended: &[SpanKey]) {
        let Some(table) = self.by_tenant.get_mut(tenant) else { return };
        let before = table.len();
        ended.iter().for_each(|key| drop(table.remove(key)));
        let count = before - table.len();
        self.spans -= count;
        if table.is_empty() {
            self.by_tenant.remove(tenant);
        }
        if count > 0 {
            CHANGES.add(&["ended"], count as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::sim::SimClock;

    const OPTIONS: ActiveOptions =
        ActiveOptions { spans_max: 2, heartbeat: Duration::from_secs(10) };

    fn span(id: u8, heartbeat_s: Option<u64>) -> ActiveSpan {
        ActiveSpan {
            key: ([1; 16], [id; 8]),
            parent_id: None,
            service: "shop".into(),
            name: "GET /".into(),
            detail: "".into(),
            kind: 2,
            start_ns: 100 - u64::from(id),
            told_by: ToldBy::Pending,
            heartbeat: heartbeat_s.map(Duration::from_secs),
        }
    }

    fn begun(spans: impl IntoIterator<Item = ActiveSpan>) -> Changes {
        Changes { begun: spans.into_iter().collect(), ended: Vec::new() }
    }

    fn ids(active: &ActiveSpans, tenant: &TenantId) -> Vec<u8> {
        active.list(tenant).iter().map(|span| span.key.1[0]).collect()
    }

    #[test]
    fn spans_end_or_are_forgotten() {
        let clock = Arc::new(SimClock::new());
        let active = ActiveSpans::new(OPTIONS, clock.clone());
        let (one, other) = (TenantId::new("one").unwrap(), TenantId::new("other").unwrap());
        active.apply(&one, begun([span(1, None), span(2, Some(20))]));
        assert!(active.are_any(&one) && !active.are_any(&other));
        assert_eq!(ids(&active, &one), [2, 1], "the first to begin is first");
        assert_eq!(ids(&active, &other), Vec::<u8>::new());
        clock.advance(Duration::from_secs(29));
        assert_eq!(ids(&active, &one), [2, 1]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(ids(&active, &one), [2], "three times ten seconds are over");
        active.apply(&one, Changes { begun: Vec::new(), ended: vec![span(2, None).key] });
        assert!(!active.are_any(&one));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let active = ActiveSpans::new(OPTIONS, Arc::new(SimClock::new()));
        let tenant = |number: usize| TenantId::new(&format!("t{number}")).unwrap();
        active
            .apply(&tenant(0), begun([span(1, None), span(2, None), span(3, None), span(1, None)]));
        assert_eq!(ids(&active, &tenant(0)), [2, 1]);
        for number in 1..TABLES * 2 {
            active.apply(&tenant(number), begun([span(1, None), span(2, None)]));
        }
        let spans = (0..TABLES * 2).map(|number| active.list(&tenant(number)).len()).sum::<usize>();
        assert_eq!(spans, 2 * TABLES);
        active.apply(&tenant(0), Changes { begun: vec![], ended: vec![span(1, None).key] });
        active.apply(&tenant(99), begun([span(1, None), span(2, None)]));
        assert_eq!(ids(&active, &tenant(99)), [1]);
    }

    #[test]
    fn texts_are_kept_up_to_a_length() {
        assert_eq!(&*kept("a"), "a");
        let long = "가".repeat(TEXT_MAX);
        assert_eq!(kept(&long).len(), TEXT_MAX / 3 * 3);
    }
}
