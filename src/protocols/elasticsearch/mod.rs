//! Elasticsearch's API, as far as agents need it to send documents and Grafana needs it to search them.
//!
//! Lives here: `bulk` (documents in), `document` (one document), `filter` (`filter_path`),
//! `handshake` (what agents ask and set up before they send), `answer` (statuses and errors in
//! Elasticsearch's words); `searching`, `fields` and `indices` (what is asked of lines, fields and names of
//! indices) with `envelope` under them and `routes`; `search` (the query languages, and how lines are
//! searched).
//! Invariants: every answer says that it comes from Elasticsearch, because clients refuse others; an
//! item of a bulk request is answered as created after its line is durable.

mod answer;
mod bulk;
mod document;
mod envelope;
mod fields;
mod filter;
mod handshake;
mod indices;
mod routes;
mod search;
mod searching;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::ElasticsearchSettings;

use crate::api::ApiState;
use crate::logs::{RecordShape, ShapeNames};
use crate::route::bind;
use crate::{Access, Body, Handler, Native, Protocol, Route, Services, handler};
use axum::http::Method;
use catalog::Scope;
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Elasticsearch {
    services: Arc<Services>,
    api: ApiState,
    settings: ElasticsearchSettings,
    shape: RecordShape,
}

/// The fields that are the line, in the order in which they count.
const LINE_FIELDS: &[&str] = &["message", "event.original", "log", "msg", "_msg", "MESSAGE"];
const TIME_FIELDS: &[&str] = &["@timestamp"];

pub(crate) fn protocol(settings: &ElasticsearchSettings, services: &Arc<Services>) -> Protocol {
    let labels = &services.log_options.stream_fields;
    let shape = RecordShape::new(ShapeNames { line: LINE_FIELDS, time: TIME_FIELDS, labels });
    let api = ApiState::new(services);
    let (services, settings) = (Arc::clone(services), settings.clone());
    let state = Arc::new(Elasticsearch { services, api, settings, shape });
    let routes = ROUTES.iter().flatten().copied().chain(UNDER_PREFIX.iter().flatten().copied());
    let routes: Vec<ElasticRoute> = routes.collect();
    let native = Native { http: vec![(9_200, "/elasticsearch")], ..Native::default() };
    let mut routes = bind(&state, &routes);
    routes.extend(bind(&state, routes::ROUTES));
    Protocol { routes, native, ..Protocol::new("elasticsearch") }
}

type ElasticHandler = Handler<Elasticsearch>;
type ElasticRoute = Route<ElasticHandler>;

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST, Method::PUT];
const SETUP: &[Method] = &[Method::PUT, Method::POST];

const fn writing(path: &'static str, handler: ElasticHandler, about: &'static str) -> ElasticRoute {
    let (access, body) = (Access::Tenant(Scope::Write), Body::Whole);
    let (methods, needs_stores, refuse) = (POST, true, answer::refuse);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// What agents ask before they send. Everybody may ask, because the answers are the same for all and
/// hold nothing of any tenant; so a token that may only write is enough for an agent.
const fn asking(path: &'static str, handler: ElasticHandler, about: &'static str) -> ElasticRoute {
    let (methods, access, body) = (GET, Access::Public, Body::None);
    let (needs_stores, refuse) = (false, answer::refuse);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

/// What agents set up before they send, which needs no setting up here.
const fn setting_up(path: &'static str, about: &'static str) -> ElasticRoute {
    let handler = handler!(handshake::acknowledge);
    let access = Access::Tenant(Scope::Write);
    Route { methods: SETUP, access, ..asking(path, handler, about) }
}

const fn missing(path: &'static str, about: &'static str) -> ElasticRoute {
    asking(path, handler!(handshake::missing), about)
}

/// Three routes of a path: at the root, under the prefix, and under VictoriaLogs' prefix.
macro_rules! everywhere {
    ($make:ident, $path:literal, $($after:expr),*) => {
        [
            $make($path, $($after),*),
            $make(concat!("/elasticsearch", $path), $($after),*),
            $make(concat!("/insert/elasticsearch", $path), $($after),*),
        ]
    };
}

/// Two routes of a path that other protocols have at the root.
macro_rules! prefixed {
    ($make:ident, $path:literal, $($after:expr),*) => {
        [
            $make(concat!("/elasticsearch", $path), $($after),*),
            $make(concat!("/insert/elasticsearch", $path), $($after),*),
        ]
    };
}

static ROUTES: &[[ElasticRoute; 3]] = &[
    everywhere!(writing, "/_bulk", handler!(bulk::bulk), "Documents, one after another"),
    everywhere!(writing, "/{index}/_bulk", handler!(bulk::bulk), "Documents of one index"),
    everywhere!(writing, "/{index}/_doc", handler!(document::index), "One document"),
    everywhere!(
        writing,
        "/{index}/_doc/{id}",
        handler!(document::index),
        "One document with an id"
    ),
    everywhere!(
        writing,
        "/{index}/_create/{id}",
        handler!(document::index),
        "One document with an id"
    ),
    everywhere!(
        asking,
        "/_license",
        handler!(handshake::license),
        "A basic licence, which Beats ask for"
    ),
    everywhere!(asking, "/_xpack", handler!(handshake::xpack), "The same, which Logstash asks for"),
    everywhere!(
        asking,
        "/_cluster/health",
        handler!(handshake::health),
        "Green once the stores are open"
    ),
    everywhere!(
        asking,
        "/_cat/health",
        handler!(handshake::cat_health),
        "The same as a line of text"
    ),
    everywhere!(asking, "/_cluster/settings", handler!(handshake::cluster_settings), "No settings"),
    everywhere!(
        asking,
        "/_nodes",
        handler!(handshake::nodes),
        "This server, at the address that it was asked at"
    ),
    everywhere!(asking, "/_nodes/http", handler!(handshake::nodes), "The same"),
    everywhere!(asking, "/_nodes/_all/http", handler!(handshake::nodes), "The same"),
    everywhere!(missing, "/_ilm/policy/{name}", "No lifecycle policies: retention is a setting"),
    everywhere!(setting_up, "/_ilm/policy/{name}", "Acknowledged, and not needed"),
    everywhere!(missing, "/_index_template/{name}", "No templates: any field may come"),
    everywhere!(setting_up, "/_index_template/{name}", "Acknowledged, and not needed"),
    everywhere!(missing, "/_component_template/{name}", "No templates"),
    everywhere!(setting_up, "/_component_template/{name}", "Acknowledged, and not needed"),
    everywhere!(missing, "/_template/{name}", "No templates"),
    everywhere!(setting_up, "/_template/{name}", "Acknowledged, and not needed"),
    everywhere!(missing, "/_data_stream/{name}", "No data streams are set up"),
    everywhere!(setting_up, "/_data_stream/{name}", "Acknowledged, and not needed"),
    everywhere!(missing, "/_ingest/pipeline/{name}", "No pipelines"),
    everywhere!(setting_up, "/_ingest/pipeline/{name}", "Acknowledged, and not applied"),
    everywhere!(missing, "/_alias/{name}", "No aliases"),
    everywhere!(missing, "/_logstash/pipeline/{name}", "No pipelines"),
];

static UNDER_PREFIX: &[[ElasticRoute; 2]] = &[
    prefixed!(asking, "", handler!(handshake::root), "The version, which clients ask for first"),
    prefixed!(asking, "/", handler!(handshake::root), "The same"),
    prefixed!(missing, "/{index}", "No index is set up: each begins with its first document"),
    prefixed!(setting_up, "/{index}", "Acknowledged, and not needed"),
];
