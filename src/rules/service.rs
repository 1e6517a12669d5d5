//! All rule groups: what is loaded, their tasks, reloads.
//!
//! Each group is a task of its own, which sleeps until its next time slot; a bounded number of groups is
//! evaluated at once. A reload compares what is asked for with what runs: a group that stays the same
//! runs on; one that has changed takes over the state of rules that it keeps; one that is gone is
//! stopped, and its series are ended two intervals later, when a renamed group would give them again.
//!
//! Locks: `reloading` before `inner`; `inner` is never held while anything waits.

use crate::backend::Backend;
use crate::backfill::{Backfill, BackfillProgress, BackfillRange, BackfillState};
use crate::book::{BookError, RuleBook};
use crate::definition::{Group, GroupKey, Origin};
use crate::files::{FilesError, RuleFiles, load_files};
use crate::group::{Defaults, RunningGroup, end_series};
use crate::language::{Language, Languages};
use crate::restore::RestoreLimits;
use crate::rule::Surroundings;
use crate::runner::{Runner, Task};
use crate::sink::AlertSink;
use crate::telemetry::RELOADS_FAILED;
use crate::view::GroupView;
use model::{Labels, TenantId};
use observe::Notice;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What holds for all groups. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Options {
    pub languages: Languages,
    /// Where people reach the server: in links of alerts and in templates.
    pub external_url: String,
    /// The shortest time after which an alert that still fires is sent again.
    pub resend_ms: i64,
    /// For how long the server may have been away and still restore since when alerts are active.
    pub outage_ms: i64,
    /// The least that a restored alert waits before it fires.
    pub grace_ms: i64,
    /// Groups that are evaluated at the same time.
    pub groups_at_once: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            languages: Languages::default(),
            external_url: String::new(),
            resend_ms: 60_000,
            outage_ms: 3_600_000,
            grace_ms: 600_000,
            groups_at_once: 4,
        }
    }
}

/// A group to be run, with what its configuration says where it says nothing itself.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: GroupKey,
    pub(crate) group: Group,
    pub(crate) defaults: Defaults,
}

#[derive(Debug)]
pub struct Service {
    options: Options,
    backend: Arc<dyn Backend>,
    sink: Arc<dyn AlertSink>,
    turns: Arc<Semaphore>,
    reloading: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    groups: BTreeMap<GroupKey, Running>,
    /// Tasks that end series of groups that are gone.
    endings: JoinSet<()>,
    /// The last backfill.
    backfill: Option<(Arc<Backfill>, Task)>,
    /// Whose alerts need not be restored any more.
    loaded: BTreeSet<Origin>,
    is_shut: bool,
}

#[derive(Debug)]
struct Running {
    group: Arc<RunningGroup>,
    task: Task,
}

