//! Request lines as people type them: `curl -g 'http://…/api/v1/query?query=up{job="api"}'` sends
//! quotes, and `up>0` an angle bracket, which no URI may have. Go's servers take them; here they
//! would be refused before any handler sees them. So they are escaped as they come in.
//!
//! Invariant: only bytes of a request's head change, never those of a body, whose length is
//! counted. A head begins where the connection does, and after a request without a body was
//! answered; where a body may still be coming, lines stay as they are.

use super::connection_state::ConnectionState;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose request lines are escaped as they are read.
#[derive(Debug)]
pub(crate) struct LenientSocket<S> {
    socket: S,
    state: Arc<ConnectionState>,
    /// The end of the line has not been read yet.
    is_in_line: bool,
    /// Escaped bytes that the reader's buffer had no room for, backwards.
    left: Vec<u8>,
}

impl<S> LenientSocket<S> {
    pub(crate) fn new(socket: S, state: Arc<ConnectionState>) -> Self {
        Self { socket, state, is_in_line: true, left: Vec::new() }
    }

    fn hand_out_left(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = self.left.len() - self.left.len().min(buffer.remaining());
        self.left.drain(rest..).rev().for_each(|byte| buffer.put_slice(&[byte]));
    }

    /// Escapes what was read behind `start`, as far as the line goes.
    fn escape(&mut self, start: usize, buffer: &mut ReadBuf<'_>) {
        let read = &buffer.filled()[start..];
        let end = read.iter().position(|byte| *byte == b'\n');
        self.is_in_line = end.is_none();
        let (line, rest) = read.split_at(end.unwrap_or(read.len()));
        if let Some(escaped) = escaped(line) {
            self.left = [&escaped, rest].concat();
            self.left.reverse();
            buffer.set_filled(start);
            self.hand_out_left(buffer);
        }
    }
}

/// `None`: there is nothing to escape.
fn escaped(line: &[u8]) -> Option<Vec<u8>> {
    let code = |byte: u8| match byte {
        b'"' => Some(b"%22"),
        b'<' => Some(b"%3C"),
        b'>' => Some(b"%3E"),
        _ => None,
    };
    line.iter().any(|byte| code(*byte).is_some()).then(|| {
        let mut out = Vec::with_capacity(line.len() + 32);
        for byte in line {
            match code(*byte) {
                Some(code) => out.extend_from_slice(code),
                None => out.push(*byte),
            }
        }
        out
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for LenientSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            self.hand_out_left(buffer);
            return Poll::Ready(Ok(()));
        }
        self.is_in_line |= self.state.awaits_head();
        let start = buffer.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(context, buffer);
        if self.is_in_line && buffer.filled().len() > start {
            self.escape(start, buffer);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LenientSocket<S> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connection_state::WatchedSocket;
    use platform::RealClock;
    use tokio::io::AsyncReadExt as _;

    /// What is read of these bytes, as much at a time as `room` says.
    fn read(sent: &'static [u8], room: usize) -> String {
        let state = Arc::new(ConnectionState::new(Arc::new(RealClock::new())));
        let watched = WatchedSocket { socket: sent, state: Arc::clone(&state) };
        let mut socket = LenientSocket::new(watched, state);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut out, mut piece) = (Vec::new(), vec![0; room]);
            loop {
                match socket.read(&mut piece).await.unwrap() {
                    0 => return String::from_utf8(out).unwrap(),
                    length => out.extend_from_slice(&piece[..length]),
                }
            }
        })
    }

    #[test]
    fn the_first_line_is_escaped_whatever_the_pieces() {
        let sent = b"GET /q?query=up{a=\"b\"}>0 HTTP/1.1\r\nif-none-match: \"<x>\"\r\n\r\n";
        let expected = "GET /q?query=up{a=%22b%22}%3E0 HTTP/1.1\r\nif-none-match: \"<x>\"\r\n\r\n";
        for room in [1, 2, 7, 16, 20, 64, 8_192] {
            assert_eq!(read(sent, room), expected, "{room} bytes at a time");
        }
    }

    #[test]
    fn a_body_in_the_same_piece_stays_as_it_is() {
        let sent = b"POST /q HTTP/1.1\r\ncontent-length: 10\r\n\r\n{\"a\":\"<>\"}";
        assert_eq!(read(sent, 8_192).as_bytes(), sent);
    }
}
