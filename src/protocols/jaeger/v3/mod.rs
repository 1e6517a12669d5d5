//! The third version of Jaeger's query API over HTTP and gRPC, and the service by which Jaeger reads from
//! another server: they ask the same.
//!
//! Lives here: `question` (what a search asks, from parameters, bodies and messages), `find` (what is
//! found), `http` and `rpc` (how it is answered), `storage` (answers to Jaeger's own query service).
//! Not here: reading the store (`traces`), the first version (`query`), writing (`otlp`).
//! Invariant: what is asked for and not understood is refused, never left out.

mod find;
mod http;
mod question;
mod rpc;
mod storage;
#[cfg(test)]
mod tests;

use crate::api::{Api, ApiState};
use crate::route::{Bound, bind};
use crate::services::ServiceError;
use crate::{Access, Body, Handler, Refuse, Route, Services, grpc};
use axum::http::Method;
use axum::response::Response;
use catalog::Scope;
use std::sync::Arc;

/// What the endpoints of HTTP see.
#[derive(Debug)]
pub(crate) struct JaegerV3 {
    api: ApiState,
}

/// What the methods of gRPC see.
#[derive(Debug)]
pub(crate) struct JaegerRpc {
    api: ApiState,
}

impl Api for JaegerV3 {
    type Error = ServiceError;

    fn failure(error: &ServiceError) -> Response {
        http::failure(error.kind, &error.message)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

impl Api for JaegerRpc {
    type Error = ServiceError;

    fn failure(error: &ServiceError) -> Response {
        grpc::failure(error.kind, &error.message)
    }

    fn state(&self) -> &ApiState {
        &self.api
    }
}

pub(super) fn routes(services: &Arc<Services>) -> Vec<Route<Bound>> {
    let over_http = Arc::new(JaegerV3 { api: ApiState::new(services) });
    let over_grpc = Arc::new(JaegerRpc { api: ApiState::new(services) });
    let mut routes = bind(&over_http, http::ROUTES);
    routes.extend(bind(&over_grpc, rpc::ROUTES));
    routes.extend(bind(&over_grpc, storage::ROUTES));
    routes
}

const fn reading<S>(
    methods: &'static [Method],
    path: &'static str,
    body: Body,
    handler: Handler<S>,
    refuse: Refuse,
    about: &'static str,
) -> Route<Handler<S>> {
    let (access, needs_stores) = (Access::Tenant(Scope::Read), true);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// A route of a method.
const fn method(
    path: &'static str,
    handler: Handler<JaegerRpc>,
    about: &'static str,
) -> Route<Handler<JaegerRpc>> {
    reading(&[Method::POST], path, Body::AsSent, handler, grpc::refuse, about)
}

/// The handler of a method that an endpoint answers.
macro_rules! answers {
    ($endpoint:path) => {{
        let handler: $crate::Handler<$crate::jaeger::v3::JaegerRpc> =
            |rpc, call| Box::pin($crate::grpc::run_question(rpc, call, $endpoint));
        handler
    }};
}

use answers;