impl Service {
    pub fn new(options: Options, backend: Arc<dyn Backend>, sink: Arc<dyn AlertSink>) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::new(Semaphore::new(options.groups_at_once.max(1))),
            options,
            backend,
            sink,
            reloading: tokio::sync::Mutex::default(),
            inner: Mutex::default(),
        })
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// No panic can happen while it is held.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all rule files and runs their groups for a tenant, in the place of those that came from
    /// files before. Where a file is wrong nothing changes. Answers how many groups there are.
    pub async fn load(
        self: &Arc<Self>,
        tenant: &TenantId,
        files: Vec<RuleFiles>,
    ) -> Result<usize, FilesError> {
        // A task of its own: a caller that goes away must not leave groups stopped.
        let (service, tenant) = (Arc::clone(self), tenant.clone());
        let loaded = tokio::spawn(async move { service.load_whole(tenant, files).await }).await;
        let panicked = |error| FilesError(vec![format!("reading rule files failed: {error}")]);
        let loaded = loaded.map_err(panicked).and_then(|loaded| loaded);
        loaded.inspect_err(|_| RELOADS_FAILED.increment())
    }

    async fn load_whole(
        self: &Arc<Self>,
        tenant: TenantId,
        files: Vec<RuleFiles>,
    ) -> Result<usize, FilesError> {
        let _alone = self.reloading.lock().await;
        let service = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || service.wanted(&tenant, &files)).await;
        let panicked = |error| FilesError(vec![format!("reading rule files failed: {error}")]);
        let wanted = reading.map_err(panicked)??;
        let count = wanted.len();
        self.apply(Origin::Files, wanted).await;
        Ok(count)
    }

    fn wanted(&self, tenant: &TenantId, files: &[RuleFiles]) -> Result<Vec<Wanted>, FilesError> {
        let (mut wanted, mut errors) = (Vec::new(), Vec::new());
        for RuleFiles { globs, given, interval_ms, query_offset_ms, external_labels } in files {
            let defaults = self.defaults(*interval_ms, *query_offset_ms, external_labels);
            match load_files(globs, &self.options.languages) {
                Ok(found) => {
                    let of_file = |(file, groups): (String, Vec<Group>)| {
                        let (tenant, defaults) = (tenant.clone(), defaults.clone());
                        groups.into_iter().map(move |group| Wanted {
                            key: GroupKey {
                                tenant: tenant.clone(),
                                origin: Origin::Files,
                                file: file.clone(),
                                name: group.name.clone(),
                            },
                            group,
                            defaults: defaults.clone(),
                        })
                    };
                    wanted.extend(found.into_iter().chain(given.iter().cloned()).flat_map(of_file));
                }
                Err(FilesError(found)) => errors.extend(found),
            }
        }
        if errors.is_empty() { Ok(wanted) } else { Err(FilesError(errors)) }
    }

    pub(crate) fn defaults(
        &self,
        interval_ms: i64,
        query_offset_ms: i64,
        external_labels: &Labels,
    ) -> Defaults {
        let around = Arc::new(Surroundings {
            external_labels: external_labels.clone(),
            external_url: self.options.external_url.clone(),
            resend_ms: self.options.resend_ms,
        });
        Defaults { interval_ms: interval_ms.max(1), query_offset_ms, around }
    }

    /// Runs these groups in the place of all others of their origin. `reloading` is held.
    async fn apply(self: &Arc<Self>, origin: Origin, wanted: Vec<Wanted>) {
        let (gone, changed) = self.compare(origin, &wanted);
        for running in gone.values().chain(changed.values()) {
            running.group.stop();
        }
        let mut former = BTreeMap::new();
        for (key, Running { group, task }) in changed {
            task.end().await;
            former.insert(key, group);
        }
        for Running { group, task } in gone.into_values() {
            task.end().await;
            self.end_later(group);
        }
        let is_first = self.inner().loaded.insert(origin);
        for Wanted { key, group, defaults } in wanted {
            if self.inner().groups.contains_key(&key) {
                continue;
            }
            let group = RunningGroup::new(key.clone(), Arc::new(group), &defaults, !is_first);
            if let Some(former) = former.get(&key) {
                group.take_over(former);
            }
            self.start(Arc::new(group), is_first);
        }
    }

    /// Takes out the groups that are gone, and those that have changed.
    fn compare(
        &self,
        origin: Origin,
        wanted: &[Wanted],
    ) -> (BTreeMap<GroupKey, Running>, BTreeMap<GroupKey, Running>) {
        let by_key: BTreeMap<&GroupKey, &Wanted> =
            wanted.iter().rev().map(|one| (&one.key, one)).collect();
        let mut inner = self.inner();
        let (mut gone, mut changed) = (BTreeMap::new(), BTreeMap::new());
        for (key, running) in std::mem::take(&mut inner.groups) {
            let asked = by_key.get(&key).filter(|_| key.origin == origin);
            match asked {
                _ if key.origin != origin => drop(inner.groups.insert(key, running)),
                None => drop(gone.insert(key, running)),
                Some(asked) if running.group.is_same(&asked.group, &asked.defaults) => {
                    drop(inner.groups.insert(key, running));
                }
                Some(_) => drop(changed.insert(key, running)),
            }
        }
        (gone, changed)
    }

    fn start(self: &Arc<Self>, group: Arc<RunningGroup>, restores: bool) {
        let mut inner = self.inner();
        if inner.is_shut {
            return;
        }
        let runner = Runner {
            backend: Arc::clone(&self.backend),
            sink: Arc::clone(&self.sink),
            turns: Arc::clone(&self.turns),
            group: Arc::clone(&group),
        };
        let (outage_ms, grace_ms) = (self.options.outage_ms, self.options.grace_ms);
        let restores = restores.then_some(RestoreLimits { outage_ms, grace_ms });
        let task = Task::spawn(runner.run(restores));
        inner.groups.insert(group.key.clone(), Running { group, task });
    }

    /// Ends the series of a group that is gone, unless another gives them then.
    fn end_later(self: &Arc<Self>, group: Arc<RunningGroup>) {
        let series = group.all_orphans();
        if series.is_empty() {
            return;
        }
        let (service, time_ms) = (Arc::downgrade(self), self.backend.wall_ns() / 1_000_000);
        let ending = async move {
            let intervals = u64::try_from(group.interval_ms).unwrap_or(0).saturating_mul(2);
            tokio::time::sleep(Duration::from_millis(intervals)).await;
            let Some(service) = service.upgrade() else { return };
            let tenant = &group.key.tenant;
            let given = service.series(tenant);
            let series = series.into_iter().filter(|labels| !given.contains(labels)).collect();
            end_series(&*service.backend, tenant, series, time_ms).await;
        };
        let mut inner = self.inner();
        while inner.endings.try_join_next().is_some() {}
        inner.endings.spawn(ending);
    }

    /// All series that rules of a tenant gave last.
    fn series(&self, tenant: &TenantId) -> BTreeSet<Labels> {
        let groups: Vec<_> =
            self.inner().groups.values().map(|one| Arc::clone(&one.group)).collect();
        let of_tenant = groups.iter().filter(|group| group.key.tenant == *tenant);
        of_tenant.flat_map(|group| group.series()).collect()
    }

    /// Runs the groups that came through the API, in the place of those before. Groups that can't be
    /// read are left out and told of.
    pub async fn load_book(
        self: &Arc<Self>,
        book: &Arc<RuleBook>,
        language: Language,
        configured: &RuleFiles,
    ) -> Result<(), BookError> {
        let (service, book, configured) = (Arc::clone(self), Arc::clone(book), configured.clone());
        let work = async move { service.load_book_whole(book, language, configured).await };
        tokio::spawn(work).await.map_err(|error| BookError::Panicked(error.to_string()))?
    }

    async fn load_book_whole(
        self: &Arc<Self>,
        book: Arc<RuleBook>,
        language: Language,
        configured: RuleFiles,
    ) -> Result<(), BookError> {
        // Held while the book is read: what is read first must not be run last.
        let _alone = self.reloading.lock().await;
        let RuleFiles { interval_ms, query_offset_ms, external_labels, .. } = configured;
        let defaults = self.defaults(interval_ms, query_offset_ms, &external_labels);
        let mut wanted = Vec::new();
        let reading = tokio::task::spawn_blocking(move || book.all(language)).await;
        for found in reading.map_err(|error| BookError::Panicked(error.to_string()))?? {
            match found {
                Ok((key, group)) => {
                    wanted.push(Wanted { key, group, defaults: defaults.clone() });
                }
                Err(error) => {
                    let text = "a rule group of the API can't be read and is not evaluated";
                    Notice::error(text, &[("error", &error)]);
                }
            }
        }
        self.apply(Origin::Api(language), wanted).await;
        Ok(())
    }

    /// The groups of a tenant, in the order of their files and names.
    pub fn groups(&self, tenant: &TenantId) -> Vec<GroupView> {
        let groups: Vec<_> =
            self.inner().groups.values().map(|one| Arc::clone(&one.group)).collect();
        let of_tenant = groups.iter().filter(|group| group.key.tenant == *tenant);
        let mut views: Vec<GroupView> = of_tenant.map(|group| group.view()).collect();
        views.sort_by(|left, right| {
            (&left.key.file, &left.key.name).cmp(&(&right.key.file, &right.key.name))
        });
        views
    }

    /// Evaluates recording rules over the past, in the background. `names`: of groups; none: all groups
    /// of the tenant. `Err` says what to do.
    pub fn start_backfill(
        &self,
        tenant: &TenantId,
        range: BackfillRange,
        names: &BTreeSet<String>,
    ) -> Result<BackfillProgress, String> {
        let mut inner = self.inner();
        let is_running = |(backfill, _): &(Arc<Backfill>, Task)| {
            backfill.progress().state == BackfillState::Running
        };
        if inner.is_shut || inner.backfill.as_ref().is_some_and(is_running) {
            return Err("another backfill is running: wait for it, or stop it".to_owned());
        }
        let is_wanted = |group: &&Arc<RunningGroup>| {
            let is_named = names.is_empty() || names.contains(&group.key.name);
            group.key.tenant == *tenant && is_named
        };
        let groups = inner.groups.values().map(|one| &one.group).filter(is_wanted);
        let groups: Vec<_> = groups.cloned().collect();
        let backfill = Arc::new(Backfill::new(range, &groups)?);
        let (work, backend) = (Arc::clone(&backfill), Arc::clone(&self.backend));
        let task = Task::spawn(async move { work.run(&*backend).await });
        let progress = backfill.progress();
        inner.backfill = Some((backfill, task));
        Ok(progress)
    }

    /// How far the last backfill is; `None` where there was none.
    pub fn backfill(&self) -> Option<BackfillProgress> {
        self.inner().backfill.as_ref().map(|(backfill, _)| backfill.progress())
    }

    /// Stops the backfill after the time slot that it is at.
    pub fn stop_backfill(&self) -> Option<BackfillProgress> {
        let inner = self.inner();
        let (backfill, _) = inner.backfill.as_ref()?;
        backfill.stop();
        Some(backfill.progress())
    }

    /// Ends all tasks. What they write is whole or was never there; nothing is started any more.
    pub fn shut(&self) {
        let mut inner = self.inner();
        inner.is_shut = true;
        inner.groups.values().for_each(|running| running.group.stop());
        inner.groups.clear();
        inner.endings.abort_all();
        inner.backfill = None;
    }
}
