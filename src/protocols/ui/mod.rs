//! What the screens of this server ask for beyond the APIs of other systems, under `/api/ui/v1`.
//!
//! Lives here: one file or folder for each endpoint: `hitmap` (transactions by end and duration), `tx`
//! (those in a box of it), `edges` (which operations call each other), `map` (a trace by its services),
//! `lines` (a trace with its lines), `active` (spans in flight), `explain` (what differs from before), with `parameters` and `envelope` under them, `routes`.
//! Not here: pages and scripts, languages, storage.
//! Invariants: every answer is compact JSON, tables are columns of equal length, and `stats` says what was
//! looked at, how long that took and whether something could not be read; errors are JSON and say where
//! in a query they are.

mod active;
mod edges;
mod envelope;
mod explain;
mod hitmap;
mod lines;
mod map;
mod parameters;
mod routes;
#[cfg(test)]
mod tests;
mod tx;

use crate::api::ApiState;
use crate::route::bind;
use crate::{Protocol, Services};
use std::sync::Arc;

/// What the handlers see.
#[derive(Debug)]
pub(crate) struct Ui {
    api: ApiState,
}

pub(crate) fn protocol(services: &Arc<Services>) -> Protocol {
    let ui = Arc::new(Ui { api: ApiState::new(services) });
    Protocol { routes: bind(&ui, routes::ROUTES), ..Protocol::new("ui") }
}
