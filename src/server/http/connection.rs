//! Open connections: how many, which of them idle, and for how long.
//!
//! A connection is *idle* when no request of it is being answered. An idle connection is closed
//! when it was silent for the idle timeout, when a request's headers take longer than the header
//! timeout, or when it is the longest idle one and its place is needed.

use crate::config::LimitSettings;
use observe::Gauge;
use platform::{Clock, Moment};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub(super) static CONNECTIONS_OPEN: Gauge =
    Gauge::new("mirador_http_connections_open", "Connections that are open now.");

/// How long connections may wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) headers: Duration,
    pub(crate) idle: Duration,
}

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
    _of_all: OwnedSemaphorePermit,
    _of_protocols: Option<OwnedSemaphorePermit>,
}

/// All open connections of all listeners.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    protocol_places: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Arc<ConnectionState>>>,
    next_id: AtomicU64,
    clock: Arc<dyn Clock>,
    pub(crate) patience: Patience,
}

/// What is known of one connection, shared by its socket, its requests and the table.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    clock: Arc<dyn Clock>,
    in_flight: AtomicUsize,
    /// Nanoseconds on the clock of the last change between idle and busy, or of the start.
    idle_since: AtomicU64,
    /// Nanoseconds on the clock when the first byte of an unfinished request came; 0: none did.
    partial_since: AtomicU64,
    ever_busy: AtomicBool,
    is_http2: AtomicBool,
    seen_bytes: AtomicBool,
    /// The newest request has a body, of which some may not have been read.
    has_body: AtomicBool,
    evict: Notify,
}

impl Connections {
    pub(crate) fn new(limits: &LimitSettings, clock: Arc<dyn Clock>) -> Self {
        let most = limits.connections;
        let patience = Patience { headers: limits.header_timeout.0, idle: limits.idle_timeout.0 };
        Self {
            places: Arc::new(Semaphore::new(most)),
            protocol_places: Arc::new(Semaphore::new((most / 2).max(1))),
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            clock,
            patience,
        }
    }

    /// Waits for a place, making one where an idle connection holds it.
    pub(crate) async fn place(&self, purpose: Purpose) -> Place {
        const OPEN: &str = "the semaphores are never closed";
        let of_protocols = match purpose {
            Purpose::Http => None,
            Purpose::Protocol => {
                Some(Arc::clone(&self.protocol_places).acquire_owned().await.expect(OPEN))
            }
        };
        if self.places.available_permits() == 0 {
            self.evict_longest_idle();
        }
        let of_all = Arc::clone(&self.places).acquire_owned().await.expect(OPEN);
        Place { _of_all: of_all, _of_protocols: of_protocols }
    }

    pub(crate) fn enter(self: &Arc<Self>, place: Place) -> (ConnectionGuard, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.clock)));
        let id = self.next_id.fetch_add(1, Relaxed);
        self.lock().insert(id, Arc::clone(&state));
        CONNECTIONS_OPEN.set(self.count() as f64);
        (ConnectionGuard { table: Arc::clone(self), id, _place: place }, state)
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    fn evict_longest_idle(&self) {
        let open = self.lock();
        let idle = open.values().filter(|state| state.in_flight.load(Relaxed) == 0);
        if let Some(state) = idle.min_by_key(|state| state.idle_since.load(Relaxed)) {
            state.evict.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<ConnectionState>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the table when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    table: Arc<Connections>,
    id: u64,
    _place: Place,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.table.lock().remove(&self.id);
        CONNECTIONS_OPEN.set(self.table.count() as f64);
    }
}

impl ConnectionState {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = nanos(clock.now());
        Self {
            clock,
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now),
            partial_since: AtomicU64::new(0),
            ever_busy: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
            seen_bytes: AtomicBool::new(false),
            has_body: AtomicBool::new(false),
            evict: Notify::new(),
        }
    }

    /// Held while a request is being answered.
    pub(crate) fn busy(self: &Arc<Self>, has_body: bool) -> BusyGuard {
        self.has_body.store(has_body, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        self.ever_busy.store(true, Relaxed);
        self.partial_since.store(0, Relaxed);
        BusyGuard(Arc::clone(self))
    }

    /// Ends when the connection has outstayed its welcome.
    pub(crate) async fn expired(&self, patience: Patience) {
        let tick = Duration::from_millis(500).min(patience.headers);
        loop {
            tokio::select! {
                () = self.evict.notified() => return,
                () = tokio::time::sleep(tick) => {}
            }
            if self.is_expired(patience) {
                return;
            }
        }
    }

    fn is_expired(&self, patience: Patience) -> bool {
        if self.in_flight.load(Relaxed) > 0 {
            return false;
        }
        let now = nanos(self.clock.now());
        let waited =
            |since: u64, limit: Duration| now.saturating_sub(since) > limit.as_nanos() as u64;
        let partial = self.partial_since.load(Relaxed);
        let idle = self.idle_since.load(Relaxed);
        let silent_newcomer = !self.ever_busy.load(Relaxed) && !self.is_http2.load(Relaxed);
        waited(idle, patience.idle)
            || (silent_newcomer && waited(idle, patience.headers))
            || (partial > 0 && waited(partial, patience.headers))
    }

    /// Whether the next bytes can only be those of another request's head.
    pub(super) fn awaits_head(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
            && self.partial_since.load(Relaxed) == 0
            && !self.is_http2.load(Relaxed)
            && !self.has_body.load(Relaxed)
    }

    fn received(&self, bytes: &[u8]) {
        if !self.seen_bytes.swap(true, Relaxed) && bytes.starts_with(b"PRI") {
            self.is_http2.store(true, Relaxed);
        }
        // HTTP/2 talks between requests (pings, settings); its own keep-alive watches it.
        let idle = self.in_flight.load(Relaxed) == 0 && !self.is_http2.load(Relaxed);
        if idle && self.partial_since.load(Relaxed) == 0 {
            self.partial_since.store(nanos(self.clock.now()).max(1), Relaxed);
        }
    }
}

#[derive(Debug)]
pub(crate) struct BusyGuard(Arc<ConnectionState>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.idle_since.store(nanos(self.0.clock.now()), Relaxed);
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_nanos()).unwrap_or(u64::MAX)
}

/// A socket that tells its connection's state when bytes come in.
#[derive(Debug)]
pub(crate) struct WatchedSocket<S> {
    pub(crate) socket: S,
    pub(crate) state: Arc<ConnectionState>,
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.state.received(&buffer.filled()[before..]);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
