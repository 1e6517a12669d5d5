//! Answers that are too large to be built in memory: written on a thread of their own, sent in
//! pieces.
//!
//! Invariants: at most [`PIECES_WAITING`] pieces wait for the client, so memory does not grow with the
//! answer. A client that goes away, or takes nothing for [`PATIENCE`], stops the writer at its next
//! piece. An answer that can't be finished breaks the connection, so that no client mistakes a part
//! for the whole. Every writer is a thread, so there are at most [`STREAMS_MAX`] of them, and
//! half as many for one tenant.

use super::places::{Full, Places};
use crate::reply;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::Frame;
use model::TenantId;
use platform::threads::Worker;
use query::CancelFlag;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// A piece is sent as soon as it is this large.
const PIECE_SIZE: usize = 64 << 10;
/// Pieces that may wait for a slow client.
const PIECES_WAITING: usize = 4;

/// How long a writer waits for a client that reads nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Threads of writers.
const STREAMS_MAX: usize = 64;
/// Threads of writers for one tenant, whose clients may all be slow.
const TENANT_STREAMS_MAX: usize = STREAMS_MAX / 2;

/// How many answers are being written.
static STREAMS: Places = Places::new(STREAMS_MAX, TENANT_STREAMS_MAX);

/// The refusal when as many answers are being sent as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} large answers are being sent already: try again when one of them has been read")]
pub(crate) struct Busy {
    limit: usize,
}

impl From<Full> for Busy {
    fn from(full: Full) -> Self {
        Self { limit: full.limit }
    }
}

/// The client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client went away")]
pub(crate) struct Gone;

#[derive(Debug)]
enum Message<E> {
    Piece(Bytes),
    End,
    Failed(E),
}

/// Where a handler writes its answer.
#[derive(Debug)]
pub(crate) struct Pieces<E> {
    sender: mpsc::Sender<Message<E>>,
    runtime: Handle,
    /// The bytes that are not sent yet; write here, then call [`ready`](Self::ready).
    pub(crate) out: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<E> Pieces<E> {
    /// Sends what was written, if it is enough for a piece; waits while the client is slow.
    pub(crate) fn ready(&mut self) -> Result<(), Gone> {
        if self.out.len() < PIECE_SIZE { Ok(()) } else { self.send() }
    }

    /// Sends what was written, however little it is.
    pub(crate) fn send(&mut self) -> Result<(), Gone> {
        let Some(gzip) = &mut self.gzip else {
            let piece = std::mem::replace(&mut self.out, Vec::with_capacity(PIECE_SIZE));
            return self.pass(piece);
        };
        gzip.write_all(&self.out).expect("memory takes everything");
        self.out.clear();
        let packed = std::mem::take(gzip.get_mut());
        self.pass(packed)
    }

    fn pass(&self, piece: Vec<u8>) -> Result<(), Gone> {
        match piece.is_empty() {
            true => Ok(()),
            false => self.tell(Message::Piece(piece.into())),
        }
    }

    fn tell(&self, message: Message<E>) -> Result<(), Gone> {
        let sending = async { tokio::time::timeout(PATIENCE, self.sender.send(message)).await };
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    fn finish(mut self) -> Result<(), Gone> {
        self.send()?;
        if let Some(gzip) = self.gzip.take() {
            self.pass(gzip.finish().expect("memory takes everything"))?;
        }
        self.tell(Message::End)
    }
}

/// The headers of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) content_type: &'static str,
    pub(crate) is_gzip: bool,
}

/// Runs `write` on a thread of its own. An error before the first piece becomes an ordinary answer, made
/// by `fail`, which is given `None` when the writer panicked.
pub(crate) async fn stream<E: Send + 'static>(
    tenant: &TenantId,
    head: Head,
    cancel: CancelFlag,
    write: impl FnOnce(&mut Pieces<E>) -> Result<(), E> + Send + 'static,
    fail: impl FnOnce(Option<E>) -> Response,
) -> Result<Response, Busy> {
    let turn = STREAMS.take(tenant)?;
    let (sender, mut receiver) = mpsc::channel(PIECES_WAITING);
    let runtime = Handle::current();
    let gzip = head.is_gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let work = move || {
        let _turn = turn;
        let out = Vec::with_capacity(PIECE_SIZE);
        let mut pieces = Pieces { sender, runtime, out, gzip };
        // An error of sending means that the client is gone.
        let _ = match write(&mut pieces) {
            Ok(()) => pieces.finish(),
            Err(error) => pieces.tell(Message::Failed(error)),
        };
    };
    // A thread of its own, because it waits for its client; it ends by itself.
    let started = Worker::start_behind("stream", work);
    started.map_err(|_| Busy { limit: STREAMS_MAX })?.detach();
    let stop = StopWriting(cancel);
    let first = match receiver.recv().await {
        Some(Message::Failed(error)) => return Ok(fail(Some(error))),
        None => return Ok(fail(None)),
        Some(Message::Piece(piece)) => Some(piece),
        Some(Message::End) => None,
    };
    let is_over = first.is_none();
    let body = Body::new(Sending { first, receiver, is_over, _stop: stop });
    let mut response = reply::of(StatusCode::OK, head.content_type, body);
    if head.is_gzip {
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    Ok(response)
}

/// Raises the flag when the answer is sent or its client is gone.
#[derive(Debug)]
struct StopWriting(CancelFlag);

impl Drop for StopWriting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

struct Sending<E> {
    first: Option<Bytes>,
    receiver: mpsc::Receiver<Message<E>>,
    is_over: bool,
    _stop: StopWriting,
}

impl<E: Send + 'static> HttpBody for Sending<E> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if this.is_over {
            return Poll::Ready(None);
        }
        this.receiver.poll_recv(context).map(|message| match message {
            Some(Message::Piece(piece)) => Some(Ok(Frame::data(piece))),
            Some(Message::End) => {
                this.is_over = true;
                None
            }
            Some(Message::Failed(_)) | None => {
                this.is_over = true;
                Some(Err(io::Error::other("the answer could not be finished")))
            }
        })
    }
}

