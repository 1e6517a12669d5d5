//! Which paths of Elasticsearch's API are served to those who search, at the root and under
//! `/elasticsearch`.

use super::envelope::Context;
use super::search::SearchError;
use super::{ElasticHandler, ElasticRoute, answer, fields, indices, searching};
use crate::api::run_query;
use crate::{Access, Body, Route};
use axum::http::Method;
use axum::response::Response;
use catalog::Scope;

type Endpoint = fn(&Context) -> Result<Response, SearchError>;

const GET: &[Method] = &[Method::GET];
const GET_POST: &[Method] = &[Method::GET, Method::POST];

/// An endpoint that reads the store, as a handler.
macro_rules! reads {
    ($endpoint:path) => {{
        const ENDPOINT: Endpoint = $endpoint;
        let handler: ElasticHandler = |state, call| Box::pin(run_query(state, call, ENDPOINT));
        handler
    }};
}

const fn reading(
    methods: &'static [Method],
    path: &'static str,
    handler: ElasticHandler,
    about: &'static str,
) -> ElasticRoute {
    let (access, body) = (Access::Tenant(Scope::Read), Body::Whole);
    let (needs_stores, refuse) = (true, answer::refuse);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// Makes two routes of a path: at the root and under the prefix.
macro_rules! both {
    ($methods:expr, $path:literal, $handler:expr, $about:expr) => {
        [
            reading($methods, $path, $handler, $about),
            reading($methods, concat!("/elasticsearch", $path), $handler, $about),
        ]
    };
}

/// The pairs below, joined while compiling.
const fn joined<const N: usize>(pairs: &[[ElasticRoute; 2]]) -> [ElasticRoute; N] {
    let mut routes = [pairs[0][0]; N];
    let mut at = 0;
    while at < N {
        routes[at] = pairs[at / 2][at % 2];
        at += 1;
    }
    routes
}

const PAIRS: &[[ElasticRoute; 2]] = &[
    both!(GET_POST, "/_search", reads!(searching::search), "Searches all indices"),
    both!(GET_POST, "/{index}/_search", reads!(searching::search), "Searches these indices"),
    both!(
        GET_POST,
        "/_msearch",
        reads!(searching::msearch),
        "Several searches, which Grafana sends"
    ),
    both!(GET_POST, "/{index}/_msearch", reads!(searching::msearch), "Several searches"),
    both!(GET_POST, "/_count", reads!(searching::count), "How many lines match"),
    both!(GET_POST, "/{index}/_count", reads!(searching::count), "How many lines match"),
    both!(GET_POST, "/_field_caps", reads!(fields::field_caps), "Fields in the newest lines"),
    both!(
        GET_POST,
        "/{index}/_field_caps",
        reads!(fields::field_caps),
        "Fields in the newest lines"
    ),
    both!(GET, "/_mapping", reads!(fields::mapping), "Fields in the newest lines, by index"),
    both!(
        GET,
        "/{index}/_mapping",
        reads!(fields::mapping),
        "Fields in the newest lines, by index"
    ),
    both!(GET, "/_cat/indices", reads!(indices::cat), "Indices, and how many lines each has"),
    both!(GET, "/_cat/indices/{index}", reads!(indices::cat), "The same of these indices"),
    both!(
        GET_POST,
        "/_resolve/index/{index}",
        reads!(indices::resolve),
        "The indices that a pattern means"
    ),
    both!(GET, "/_aliases", reads!(indices::aliases), "Indices, which have no aliases"),
];

pub(super) static ROUTES: &[ElasticRoute] = &joined::<{ PAIRS.len() * 2 }>(PAIRS);
