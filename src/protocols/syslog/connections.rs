//! Messages on a connection, each in a line or counted.

use super::store::store;
use super::{DROPPED, MESSAGES, Syslog};
use crate::Accepted;
use crate::datagrams::MessageBatch;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use wire::{SyslogFrame, next_syslog_frame};

/// How much is read at once, and so stored together.
const READ_SIZE: usize = 64 << 10;

pub(super) async fn serve(syslog: Arc<Syslog>, transport: &'static str, accepted: Accepted) {
    let Accepted { mut socket, peer, stop } = accepted;
    let size_max = syslog.settings.message_size.length();
    let held = syslog.services.request_memory.hold();
    if held.take(size_max.saturating_add(2 * READ_SIZE)).is_err() {
        return DROPPED.increment(&["memory"]);
    }
    let mut frames = Frames { size_max, ..Frames::default() };
    let mut piece = vec![0; READ_SIZE];
    let idle_timeout = syslog.settings.idle_timeout.0;
    let peer = peer.map(|peer| peer.ip());
    loop {
        let read = tokio::time::timeout(idle_timeout, socket.read(&mut piece));
        let length = tokio::select! {
            () = stop.requested() => 0,
            // Silence for too long, an error and the end are the same here.
            read = read => read.map_or(0, |read| read.unwrap_or(0)),
        };
        frames.arrived.extend_from_slice(piece.get(..length).unwrap_or_default());
        let is_over = length == 0;
        let mut batch = frames.messages(peer);
        if is_over {
            // A message that its sender did not end.
            batch.push(&std::mem::take(&mut frames.arrived), peer);
        }
        MESSAGES.add(&[transport], batch.len() as u64);
        if !batch.is_empty() {
            store(&syslog, batch, &stop).await;
        }
        if is_over {
            return;
        }
    }
}

/// Takes messages out of the bytes that arrived.
#[derive(Debug, Default)]
struct Frames {
    arrived: Vec<u8>,
    size_max: usize,
    /// Bytes of a message that is too long, still to come.
    passed_over: usize,
    /// Whether a line that is too long has not ended yet.
    in_long_line: bool,
}

impl Frames {
    /// All messages that are whole.
    fn messages(&mut self, peer: Option<IpAddr>) -> MessageBatch {
        let mut batch = MessageBatch::default();
        let mut at = self.pass_over();
        while let Some(rest) = self.arrived.get(at..) {
            match next_syslog_frame(rest, self.size_max) {
                SyslogFrame::Partial => break,
                SyslogFrame::Message(message, length) => {
                    batch.push(message, peer);
                    at += length;
                }
                SyslogFrame::TooLong(length) => {
                    DROPPED.increment(&["too_long"]);
                    // A line whose end has not come; a counted message has a count before it.
                    let is_counted = rest.first().is_some_and(u8::is_ascii_digit);
                    self.in_long_line = !is_counted && rest.get(length - 1) != Some(&b'\n');
                    self.passed_over = length.saturating_sub(rest.len());
                    at += length.min(rest.len());
                }
            }
        }
        self.arrived.drain(..at.min(self.arrived.len()));
        batch
    }

    /// The beginning of what arrived that belongs to a message that is too long.
    fn pass_over(&mut self) -> usize {
        let counted = self.passed_over.min(self.arrived.len());
        self.passed_over -= counted;
        if !self.in_long_line {
            return counted;
        }
        match memchr::memchr2(b'\n', 0, &self.arrived) {
            Some(end) => {
                self.in_long_line = false;
                end + 1
            }
            None => self.arrived.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(frames: &mut Frames, bytes: &[u8]) -> usize {
        frames.arrived.extend_from_slice(bytes);
        frames.messages(None).len()
    }

    #[test]
    fn messages_that_are_too_long_are_left_out_and_the_next_is_found() {
        let mut frames = Frames { size_max: 10, ..Frames::default() };
        assert_eq!(count(&mut frames, b"<13>01234"), 0);
        assert_eq!(count(&mut frames, b"56789 more"), 0);
        assert_eq!(count(&mut frames, b" and more"), 0);
        assert_eq!(count(&mut frames, b" end\n<13>next\n"), 1);
        assert_eq!(count(&mut frames, b"20 <13>0123"), 0);
        assert_eq!(count(&mut frames, b"4567890123456 7 <13>abc<13>x\n"), 2);
        assert!(frames.arrived.is_empty());
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            messages in prop::collection::vec("<1[0-9]>[a-z ]{1,30}", 1..6),
            counted: bool,
            cut in 1usize..20,
        ) {
            let mut bytes = Vec::new();
            for message in &messages {
                match counted {
                    true => bytes.extend(format!("{} {message}", message.len()).bytes()),
                    false => bytes.extend(format!("{message}\n").bytes()),
                }
            }
            let mut frames = Frames { size_max: 100, ..Frames::default() };
            let found: usize = bytes.chunks(cut).map(|piece| count(&mut frames, piece)).sum();
            prop_assert_eq!(found, messages.len());
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, cut in 1usize..20) {
            let mut frames = Frames { size_max: 10, ..Frames::default() };
            for piece in bytes.chunks(cut) {
                count(&mut frames, piece);
            }
            // What is kept is a message that may still become whole, with its count.
            prop_assert!(frames.arrived.len() <= 10 + 11);
        }
    }
}
