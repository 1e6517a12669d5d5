//! Which paths of Tempo's API are served, at the root and under `/tempo`.

use super::envelope::TempoError;
use super::{Tempo, metrics, search, tags, trace};
use crate::api::prefixed::{both, joined, knows, reads};
use crate::{Access, Body, Handler, Route, reply};
use axum::http::Method;
use axum::response::Response;
use catalog::Scope;

pub(super) type TempoHandler = Handler<Tempo>;
pub(super) type TempoRoute = Route<TempoHandler>;

const GET: &[Method] = &[Method::GET];

const fn reading(
    methods: &'static [Method],
    path: &'static str,
    handler: TempoHandler,
    about: &'static str,
) -> TempoRoute {
    let (access, body) = (Access::Tenant(Scope::Read), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// What Grafana asks to know whether there is a Tempo.
fn echo(_: &super::envelope::Context) -> Result<Response, TempoError> {
    Ok(reply::text(axum::http::StatusCode::OK, "echo"))
}

/// What Grafana looks at to know which features there are.
fn build_info(context: &super::envelope::Context) -> Result<Response, TempoError> {
    let info = serde_json::json!({
        "version": TEMPO_VERSION,
        "revision": context.services().version,
        "branch": "main",
        "buildUser": "mirador",
        "buildDate": "",
        "goVersion": "",
    });
    Ok(super::envelope::json(info.to_string().into_bytes()))
}

/// The version of Tempo whose API this is.
const TEMPO_VERSION: &str = "3.0.2";

const PAIRS: &[[TempoRoute; 2]] = &[
    both!(reading, GET, "/tempo", "/api/echo", knows!(TempoHandler, echo), "Says that it is there"),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/status/buildinfo",
        knows!(TempoHandler, build_info),
        "The API's version"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/v2/traces/{id}",
        reads!(TempoHandler, trace::v2),
        "A trace by its id"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/search",
        reads!(TempoHandler, search::search),
        "Traces that TraceQL finds"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/search/tags",
        reads!(TempoHandler, tags::names_v1),
        "Names of attributes"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/v2/search/tags",
        reads!(TempoHandler, tags::names),
        "Names of attributes by scope"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/search/tag/{*tag}",
        reads!(TempoHandler, tags::values_v1),
        "Values of an attribute"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/v2/search/tag/{*tag}",
        reads!(TempoHandler, tags::values),
        "Values of an attribute with their types"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/metrics/query_range",
        reads!(TempoHandler, metrics::range),
        "TraceQL metrics over a range"
    ),
    both!(
        reading,
        GET,
        "/tempo",
        "/api/metrics/query",
        reads!(TempoHandler, metrics::instant),
        "TraceQL metrics as one number each"
    ),
    // At the root this path is also that of Jaeger's API.
    [
        reading(
            GET,
            "/tempo/api/traces/{id}",
            reads!(TempoHandler, trace::v1),
            "A trace by its id",
        ),
        reading(GET, "/api/traces/{id}", reads!(TempoHandler, trace::v1), "A trace by its id"),
    ],
];

pub(super) static ROUTES: &[TempoRoute] = &joined::<_, { PAIRS.len() * 2 }>(PAIRS);
