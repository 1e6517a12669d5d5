//! HTTP and gRPC: sockets in, routed and authorised calls out.
//!
//! Lives here: listeners (those of the protocols as well), connections and their limits, TLS, how
//! callers prove who they are.
//! Not here: the route type and the way from a request to its handler (protocols), what the
//! handlers do (pages, probe, control).
//! Invariant: a handler is only reached through a `Route`, and a `Route` always says who may call
//! it.

pub(crate) mod attempts;
mod auth;
pub(crate) mod connection;
mod connection_state;
mod host;
pub mod listener;
pub(crate) mod names;
mod protocol_listener;
mod request_line;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub use listener::Peer;
pub use protocols::{Access, Body, Call, reply};

/// A route whose handler sees the whole server.
pub type Route = protocols::Route<protocols::Handler<crate::app::App>>;
