//! Encodes numbers and strings as bytes, and decodes them. Step 1: pure functions, no I/O.
//!
//! Lives here: checksums, identity hashes, variable-length integers, the bounds-checked reader.
//! Not here: which fields a file has (wal, parts and the engines know), compression of wire
//! formats (wire).
//! Invariants: every decoder accepts any bytes and returns a value or an error in bounded time and
//! memory;
//! every pair of functions has a round-trip property test.

mod bytes;
mod checksum;

pub use bytes::{ByteReader, ByteWriter, DecodeError};
pub use checksum::{SecretHash, crc32c, crc32c_append, xxh3_64, xxh3_128};
