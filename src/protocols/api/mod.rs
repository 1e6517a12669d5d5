//! What every HTTP API of a protocol needs, whatever its answers look like.
//!
//! Lives here: `context` (what an endpoint works with, and the trait by which a protocol says how
//! its errors look), `run` (running an endpoint on a worker thread until its client goes away),
//! `parameters` (query strings and forms), `stream` (answers that are sent while they are written),
//! `quick` (queries that need no worker thread), `gzip`, `cors`, `json` (writers).
//! Not here: statuses and error bodies, which are the protocol's own.
//! Invariant: an endpoint may block, because it runs on a worker thread; the exception are queries
//! that were answered within a millisecond several times in a row.

pub(crate) mod cors;
pub(crate) mod gzip;
pub(crate) mod json;
pub(crate) mod parameters;
pub(crate) mod quick;
pub(crate) mod stream;

mod context;
mod run;

pub(crate) use context::{Api, ApiState, Context};
pub(crate) use run::{StreamedEndpoint, mistake, run, run_query, run_streamed, stream_to};
