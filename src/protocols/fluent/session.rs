//! A connection: the handshake where there is a shared key, then messages until it ends.

use super::handshake::Handshake;
use super::message::parse;
use super::store::{Group, Messages, Outcome, store};
use super::{DROPPED, Fluent, MESSAGES};
use crate::bounds::Held;
use crate::{Accepted, Socket, Stop};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::msgpack::{MessageEnd, MsgpackError, MsgpackWriter};

/// How much is read at once, and so stored together where messages are small.
const READ_SIZE: usize = 64 << 10;
/// Time for the handshake: nobody has proven anything yet.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// The largest answer of a sender in the handshake.
const PING_MAX: usize = 4 << 10;

pub(super) async fn serve(fluent: Arc<Fluent>, accepted: Accepted) {
    let Accepted { socket, stop, .. } = accepted;
    let held = fluent.services.request_memory.hold();
    let Ok(()) = held.take(2 * READ_SIZE) else { return DROPPED.increment(&["memory"]) };
    let mut session = Session {
        socket,
        stop,
        held,
        piece: vec![0; READ_SIZE],
        arrived: Vec::new(),
        ends: Vec::new(),
        end: MessageEnd::default(),
        fluent,
    };
    // An error of the socket means that the sender is gone.
    let greeted = tokio::time::timeout(GREETING_MAX, session.greet()).await;
    if let Ok(Ok(true)) = greeted {
        let _ = session.messages().await;
    }
}

struct Session {
    fluent: Arc<Fluent>,
    socket: Box<dyn Socket>,
    stop: Stop,
    /// The memory of what arrived.
    held: Held,
    piece: Vec<u8>,
    arrived: Vec<u8>,
    /// Where the whole messages in it end.
    ends: Vec<usize>,
    /// How far the message behind them is known.
    end: MessageEnd,
}

impl Session {
    /// Answers whether the sender may send.
    async fn greet(&mut self) -> io::Result<bool> {
        let fluent = Arc::clone(&self.fluent);
        let key = fluent.settings.shared_key.as_bytes();
        if key.is_empty() {
            return Ok(true);
        }
        let connection = fluent.connections.fetch_add(1, Ordering::Relaxed);
        let now_ns = fluent.services.clock.wall_ns();
        let handshake = Handshake::new(key, connection, now_ns);
        self.socket.write_all(&handshake.helo()).await?;
        let Some(ping) = self.next(PING_MAX, 1).await? else { return Ok(false) };
        let host = &fluent.services.machine.host_name;
        let Ok((pong, knows)) = handshake.pong(&ping.bytes, host) else {
            DROPPED.increment(&["malformed"]);
            return Ok(false);
        };
        self.socket.write_all(&pong).await?;
        if !knows {
            DROPPED.increment(&["shared_key"]);
        }
        Ok(knows)
    }

    async fn messages(&mut self) -> io::Result<()> {
        let size_max = self.fluent.settings.message_size.length();
        while let Some(messages) = self.next(size_max, usize::MAX).await? {
            MESSAGES.add(messages.len() as u64);
            let chunks = messages.iter().map(|message| Ok(parse(message)?.and_then(chunk_of)));
            let Ok(chunks) = chunks.collect::<Result<Vec<_>, MsgpackError>>() else {
                // What follows can't be trusted to be the beginning of a message.
                DROPPED.increment(&["malformed"]);
                return Ok(());
            };
            let acks: Vec<Vec<u8>> = chunks.iter().flatten().map(|chunk| ack_of(chunk)).collect();
            let groups = Group::of(messages, chunks);
            if store(&self.fluent, groups, &self.stop).await == Outcome::Stopping {
                return Ok(());
            }
            for ack in acks {
                self.socket.write_all(&ack).await?;
            }
            self.shrink();
        }
        Ok(())
    }

    /// The messages that are whole, at least one and `most` at most; `None` at the end, when the server
    /// stops, after a long silence, or when a message is too large or malformed.
    async fn next(&mut self, size_max: usize, most: usize) -> io::Result<Option<Messages>> {
        loop {
            let is_malformed = self.find(most).is_err();
            if let Some(end) = self.ends.last().copied() {
                // What is malformed behind them is found again.
                return Ok(Some(self.split(end)));
            }
            if is_malformed || self.arrived.len() > size_max {
                DROPPED.increment(&[if is_malformed { "malformed" } else { "too_large" }]);
                return Ok(None);
            }
            let idle_timeout = self.fluent.settings.idle_timeout.0;
            let read = tokio::time::timeout(idle_timeout, self.socket.read(&mut self.piece));
            let length = tokio::select! {
                () = self.stop.requested() => 0,
                read = read => match read {
                    Ok(read) => read?,
                    Err(_) => 0,
                },
            };
            if length == 0 || !self.keep(length) {
                return Ok(None);
            }
        }
    }

    /// Appends what was read; answers whether there is memory for it.
    fn keep(&mut self, length: usize) -> bool {
        let needed = self.arrived.len() + length;
        if needed > self.arrived.capacity() {
            let capacity = (2 * self.arrived.capacity()).max(needed);
            // A message is copied once more when it is whole.
            if self.held.take(2 * (capacity - self.arrived.capacity())).is_err() {
                DROPPED.increment(&["memory"]);
                return false;
            }
            self.arrived.reserve_exact(capacity - self.arrived.len());
        }
        self.arrived.extend_from_slice(self.piece.get(..length).unwrap_or_default());
        true
    }

    /// Finds the ends of the messages that are whole.
    fn find(&mut self, most: usize) -> Result<(), MsgpackError> {
        let mut start = 0;
        while self.ends.len() < most
            && let Some(length) = self.end.find(self.arrived.get(start..).unwrap_or_default())?
        {
            start += length;
            self.ends.push(start);
            self.end = MessageEnd::default();
        }
        Ok(())
    }

    /// Takes the whole messages, which end here.
    fn split(&mut self, end: usize) -> Messages {
        self.end = MessageEnd::default();
        let rest = self.arrived.split_off(end.min(self.arrived.len()));
        let bytes = std::mem::replace(&mut self.arrived, rest);
        Messages { bytes, ends: std::mem::take(&mut self.ends) }
    }

    /// Gives back the memory that a large message needed.
    fn shrink(&mut self) {
        self.arrived.shrink_to(READ_SIZE);
        // Less than what is held can always be settled for.
        let _ = self.held.settle(2 * (READ_SIZE + self.arrived.capacity()));
    }
}

/// The name of a message whose sender wants to know that it is stored.
fn chunk_of(message: super::message::Message<'_>) -> Option<Vec<u8>> {
    message.option.chunk.map(<[u8]>::to_vec)
}

/// What tells the sender that a message is stored.
fn ack_of(chunk: &[u8]) -> Vec<u8> {
    let mut writer = MsgpackWriter::default();
    writer.map(1).text(b"ack").raw(chunk);
    writer.into_bytes()
}
