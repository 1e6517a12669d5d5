//! Open connections: how many there may be, and which of them makes room for another.
//!
//! Where all places are taken, an idle connection is closed for a new one. Where none is idle, a new
//! one is served from a small reserve: it gets the pages that need no store (health, readiness, the
//! server's own metrics), and is told to come again for everything else.

use super::connection_state::{ConnectionState, Patience};
use crate::config::LimitSettings;
use observe::Gauge;
use platform::Clock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) static CONNECTIONS_OPEN: Gauge =
    Gauge::new("mirador_http_connections_open", "Connections that are open now.");

/// Connections that are open beyond the limit, for a short time each.
const RESERVE: usize = 16;
/// How long such a connection may wait for anything.
const RESERVE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a listener that waits for a place looks for an idle connection again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a listener's connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Http,
    /// A protocol's own listener. Such connections may stay open for ever, so that together they
    /// get no more than half of the places: HTTP stays reachable.
    Protocol,
}

/// The right to one open connection.
#[derive(Debug)]
pub(crate) struct Place {
    pub(super) is_reserve: bool,
    _held: OwnedSemaphorePermit,
    _of_protocols: Option<OwnedSemaphorePermit>,
}

/// All open connections of all listeners.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    protocol_places: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Arc<ConnectionState>>>,
    next_id: AtomicU64,
    clock: Arc<dyn Clock>,
    pub(crate) patience: Patience,
}

impl Connections {
    pub(crate) fn new(limits: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        let most = limits.connections;
        let patience = Patience {
            headers: limits.header_timeout.0,
            idle: limits.idle_timeout.0,
            answer: limits.answer_timeout.0,
        };
        Self {
            places: Arc::new(Semaphore::new(most)),
            protocol_places: Arc::new(Semaphore::new((most / 2).max(1))),
            reserve: Arc::new(Semaphore::new(RESERVE)),
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            clock,
            patience,
        }
    }

    /// Waits for a place, making one where an idle connection holds it.
    pub(crate) async fn place(&self, purpose: Purpose) -> Place {
        let of_protocols = match purpose {
            Purpose::Http => None,
            Purpose::Protocol => Some(acquire(&self.protocol_places).await),
        };
        loop {
            let is_made = self.places.available_permits() > 0 || self.evict_longest_idle();
            if !is_made
                && purpose == Purpose::Http
                && let Ok(held) = Arc::clone(&self.reserve).try_acquire_owned()
            {
                return Place { is_reserve: true, _held: held, _of_protocols: None };
            }
            // An evicted connection needs a moment to go; another may be quicker to take its place.
            if let Ok(held) = tokio::time::timeout(LOOK_AGAIN, acquire(&self.places)).await {
                return Place { is_reserve: false, _held: held, _of_protocols: of_protocols };
            }
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, place: Place) -> (ConnectionGuard, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.clock)));
        let id = self.next_id.fetch_add(1, Relaxed);
        self.lock().insert(id, Arc::clone(&state));
        CONNECTIONS_OPEN.set(self.count() as f64);
        (ConnectionGuard { table: Arc::clone(self), id, place }, state)
    }

    /// How long a connection at this place may wait for what.
    pub(super) fn patience_at(&self, place: &Place) -> Patience {
        match place.is_reserve {
            true => Patience::all(RESERVE_PATIENCE.min(self.patience.headers)),
            false => self.patience,
        }
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether there was one. A connection is only evicted once.
    fn evict_longest_idle(&self) -> bool {
        let open = self.lock();
        let idle = open.values().filter_map(|state| Some((state.evictable_since()?, state)));
        let longest = idle.min_by_key(|(since, _)| *since);
        longest.inspect(|(_, state)| state.evict()).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<ConnectionState>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("the semaphores are never closed")
}

/// Leaves the table when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    table: Arc<Connections>,
    id: u64,
    pub(super) place: Place,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.table.lock().remove(&self.id);
        CONNECTIONS_OPEN.set(self.table.count() as f64);
    }
}
