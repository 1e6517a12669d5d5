//! Which paths are served, at the root and under `/prometheus`.

use super::envelope::{ApiError, Context, Data, refuse, succeeded};
use super::{
    Prometheus, admin, export, federate, import, labels, query, read, rules, scraped, sent_on,
    status, write,
};
use crate::api::{StreamedEndpoint, run, run_here, run_query, run_streamed};
use crate::{Access, Body, Call, Handler, Refuse, Route, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use std::sync::Arc;

type ApiHandler = Handler<Prometheus>;
type ApiRoute = Route<ApiHandler>;

/// An endpoint that answers JSON.
type Endpoint = fn(&Context) -> Result<Data, ApiError>;

/// An endpoint that answers something else.
type RawEndpoint = fn(&Context) -> Result<Response, ApiError>;

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const OPTIONS: &[Method] = &[Method::OPTIONS];
const CHANGE: &[Method] = &[Method::POST, Method::PUT];

const READ: Access = Access::Tenant(Scope::Read);
const WRITE: Access = Access::Tenant(Scope::Write);
const ADMIN: Access = Access::Tenant(Scope::Admin);
/// What the server tells of itself.
const OF_SERVER: Access = Access::Server(Scope::Read);
const SERVER_ADMIN: Access = Access::Server(Scope::Admin);

/// An endpoint that answers JSON without reading a store, as a handler.
macro_rules! known {
    ($endpoint:path) => {{
        const ENDPOINT: Endpoint = $endpoint;
        let handler: ApiHandler = |state, call| {
            Box::pin(run_here(state, call, |context: &Context| ENDPOINT(context).map(succeeded)))
        };
        handler
    }};
}

/// An endpoint that answers JSON, as a handler.
macro_rules! json {
    ($endpoint:path) => {{
        const ENDPOINT: Endpoint = $endpoint;
        let handler: ApiHandler = |state, call| {
            Box::pin(run_query(state, call, |context: &Context| ENDPOINT(context).map(succeeded)))
        };
        handler
    }};
}

/// An endpoint that answers something else, as a handler.
macro_rules! raw {
    ($endpoint:path) => {{
        const ENDPOINT: RawEndpoint = $endpoint;
        let handler: ApiHandler = |state, call| Box::pin(run_query(state, call, ENDPOINT));
        handler
    }};
}

/// An endpoint that changes something, as a handler.
macro_rules! change {
    ($endpoint:path) => {{
        const ENDPOINT: RawEndpoint = $endpoint;
        let handler: ApiHandler = |state, call| Box::pin(run(state, call, ENDPOINT));
        handler
    }};
}

/// An endpoint whose answer is sent while it is written, as a handler.
macro_rules! streamed {
    ($endpoint:ident) => {{
        let handler: ApiHandler = |state, call| {
            let (content_type, write) = ($endpoint::content_type, $endpoint::$endpoint);
            Box::pin(run_streamed(state, call, StreamedEndpoint { content_type, write }))
        };
        handler
    }};
}

/// Answers the preflight request that a browser sends before a request from another site.
async fn options(_: Arc<Prometheus>, _: Call) -> Response {
    reply::empty(StatusCode::NO_CONTENT)
}

const fn route(
    methods: &'static [Method],
    path: &'static str,
    access: Access,
    body: Body,
    handler: ApiHandler,
    about: &'static str,
) -> ApiRoute {
    let (needs_stores, refuse) = (true, refusal(access));
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// Agents that write show the text of a refusal to people; clients that read expect JSON.
const fn refusal(access: Access) -> Refuse {
    match access {
        Access::Tenant(Scope::Write) => reply::refuse_plainly,
        _ => refuse,
    }
}

const fn reading(
    methods: &'static [Method],
    path: &'static str,
    handler: ApiHandler,
    about: &'static str,
) -> ApiRoute {
    route(methods, path, READ, Body::Whole, handler, about)
}

/// The route of preflight requests for a path.
const fn preflight(path: &'static str) -> ApiRoute {
    route(OPTIONS, path, Access::Public, Body::None, handler!(options), "CORS")
}

/// Makes two routes of a path: at the root and under the prefix.
macro_rules! both {
    ($make:ident, [$($before:expr),*], $path:literal, $($after:expr),*) => {
        [
            $make($($before,)* $path, $($after),*),
            $make($($before,)* concat!("/prometheus", $path), $($after),*),
        ]
    };
}

/// Whether pages of other sites may call it, as they may every route that reads.
const fn is_read(route: &ApiRoute) -> bool {
    matches!(route.access, Access::Tenant(Scope::Read) | Access::Server(Scope::Read))
}

/// The pairs below, joined while compiling, with a preflight for every path that is read.
const fn joined<const N: usize>(pairs: &[[ApiRoute; 2]]) -> [ApiRoute; N] {
    let mut all = [pairs[0][0]; N];
    let (mut index, mut end) = (0, 0);
    while index < 2 * pairs.len() {
        let route = pairs[index / 2][index % 2];
        all[end] = route;
        end += 1;
        if is_read(&route) {
            all[end] = preflight(route.path);
            end += 1;
        }
        index += 1;
    }
    assert!(end == N, "every route has its place");
    all
}

const fn routes_of(pairs: &[[ApiRoute; 2]]) -> usize {
    let (mut index, mut count) = (0, 0);
    while index < pairs.len() {
        count += if is_read(&pairs[index][0]) { 4 } else { 2 };
        index += 1;
    }
    count
}

const PAIRS: &[[ApiRoute; 2]] = &[
    both!(
        reading,
        [GET_POST],
        "/api/v1/query",
        json!(query::instant),
        "Evaluates a PromQL expression at one time"
    ),
    both!(
        reading,
        [GET_POST],
        "/api/v1/query_range",
        json!(query::range),
        "Evaluates a PromQL expression over a range"
    ),
    both!(
        reading,
        [GET_POST],
        "/api/v1/query_exemplars",
        json!(query::exemplars),
        "Exemplars of the series that a query selects"
    ),
    both!(
        reading,
        [GET_POST],
        "/api/v1/format_query",
        json!(query::format),
        "A PromQL expression, laid out"
    ),
    both!(
        reading,
        [GET_POST],
        "/api/v1/parse_query",
        json!(query::tree),
        "A PromQL expression as a tree"
    ),
    both!(reading, [GET_POST], "/api/v1/series", json!(labels::series), "Series that match"),
    both!(reading, [GET_POST], "/api/v1/labels", json!(labels::names), "Names of labels"),
    both!(
        reading,
        [GET],
        "/api/v1/label/{name}/values",
        json!(labels::values),
        "Values of a label"
    ),
    both!(
        reading,
        [GET],
        "/api/v1/metadata",
        json!(labels::metadata),
        "Type, help and unit of metrics"
    ),
    both!(
        reading,
        [GET],
        "/api/v1/status/buildinfo",
        known!(status::build),
        "The version of Prometheus' API that is spoken"
    ),
    both!(
        route,
        [GET],
        "/api/v1/status/config",
        OF_SERVER,
        Body::Whole,
        known!(status::config),
        "The configuration"
    ),
    both!(
        route,
        [GET],
        "/api/v1/status/flags",
        OF_SERVER,
        Body::Whole,
        known!(status::flags),
        "Every setting, and Prometheus' names for some"
    ),
    both!(
        route,
        [GET],
        "/api/v1/status/runtimeinfo",
        OF_SERVER,
        Body::Whole,
        json!(status::runtime),
        "When and where the server started"
    ),
    both!(reading, [GET], "/api/v1/status/tsdb/blocks", json!(status::blocks), "Parts on disk"),
    both!(reading, [GET], "/api/v1/features", known!(status::features), "What is spoken"),
    both!(
        reading,
        [GET],
        "/api/v1/notifications",
        known!(status::notifications),
        "Notices for Prometheus' own pages, of which there are none"
    ),
    both!(
        reading,
        [GET_POST],
        "/api/v1/series/count",
        json!(status::series_count),
        "How many series"
    ),
    both!(
        reading,
        [GET],
        "/api/v1/status/tsdb",
        json!(status::statistics),
        "Cardinality by name, label and pair"
    ),
    both!(
        reading,
        [GET],
        "/api/v1/status/walreplay",
        known!(status::wal_replay),
        "The log's replay, which is done"
    ),
    both!(reading, [GET], "/api/v1/rules", json!(rules::rules), "Rule groups"),
    both!(reading, [GET], "/api/v1/alerts", json!(rules::alerts), "Active alerts"),
    both!(reading, [GET], "/api/v1/targets", json!(scraped::targets), "Scrape targets"),
    both!(
        reading,
        [GET],
        "/api/v1/targets/metadata",
        json!(scraped::metadata),
        "Metadata by scrape target"
    ),
    both!(reading, [GET], "/api/v1/scrape_pools", known!(scraped::pools), "Names of scrape jobs"),
    both!(
        route,
        [GET],
        "/api/v1/scrape_pools/config",
        OF_SERVER,
        Body::Whole,
        known!(scraped::pool_config),
        "A scrape job as the configuration has it, without secrets"
    ),
    both!(
        route,
        [GET],
        "/api/v1/targets/relabel_steps",
        OF_SERVER,
        Body::Whole,
        json!(scraped::relabel_steps),
        "What each relabeling rule of a scrape job makes of labels"
    ),
    both!(
        route,
        [GET],
        "/api/v1/status/remote_write",
        OF_SERVER,
        Body::Whole,
        known!(sent_on::remote_write),
        "The servers that samples are sent on to, and how that goes"
    ),
    both!(
        reading,
        [GET],
        "/api/v1/alertmanagers",
        known!(status::alertmanagers),
        "Alertmanagers that alerts are sent to"
    ),
    both!(
        reading,
        [GET_POST],
        "/federate",
        handler!(federate::serve),
        "The newest samples, as text or protobuf"
    ),
    both!(reading, [GET_POST], "/api/v1/export", streamed!(export), "Samples as JSON lines"),
    both!(
        reading,
        [GET_POST],
        "/prettify-query",
        raw!(query::prettify_query),
        "A PromQL expression, laid out, as VictoriaMetrics answers it"
    ),
    both!(
        route,
        [CHANGE],
        "/api/v1/admin/tsdb/delete_series",
        ADMIN,
        Body::Whole,
        change!(admin::delete_series),
        "Deletes series, where `prometheus.admin_api` allows it"
    ),
    both!(
        route,
        [CHANGE],
        "/api/v1/admin/tsdb/clean_tombstones",
        ADMIN,
        Body::Whole,
        change!(admin::clean_tombstones),
        "Removes what was deleted from the disk"
    ),
    both!(
        route,
        [CHANGE],
        "/api/v1/admin/tsdb/snapshot",
        SERVER_ADMIN,
        Body::Whole,
        change!(admin::snapshot),
        "Keeps what is there now under a name"
    ),
    both!(
        route,
        [POST],
        "/api/v1/read",
        READ,
        Body::AsSent,
        handler!(read::serve),
        "Prometheus remote read, samples or streamed chunks"
    ),
    both!(
        route,
        [POST],
        "/api/v1/write",
        WRITE,
        Body::AsSent,
        handler!(write::write),
        "Prometheus remote write 1.0 and 2.0"
    ),
    both!(
        route,
        [POST],
        "/api/v1/push",
        WRITE,
        Body::AsSent,
        handler!(write::write),
        "The same under Mimir's name"
    ),
    both!(
        route,
        [POST],
        "/api/v1/import/prometheus",
        WRITE,
        Body::Whole,
        handler!(import::text),
        "Metrics as text, Prometheus' or OpenMetrics"
    ),
    both!(
        route,
        [POST],
        "/api/v1/import",
        WRITE,
        Body::Whole,
        handler!(import::json_lines),
        "Samples as JSON lines, as exported"
    ),
];

/// What Grafana's data source of Loki asks below its own address.
pub(super) static OF_LOKI: &[ApiRoute] = &[
    preflight("/loki/prometheus/api/v1/rules"),
    preflight("/loki/prometheus/api/v1/alerts"),
    reading(
        GET,
        "/loki/prometheus/api/v1/rules",
        json!(rules::rules),
        "Rule groups with rules of LogQL",
    ),
    reading(
        GET,
        "/loki/prometheus/api/v1/alerts",
        json!(rules::alerts),
        "Active alerts of rules of LogQL",
    ),
];

pub(super) static ROUTES: &[ApiRoute] = &joined::<{ routes_of(PAIRS) }>(PAIRS);
