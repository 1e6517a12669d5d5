//! What every HTTP API of a protocol needs, whatever its answers look like.
//!
//! Lives here: `context` (what an endpoint works with, and the trait by which a protocol says how
//! its errors look), `run` (which thread an endpoint runs on, until its client goes away),
//! `parameters` (query strings and forms; `multipart`: forms in parts; `nanos`: times and durations),
//! `prefixed` (routes that are there twice), `stream` (answers that are sent
//! while they are written), `events` (answers that are sent again and again), `places` (how many of both there
//! may be), `quick` (queries that need no other thread), `gzip`, `json` (writers),
//! `websocket`.
//! Not here: statuses and error bodies, which are the protocol's own.
//! Invariants: an endpoint may block, because it runs in the query pool or on a worker thread; the
//! exceptions are those that read no store, and queries that were answered within a millisecond several
//! times in a row. No thread of the query pool ever waits for a client: answers that are sent while they
//! are written have threads of their own (`stream`).

pub(crate) mod events;
pub(crate) mod gzip;
pub(crate) mod json;
mod multipart;
pub(crate) mod nanos;
pub(crate) mod parameters;
mod places;
pub(crate) mod prefixed;
pub(crate) mod quick;
pub(crate) mod stream;
pub(crate) mod websocket;

mod context;
mod run;

pub(crate) use context::{Api, ApiState, Context};
pub(crate) use run::{
    CancelOnDrop, StreamedEndpoint, run, run_here, run_in_pool, run_query, run_streamed, stream_to,
};
