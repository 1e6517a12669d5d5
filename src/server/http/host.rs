//! What the routes ask of the server before a handler is reached.

use super::auth;
use super::listener::Peer;
use crate::app::App;
use axum::http::request::Parts;
use protocols::{BodyLimits, Host, Identified, Refusal, Services};
use std::net::SocketAddr;
use std::sync::Arc;

impl Host for App {
    fn services(&self) -> &Arc<Services> {
        &self.services
    }

    fn unavailable(&self) -> Option<String> {
        self.lifecycle.unavailable()
    }

    fn admits_host(&self, parts: &Parts) -> Result<(), Refusal> {
        self.names.check(parts)
    }

    fn identify<'a>(&'a self, parts: &'a Parts) -> Identified<'a> {
        Box::pin(auth::identify(self, parts))
    }

    fn body_limits(&self) -> BodyLimits {
        let limits = &self.config.limits;
        BodyLimits {
            timeout: limits.body_timeout.0,
            size_max: limits.body_size.length(),
            decompressed_max: limits.decompressed_size.length(),
        }
    }

    fn peer(&self, parts: &Parts) -> Option<SocketAddr> {
        parts.extensions.get::<Peer>().map(|peer| peer.0)
    }
}
