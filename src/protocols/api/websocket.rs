//! The server's side of websockets (RFC 6455), as far as it only sends: the handshake, texts out, and
//! what a client says about the connection in. What else a client sends is read and ignored.
//!
//! Not here: taking the connection over (`sockets`), what is sent, pings and timeouts (the protocol).

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What every server adds to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `sec-websocket-accept`, or what is wrong with the request.
pub(crate) fn accept(headers: &HeaderMap) -> Result<HeaderValue, &'static str> {
    let header = |name: &str| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    if header("sec-websocket-version") != b"13" {
        return Err("send `Sec-WebSocket-Version: 13`");
    }
    let key = header("sec-websocket-key");
    if STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
        return Err("send a `Sec-WebSocket-Key` of 16 bytes in base64");
    }
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let accept = STANDARD.encode(hash.finalize());
    HeaderValue::from_str(&accept).map_err(|_| "send a `Sec-WebSocket-Key` in base64")
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// Why a connection is closed.
pub(crate) mod close {
    pub(crate) const NORMAL: u16 = 1_000;
    pub(crate) const GOING_AWAY: u16 = 1_001;
    pub(crate) const PROTOCOL_ERROR: u16 = 1_002;
    pub(crate) const INTERNAL: u16 = 1_011;
}

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Appends a whole frame.
pub(crate) fn write_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.push(FINAL | opcode as u8);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xFFFF => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Control frames hold no more, and a close begins with its code.
const REASON_MAX: usize = 123;

/// Appends a frame that closes the connection. The reason is cut where it is too long.
pub(crate) fn write_close(code: u16, reason: &str, out: &mut Vec<u8>) {
    let length = (0..=reason.len().min(REASON_MAX)).rev().find(|at| reason.is_char_boundary(*at));
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..length.unwrap_or(0)]);
    write_frame(Opcode::Close, &payload, out);
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Ping(Vec<u8>),
    Close,
    /// A pong, or a message that is ignored.
    Other,
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the client is gone")]
    Gone,
    #[error("a frame of a client has to be masked")]
    NotMasked,
    #[error("a frame is longer than {FRAME_MAX} bytes")]
    TooLong,
    #[error("a ping, pong or close is longer than 125 bytes, or in several frames")]
    BadControl,
}

/// Clients have nothing long to say here.
const FRAME_MAX: usize = 64 << 10;

/// Reads frames. Waiting for the next one may be given up at any time, and nothing is lost.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    socket: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(socket: R) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    pub(crate) async fn next(&mut self) -> Result<Incoming, FrameError> {
        loop {
            if let Some((incoming, length)) = read_frame(&self.buffer)? {
                self.buffer.drain(..length);
                return Ok(incoming);
            }
            match self.socket.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(FrameError::Gone),
                Ok(_) => {}
            }
        }
    }
}

/// The frame at the beginning and its length; `None` where it is not there as a whole yet.
fn read_frame(bytes: &[u8]) -> Result<Option<(Incoming, usize)>, FrameError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if second & MASKED == 0 {
        return Err(FrameError::NotMasked);
    }
    let opcode = first & 0x0F;
    let short = second & !MASKED;
    if opcode >= Opcode::Close as u8 && (short > 125 || first & FINAL == 0) {
        return Err(FrameError::BadControl);
    }
    let (length, rest) = match (short, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
        }
        (126 | 127, _) => return Ok(None),
        (short, rest) => (u64::from(short), rest),
    };
    if length > FRAME_MAX as u64 {
        return Err(FrameError::TooLong);
    }
    let length = length as usize;
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let incoming = match opcode {
        9 => Incoming::Ping(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect()),
        8 => Incoming::Close,
        _ => Incoming::Other,
    };
    Ok(Some((incoming, bytes.len() - rest.len() + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a client sends it.
    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        write_frame(Opcode::Text, payload, &mut plain);
        let head = plain.len() - payload.len();
        let mut frame = vec![FINAL | opcode, plain[1] | MASKED];
        frame.extend_from_slice(&plain[2..head]);
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(a, b)| a ^ b));
        frame
    }

    #[test]
    fn the_handshake_is_that_of_the_standard() {
        let mut headers = HeaderMap::new();
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        assert!(accept(&headers).is_err());
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        headers.insert("sec-websocket-key", key);
        assert_eq!(accept(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert("sec-websocket-version", HeaderValue::from_static("8"));
        assert!(accept(&headers).is_err());
    }

    #[test]
    fn reasons_are_cut_between_letters() {
        let mut out = Vec::new();
        write_close(close::INTERNAL, &"결".repeat(50), &mut out);
        assert_eq!((out.len(), out[1]), (2 + 2 + 123, 125));
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }

    #[test]
    fn what_breaks_the_protocol_is_an_error() {
        assert_eq!(read_frame(&[0x81, 0x01, b'x']), Err(FrameError::NotMasked));
        assert_eq!(read_frame(&[0x09, 0x80, 0, 0, 0, 0]), Err(FrameError::BadControl));
        let long = [0x81, 0xFF, 0, 0, 0, 0, 0, 2, 0, 0];
        assert_eq!(read_frame(&long), Err(FrameError::TooLong));
    }

    proptest! {
        #[test]
        fn frames_are_read_however_they_are_cut(
            payload in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..320,
        ) {
            let frame = masked(1, &payload);
            let cut = cut.min(frame.len() - 1);
            prop_assert_eq!(read_frame(&frame[..cut]), Ok(None));
            prop_assert_eq!(read_frame(&frame), Ok(Some((Incoming::Other, frame.len()))));
            let ping = masked(9, &payload[..payload.len().min(125)]);
            let expected = Incoming::Ping(payload[..payload.len().min(125)].to_vec());
            prop_assert_eq!(read_frame(&ping), Ok(Some((expected, ping.len()))));
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes: Vec<u8>) {
            let _ = read_frame(&bytes);
        }
    }
}
