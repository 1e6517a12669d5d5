//! Starts and stops the pools of a configuration, and shows them.
//!
//! Invariants: a configuration is taken over as a whole or not at all; a job that a reload leaves as it
//! was goes on undisturbed.

use crate::config::{Config, ConfigError, Job};
use crate::fetch::Fetcher;
use crate::pool::{Pool, PoolView, RunningPool, Scraping};
use crate::store::Destination;
use crate::telemetry;
use model::{BytesHasher, Labels, TenantId};
use platform::Clock;
use relabel::Step;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Mutex, Semaphore};

/// Scrapes that wait for their targets at once: each holds a socket.
const SCRAPES_MAX: usize = 8_192;

/// Pages that are read, or wait for the write-ahead log: one sync serves many of them.
const STORING_MAX: usize = 64;

/// Why a configuration is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("job {job:?}: {error}")]
    Client { job: String, error: outbound::Error },
}

/// All that is scraped.
#[derive(Debug)]
pub struct Manager {
    scraping: Arc<Scraping>,
    running: Mutex<BTreeMap<String, RunningPool>>,
    shown: RwLock<Shown>,
}

/// What is seen from outside.
#[derive(Debug, Default)]
struct Shown {
    config: Option<Arc<Config>>,
    pools: BTreeMap<String, Arc<Pool>>,
}

impl Manager {
    pub fn new(destination: Destination, clock: Arc<dyn Clock>, host_name: &str) -> Self {
        let mut hasher = BytesHasher::default();
        hasher.write(host_name.as_bytes());
        let scraping = Scraping {
            destination,
            clock,
            scrapes: Semaphore::new(SCRAPES_MAX),
            storing: Semaphore::new(STORING_MAX),
            seed: hasher.finish(),
        };
        Self { scraping: Arc::new(scraping), running: Mutex::default(), shown: RwLock::default() }
    }

    /// Takes a configuration over that has been read, or could not be. After an error what was there goes
    /// on.
    pub async fn load(&self, read: Result<Config, ConfigError>) -> Result<Arc<Config>, ApplyError> {
        let outcome = self.try_load(read).await;
        telemetry::RELOADS.increment(&[if outcome.is_ok() { "taken" } else { "refused" }]);
        outcome
    }

    async fn try_load(&self, read: Result<Config, ConfigError>) -> Result<Arc<Config>, ApplyError> {
        let config = Arc::new(read?);
        let mut pools = Vec::new();
        for job in &config.jobs {
            let client = |error| ApplyError::Client { job: job.name.clone(), error };
            pools.push((Arc::clone(job), Fetcher::new(job).map_err(client)?));
        }
        self.apply(Arc::clone(&config), pools).await;
        Ok(config)
    }

    async fn apply(&self, config: Arc<Config>, jobs: Vec<(Arc<Job>, Fetcher)>) {
        let mut running = self.running.lock().await;
        let mut before = std::mem::take(&mut *running);
        for (job, fetcher) in jobs {
            let name = job.name.clone();
            let earlier = match before.remove(&name) {
                Some(same) if same.pool.job.fingerprint == job.fingerprint => {
                    running.insert(name, same);
                    continue;
                }
                Some(other) => other.leave().await,
                None => Vec::new(),
            };
            let pool = Pool::new(job, fetcher, Arc::clone(&self.scraping));
            running.insert(name, RunningPool::start(pool, earlier));
        }
        let pools = running.iter().map(|(name, one)| (name.clone(), Arc::clone(&one.pool)));
        let shown = Shown { config: Some(config), pools: pools.collect() };
        telemetry::POOLS.set(shown.pools.len() as f64);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        for gone in before.into_values() {
            gone.end().await;
        }
    }

    /// The server stops: nothing is scraped any more when this returns, and no series is ended.
    pub async fn stop(&self) {
        let all = std::mem::take(&mut *self.running.lock().await);
        let leaving = all.into_values().map(RunningPool::leave);
        // Each waits only for what it stores at this moment.
        for pool in leaving.map(tokio::spawn).collect::<Vec<_>>() {
            let _ = pool.await;
        }
    }

    /// Whose targets these are.
    pub fn tenant(&self) -> &TenantId {
        &self.scraping.destination.tenant
    }

    fn shown<T>(&self, look: impl FnOnce(&Shown) -> T) -> T {
        look(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration that was taken over last.
    pub fn config(&self) -> Option<Arc<Config>> {
        self.shown(|shown| shown.config.clone())
    }

    /// The names of all jobs, sorted.
    pub fn pools(&self) -> Vec<String> {
        self.shown(|shown| shown.pools.keys().cloned().collect())
    }

    pub fn job(&self, name: &str) -> Option<Arc<Job>> {
        self.shown(|shown| shown.pools.get(name).map(|pool| Arc::clone(&pool.job)))
    }

    pub fn view(&self, name: &str) -> Option<PoolView> {
        let pool = self.shown(|shown| shown.pools.get(name).cloned());
        pool.map(|pool| pool.view())
    }
}

/// What relabeling does with a target's labels as they are discovered, rule by rule.
pub fn relabel_steps<'j>(job: &'j Job, labels: &Labels) -> Vec<Step<'j>> {
    job.relabel.steps(labels)
}
