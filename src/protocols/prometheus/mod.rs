//! Prometheus: remote write and imports in, its HTTP API out.
//!
//! Lives here: `write` (remote write 1.0 and 2.0), `import` (text and JSON lines in), `export`
//! (JSON lines out), `federate`, `read` (remote read), `selected` (raw series, which these three
//! are made of), `query`, `labels`, `status`, `admin` (the HTTP API), with
//! `parameters`, `envelope`, `quick` and `json` under them.
//! Not here: decoding (wire), the language (promql), storage.

mod admin;
mod classic;
mod envelope;
mod export;
mod federate;
mod import;
mod json;
mod labels;
mod narrowed;
mod parameters;
mod query;
mod quick;
mod read;
mod routes;
mod selected;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use quick::QuickQueries;
pub use settings::PrometheusSettings;
pub(crate) use write::commit;

use crate::Protocol;

pub(crate) const PROTOCOL: Protocol = Protocol { name: "prometheus", routes: &[routes::ROUTES] };
