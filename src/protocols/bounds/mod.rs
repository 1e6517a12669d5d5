//! What bounds requests before and after their handlers: memory and threads.
//!
//! Lives here: the memory of requests (`memory`), bodies as they arrive (`arriving`), answers until
//! their clients have read them (`leaving`), turns for work on bodies (`turns`).
//! Not here: what queries hold (`query::Budget`), what waits for the write-ahead log (`wal`).
//! Invariant: what a client sends, what is made of it and what is sent back is asked for before it is
//! taken, and given back when it is dropped.

mod arriving;
mod leaving;
mod memory;
mod turns;

pub(crate) use arriving::read_body;
pub(crate) use leaving::leave;
pub(crate) use memory::METRICS;
pub use memory::{Held, RequestMemory};
pub use turns::WorkTurns;

use crate::Call;
use crate::services::ServiceError;
use wire::Encoding;

/// Unpacks a request's body, or a part of it, into memory that the request asks for.
pub(crate) fn unpack(
    call: &Call,
    encoding: Encoding,
    packed: &[u8],
) -> Result<Vec<u8>, ServiceError> {
    let mut plain = Vec::new();
    wire::decompress_into(encoding, packed, call.decompressed_max, &mut &call.held, &mut plain)
        .map_err(|error| ServiceError::new(error.kind(), error.to_string()))?;
    Ok(plain)
}
