//! The Alertmanagers of all tenants: engines, the time that drives them, deliveries, the file.
//!
//! Each tenant that has alerts or silences has an engine and a task that looks at it when something is
//! due. Deliveries are tasks of their own: an integration that hangs holds up nothing but its own group,
//! and only so many deliveries of an integration are under way at once.
//!
//! Lives here: tenants, alerts and silences on their way in, the stop. `loaded`: a configuration with
//! its templates; `deliver`: a delivery, tried until it succeeds or its time ends.
//! Invariants: no lock is held across a send or a write; what was told is recorded before the engine
//! knows it.

mod deliver;
mod loaded;

pub use deliver::Deliver;
pub use loaded::{ConfigFile, LoadError, Loaded};

use crate::engine::{
    ALERTS_MAX, AlertView, Engine, Flush, GroupView, NotificationLog, Now, Silence, SilenceError,
    Silences, ToldAlert, Wanted, Watchdog,
};
use crate::records::{Record, RecordFile, Recorder};
use crate::telemetry::{ACTIVE_ALERTS, ALERTS, GROUPS};
use deliver::Lanes;
use model::{Alert, TenantId};
use observe::Notice;
use platform::{Clock, Disk, Random};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Tenants with alerts or silences.
const TENANTS_MAX: usize = 1_000;

/// What the Alertmanagers are made of.
#[derive(Debug)]
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub disk: Arc<dyn Disk>,
    pub deliver: Arc<dyn Deliver>,
    pub loaded: Loaded,
    /// The alert that must keep coming, and how long it may stay away.
    pub watchdog: Option<(String, i64)>,
    /// Where tasks run.
    pub runtime: Handle,
}

#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    #[error("there are {TENANTS_MAX} tenants with alerts already")]
    TooManyTenants,
    #[error("{0} alerts were dropped: the tenant has as many as are kept ({ALERTS_MAX})")]
    TooManyAlerts(usize),
    #[error(transparent)]
    Silence(#[from] SilenceError),
    #[error("it could not be written to the disk: {0}")]
    Record(String),
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Alertmanagers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    runtime: Handle,
    deliver: Arc<dyn Deliver>,
    watchdog: Option<(String, i64)>,
    loaded: RwLock<Loaded>,
    tenants: Mutex<BTreeMap<TenantId, Arc<Tenant>>>,
    /// `None` once stopped.
    recorder: Mutex<Option<Arc<Recorder>>>,
    is_stopping: AtomicBool,
    stopping: Notify,
    under_way: AtomicUsize,
    ended: Notify,
}

