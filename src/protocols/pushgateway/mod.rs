//! The Pushgateway: keeps what jobs pushed before they ended, and writes it again and again, as if it were
//! scraped, so that queries see the last push of a job for as long as its group is there.
//!
//! Lives here: grouping keys (`key`), pushed pages (`page`), groups and their files (`group`, `file`,
//! `table`), what queries see of them (`emit`), answers (`answer`).
//! Not here: the formats of pages (wire).
//! Invariants: a push is answered after its group is on the disk and its samples are in the store; a
//! series that a push replaced or a delete removed ends at once; tenants don't see each other's groups.

mod answer;
mod emit;
mod file;
mod group;
mod key;
mod page;
mod settings;
mod table;
#[cfg(test)]
mod tests;

pub use settings::PushgatewaySettings;

use crate::protocol::Keeper;
use crate::route::{bind, percent_decode_segment};
use crate::services::{ServiceError, Services};
use crate::{Access, Body, Call, Handler, Native, Protocol, Route, Stop, handler, reply};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use catalog::Scope;
use model::{ErrorKind, Labels, TenantId};
use observe::{Counter, CounterFamily, Metric, Notice};
use page::PageFormat;
use platform::Disk;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use table::{Changed, Pushed, Table};

static PUSHES: CounterFamily = CounterFamily::new(
    "mirador_pushgateway_pushes_total",
    "Pushes to the Pushgateway and deletes of groups, by method and result.",
    &["method", "result"],
);
static ROUNDS: Counter = Counter::new(
    "mirador_pushgateway_rounds_total",
    "How often the samples of all groups of the Pushgateway were written again.",
);
static INSTRUMENTS: &[&dyn Metric] = &[&PUSHES, &ROUNDS];

const PREFIX: &str = "/pushgateway/metrics/";

/// What the handlers see.
#[derive(Debug)]
struct Pushgateway {
    settings: PushgatewaySettings,
    services: Arc<Services>,
    /// `None` until the groups are read.
    table: Mutex<Option<Table>>,
}

pub(crate) fn protocol(settings: &PushgatewaySettings, services: &Arc<Services>) -> Protocol {
    let (settings, services) = (settings.clone(), Arc::clone(services));
    let state = Arc::new(Pushgateway { settings, services, table: Mutex::new(None) });
    let native = Native { http: vec![(9_091, "/pushgateway")], ..Native::default() };
    let routes = bind(&state, ROUTES);
    let keeper: Keeper = Arc::new(move |disk, stop| Box::pin(keep(Arc::clone(&state), disk, stop)));
    Protocol {
        routes,
        native,
        instruments: INSTRUMENTS,
        keeper: Some(keeper),
        ..Protocol::new("pushgateway")
    }
}

const fn write(
    methods: &'static [Method],
    path: &'static str,
    handler: Handler<Pushgateway>,
    about: &'static str,
) -> Route<Handler<Pushgateway>> {
    let (access, body) = (Access::Tenant(Scope::Write), Body::Whole);
    let (needs_stores, refuse) = (true, reply::refuse_plainly);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

const fn read(
    path: &'static str,
    handler: Handler<Pushgateway>,
    about: &'static str,
) -> Route<Handler<Pushgateway>> {
    let route = write(&[Method::GET], path, handler, about);
    Route { access: Access::Tenant(Scope::Read), body: Body::None, ..route }
}

const fn health(path: &'static str, about: &'static str) -> Route<Handler<Pushgateway>> {
    Route { access: Access::Public, ..read(path, handler!(healthy), about) }
}

const CHANGES: &[Method] = &[Method::PUT, Method::POST, Method::DELETE];

static ROUTES: &[Route<Handler<Pushgateway>>] = &[
    write(CHANGES, "/pushgateway/metrics/job/{*key}", handler!(change), "A group of a job"),
    write(
        CHANGES,
        "/pushgateway/metrics/job@base64/{*key}",
        handler!(change),
        "The same, the job's name in base64",
    ),
    read("/pushgateway/metrics", handler!(metrics_page), "The metrics of all groups, as text"),
    read("/pushgateway/api/v1/metrics", handler!(metrics_json), "The metrics of all groups"),
    read("/pushgateway/api/v1/status", handler!(status), "Version and flags of the Pushgateway"),
    Route {
        access: Access::Tenant(Scope::Admin),
        body: Body::None,
        ..write(
            &[Method::PUT],
            "/pushgateway/api/v1/admin/wipe",
            handler!(wipe),
            "Deletes all groups of the tenant, where `pushgateway.admin_api` is on",
        )
    },
    health("/pushgateway/-/healthy", "That the Pushgateway lives"),
    Route {
        handler: handler!(ready),
        ..health("/pushgateway/-/ready", "Whether the Pushgateway takes pushes")
    },
];

impl Pushgateway {
    fn with_table<T>(
        &self,
        work: impl FnOnce(&mut Table) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let starting = "the groups of the Pushgateway are not read yet: try again";
        let table = table.as_mut();
        work(table.ok_or_else(|| ServiceError::new(ErrorKind::Overloaded, starting))?)
    }

    /// Changes a group, and has queries see it.
    async fn change(self: &Arc<Self>, call: Call, key: Labels) -> Result<(), ServiceError> {
        let (state, tenant) = (Arc::clone(self), call.tenant.clone());
        let now_ms = self.services.clock.wall_ms();
        // A page takes several times its size while it is read.
        call.held.take(call.body.len().saturating_mul(8))?;
        let changing = move || {
            let changed = state.with_table(|table| match call.method {
                Method::DELETE => table.delete(&call.tenant, &key),
                _ => table.push(&call.tenant, pushed(&call, key, now_ms)),
            });
            changed.map(|changed| (changed, call.held))
        };
        let (changed, _held) = self.services.work_turns.run(changing).await??;
        self.show(&tenant, &changed, now_ms).await
    }

    async fn show(
        &self,
        tenant: &TenantId,
        changed: &Changed,
        now_ms: i64,
    ) -> Result<(), ServiceError> {
        let metrics = self.services.metrics()?;
        let mut batch = metrics.batch(tenant);
        if let Some(before) = &changed.before {
            emit::ends(before, changed.after.as_deref(), now_ms, &mut batch);
        }
        if let Some(after) = &changed.after {
            emit::samples(after, now_ms, &mut batch);
        }
        metrics.gateway.commit(batch).await?;
        Ok(())
    }

    /// Writes the samples of all groups once. The write-ahead log tells of its own failures; the next
    /// round tries again.
    async fn round(&self) -> Result<(), ServiceError> {
        let groups = self.with_table(|table| Ok(table.all()))?;
        let metrics = self.services.metrics()?;
        let now_ms = self.services.clock.wall_ms();
        for (tenant, groups) in groups {
            let mut batch = metrics.batch(&tenant);
            groups.iter().for_each(|group| emit::samples(group, now_ms, &mut batch));
            let _told = metrics.gateway.commit(batch).await;
        }
        ROUNDS.increment();
        Ok(())
    }
}

fn pushed(call: &Call, group: Labels, time_ms: i64) -> Pushed {
    Pushed {
        group,
        format: PageFormat::of_content_type(call.header("content-type")),
        body: call.body.clone(),
        replaces_all: call.method == Method::PUT,
        time_ms,
    }
}

/// Reads the groups and writes their samples until the server stops.
async fn keep(state: Arc<Pushgateway>, disk: Arc<dyn Disk>, stop: Stop) {
    let opening = {
        let limits = state.services.metric_options.labels;
        let bytes_max = state.settings.max_size.length();
        tokio::task::spawn_blocking(move || Table::open(disk, limits, bytes_max))
    };
    match opening.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(table) => {
            *state.table.lock().unwrap_or_else(PoisonError::into_inner) = Some(table);
        }
        Err(error) => {
            let text = "the groups of the Pushgateway can't be read: it takes no pushes";
            return Notice::error(text, &[("error", &error)]);
        }
    }
    let mut tick = tokio::time::interval(state.settings.interval.0);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = tick.tick() => {
                // The table is there from here on, and the stores are open.
                let _told = state.round().await;
            }
        }
    }
}