/// Not derived, because derived it would demand that the error is `Unpin`.
impl<E> Unpin for Sending<E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Failing = Result<(), &'static str>;

    fn head(is_gzip: bool) -> Head {
        Head { content_type: "text/plain", is_gzip }
    }

    fn fail(error: Option<&'static str>) -> Response {
        reply::text(StatusCode::INTERNAL_SERVER_ERROR, error.unwrap_or("panicked"))
    }

    fn write_lines(pieces: &mut Pieces<&'static str>, count: usize) -> Failing {
        for _ in 0..count {
            pieces.out.extend_from_slice(&[b'x'; 1_000]);
            pieces.ready().map_err(|_| "gone")?;
        }
        Ok(())
    }

    async fn run(
        is_gzip: bool,
        write: impl FnOnce(&mut Pieces<&'static str>) -> Failing + Send + 'static,
    ) -> Response {
        let tenant = TenantId::default_tenant();
        stream(&tenant, head(is_gzip), CancelFlag::new(), write, fail).await.unwrap()
    }

    #[tokio::test]
    async fn pieces_come_together() {
        let answer = run(false, |pieces| write_lines(pieces, 500)).await;
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 500_000);
        let answer = run(true, |pieces| write_lines(pieces, 500)).await;
        assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
        let packed = answer.into_body().collect().await.unwrap().to_bytes();
        let plain = wire::decompress(wire::Encoding::Gzip, &packed, 1 << 20).unwrap();
        assert_eq!(plain.len(), 500_000);
        let empty = run(false, |_| Ok(())).await;
        assert!(empty.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test]
    async fn early_errors_are_answers_and_late_ones_break_the_body() {
        let early = run(false, |_| Err("no")).await;
        assert_eq!(early.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let late = run(false, |pieces| write_lines(pieces, 100).and(Err("no"))).await;
        assert_eq!(late.status(), StatusCode::OK);
        assert!(late.into_body().collect().await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_stops_the_writer() {
        let cancel = CancelFlag::new();
        let written = Arc::new(AtomicUsize::new(0));
        let (seen, (told, done)) = (Arc::clone(&written), tokio::sync::oneshot::channel());
        let write = move |pieces: &mut Pieces<&'static str>| {
            let end = loop {
                if let Err(end) = write_lines(pieces, 100) {
                    break end;
                }
                seen.fetch_add(1, Ordering::Relaxed);
            };
            let _ = told.send(end);
            Err(end)
        };
        let tenant = TenantId::default_tenant();
        let answer = stream(&tenant, head(false), cancel.clone(), write, fail).await;
        let mut answer = answer.unwrap();
        answer.body_mut().frame().await.unwrap().unwrap();
        drop(answer);
        assert_eq!(done.await, Ok("gone"));
        assert!(cancel.is_cancelled());
        assert!(written.load(Ordering::Relaxed) <= PIECES_WAITING + 2, "it waits for its client");
    }
}
