//! Commands of SMTP and the replies to them.

use crate::receivers::SendError;
use outbound::{Socket, TlsConfig, start_tls};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// RFC 5321 has 512 bytes; servers are known to send more.
const LINE_MAX: usize = 4_096;
const LINES_MAX: usize = 100;

pub(super) struct Dialog {
    socket: Box<dyn Socket>,
    /// What was read and is no whole line yet.
    unread: Vec<u8>,
    /// What the server said that it can.
    abilities: Vec<String>,
    pub(super) is_encrypted: bool,
}

pub(super) struct Reply {
    code: u16,
    pub(super) lines: Vec<String>,
}

fn broken(error: &io::Error) -> SendError {
    SendError::again(format!("the connection to the mail server failed: {error}"))
}

impl Dialog {
    pub(super) fn new(socket: Box<dyn Socket>) -> Self {
        Self { socket, unread: Vec::new(), abilities: Vec::new(), is_encrypted: false }
    }

    /// The same over TLS. What came before is forgotten, also what an attacker put in between.
    pub(super) async fn encrypted(self, tls: &TlsConfig, host: &str) -> Result<Self, SendError> {
        let socket = start_tls(self.socket, tls, host).await;
        let socket = socket.map_err(|error| SendError::again(error.to_string()))?;
        Ok(Self { is_encrypted: true, ..Self::new(socket) })
    }

    pub(super) async fn hello(&mut self, name: &str) -> Result<(), SendError> {
        let name = if name.is_empty() { "localhost" } else { name };
        let reply = self.command(&format!("EHLO {name}"), &[250]).await?;
        self.abilities = reply.lines.into_iter().skip(1).collect();
        Ok(())
    }

    pub(super) fn offers(&self, ability: &str) -> bool {
        self.words(ability).is_some()
    }

    /// What stands behind an ability: the mechanisms behind `AUTH`.
    pub(super) fn words(&self, ability: &str) -> Option<Vec<String>> {
        self.abilities.iter().find_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let is_it = words.next()?.eq_ignore_ascii_case(ability);
            is_it.then(|| words.map(str::to_ascii_uppercase).collect())
        })
    }

    pub(super) async fn command(&mut self, line: &str, wanted: &[u16]) -> Result<Reply, SendError> {
        if line.contains(['\r', '\n']) {
            return Err(SendError::for_good("an address or a name holds a line end"));
        }
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.expect(wanted).await
    }

    /// The message, whose lines that begin with a dot get a second one.
    pub(super) async fn data(&mut self, text: &str) -> Result<(), SendError> {
        let mut wire = Vec::with_capacity(text.len() + text.len() / 32);
        for line in text.split_inclusive("\r\n") {
            if line.starts_with('.') {
                wire.push(b'.');
            }
            wire.extend_from_slice(line.as_bytes());
        }
        if !text.ends_with("\r\n") {
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        self.write(&wire).await?;
        self.expect(&[250]).await.map(|_| ())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.socket.write_all(bytes).await.map_err(|error| broken(&error))?;
        self.socket.flush().await.map_err(|error| broken(&error))
    }

    /// A reply of one of these codes. Others fail for good where the server says so (5xx).
    pub(super) async fn expect(&mut self, wanted: &[u16]) -> Result<Reply, SendError> {
        let reply = self.reply().await?;
        if wanted.contains(&reply.code) {
            return Ok(reply);
        }
        let message = format!("the mail server answered {} {}", reply.code, reply.lines.join(" "));
        Err(SendError { retry: reply.code / 100 != 5, message })
    }

    async fn reply(&mut self) -> Result<Reply, SendError> {
        let mut lines = Vec::new();
        for _ in 0..LINES_MAX {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| SendError::again("the mail server speaks no SMTP"))?;
            lines.push(line.get(4..).unwrap_or_default().trim().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(SendError::again("a reply of the mail server has no end"))
    }

    async fn line(&mut self) -> Result<String, SendError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.unread.len() > LINE_MAX {
                return Err(SendError::again("a line of the mail server has no end"));
            }
            let mut piece = [0; 1_024];
            let count = self.socket.read(&mut piece).await.map_err(|error| broken(&error))?;
            if count == 0 {
                return Err(SendError::again("the mail server closed the connection"));
            }
            self.unread.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
    }
}
