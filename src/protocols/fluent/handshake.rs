//! The handshake by which a sender and the server prove to each other that they know the shared key.
//!
//! 1. The server sends a nonce (`HELO`).
//! 2. The sender sends a salt and the hash of salt, its host name, nonce and key (`PING`).
//! 3. The server sends the hash of the same with its own host name (`PONG`).

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;
use wire::msgpack::{MsgpackError, MsgpackReader, MsgpackWriter};

const NONCE_SIZE: usize = 16;

/// The server's side of one connection's handshake.
pub(super) struct Handshake<'k> {
    key: &'k [u8],
    nonce: [u8; NONCE_SIZE],
}

impl<'k> Handshake<'k> {
    /// `connection` must be another for each connection, and `now_ns` makes those of another start
    /// others. What is made of them can't be guessed without the key.
    pub(super) fn new(key: &'k [u8], connection: u64, now_ns: i64) -> Self {
        let hash = Sha512::new()
            .chain_update(b"nonce")
            .chain_update(key)
            .chain_update(connection.to_le_bytes())
            .chain_update(now_ns.to_le_bytes())
            .finalize();
        let mut nonce = [0; NONCE_SIZE];
        nonce.iter_mut().zip(&hash[..]).for_each(|(nonce, hash)| *nonce = *hash);
        Self { key, nonce }
    }

    pub(super) fn helo(&self) -> Vec<u8> {
        let mut writer = MsgpackWriter::default();
        writer.array(2).text(b"HELO").map(3);
        writer.text(b"nonce").binary(&self.nonce);
        writer.text(b"auth").text(b"");
        writer.text(b"keepalive").boolean(true);
        writer.into_bytes()
    }

    /// Answers a `PING` with the `PONG`, and whether the sender knows the key.
    pub(super) fn pong(&self, ping: &[u8], host: &str) -> Result<(Vec<u8>, bool), MsgpackError> {
        let mut reader = MsgpackReader::new(ping);
        let length = reader.array()?;
        if length < 4 || reader.text()? != b"PING" {
            return Err(reader.error("a PING"));
        }
        let (sender, salt, digest) = (reader.text()?, reader.text()?, reader.text()?);
        let expected = self.digest(salt, sender);
        let knows = bool::from(expected.as_bytes().ct_eq(digest));
        let mut writer = MsgpackWriter::default();
        writer.array(5).text(b"PONG").boolean(knows);
        match knows {
            true => {
                let digest = self.digest(salt, host.as_bytes());
                writer.text(b"").text(host.as_bytes()).text(digest.as_bytes())
            }
            false => writer.text(b"shared_key mismatch").text(b"").text(b""),
        };
        Ok((writer.into_bytes(), knows))
    }

    fn digest(&self, salt: &[u8], host: &[u8]) -> String {
        let hash = Sha512::new()
            .chain_update(salt)
            .chain_update(host)
            .chain_update(self.nonce)
            .chain_update(self.key)
            .finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
