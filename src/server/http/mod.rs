//! HTTP and gRPC: sockets in, routed and authorised calls out.
//!
//! Lives here: listeners, connections and their limits, TLS, the route type and the one way by
//! which a request reaches a handler.
//! Not here: what the handlers do (pages, probe, control).
//! Invariant: a handler is only reached through a `Route`, and a `Route` always says who may call
//! it.

pub mod auth;
mod connection;
pub mod listener;
pub mod reply;
pub mod route;
mod tls;

pub use auth::Principal;
pub use listener::Peer;
pub use route::{Access, Body, Call, Route};
