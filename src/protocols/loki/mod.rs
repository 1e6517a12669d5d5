//! Loki's HTTP API.
//!
//! Lives here: `push` (how lines come in); `query` with `answer`, `listing` (what queries and their
//! editors are answered); `volume`, `detected`, `patterns` (what there is, for those who do not know
//! what to ask yet); `tail` (lines as they come in); `delete`; `limits`; `legacy` (the first API); with
//! `reading`, `parameters` and `envelope` under them, `routes`.
//! Not here: decoding (wire), limits and levels (`logs`), the language (logql), storage, OTLP under
//! Loki's name (`otlp`).
//! Invariant: errors are plain text, as Loki's clients expect them.

mod answer;
mod delete;
mod detected;
mod envelope;
mod legacy;
mod limits;
mod listing;
mod parameters;
mod patterns;
mod push;
mod query;
mod reading;
mod routes;
mod tail;
#[cfg(test)]
mod tests;
mod volume;

use crate::api::ApiState;
use crate::route::bind;
use crate::{Native, Protocol, Services};
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Loki {
    api: ApiState,
    following: tail::Following,
}

impl Loki {
    fn services(&self) -> &Services {
        &self.api.services
    }
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let loki =
        Arc::new(Loki { api: ApiState::new(services), following: tail::Following::default() });
    let mut routes = bind(&loki, routes::ROUTES);
    routes.extend(bind(&loki, push::ROUTES));
    routes.extend(bind(&loki, tail::ROUTES));
    routes.extend(bind(&loki, delete::ROUTES));
    let native = Native { http: vec![(3_100, "")], ..Native::default() };
    Protocol { routes, native, ..Protocol::new("loki") }
}
