//! What is known of one connection: whether it is idle, who keeps whom waiting, and for how long.
//!
//! - A connection is *idle* when no request of it is being answered and nothing waits to be written.
//!   A request is being answered until the last piece of its answer was handed over.
//! - It is the *client's turn* while a piece of an answer was handed over and the next was not asked
//!   for: the connection asks when the client has read enough.
//!
//! A connection is closed when it was idle for the idle timeout, when a request's headers take longer
//! than the header timeout, when its client reads nothing of an answer for the answer timeout, or when
//! it is the longest idle one and its place is needed.

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use platform::{Clock, Moment};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// How long connections may wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) headers: Duration,
    pub(crate) idle: Duration,
    pub(crate) answer: Duration,
}

impl Patience {
    pub(super) fn all(same: Duration) -> Self {
        Self { headers: same, idle: same, answer: same }
    }
}

/// A connection that has not been used yet may be closed for another after this long.
const NEW_FOR: Duration = Duration::from_secs(1);
/// What every HTTP/2 connection begins with, and the head of the frame that must follow.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;

/// Shared by a connection's socket, its requests and the table of connections.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    clock: Arc<dyn Clock>,
    /// Requests that are being answered.
    in_flight: AtomicUsize,
    /// Answers whose next piece the client must make room for.
    clients_turns: AtomicUsize,
    /// Nanoseconds on the clock of the last change between idle and busy, of the last piece of an
    /// answer, or of the start.
    moved_at: AtomicU64,
    /// Nanoseconds on the clock when the first byte of an unfinished request came; 0: none did.
    partial_since: AtomicU64,
    /// Bytes that were written since the connection's buffer was last empty.
    is_unflushed: AtomicBool,
    ever_busy: AtomicBool,
    /// How far the first bytes are those of HTTP/2.
    preface: AtomicUsize,
    /// The newest request has a body, of which some may not have been read.
    has_body: AtomicBool,
    is_evicted: AtomicBool,
    evicted: Notify,
}

/// The preface and the head of a frame came, or something else did.
const IS_HTTP2: usize = PREFACE.len() + FRAME_HEAD;
const IS_HTTP1: usize = usize::MAX;

impl ConnectionState {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = nanos(clock.now());
        Self {
            clock,
            in_flight: AtomicUsize::new(0),
            clients_turns: AtomicUsize::new(0),
            moved_at: AtomicU64::new(now),
            partial_since: AtomicU64::new(0),
            is_unflushed: AtomicBool::new(false),
            ever_busy: AtomicBool::new(false),
            preface: AtomicUsize::new(0),
            has_body: AtomicBool::new(false),
            is_evicted: AtomicBool::new(false),
            evicted: Notify::new(),
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

    /// Ends when the connection is to be closed.
    pub(crate) async fn expired(&self, patience: Patience) {
        let tick = Duration::from_millis(500).min(patience.headers);
        loop {
            tokio::select! {
                () = self.evicted.notified() => return,
                () = tokio::time::sleep(tick) => {}
            }
            if self.is_expired(patience) {
                return;
            }
        }
    }

    /// Since when it is idle; `None` where it must not be closed for another.
    pub(super) fn evictable_since(&self) -> Option<u64> {
        let since = self.moved_at.load(Relaxed);
        let is_new = !self.ever_busy.load(Relaxed) && !self.waited(since, NEW_FOR);
        let is_evictable = self.is_idle() && !is_new && !self.is_evicted.load(Relaxed);
        is_evictable.then_some(since)
    }

    pub(super) fn evict(&self) {
        self.is_evicted.store(true, Relaxed);
        self.evicted.notify_one();
    }

    fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && !self.is_unflushed.load(Relaxed)
    }

    fn waited(&self, since: u64, limit: Duration) -> bool {
        let waited = nanos(self.clock.now()).saturating_sub(since);
        u128::from(waited) > limit.as_nanos()
    }

    fn is_expired(&self, patience: Patience) -> bool {
        let moved_at = self.moved_at.load(Relaxed);
        let in_flight = self.in_flight.load(Relaxed);
        if in_flight > 0 || self.is_unflushed.load(Relaxed) {
            // Where only some answers wait for their client, the connection is in use.
            let waits_for_client = self.clients_turns.load(Relaxed) >= in_flight;
            return waits_for_client && self.waited(moved_at, patience.answer);
        }
        let partial = self.partial_since.load(Relaxed);
        let silent_newcomer = !self.ever_busy.load(Relaxed) && !self.is_http2();
        self.waited(moved_at, patience.idle)
            || (silent_newcomer && self.waited(moved_at, patience.headers))
            || (partial > 0 && self.waited(partial, patience.headers))
    }

    fn is_http2(&self) -> bool {
        self.preface.load(Relaxed) == IS_HTTP2
    }

    /// Whether the next bytes can only be those of another request's head.
    pub(super) fn awaits_head(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
            && self.partial_since.load(Relaxed) == 0
            && matches!(self.preface.load(Relaxed), 0 | IS_HTTP1)
            && !self.has_body.load(Relaxed)
    }

