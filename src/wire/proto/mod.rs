//! The messages of the `proto/` folder as types that prost generates, a module for each package.
//!
//! They carry what is rare (answers, errors) and are what the tests compare the hand-written
//! decoders with. Decoding them takes an allocation for each text and list, and no limit but the
//! body's size bounds their memory: what clients send in bulk is decoded by hand
//! (docs/adr/0006).
#![allow(clippy::all, clippy::large_futures, unreachable_pub, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/proto.rs"));

#[cfg(test)]
mod streaming;
