//! The first version of Jaeger's query API, as its page and Grafana ask it.
//!
//! Lives here: `search` (traces by parameters, or by their ids), `names` (services, operations, calls
//! between services), `document` (a trace as Jaeger writes it), with `envelope` under them.
//! Not here: how spans come in, reading the store (`traces`).
//! Invariants: every answer is an object of `data`, `total`, `limit`, `offset` and `errors`; times are
//! microseconds, ids hexadecimal.

mod document;
mod envelope;
pub(super) mod names;
mod search;
#[cfg(test)]
mod tests;

use crate::api::ApiState;
use crate::api::prefixed::reads;
use crate::route::{Bound, bind};
use crate::{Access, Body, Handler, Route, Services};
use axum::http::Method;
use catalog::Scope;
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct JaegerQuery {
    api: ApiState,
}

type QueryHandler = Handler<JaegerQuery>;
type QueryRoute = Route<QueryHandler>;

pub(super) fn routes(services: &Arc<Services>) -> Vec<Route<Bound>> {
    bind(&Arc::new(JaegerQuery { api: ApiState::new(services) }), ROUTES)
}

const fn reading(path: &'static str, handler: QueryHandler, about: &'static str) -> QueryRoute {
    let (methods, access) = (&[Method::GET], Access::Tenant(Scope::Read));
    let (body, needs_stores, refuse) = (Body::None, true, envelope::refuse);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

static ROUTES: &[QueryRoute] = &[
    reading(
        "/jaeger/api/services",
        reads!(QueryHandler, names::services),
        "Names of services in Jaeger's form",
    ),
    reading(
        "/jaeger/api/services/{service}/operations",
        reads!(QueryHandler, names::operations_of_service),
        "Names of a service's spans",
    ),
    reading(
        "/jaeger/api/operations",
        reads!(QueryHandler, names::operations),
        "Names of a service's spans with their kinds",
    ),
    reading(
        "/jaeger/api/traces",
        reads!(QueryHandler, search::search),
        "Traces by service, operation, tags, time and duration",
    ),
    reading(
        "/jaeger/api/traces/{id}",
        reads!(QueryHandler, search::by_id),
        "A trace by its id in Jaeger's form",
    ),
    reading(
        "/jaeger/api/dependencies",
        reads!(QueryHandler, names::dependencies),
        "Calls between services",
    ),
];
