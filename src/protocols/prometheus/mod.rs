//! Prometheus: remote write and imports in, its HTTP API out.
//!
//! Lives here: `write` (remote write 1.0 and 2.0), `import` (text and JSON lines in), `export`
//! (JSON lines out), `federate`, `read` (remote read), `selected` (the raw series that these three
//! send), `query`, `labels`, `rules`, `scraped` (targets), `sent_on`, `status`, `admin` (the HTTP API), with `selectors`, `listing` (what
//! several selectors find), `derived` (the series that spans give), `memory` (what listing takes),
//! `envelope` and `histogram_json` under them.
//! Not here: what every HTTP API needs (`api`), decoding (wire), the language (promql), storage.

mod admin;
mod classic;
mod derived;
mod envelope;
mod export;
mod federate;
mod histogram_json;
mod import;
mod labels;
mod listing;
mod memory;
mod query;
mod read;
mod routes;
mod rules;
mod scraped;
mod selected;
mod selectors;
mod sent_on;
mod settings;
#[cfg(test)]
mod span_tests;
mod status;
#[cfg(test)]
mod tests;
mod write;

pub use settings::PrometheusSettings;

use crate::api::ApiState;
use crate::cors::{Allowed, Cors};
use crate::route::bind;
use crate::{Protocol, Services};
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Prometheus {
    settings: PrometheusSettings,
    api: ApiState,
}

impl Prometheus {
    fn services(&self) -> &Services {
        &self.api.services
    }
}

const CORS: Allowed = Allowed {
    methods: "GET, POST, OPTIONS",
    headers: "Accept, Authorization, Content-Type, Origin, X-Scope-OrgID",
    exposed: Some("Date"),
};

pub(crate) fn protocol(settings: &PrometheusSettings, services: &Arc<Services>) -> Protocol {
    let api = ApiState::new(services);
    let cors = Cors::new(&settings.cors_origins, CORS);
    let prometheus = Arc::new(Prometheus { settings: settings.clone(), api });
    let mut routes = bind(&prometheus, routes::ROUTES);
    routes.extend(bind(&prometheus, routes::OF_LOKI));
    Protocol { routes, cors, ..Protocol::new("prometheus") }
}
