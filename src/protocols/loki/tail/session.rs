//! One following client: the newest lines of the past, then what comes in, until it leaves, its time
//! is over or the server stops.

use super::super::Loki;
use super::super::envelope::LokiError;
use super::Slot;
use super::message::{Sent, Shape};
use crate::api::CancelOnDrop;
use crate::api::websocket::{
    FrameError, FrameReader, Incoming, Opcode, close, write_close, write_frame,
};
use crate::services::ServiceError;
use crate::sockets::{Accepted, Socket};
use log_store::Tail;
use logql::{
    Direction, Engine, Follow, FreshLogs, LogLines, QueryTimes, Request, TenantLogs, Value,
};
use model::{TenantId, matches_all};
use query::CancelFlag;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, WriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

/// Between two pings, by which proxies see that the connection is alive.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A client that reads nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What finds lines and makes frames of them, on threads that may block.
pub(super) struct Lines {
    pub(super) loki: Arc<Loki>,
    pub(super) tenant: TenantId,
    pub(super) query: String,
    pub(super) follow: Follow,
    /// From where to where lines of the past are sent, without the end.
    pub(super) past_ns: (i64, i64),
    /// The most lines of the past.
    pub(super) limit: usize,
    pub(super) shape: Shape,
    pub(super) tail: Tail,
}

pub(super) struct Session {
    pub(super) lines: Arc<Lines>,
    pub(super) delay: Duration,
    pub(super) longest: Duration,
    /// Told when there are new lines.
    pub(super) notify: Arc<Notify>,
    pub(super) slot: Slot,
}

/// Why a session ends: a code and a reason for the client; `None` when it is gone.
type End = Option<(u16, String)>;

impl Session {
    pub(super) async fn run(self, accepted: Accepted) {
        let Accepted { socket, stop, .. } = accepted;
        let (reader, mut writer) = tokio::io::split(socket);
        let mut reader = FrameReader::new(reader);
        let ended = tokio::select! {
            ended = self.serve(&mut reader, &mut writer) => ended,
            () = stop.requested() => Some((close::GOING_AWAY, "the server stops".to_owned())),
        };
        if let Some((code, reason)) = ended {
            let mut out = Vec::new();
            write_close(code, &reason, &mut out);
            let _ = send(&mut writer, &out).await;
        }
        let _ = timeout(PATIENCE, writer.shutdown()).await;
        drop(self.slot);
    }

    async fn serve<R: tokio::io::AsyncRead + Unpin>(
        &self,
        reader: &mut FrameReader<R>,
        writer: &mut WriteHalf<Box<dyn Socket>>,
    ) -> End {
        let begun = Instant::now();
        let mut pings = interval_at(begun + PING_EVERY, PING_EVERY);
        let mut due = None;
        let mut out = match self.past().await {
            Ok(out) => out,
            Err(error) => return Some((close::INTERNAL, error.message)),
        };
        loop {
            if !out.is_empty() {
                send(writer, &out).await?;
                out.clear();
            }
            tokio::select! {
                incoming = reader.next() => match incoming {
                    Ok(Incoming::Ping(payload)) => write_frame(Opcode::Pong, &payload, &mut out),
                    Ok(Incoming::Other) => {}
                    Ok(Incoming::Close) => return Some((close::NORMAL, String::new())),
                    Err(FrameError::Gone) => return None,
                    Err(error) => return Some((close::PROTOCOL_ERROR, error.to_string())),
                },
                () = self.notify.notified(), if due.is_none() => due = Some(Instant::now() + self.delay),
                () = sleep_until(due.unwrap_or(begun)), if due.is_some() => {
                    due = None;
                    match self.fresh().await {
                        Ok(frames) => out = frames,
                        Err(error) => return Some((close::INTERNAL, error.message)),
                    }
                }
                _ = pings.tick() => write_frame(Opcode::Ping, b"", &mut out),
                () = sleep_until(begun + self.longest) => {
                    let reason = "logs.tail_max_duration is over: connect again";
                    return Some((close::NORMAL, reason.to_owned()));
                }
            }
        }
    }

    /// Frames with the newest lines of the past, found when it is the tenant's turn among queries.
    async fn past(&self) -> Result<Vec<u8>, LokiError> {
        let (lines, cancel) = (Arc::clone(&self.lines), CancelFlag::new());
        let _guard = CancelOnDrop(cancel.clone());
        let (tell, told) = oneshot::channel();
        let work = {
            let cancel = cancel.clone();
            // The client may be gone: then nobody is told.
            move || drop(tell.send(lines.past(cancel)))
        };
        let pool = &self.lines.loki.services().query_pool;
        let full = |full: query::QueueFull| ServiceError::new(full.kind(), full.to_string());
        pool.submit(&self.lines.tenant, cancel, work).map_err(full)?;
        // Without an answer when the work panicked.
        told.await.unwrap_or_else(|_| Err(ServiceError::mistake().into()))
    }

    /// Frames with what came in since the last call.
    async fn fresh(&self) -> Result<Vec<u8>, LokiError> {
        let lines = Arc::clone(&self.lines);
        let work = move || lines.fresh(&mut Sent::default());
        self.lines.loki.services().work_turns.run(work).await?
    }
}

impl Lines {
    /// The newest lines of the past, and what was handed on meanwhile.
    fn past(&self, cancel: CancelFlag) -> Result<Vec<u8>, LokiError> {
        let services = self.loki.services();
        let (start_ns, end_ns) = self.past_ns;
        let times = QueryTimes::Range { start_ns, end_ns, step_ns: 1, interval_ns: 0 };
        let memory = Some(Arc::clone(&services.query_memory));
        let request =
            Request { limit: self.limit, memory, cancel, ..Request::new(&self.query, times) };
        let storage = TenantLogs { store: &services.logs()?.store, tenant: &self.tenant };
        let engine = Engine::new(services.logql.clone());
        let result = engine.run(&storage, &*services.clock, &request)?;
        let mut lines = lines_of(result.value);
        lines.entries.reverse();
        lines.direction = Direction::Forward;
        let mut sent = Sent::of(&lines.entries);
        let mut out = self.shape.frames(lines, &[])?;
        out.extend(self.fresh(&mut sent)?);
        Ok(out)
    }

    fn fresh(&self, sent: &mut Sent) -> Result<Vec<u8>, LokiError> {
        let services = self.loki.services();
        let (batches, mut missed) = self.tail.take();
        let storage = FreshLogs { store: &services.logs()?.store, fresh: &batches };
        let memory = Some(&services.query_memory);
        let result = self.follow.lines(&storage, &*services.clock, memory)?;
        let mut lines = lines_of(result.value);
        sent.leave_out(&mut lines.entries);
        missed.streams.retain(|(labels, _)| matches_all(self.follow.matchers(), labels));
        self.shape.frames(lines, &missed.streams)
    }
}

fn lines_of(value: Value) -> LogLines {
    match value {
        Value::Streams(lines) => lines,
        _ => LogLines { direction: Direction::Forward, entries: Vec::new() },
    }
}

/// `None` when the client is gone, or does not read.
async fn send(writer: &mut WriteHalf<Box<dyn Socket>>, bytes: &[u8]) -> Option<()> {
    let write = async {
        writer.write_all(bytes).await.ok()?;
        writer.flush().await.ok()
    };
    timeout(PATIENCE, write).await.ok().flatten()
}
