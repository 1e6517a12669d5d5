//! Answers until their clients have read them.
//!
//! The rest of an answer is a transfer, which can be cut off. The piece that was handed over last waits
//! in its connection until the client makes room: it counts until the connection lets go of it.

use super::memory::{Held, RequestMemory, TransferGuard};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use model::NoRoom;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

/// Smaller answers are not counted: they take less than what the connection itself needs.
const COUNTED_MIN: u64 = 1_024;
/// An answer is handed to its connection in pieces, so that it is known to be on its way until the
/// last of them is taken.
const PIECE_SIZE: usize = 256 << 10;

/// Counts an answer that is in memory as a whole until its client has read it. Answers that are
/// written while they are sent have bounds of their own.
pub(crate) async fn leave(
    memory: &Arc<RequestMemory>,
    response: Response,
) -> Result<Response, NoRoom> {
    let whole = response.body().size_hint().exact();
    if whole.is_none_or(|length| length < COUNTED_MIN) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await else {
        return Ok(Response::from_parts(parts, Body::empty()));
    };
    let trailers = collected.trailers().cloned();
    let bytes = collected.to_bytes();
    if bytes.len() <= PIECE_SIZE && trailers.is_none() {
        let held = memory.hold();
        held.take(bytes.len())?;
        return Ok(Response::from_parts(parts, Piece { bytes, _held: held }.into_bytes().into()));
    }
    let transfer = memory.begin();
    transfer.take(bytes.len())?;
    let left = bytes.len();
    *transfer.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    let memory = Arc::clone(memory);
    Ok(Response::from_parts(parts, Body::new(Leaving { memory, transfer, left, trailers })))
}

/// A piece of an answer that counts until it is dropped.
struct Piece {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Piece {
    fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

struct Leaving {
    memory: Arc<RequestMemory>,
    transfer: TransferGuard,
    left: usize,
    trailers: Option<HeaderMap>,
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let mut answer = self.transfer.shared.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = answer.as_mut() else {
            let message = "the answer was cut off because others needed the memory";
            return Poll::Ready(Some(Err(io::Error::other(message))));
        };
        // A copy: a slice would keep the whole answer in memory after it was cut off.
        let piece = Bytes::copy_from_slice(&bytes.split_to(bytes.len().min(PIECE_SIZE)));
        drop(answer);
        self.left -= piece.len();
        let held = self.memory.hold();
        if let Err(error) = held.take(piece.len()) {
            return Poll::Ready(Some(Err(io::Error::other(error))));
        }
        let piece = Piece { bytes: piece, _held: held }.into_bytes();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply;
    use axum::http::StatusCode;
    use platform::sim::SimClock;

    fn answer(length: usize) -> Response {
        reply::of(StatusCode::OK, "text/plain", vec![b'x'; length])
    }

    #[tokio::test]
    async fn an_answer_is_counted_until_it_is_read() {
        let memory = RequestMemory::new(2 << 20, Arc::new(SimClock::new()));
        let mut response = leave(&memory, answer(500_000)).await.unwrap();
        assert_eq!(memory.held(), 500_000);
        assert_eq!(response.body().size_hint().exact(), Some(500_000));
        let first = response.body_mut().frame().await.unwrap().unwrap();
        let first = first.into_data().unwrap();
        assert_eq!(first.len(), PIECE_SIZE);
        assert_eq!(memory.held(), 500_000 + PIECE_SIZE);
        drop(first);
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(rest.len(), 500_000 - PIECE_SIZE);
        drop(rest);
        assert_eq!(memory.held(), 0);
        let small = leave(&memory, answer(2_000)).await.unwrap().into_body();
        let small = small.collect().await.unwrap().to_bytes();
        assert_eq!((small.len(), memory.held()), (2_000, 2_000));
        drop(small);
        assert_eq!(memory.held(), 0);
        assert!(leave(&memory, answer(1_200_000)).await.is_err(), "more than a request may have");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_gives_way() {
        let memory = RequestMemory::new(4_000_000, Arc::new(SimClock::new()));
        let mut unread = Vec::new();
        for _ in 0..8 {
            unread.push(leave(&memory, answer(960_000)).await.unwrap());
        }
        assert!(memory.held() <= 4_000_000);
        let mut whole = 0;
        for response in unread {
            whole += usize::from(response.into_body().collect().await.is_ok());
        }
        // What is read takes a piece more, which may cut off another.
        assert!((3..=4).contains(&whole), "{whole}");
        assert_eq!(memory.held(), 0);
    }

    #[tokio::test]
    async fn trailers_follow_their_answer() {
        let trailers = async { Some(Ok::<_, std::convert::Infallible>(HeaderMap::new())) };
        let body = http_body_util::Full::new(Bytes::from(vec![0; 500_000])).with_trailers(trailers);
        let memory = RequestMemory::new(2 << 20, Arc::new(SimClock::new()));
        let response = leave(&memory, Response::new(Body::new(body))).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert!(collected.trailers().is_some());
        assert_eq!(collected.to_bytes().len(), 500_000);
    }
}
