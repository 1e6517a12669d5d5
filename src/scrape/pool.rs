//! The targets of one job at work: found, scraped again and again, ended.
//!
//! Invariants: a target's series are ended when it is gone, and not when the server stops; a scrape that
//! is under way when its target goes is dropped whole.

use crate::config::Job;
use crate::discovery::{Found, Watch};
use crate::fetch::{Fetcher, ScrapeError};
use crate::page::{Interned, Metadata, PageCounts};
use crate::schedule::Schedule;
use crate::scraper::{Scrape, Scraper};
use crate::store::Destination;
use crate::target::{self, Outcome, Target};
use crate::telemetry;
use metric_store::MetricBatch;
use model::Labels;
use observe::Notice;
use platform::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Changes of discoveries are collected for so long.
const SETTLE: Duration = Duration::from_millis(500);
/// Pages of this size or more are read on a thread that may take its time.
const LARGE_BYTES: usize = 256 << 10;
/// Without keep_dropped_targets.
const DROPPED_MAX: usize = 10_000;

/// What all pools share.
#[derive(Debug)]
pub(crate) struct Scraping {
    pub(crate) destination: Destination,
    pub(crate) clock: Arc<dyn Clock>,
    /// Scrapes that may be under way at once.
    pub(crate) scrapes: Semaphore,
    /// Pages that may be read and stored at once: each holds a batch.
    pub(crate) storing: Semaphore,
    /// Spreads the targets of this server otherwise than those of another.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How a target's last scrape went.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub health: Health,
    /// In words; empty where there was none.
    pub error: String,
    /// `None`: not scraped yet.
    pub at_ms: Option<i64>,
    pub took_seconds: f64,
    pub metadata: Arc<Metadata>,
}

/// A target as it is seen from outside.
#[derive(Debug)]
pub struct ActiveTarget {
    pub target: Arc<Target>,
    status: Mutex<Status>,
}

impl ActiveTarget {
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }
}

/// A job's targets as they are seen from outside.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    pub active: Vec<Arc<ActiveTarget>>,
    /// As they were discovered; no more than are kept.
    pub dropped: Vec<Labels>,
    pub dropped_count: usize,
    /// Why targets can't be made or discoveries not be asked.
    pub failures: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a job's targets share.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) job: Arc<Job>,
    fetcher: Fetcher,
    scraping: Arc<Scraping>,
    interned: Arc<Interned>,
    /// The metadata of the target that changed last: others mostly have the same.
    metadata: Mutex<Arc<Metadata>>,
    /// How many targets there are where that is more than allowed.
    over_limit: Mutex<Option<usize>>,
    view: Mutex<PoolView>,
}

/// How a pool ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// The job is gone: its series end.
    Gone,
    /// The server stops, or another pool goes on with the job.
    Leave,
}

/// A pool at work.
#[derive(Debug)]
pub(crate) struct RunningPool {
    pub(crate) pool: Arc<Pool>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<Vec<Scraper>>,
}

impl RunningPool {
    /// `earlier` are the scrapers of the pool that had the job before.
    pub(crate) fn start(pool: Pool, earlier: Vec<Scraper>) -> Self {
        let pool = Arc::new(pool);
        let (stop, stopped) = watch::channel(Stop::No);
        let runner = Runner { pool: Arc::clone(&pool), running: HashMap::new() };
        let task = tokio::spawn(runner.run(stopped, earlier));
        Self { pool, stop, task }
    }

    /// The job is gone.
    pub(crate) async fn end(self) {
        self.stop.send_replace(Stop::Gone);
        let _ = self.task.await;
    }

    /// Answers what is known of the targets, for a pool that goes on with them.
    pub(crate) async fn leave(self) -> Vec<Scraper> {
        self.stop.send_replace(Stop::Leave);
        self.task.await.unwrap_or_default()
    }
}

impl Pool {
    pub(crate) fn new(job: Arc<Job>, fetcher: Fetcher, scraping: Arc<Scraping>) -> Self {
        Self {
            job,
            fetcher,
            scraping,
            interned: Arc::default(),
            metadata: Mutex::default(),
            over_limit: Mutex::default(),
            view: Mutex::default(),
        }
    }

    pub(crate) fn view(&self) -> PoolView {
        lock(&self.view).clone()
    }

    fn scraper(&self, target: &Arc<Target>) -> Scraper {
        let limits = self.scraping.destination.labels;
        let extra = self.job.extra_metrics;
        Scraper::new(Arc::clone(target), extra, limits, Arc::clone(&self.interned))
    }

