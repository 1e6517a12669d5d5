//! Which paths of Elasticsearch's API are served to those who search, at the root and under
//! `/elasticsearch`.

use super::{ElasticHandler, ElasticRoute, answer, fields, indices, searching};
use crate::api::prefixed::{both, joined, reads};
use crate::{Access, Body, Route};
use axum::http::Method;
use catalog::Scope;

const GET: &[Method] = &[Method::GET];
const GET_POST: &[Method] = &[Method::GET, Method::POST];

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

const PAIRS: &[[ElasticRoute; 2]] = &[
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/_search",
        reads!(ElasticHandler, searching::search),
        "Searches all indices"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/{index}/_search",
        reads!(ElasticHandler, searching::search),
        "Searches these indices"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/_msearch",
        reads!(ElasticHandler, searching::msearch),
        "Several searches, which Grafana sends"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/{index}/_msearch",
        reads!(ElasticHandler, searching::msearch),
        "Several searches"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/_count",
        reads!(ElasticHandler, searching::count),
        "How many lines match"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/{index}/_count",
        reads!(ElasticHandler, searching::count),
        "How many lines match"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/_field_caps",
        reads!(ElasticHandler, fields::field_caps),
        "Fields in the newest lines"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/{index}/_field_caps",
        reads!(ElasticHandler, fields::field_caps),
        "Fields in the newest lines"
    ),
    both!(
        reading,
        GET,
        "/elasticsearch",
        "/_mapping",
        reads!(ElasticHandler, fields::mapping),
        "Fields in the newest lines, by index"
    ),
    both!(
        reading,
        GET,
        "/elasticsearch",
        "/{index}/_mapping",
        reads!(ElasticHandler, fields::mapping),
        "Fields in the newest lines, by index"
    ),
    both!(
        reading,
        GET,
        "/elasticsearch",
        "/_cat/indices",
        reads!(ElasticHandler, indices::cat),
        "Indices, and how many lines each has"
    ),
    both!(
        reading,
        GET,
        "/elasticsearch",
        "/_cat/indices/{index}",
        reads!(ElasticHandler, indices::cat),
        "The same of these indices"
    ),
    both!(
        reading,
        GET_POST,
        "/elasticsearch",
        "/_resolve/index/{index}",
        reads!(ElasticHandler, indices::resolve),
        "The indices that a pattern means"
    ),
    both!(
        reading,
        GET,
        "/elasticsearch",
        "/_aliases",
        reads!(ElasticHandler, indices::aliases),
        "Indices, which have no aliases"
    ),
];

pub(super) static ROUTES: &[ElasticRoute] = &joined::<_, { PAIRS.len() * 2 }>(PAIRS);