async fn change(state: Arc<Pushgateway>, call: Call) -> Response {
    let method = call.method.as_str().to_owned();
    let path = call.path.strip_prefix(PREFIX).unwrap_or_default();
    let key = key::read(path, percent_decode_segment)
        .map_err(|message| ServiceError::new(ErrorKind::Invalid, message));
    let result = match key {
        Ok(key) => state.change(call, key).await,
        Err(error) => Err(error),
    };
    PUSHES.add(&[&method, if result.is_ok() { "stored" } else { "refused" }], 1);
    match result {
        Ok(()) if method == "DELETE" => reply::empty(StatusCode::ACCEPTED),
        Ok(()) => reply::empty(StatusCode::OK),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

async fn metrics_page(state: Arc<Pushgateway>, call: Call) -> Response {
    match state.with_table(|table| Ok(table.groups(&call.tenant))) {
        Ok(groups) => reply::text(StatusCode::OK, answer::page(&groups)),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

async fn metrics_json(state: Arc<Pushgateway>, call: Call) -> Response {
    match state.with_table(|table| Ok(table.groups(&call.tenant))) {
        Ok(groups) => reply::json(StatusCode::OK, &answer::metrics(&groups)),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

async fn status(state: Arc<Pushgateway>, _: Call) -> Response {
    let Services { version, started_ms, .. } = &*state.services;
    let flags = json!({ "web.enable-admin-api": state.settings.admin_api.to_string() });
    let build = json!({ "version": version });
    let start = answer::rfc3339(*started_ms);
    let data = json!({ "flags": flags, "start_time": start, "build_information": build });
    reply::json(StatusCode::OK, &json!({ "status": "success", "data": data }))
}

async fn wipe(state: Arc<Pushgateway>, call: Call) -> Response {
    if !state.settings.admin_api {
        let message = "wiping is switched off: set pushgateway.admin_api";
        return reply::text(StatusCode::NOT_FOUND, format!("{message}\n"));
    }
    let tenant = call.tenant;
    let groups = state.with_table(|table| Ok(table.groups(&tenant))).unwrap_or_default();
    for group in groups {
        let (deleting, at) = (Arc::clone(&state), tenant.clone());
        let now_ms = state.services.clock.wall_ms();
        let delete = move || deleting.with_table(|table| table.delete(&at, &group.labels));
        let deleted = match state.services.work_turns.run(delete).await {
            Ok(Ok(changed)) => state.show(&tenant, &changed, now_ms).await,
            Ok(Err(error)) | Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            return reply::plain_error(error.kind, &error.message);
        }
    }
    reply::empty(StatusCode::ACCEPTED)
}

async fn ready(state: Arc<Pushgateway>, _: Call) -> Response {
    match state.with_table(|_| Ok(())) {
        Ok(()) => reply::text(StatusCode::OK, "OK\n".to_owned()),
        Err(error) => reply::plain_error(error.kind, &error.message),
    }
}

async fn healthy(_: Arc<Pushgateway>, _: Call) -> Response {
    reply::text(StatusCode::OK, "OK\n".to_owned())
}