    fn received(&self, bytes: &[u8]) {
        self.look_for_preface(bytes);
        // HTTP/2 talks between requests (pings, settings); its own keep-alive watches it.
        let idle = self.in_flight.load(Relaxed) == 0 && !self.is_http2();
        if idle && self.partial_since.load(Relaxed) == 0 {
            self.partial_since.store(nanos(self.clock.now()).max(1), Relaxed);
        }
    }

    /// A client that only begins to speak HTTP/2 has no more time than one that begins a request.
    fn look_for_preface(&self, bytes: &[u8]) {
        let seen = self.preface.load(Relaxed);
        if seen >= IS_HTTP2 {
            return;
        }
        let expected = PREFACE.get(seen..).unwrap_or_default();
        let compared = expected.len().min(bytes.len());
        if expected[..compared] != bytes[..compared] {
            self.preface.store(IS_HTTP1, Relaxed);
            return;
        }
        let seen = (seen + bytes.len()).min(IS_HTTP2);
        self.preface.store(seen, Relaxed);
        if seen == IS_HTTP2 {
            self.partial_since.store(0, Relaxed);
        }
    }

    fn moved(&self) {
        self.moved_at.store(nanos(self.clock.now()), Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct BusyGuard(Arc<ConnectionState>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.moved();
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_nanos()).unwrap_or(u64::MAX)
}

/// An answer's body, which keeps its connection busy until its last piece is handed over.
pub(super) struct AnswerBody {
    body: Body,
    busy: Arc<BusyGuard>,
    is_clients_turn: bool,
}

impl AnswerBody {
    pub(super) fn new(body: Body, busy: Arc<BusyGuard>) -> Self {
        Self { body, busy, is_clients_turn: false }
    }

    fn set_clients_turn(&mut self, is_clients_turn: bool) {
        let turns = &self.busy.0.clients_turns;
        match (self.is_clients_turn, is_clients_turn) {
            (false, true) => drop(turns.fetch_add(1, Relaxed)),
            (true, false) => drop(turns.fetch_sub(1, Relaxed)),
            _ => {}
        }
        self.is_clients_turn = is_clients_turn;
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.set_clients_turn(false);
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.busy.0.moved();
            self.set_clients_turn(true);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.set_clients_turn(false);
    }
}

/// A socket that tells its connection's state what comes in and goes out.
#[derive(Debug)]
pub(crate) struct WatchedSocket<S> {
    pub(crate) socket: S,
    pub(crate) state: Arc<ConnectionState>,
}

impl<S> WatchedSocket<S> {
    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        self.state.is_unflushed.store(true, Relaxed);
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.state.moved();
        }
    }
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
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    /// Asked for when the connection's own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.is_unflushed.store(false, Relaxed);
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
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use platform::sim::SimClock;
    use std::pin::pin;

    const PATIENCE: Patience = Patience {
        headers: Duration::from_secs(10),
        idle: Duration::from_secs(300),
        answer: Duration::from_secs(60),
    };

    fn state() -> (Arc<ConnectionState>, Arc<SimClock>) {
        let clock = Arc::new(SimClock::new());
        clock.advance(Duration::from_secs(1));
        (Arc::new(ConnectionState::new(clock.clone())), clock)
    }

    #[test]
    fn a_silent_newcomer_has_the_time_of_a_request_head() {
        for begun in [&b""[..], b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HT"] {
            let (state, clock) = state();
            state.received(begun);
            clock.advance(PATIENCE.headers);
            assert!(!state.is_expired(PATIENCE), "{begun:?}");
            clock.advance(Duration::from_millis(1));
            assert!(state.is_expired(PATIENCE), "{begun:?}");
        }
        let (state, clock) = state();
        PREFACE.chunks(5).for_each(|piece| state.received(piece));
        state.received(&[0; FRAME_HEAD]);
        assert!(state.is_http2());
        clock.advance(PATIENCE.idle);
        assert!(!state.is_expired(PATIENCE));
    }

    #[test]
    fn only_what_was_used_or_is_silent_makes_room() {
        let (state, clock) = state();
        assert_eq!(state.evictable_since(), None);
        clock.advance(NEW_FOR + Duration::from_millis(1));
        assert!(state.evictable_since().is_some());
        let busy = state.busy(false);
        assert_eq!(state.evictable_since(), None);
        drop(busy);
        assert!(state.evictable_since().is_some());
        state.is_unflushed.store(true, Relaxed);
        assert_eq!(state.evictable_since(), None);
        state.is_unflushed.store(false, Relaxed);
        state.evict();
        assert_eq!(state.evictable_since(), None);
    }

    #[tokio::test]
    async fn an_answer_keeps_its_connection_busy_until_it_is_read() {
        let (state, clock) = state();
        let busy = Arc::new(state.busy(false));
        let mut body = pin!(AnswerBody::new(Body::from(vec![0; 10]), busy));
        clock.advance(PATIENCE.idle + PATIENCE.answer);
        assert!(!state.is_expired(PATIENCE), "the server has not handed a piece over yet");
        body.frame().await.unwrap().unwrap();
        assert!(!state.is_expired(PATIENCE));
        clock.advance(PATIENCE.answer + Duration::from_millis(1));
        assert!(state.is_expired(PATIENCE), "the client reads nothing");
        assert!(body.frame().await.is_none());
        assert!(!state.is_expired(PATIENCE));
    }
}
