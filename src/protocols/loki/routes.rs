//! Which paths of Loki's API are served, at the root and under `/loki`.

use super::envelope::{Context, LokiError};
use super::{Loki, detected, legacy, limits, listing, patterns, query, volume};
use crate::api::{run_here, run_query};
use crate::{Access, Body, Handler, Route, reply};
use axum::http::Method;
use axum::response::Response;
use catalog::Scope;

pub(super) type LokiHandler = Handler<Loki>;
pub(super) type LokiRoute = Route<LokiHandler>;
type Endpoint = fn(&Context) -> Result<Response, LokiError>;

const GET: &[Method] = &[Method::GET];
const GET_POST: &[Method] = &[Method::GET, Method::POST];

/// An endpoint that reads the store, as a handler.
macro_rules! reads {
    ($endpoint:path) => {{
        const ENDPOINT: Endpoint = $endpoint;
        let handler: LokiHandler = |state, call| Box::pin(run_query(state, call, ENDPOINT));
        handler
    }};
}

/// An endpoint that reads no store, as a handler.
macro_rules! knows {
    ($endpoint:path) => {{
        const ENDPOINT: Endpoint = $endpoint;
        let handler: LokiHandler = |state, call| Box::pin(run_here(state, call, ENDPOINT));
        handler
    }};
}

const fn reading(
    methods: &'static [Method],
    path: &'static str,
    handler: LokiHandler,
    about: &'static str,
) -> LokiRoute {
    let (access, body) = (Access::Tenant(Scope::Read), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// Makes two routes of a path: at the root and under the prefix.
macro_rules! both {
    ($methods:expr, $path:literal, $handler:expr, $about:expr) => {
        [
            reading($methods, $path, $handler, $about),
            reading($methods, concat!("/loki", $path), $handler, $about),
        ]
    };
}

/// The pairs below, joined while compiling.
const fn joined<const N: usize>(pairs: &[[LokiRoute; 2]]) -> [LokiRoute; N] {
    let mut routes = [pairs[0][0]; N];
    let mut at = 0;
    while at < N {
        routes[at] = pairs[at / 2][at % 2];
        at += 1;
    }
    routes
}

const PAIRS: &[[LokiRoute; 2]] = &[
    both!(GET_POST, "/loki/api/v1/query", reads!(query::instant), "LogQL at one moment"),
    both!(GET_POST, "/loki/api/v1/query_range", reads!(query::range), "LogQL over a range"),
    both!(GET_POST, "/loki/api/v1/labels", reads!(listing::names), "Names of labels"),
    both!(GET_POST, "/loki/api/v1/label", reads!(listing::names), "Names of labels"),
    both!(
        GET_POST,
        "/loki/api/v1/label/{name}/values",
        reads!(listing::values),
        "Values of a label"
    ),
    both!(GET_POST, "/loki/api/v1/series", reads!(listing::series), "Streams"),
    both!(GET_POST, "/loki/api/v1/index/stats", reads!(volume::stats), "How much there is"),
    both!(GET_POST, "/loki/api/v1/index/volume", reads!(volume::volume), "Bytes by labels"),
    both!(
        GET_POST,
        "/loki/api/v1/index/volume_range",
        reads!(volume::volume_range),
        "Bytes by labels and step"
    ),
    both!(
        GET_POST,
        "/loki/api/v1/detected_labels",
        reads!(detected::labels),
        "Labels, and how many values they have"
    ),
    both!(
        GET_POST,
        "/loki/api/v1/detected_fields",
        reads!(detected::fields),
        "Fields in the newest lines"
    ),
    both!(
        GET_POST,
        "/loki/api/v1/detected_field/{name}/values",
        reads!(detected::values),
        "Values of a field in the newest lines"
    ),
    both!(GET_POST, "/loki/api/v1/patterns", reads!(patterns::patterns), "Kinds of lines"),
    both!(GET, "/loki/api/v1/drilldown-limits", knows!(limits::drilldown), "What may be asked for"),
    both!(GET, "/config/tenant/v1/limits", knows!(limits::of_tenant), "The same, as YAML"),
    both!(GET_POST, "/api/prom/query", reads!(legacy::query), "Lines, in Loki's old shape"),
    both!(GET_POST, "/api/prom/label", reads!(listing::names), "Names of labels, in the old shape"),
    both!(
        GET_POST,
        "/api/prom/label/{name}/values",
        reads!(listing::values),
        "Values of a label, in the old shape"
    ),
    both!(GET_POST, "/api/prom/series", reads!(listing::series), "Streams, under the old name"),
    both!(GET_POST, "/loki/api/v1/format_query", knows!(listing::format), "A query, formatted"),
    both!(GET, "/loki/api/v1/status/buildinfo", knows!(listing::build_info), "The API's version"),
];

pub(super) static ROUTES: &[LokiRoute] = &joined::<{ PAIRS.len() * 2 }>(PAIRS);
