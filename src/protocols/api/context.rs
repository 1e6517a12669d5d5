//! What an endpoint works with, and what a protocol says of itself so that it can be run.

use super::parameters::Parameters;
use super::quick::QuickQueries;
use crate::Call;
use crate::services::{ServiceError, Services};
use axum::response::Response;
use query::CancelFlag;
use std::sync::Arc;

/// A protocol whose endpoints are run by this layer. Implemented by the protocol's state.
pub(crate) trait Api: Send + Sync + 'static {
    /// What an endpoint fails with.
    type Error: From<ServiceError> + Send + 'static;

    /// The error in the protocol's own words: its status and body.
    fn failure(error: &Self::Error) -> Response;

    fn state(&self) -> &ApiState;
}

/// What this layer keeps for each protocol.
#[derive(Debug)]
pub(crate) struct ApiState {
    pub(crate) services: Arc<Services>,
    pub(crate) quick: QuickQueries,
}

impl ApiState {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), quick: QuickQueries::default() }
    }
}

/// One request, as its endpoint sees it.
pub(crate) struct Context<A> {
    /// The protocol's state.
    pub(crate) api: Arc<A>,
    pub(crate) call: Call,
    pub(crate) parameters: Parameters,
    /// Raised when the client goes away.
    pub(crate) cancel: CancelFlag,
}

impl<A: Api> Context<A> {
    pub(super) fn new(api: Arc<A>, call: Call, cancel: CancelFlag) -> Result<Self, ServiceError> {
        let parameters = Parameters::of(&call, api.state().services.clock.wall_ms())?;
        Ok(Self { api, call, parameters, cancel })
    }

    pub(crate) fn services(&self) -> &Services {
        &self.api.state().services
    }
}