    /// What the targets of the groups are now, and which of them are new.
    fn targets(&self, found: &Found) -> (HashMap<Vec<u8>, Target>, PoolView) {
        let mut targets = HashMap::new();
        let mut view = PoolView::default();
        let kept = match self.job.keep_dropped_targets {
            0 => DROPPED_MAX,
            kept => kept,
        };
        let failures = found.failures.iter();
        view.failures = failures.map(|(kind, message)| format!("{kind}: {message}")).collect();
        for outcome in found.groups().flat_map(|group| target::of_group(&self.job, group)) {
            match outcome {
                Outcome::Kept(target) => {
                    targets.entry(target.key.clone()).or_insert(target);
                }
                Outcome::Dropped(labels) => {
                    view.dropped_count += 1;
                    if view.dropped.len() < kept {
                        view.dropped.push(labels);
                    }
                }
                Outcome::Wrong(message) => view.failures.push(message),
            }
        }
        (targets, view)
    }

    fn limit_error(&self) -> Option<ScrapeError> {
        let limit = self.job.target_limit;
        lock(&self.over_limit).map(|found| ScrapeError::TargetLimit { found, limit })
    }

    fn shared(&self, metadata: &Arc<Metadata>) -> Arc<Metadata> {
        let mut last = lock(&self.metadata);
        if **last != **metadata {
            *last = Arc::clone(metadata);
        }
        Arc::clone(&last)
    }
}

/// A target at work.
#[derive(Debug)]
struct RunningTarget {
    active: Arc<ActiveTarget>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Option<Scraper>>,
}

struct Runner {
    pool: Arc<Pool>,
    running: HashMap<Vec<u8>, RunningTarget>,
}

impl Runner {
    async fn run(mut self, mut stop: watch::Receiver<Stop>, earlier: Vec<Scraper>) -> Vec<Scraper> {
        let job = Arc::clone(&self.pool.job);
        let mut watch = Watch::start(&job.name, &job.discoveries);
        let mut earlier: HashMap<Vec<u8>, Scraper> =
            earlier.into_iter().map(|scraper| (scraper.target.key.clone(), scraper)).collect();
        loop {
            self.sync(&watch.found(), &mut earlier).await;
            tokio::select! {
                _ = stop.changed() => break,
                () = watch.changed() => {
                    tokio::select! {
                        _ = stop.changed() => break,
                        () = tokio::time::sleep(SETTLE) => {}
                    }
                }
            }
        }
        let all: Vec<RunningTarget> = self.running.drain().map(|(_, target)| target).collect();
        let mut scrapers = stopped(all).await;
        scrapers.extend(earlier.into_values());
        if *stop.borrow() == Stop::Gone {
            self.end(std::mem::take(&mut scrapers)).await;
        }
        scrapers
    }

    /// Starts targets that are new and ends those that are gone.
    async fn sync(&mut self, found: &Found, earlier: &mut HashMap<Vec<u8>, Scraper>) {
        let (targets, mut view) = self.pool.targets(found);
        let limit = self.pool.job.target_limit;
        let over = (limit > 0 && targets.len() > limit).then_some(targets.len());
        *lock(&self.pool.over_limit) = over;
        let gone: Vec<Vec<u8>> =
            self.running.keys().filter(|key| !targets.contains_key(*key)).cloned().collect();
        let gone = gone.iter().filter_map(|key| self.running.remove(key)).collect();
        for (key, target) in targets {
            if !self.running.contains_key(&key) {
                let scraper = self.scraper_of(target, earlier);
                self.running.insert(key, start(&self.pool, scraper));
            }
        }
        view.active = self.running.values().map(|target| Arc::clone(&target.active)).collect();
        view.active.sort_by(|left, right| left.target.key.cmp(&right.target.key));
        *lock(&self.pool.view) = view;
        let mut gone = stopped(gone).await;
        // What a pool before this one had and this one does not.
        if !found.is_empty() {
            gone.extend(earlier.drain().map(|(_, scraper)| scraper));
        }
        self.end(gone).await;
    }

    /// What was known of the target before a reload is known on.
    fn scraper_of(&self, target: Target, earlier: &mut HashMap<Vec<u8>, Scraper>) -> Scraper {
        let before = earlier.remove(&target.key);
        let mut scraper = self.pool.scraper(&Arc::new(target));
        if let Some(mut before) = before {
            before.pages.forget_meanings();
            scraper.pages = before.pages;
        }
        scraper
    }

    async fn end(&self, mut gone: Vec<Scraper>) {
        if gone.is_empty() {
            return;
        }
        let scraping = &self.pool.scraping;
        let mut batch = scraping.destination.batch();
        let at_ms = scraping.clock.wall_ms();
        gone.iter_mut().for_each(|scraper| scraper.end(at_ms, &mut batch));
        if let Err(error) = scraping.destination.commit(batch).await {
            let text = "series of targets that are gone could not be ended";
            Notice::warn(text, &[("job", &self.pool.job.name), ("error", &error)]);
        }
    }
}

async fn stopped(targets: Vec<RunningTarget>) -> Vec<Scraper> {
    for target in &targets {
        target.stop.send_replace(true);
    }
    let mut scrapers = Vec::new();
    for target in targets {
        scrapers.extend(target.task.await.ok().flatten());
    }
    scrapers
}

