//! What travels: bytes of other people's formats. Step 1: pure functions, no I/O.
//!
//! Lives here: bounded decompression of request bodies.
//! Not here: what a protocol means (protocols), our own file formats (codec, parts, wal).
//! Invariants: no decoder takes more memory than its limit allows, whatever a length field says.

mod decompress;

pub use decompress::{DecompressError, Encoding, decompress};
