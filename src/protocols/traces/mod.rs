//! What the protocols of traces have in common, between their bytes and the store.
//!
//! Lives here: `settings` (limits), `guard` (the sink that bounds the times of spans), `commit` (the way
//! of a batch into the store), `active` (spans in flight, which are not stored); `reading` (traces,
//! searches and values of the store), `dependencies` (calls between services), `document` and `json`
//! (traces on their way out).
//! Not here: any protocol, decoding (wire), the store.
//! Invariants: every span that a client sends is passed to the store, refused, or only tells that a span is
//! in flight; every refusal is counted by its reason, and the protocol tells its client.

pub(crate) mod active;
mod commit;
mod dependencies;
pub(crate) mod document;
mod guard;
#[cfg(test)]
mod hard_cases;
pub(crate) mod json;
mod reading;
#[cfg(test)]
mod sample;
mod settings;
#[cfg(test)]
mod stored;

pub use active::{ActiveOptions, ActiveSpans};
pub(crate) use commit::{Guard, commit, commit_held, room_for_spans, taken};
pub(crate) use guard::METRICS;
pub(crate) use reading::{SpanFilter, service_name, short_trace_id, trace_id};
pub use settings::{TraceOptions, TracesSettings};