fn start(pool: &Arc<Pool>, scraper: Scraper) -> RunningTarget {
    let target = Arc::clone(&scraper.target);
    let active = Arc::new(ActiveTarget { target, status: Mutex::default() });
    let (stop, stopped) = watch::channel(false);
    let running =
        TargetRun { pool: Arc::clone(pool), active: Arc::clone(&active), scraper: Some(scraper) };
    let task = tokio::spawn(running.run(stopped));
    RunningTarget { active, stop, task }
}

/// One target's loop.
struct TargetRun {
    pool: Arc<Pool>,
    active: Arc<ActiveTarget>,
    /// `None` only while it reads a page.
    scraper: Option<Scraper>,
}

impl TargetRun {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Option<Scraper> {
        let scraping = Arc::clone(&self.pool.scraping);
        let target = Arc::clone(&self.active.target);
        let offset_ms = target.offset_ms(scraping.seed);
        let schedule = Schedule { interval_ms: target.interval_ms, offset_ms };
        let mut after_ms = i64::MIN;
        loop {
            let now_ms = scraping.clock.wall_ms();
            // After a clock was set back, no moment is waited for that lies an interval ahead.
            let from_ms = now_ms.max(after_ms.min(now_ms.saturating_add(target.interval_ms)));
            let moment_ms = schedule.next(from_ms);
            after_ms = moment_ms + 1;
            let wait = Duration::from_millis((moment_ms - now_ms).unsigned_abs());
            tokio::select! {
                _ = stop.changed() => return self.scraper,
                () = tokio::time::sleep(wait) => {}
            }
            let fetched = tokio::select! {
                _ = stop.changed() => return self.scraper,
                fetched = self.fetch(schedule, moment_ms) => fetched,
            };
            self.take(fetched).await;
        }
    }

    async fn fetch(&self, schedule: Schedule, moment_ms: i64) -> Fetching {
        let scraping = &self.pool.scraping;
        let _turn = scraping.scrapes.acquire().await;
        let at_ms = schedule.stored(moment_ms, scraping.clock.wall_ms());
        let began = scraping.clock.now();
        let outcome = match self.pool.limit_error() {
            Some(error) => Err(error),
            None => self.pool.fetcher.fetch(&self.active.target).await,
        };
        let took_seconds = scraping.clock.now().since(began).as_secs_f64();
        Fetching { at_ms, took_seconds, outcome }
    }

    async fn take(&mut self, fetched: Fetching) {
        let (at_ms, took_seconds) = (fetched.at_ms, fetched.took_seconds);
        let Some(scraper) = self.scraper.take() else { return };
        let scraping = Arc::clone(&self.pool.scraping);
        let _turn = scraping.storing.acquire().await;
        let is_large = fetched.outcome.as_ref().is_ok_and(|page| page.body().len() >= LARGE_BYTES);
        let destination = scraping.destination.clone();
        let read = move || fetched.read(scraper, &destination);
        let read = match is_large {
            true => tokio::task::spawn_blocking(read).await.ok(),
            false => Some(read()),
        };
        let Some((scraper, batch, outcome)) = read else { return self.lost() };
        let metadata = Arc::clone(scraper.pages.metadata());
        self.scraper = Some(scraper);
        let outcome = match (scraping.destination.commit(batch).await, outcome) {
            (Ok(refused), Ok(counts)) => Ok((counts, refused)),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), _) => Err(ScrapeError::Store(error)),
        };
        self.note((at_ms, took_seconds), outcome, &metadata);
    }

    /// Reading a page panicked, which is told in the log: the target begins anew.
    fn lost(&mut self) {
        self.scraper = Some(self.pool.scraper(&self.active.target));
    }

    fn note(
        &self,
        (at_ms, took_seconds): (i64, f64),
        outcome: Result<(PageCounts, Option<String>), ScrapeError>,
        metadata: &Arc<Metadata>,
    ) {
        telemetry::note(&outcome);
        let (health, error) = match outcome {
            Ok((_, refused)) => (Health::Up, refused.unwrap_or_default()),
            Err(error) => (Health::Down, error.to_string()),
        };
        let mut status = lock(&self.active.status);
        if !Arc::ptr_eq(&status.metadata, metadata) {
            status.metadata = self.pool.shared(metadata);
        }
        (status.health, status.error) = (health, error);
        (status.at_ms, status.took_seconds) = (Some(at_ms), took_seconds);
    }
}

/// What came of asking a target.
struct Fetching {
    at_ms: i64,
    took_seconds: f64,
    outcome: Result<crate::fetch::Fetched, ScrapeError>,
}

impl Fetching {
    fn read(
        self,
        mut scraper: Scraper,
        destination: &Destination,
    ) -> (Scraper, MetricBatch, Result<PageCounts, ScrapeError>) {
        let Self { at_ms, took_seconds, outcome } = self;
        let page = match &outcome {
            Ok(page) => Ok((page.format, page.body())),
            Err(error) => Err(error.clone()),
        };
        let scrape = Scrape { at_ms, took_seconds, page };
        let (batch, outcome) = scraper.store(scrape, || destination.batch());
        (scraper, batch, outcome)
    }
}