#[derive(Debug)]
struct Tenant {
    id: TenantId,
    engine: Mutex<Engine>,
    lanes: Lanes,
    wake: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alertmanagers {
    /// Reads what was recorded before, and begins. Blocking.
    pub fn open(parts: Parts) -> io::Result<Self> {
        let Parts { clock, random, disk, deliver, loaded, watchdog, runtime } = parts;
        let (file, records) = RecordFile::open(disk, clock.wall_ms())?;
        let recorder = Recorder::start(file, Arc::clone(&clock))?;
        let shared = Arc::new(Shared {
            clock,
            random,
            runtime,
            deliver,
            watchdog,
            loaded: RwLock::new(loaded),
            tenants: Mutex::default(),
            recorder: Mutex::new(Some(Arc::new(recorder))),
            is_stopping: AtomicBool::new(false),
            stopping: Notify::new(),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
        });
        for (tenant, (silences, log)) in by_tenant(records) {
            shared.add_tenant(&tenant, silences, log);
        }
        if shared.watchdog.is_some() {
            // A watchdog that never came must be missed as well.
            let _ = shared.tenant(&TenantId::default_tenant());
        }
        Ok(Self(shared))
    }

    /// Takes alerts that rules raised.
    pub fn put(&self, tenant: &TenantId, alerts: Vec<Alert>) {
        let told = |alert| ToldAlert { alert, has_start: true, has_end: true };
        let told = alerts.into_iter().map(told).collect();
        if let Err(error) = self.tell(tenant, told) {
            Notice::error("alerts of rules were dropped", &[("tenant", tenant), ("error", &error)]);
        }
    }

    /// Takes alerts as a sender told them.
    pub fn tell(&self, tenant: &TenantId, told: Vec<ToldAlert>) -> Result<(), AlertingError> {
        let known = self.0.tenant(tenant)?;
        let now = self.0.now();
        let ended = told.iter().filter(|one| one.has_end && one.alert.ends_at_ms <= now.wall_ms);
        let (all, ended) = (told.len(), ended.count());
        let refused = locked(&known.engine).put(now, told);
        ALERTS.add(&["firing"], (all - ended) as u64);
        ALERTS.add(&["resolved"], ended as u64);
        known.wake.notify_one();
        if refused > 0 {
            ALERTS.add(&["refused"], refused as u64);
            return Err(AlertingError::TooManyAlerts(refused));
        }
        Ok(())
    }

    /// The configuration as it is, without secrets.
    pub fn config_text(&self) -> String {
        self.0.loaded().config.text.clone()
    }

    /// The configuration that holds now.
    pub fn loaded(&self) -> Loaded {
        self.0.loaded()
    }

    /// Another configuration for all tenants.
    pub fn reload(&self, loaded: Loaded) {
        let config = Arc::clone(&loaded.config);
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        for tenant in self.0.tenants() {
            locked(&tenant.engine).reload(self.0.now(), Arc::clone(&config));
            tenant.wake.notify_one();
        }
    }

    pub fn alerts(&self, tenant: &TenantId, wanted: &Wanted) -> Vec<AlertView> {
        let now = self.0.now();
        let known = self.0.known(tenant);
        known.map_or_else(Vec::new, |t| locked(&t.engine).view_alerts(wanted, now.wall_ms))
    }

    pub fn groups(&self, tenant: &TenantId, wanted: &Wanted) -> Vec<GroupView> {
        let now = self.0.now();
        let known = self.0.known(tenant);
        known.map_or_else(Vec::new, |t| locked(&t.engine).view_groups(wanted, now.wall_ms))
    }

    pub fn silences(&self, tenant: &TenantId) -> Vec<Silence> {
        let known = self.0.known(tenant);
        known.map_or_else(Vec::new, |t| locked(&t.engine).silences.iter().cloned().collect())
    }

    pub fn silence(&self, tenant: &TenantId, id: &str) -> Option<Silence> {
        locked(&self.0.known(tenant)?.engine).silences.get(id).cloned()
    }

    /// Sets a silence; answers its id when it is on the disk.
    pub async fn set_silence(
        &self,
        tenant: &TenantId,
        silence: Silence,
    ) -> Result<String, AlertingError> {
        let known = self.0.tenant(tenant)?;
        let now_ms = self.0.now().wall_ms;
        let new_id = || uuid(self.0.random.next_u128());
        let change = locked(&known.engine).silences.plan(silence, now_ms, new_id)?;
        let records = change.silences().cloned();
        let records = records.map(|silence| Record::Silence(tenant.clone(), silence)).collect();
        self.0.record(records).await.map_err(AlertingError::Record)?;
        let id = change.set.id.clone();
        let mut engine = locked(&known.engine);
        change.silences().for_each(|silence| engine.silences.put(silence.clone()));
        Ok(id)
    }

    pub async fn end_silence(&self, tenant: &TenantId, id: &str) -> Result<(), AlertingError> {
        let missing = || SilenceError::NotFound(id.to_owned());
        let known = self.0.known(tenant).ok_or_else(missing)?;
        let now_ms = self.0.now().wall_ms;
        let ended = locked(&known.engine).silences.plan_end(id, now_ms)?;
        let Some(ended) = ended else { return Ok(()) };
        let record = Record::Silence(tenant.clone(), ended.clone());
        self.0.record(vec![record]).await.map_err(AlertingError::Record)?;
        locked(&known.engine).silences.put(ended);
        Ok(())
    }

    /// Begins no further deliveries, waits for those that are under way, and closes the file.
    pub async fn stop(&self, grace: Duration) {
        self.0.is_stopping.store(true, SeqCst);
        self.0.stopping.notify_waiters();
        self.0.tenants().iter().for_each(|tenant| tenant.wake.notify_one());
        let drained = async {
            loop {
                let ended = self.0.ended.notified();
                if self.0.under_way.load(SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            let left = self.0.under_way.load(SeqCst);
            let text = "notifications were still under way when the server stopped: they are sent again after the next start";
            Notice::warn(text, &[("groups", &left)]);
        }
        let recorder = locked(&self.0.recorder).take();
        // Its thread ends when the last user is gone; that is waited for elsewhere.
        let _ = tokio::task::spawn_blocking(move || drop(recorder)).await;
    }

    pub fn now_ms(&self) -> i64 {
        self.0.now().wall_ms
    }
}

impl Shared {
    fn now(&self) -> Now {
        let steady_ms = i64::try_from(self.clock.now().0.as_millis()).unwrap_or(i64::MAX);
        Now { wall_ms: self.clock.wall_ms(), steady_ms }
    }

    fn loaded(&self) -> Loaded {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tenants(&self) -> Vec<Arc<Tenant>> {
        locked(&self.tenants).values().cloned().collect()
    }

    fn known(&self, tenant: &TenantId) -> Option<Arc<Tenant>> {
        locked(&self.tenants).get(tenant).cloned()
    }

    /// The tenant, made where it has nothing yet.
    fn tenant(self: &Arc<Self>, tenant: &TenantId) -> Result<Arc<Tenant>, AlertingError> {
        if let Some(known) = self.known(tenant) {
            return Ok(known);
        }
        if locked(&self.tenants).len() >= TENANTS_MAX {
            return Err(AlertingError::TooManyTenants);
        }
        Ok(self.add_tenant(tenant, Silences::default(), NotificationLog::default()))
    }

    fn add_tenant(
        self: &Arc<Self>,
        id: &TenantId,
        silences: Silences,
        log: NotificationLog,
    ) -> Arc<Tenant> {
        let mut tenants = locked(&self.tenants);
        if let Some(known) = tenants.get(id) {
            return Arc::clone(known);
        }
        let is_watched = *id == TenantId::default_tenant();
        let watchdog = self.watchdog.as_ref().filter(|_| is_watched);
        let watchdog = watchdog.map(|(name, timeout_ms)| Watchdog::new(name, *timeout_ms));
        let engine = Engine::new(self.loaded().config, silences, log).with_watchdog(watchdog);
        let (lanes, wake) = (Lanes::default(), Notify::new());
        let tenant = Arc::new(Tenant { id: id.clone(), engine: Mutex::new(engine), lanes, wake });
        tenants.insert(id.clone(), Arc::clone(&tenant));
        drop(tenants);
        self.runtime.spawn(drive(Arc::clone(self), Arc::clone(&tenant)));
        tenant
    }

    async fn record(&self, records: Vec<Record>) -> Result<(), String> {
        let recorder = locked(&self.recorder).clone();
        match recorder {
            Some(recorder) => recorder.record(records).await,
            None => Err("the server is stopping".to_owned()),
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(SeqCst)
    }
}

/// Looks at a tenant's engine whenever something is due, until the server stops.
async fn drive(shared: Arc<Shared>, tenant: Arc<Tenant>) {
    let mut counted = (0, 0);
    while !shared.is_stopping() {
        let now = shared.now();
        let (flushes, due_at_ms) = {
            let mut engine = locked(&tenant.engine);
            let flushes = engine.due(now);
            counted = count(counted, &engine);
            (flushes, engine.due_at_ms())
        };
        for flush in flushes {
            begin(&shared, &tenant, flush);
        }
        /// Beyond the clock's fineness, and far below any interval.
        const LEAST_MS: i64 = 1;
        /// A wake-up more now and then costs nothing.
        const MOST_MS: i64 = 60_000;
        let wait_ms = due_at_ms.saturating_sub(now.steady_ms).clamp(LEAST_MS, MOST_MS);
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = tenant.wake.notified() => {}
        }
    }
}

fn begin(shared: &Arc<Shared>, tenant: &Arc<Tenant>, flush: Flush) {
    if flush.deliveries.is_empty() {
        locked(&tenant.engine).flushed(&flush, true);
        return;
    }
    shared.under_way.fetch_add(1, SeqCst);
    let (shared, tenant) = (Arc::clone(shared), Arc::clone(tenant));
    tokio::spawn(async move {
        let is_told = deliver::all(&shared, &tenant, &flush).await;
        locked(&tenant.engine).flushed(&flush, is_told);
        tenant.wake.notify_one();
        shared.under_way.fetch_sub(1, SeqCst);
        shared.ended.notify_waiters();
    });
}

/// Adds what a tenant's numbers of alerts and groups changed by.
fn count(before: (usize, usize), engine: &Engine) -> (usize, usize) {
    let now = (engine.alert_count(), engine.group_count());
    ACTIVE_ALERTS.add(now.0 as f64 - before.0 as f64);
    GROUPS.add(now.1 as f64 - before.1 as f64);
    now
}

fn by_tenant(records: Vec<Record>) -> BTreeMap<TenantId, (Silences, NotificationLog)> {
    let mut tenants: BTreeMap<TenantId, (Silences, NotificationLog)> = BTreeMap::new();
    for record in records {
        match record {
            Record::Silence(tenant, silence) => tenants.entry(tenant).or_default().0.put(silence),
            Record::Told(tenant, key, entry) => {
                tenants.entry(tenant).or_default().1.put(key, entry);
            }
        }
    }
    tenants
}

/// A random UUID (version 4).
fn uuid(random: u128) -> String {
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests;
