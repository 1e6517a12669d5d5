//! Bodies as they arrive.

use super::memory::{Held, RequestMemory};
use axum::body::{Body, Bytes, HttpBody as _};
use http_body_util::BodyExt as _;
use model::{ErrorKind, NoRoom};
use std::sync::Arc;
use std::time::Duration;

/// Why a body was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(
        "the body took longer than {} s: raise limits.body_timeout for slow clients",
        .0.as_secs_f64()
    )]
    Slow(Duration),
    #[error("the body is larger than {limit} bytes: send less at once, or raise limits.body_size")]
    TooLarge { limit: usize },
    #[error("the body ended before it was complete")]
    Incomplete,
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl BodyError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Slow(_) => ErrorKind::Cancelled,
            Self::TooLarge { .. } => ErrorKind::Limit,
            Self::Incomplete => ErrorKind::Invalid,
            Self::NoRoom(error) => error.kind(),
        }
    }
}

/// Reads a body of at most `size_max` bytes. `beside`: what the request takes already, which counts
/// with the body.
pub(crate) async fn read_body(
    memory: &Arc<RequestMemory>,
    body: Body,
    size_max: usize,
    timeout: Duration,
    beside: usize,
) -> Result<(Bytes, Held), BodyError> {
    let transfer = memory.begin();
    transfer.take(beside)?;
    // Clients mostly say how long their body is: the buffer need not grow beyond that.
    let announced = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
    let capacity_max = announced.map_or(size_max, |length| length.min(size_max));
    let reading = async {
        let mut arrived = Arrived::default();
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Incomplete)?;
            let Ok(piece) = frame.into_data() else { continue };
            if piece.len() > size_max - arrived.len() {
                return Err(BodyError::TooLarge { limit: size_max });
            }
            transfer.take(arrived.growth(piece.len(), capacity_max))?;
            arrived.add(piece, capacity_max);
        }
        Ok(arrived.into_bytes())
    };
    let bytes = tokio::select! {
        read = tokio::time::timeout(timeout, reading) => read.map_err(|_| BodyError::Slow(timeout))??,
        () = transfer.shared.cut.notified() => return Err(transfer.busy().into()),
    };
    Ok((bytes, transfer.arrived()?))
}

/// What has arrived: a single piece as it came, or several in one buffer.
#[derive(Default)]
struct Arrived {
    first: Bytes,
    /// Empty while there is only one piece.
    all: Vec<u8>,
}

impl Arrived {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    /// By how much memory grows when a piece of this length is added.
    fn growth(&self, length: usize, capacity_max: usize) -> usize {
        match self.first.is_empty() {
            true => length,
            false => self.capacity_with(length, capacity_max) - self.all.capacity(),
        }
    }

    fn capacity_with(&self, length: usize, capacity_max: usize) -> usize {
        let needed = self.len() + length;
        match needed <= self.all.capacity() {
            true => self.all.capacity(),
            false => needed.max((2 * needed).min(capacity_max)),
        }
    }

    fn add(&mut self, piece: Bytes, capacity_max: usize) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        let capacity = self.capacity_with(piece.len(), capacity_max);
        self.all.reserve_exact(capacity - self.all.len());
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        match self.all.is_empty() {
            true => self.first,
            false => self.all.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Frame;
    use platform::sim::SimClock;
    use std::convert::Infallible;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    type Sent = Result<Frame<Bytes>, Infallible>;

    /// A body that arrives as its sender sends.
    fn slow_body() -> (UnboundedSender<Sent>, Body) {
        struct Pieces(UnboundedReceiver<Sent>);
        impl http_body::Body for Pieces {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Sent>> {
                self.0.poll_recv(context)
            }
        }
        let (sender, receiver) = unbounded_channel();
        (sender, Body::new(Pieces(receiver)))
    }

    fn piece(length: usize) -> Sent {
        Ok(Frame::data(vec![b'x'; length].into()))
    }

    async fn read(
        memory: &Arc<RequestMemory>,
        body: Body,
        size_max: usize,
    ) -> Result<(Bytes, Held), BodyError> {
        read_body(memory, body, size_max, Duration::from_secs(60), 10).await
    }

    #[tokio::test]
    async fn pieces_come_together_and_are_counted() {
        let memory = RequestMemory::new(10_000, Arc::new(SimClock::new()));
        let (sender, body) = slow_body();
        [300, 0, 400, 100].into_iter().for_each(|length| sender.send(piece(length)).unwrap());
        drop(sender);
        let (bytes, held) = read(&memory, body, 1_000).await.unwrap();
        assert_eq!(bytes, vec![b'x'; 800]);
        assert_eq!(memory.held(), 10 + 300 + 1_000);
        assert!(held.take(4_000).is_err());
        drop((bytes, held));
        assert_eq!(memory.held(), 0);
        let (sender, body) = slow_body();
        [300, 701].into_iter().for_each(|length| sender.send(piece(length)).unwrap());
        let too_large = read(&memory, body, 1_000).await.unwrap_err();
        assert_eq!(too_large, BodyError::TooLarge { limit: 1_000 });
        drop(sender);
        assert_eq!(memory.held(), 0);
    }

    #[tokio::test]
    async fn a_slow_body_gives_way() {
        let memory = RequestMemory::new(1_000, Arc::new(SimClock::new()));
        let (sender, body) = slow_body();
        sender.send(piece(200)).unwrap();
        let mut slow = pin!(read(&memory, body, 1_000));
        assert!(slow.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let held = [(); 4].map(|()| memory.hold());
        held.iter().for_each(|held| held.take(240).unwrap());
        let refused = slow.await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded);
        assert!(refused.to_string().contains("limits.request_memory"), "{refused}");
        assert_eq!(memory.held(), 960);
    }
}
