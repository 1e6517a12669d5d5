//! All destinations: taken over from a configuration, stopped, shown.
//!
//! Invariant: a destination that a reload leaves as it was goes on undisturbed.

use crate::destination::Destination;
use crate::position::remove_others;
use crate::queue::{DestinationView, Queue, Viewer};
use crate::shard::lock;
use metric_store::MetricStore;
use model::TenantId;
use observe::Notice;
use platform::{Clock, Disk};
use std::io;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use wal::Log;

/// Why a destination can't be sent to.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("remote_write to {destination:?}: {error}")]
    Client { destination: String, error: outbound::Error },
    #[error("the position of the destination {destination:?} can't be read or written: {error}")]
    Position { destination: String, error: io::Error },
    #[error("a mistake in this program; the server's log says more")]
    Panicked,
}

/// Where samples come from, and the machine.
#[derive(Clone, Debug)]
pub struct Source {
    pub wal: Arc<Log>,
    pub store: MetricStore,
    pub tenant: TenantId,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub runtime: Handle,
    /// Bytes of the write-ahead log that are kept for a destination.
    pub backlog_max: u64,
}

/// A destination that left within this time when it was replaced.
const LEAVE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Senders {
    source: Source,
    running: Mutex<Vec<Queue>>,
    shown: StdMutex<Vec<Viewer>>,
}

impl Senders {
    pub fn new(source: Source) -> Self {
        Self { source, running: Mutex::default(), shown: StdMutex::default() }
    }

    /// Sends to these from now on. After an error those that could be begun are at work.
    pub async fn apply(&self, destinations: Vec<Destination>) -> Result<(), SendError> {
        let mut running = self.running.lock().await;
        let names: Vec<String> = destinations.iter().map(|one| one.name.clone()).collect();
        let disk = Arc::clone(&self.source.disk);
        let tidying = move || remove_others(&*disk, &names);
        let mut before = std::mem::take(&mut *running);
        let mut failed = None;
        for destination in destinations {
            let at = before.iter().position(|queue| queue.destination.name == destination.name);
            match at.map(|at| before.swap_remove(at)) {
                Some(same) if *same.destination == destination => {
                    running.push(same);
                    continue;
                }
                Some(other) => other.stop(LEAVE).await,
                None => {}
            }
            match self.start(destination).await {
                Ok(queue) => running.push(queue),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for gone in before {
            gone.stop(LEAVE).await;
        }
        *lock(&self.shown) = running.iter().map(Queue::viewer).collect();
        let tidied = tokio::task::spawn_blocking(tidying).await;
        if let Err(error) = tidied.unwrap_or_else(|error| Err(io::Error::other(error))) {
            let text = "positions of former destinations of remote_write can't be removed";
            Notice::warn(text, &[("error", &error)]);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn start(&self, destination: Destination) -> Result<Queue, SendError> {
        let source = self.source.clone();
        let (name, url) = (destination.name.clone(), destination.url.authority());
        let begin = move || Queue::start(destination, &source);
        let begun = tokio::task::spawn_blocking(begin).await;
        let queue = begun.map_err(|_| SendError::Panicked)??;
        Notice::info("sending samples on", &[("destination", &name), ("to", &url)]);
        Ok(queue)
    }

    /// Sends what was read, as long as it may take, and ends.
    pub async fn stop(&self, grace: Duration) {
        let all = std::mem::take(&mut *self.running.lock().await);
        let stopping: Vec<_> =
            all.into_iter().map(|queue| tokio::spawn(queue.stop(grace))).collect();
        for queue in stopping {
            let _ = queue.await;
        }
    }

    /// Whose samples are sent.
    pub fn tenant(&self) -> &TenantId {
        &self.source.tenant
    }

    pub fn views(&self) -> Vec<DestinationView> {
        lock(&self.shown).iter().map(Viewer::view).collect()
    }
}
