//! Which paths are served.

use super::{Ui, active, edges, explain, hitmap, lines, map, tx};
use crate::api::prefixed::reads;
use crate::api::{StreamedEndpoint, run_streamed};
use crate::{Access, Body, Handler, Route, handler, reply};
use axum::http::Method;
use catalog::Scope;

type UiHandler = Handler<Ui>;
pub(super) type UiRoute = Route<UiHandler>;

/// A route that readers of the tenant may call.
pub(super) const fn reading(
    path: &'static str,
    handler: UiHandler,
    about: &'static str,
) -> UiRoute {
    let (methods, access, body) = (&[Method::GET], Access::Tenant(Scope::Read), Body::None);
    let (needs_stores, refuse) = (true, reply::refuse);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

pub(super) static ROUTES: &[UiRoute] = &[
    reading(
        "/api/ui/v1/hitmap",
        reads!(UiHandler, hitmap::hitmap),
        "How many transactions ended when, by duration",
    ),
    reading(
        "/api/ui/v1/tx",
        reads!(UiHandler, tx::transactions),
        "The transactions in a box of end and duration",
    ),
    reading(
        "/api/ui/v1/edges",
        reads!(UiHandler, edges::edges),
        "Calls between operations of services",
    ),
    reading(
        "/api/ui/v1/trace/{id}/map",
        reads!(UiHandler, map::map),
        "A trace by its services, with its critical path",
    ),
    reading(
        "/api/ui/v1/trace/{id}/logs",
        reads!(UiHandler, lines::with_lines),
        "A trace with the lines that carry its id",
    ),
    reading(
        "/api/ui/v1/active",
        handler!(active::active),
        "The spans in flight; as events every two seconds where they are asked for",
    ),
    reading(
        "/api/ui/v1/explain",
        |ui, call| {
            let (content_type, write) = (explain::content_type, explain::explain);
            Box::pin(run_streamed(ui, call, StreamedEndpoint { content_type, write }))
        },
        "What differs between a time and the one before it, ranked; a line as soon as a source has looked",
    ),
];
