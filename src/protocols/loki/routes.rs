//! Which paths of Loki's API are served, at the root and under `/loki`.

use super::{Loki, detected, legacy, limits, listing, patterns, query, volume};
use crate::api::prefixed::{both, joined, knows, reads};
use crate::{Access, Body, Handler, Route, reply};
use axum::http::Method;
use catalog::Scope;

pub(super) type LokiHandler = Handler<Loki>;
pub(super) type LokiRoute = Route<LokiHandler>;

const GET: &[Method] = &[Method::GET];
const GET_POST: &[Method] = &[Method::GET, Method::POST];

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

const PAIRS: &[[LokiRoute; 2]] = &[
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/query",
        reads!(LokiHandler, query::instant),
        "LogQL at one moment"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/query_range",
        reads!(LokiHandler, query::range),
        "LogQL over a range"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/labels",
        reads!(LokiHandler, listing::names),
        "Names of labels"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/label",
        reads!(LokiHandler, listing::names),
        "Names of labels"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/label/{name}/values",
        reads!(LokiHandler, listing::values),
        "Values of a label"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/series",
        reads!(LokiHandler, listing::series),
        "Streams"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/index/stats",
        reads!(LokiHandler, volume::stats),
        "How much there is"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/index/volume",
        reads!(LokiHandler, volume::volume),
        "Bytes by labels"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/index/volume_range",
        reads!(LokiHandler, volume::volume_range),
        "Bytes by labels and step"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/detected_labels",
        reads!(LokiHandler, detected::labels),
        "Labels, and how many values they have"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/detected_fields",
        reads!(LokiHandler, detected::fields),
        "Fields in the newest lines"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/detected_field/{name}/values",
        reads!(LokiHandler, detected::values),
        "Values of a field in the newest lines"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/patterns",
        reads!(LokiHandler, patterns::patterns),
        "Kinds of lines"
    ),
    both!(
        reading,
        GET,
        "/loki",
        "/loki/api/v1/drilldown-limits",
        knows!(LokiHandler, limits::drilldown),
        "What may be asked for"
    ),
    both!(
        reading,
        GET,
        "/loki",
        "/config/tenant/v1/limits",
        knows!(LokiHandler, limits::of_tenant),
        "The same, as YAML"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/api/prom/query",
        reads!(LokiHandler, legacy::query),
        "Lines, in Loki's old shape"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/api/prom/label",
        reads!(LokiHandler, listing::names),
        "Names of labels, in the old shape"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/api/prom/label/{name}/values",
        reads!(LokiHandler, listing::values),
        "Values of a label, in the old shape"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/api/prom/series",
        reads!(LokiHandler, listing::series),
        "Streams, under the old name"
    ),
    both!(
        reading,
        GET_POST,
        "/loki",
        "/loki/api/v1/format_query",
        knows!(LokiHandler, listing::format),
        "A query, formatted"
    ),
    both!(
        reading,
        GET,
        "/loki",
        "/loki/api/v1/status/buildinfo",
        knows!(LokiHandler, listing::build_info),
        "The API's version"
    ),
];

pub(super) static ROUTES: &[LokiRoute] = &joined::<_, { PAIRS.len() * 2 }>(PAIRS);
