//! `tail`: lines as they come in, over a websocket.
//!
//! Lives here: what a client asks for, and how many may ask at once. `session`: one client from its
//! first line to its end. `message`: what it is sent.
//! Invariants: a batch waits for no client, one that is too slow misses lines and is told of which
//! streams; every line of a batch that was applied after the client was connected is sent or told as
//! missed, and none twice.

mod message;
mod session;

use super::envelope::{Context, LokiError};
use super::{Loki, routes::LokiRoute};
use crate::api::{run_here, websocket};
use crate::sockets::Upgrade;
use crate::{Access, Body, Call, handler, reply};
use axum::http::{HeaderName, Method};
use axum::response::Response;
use catalog::Scope;
use log_store::Tail;
use logql::Follow;
use message::Shape;
use model::TenantId;
use query::RegexBudget;
use session::{Lines, Session};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const fn tailing(path: &'static str, about: &'static str) -> LokiRoute {
    let (methods, access, body) = (&[Method::GET], Access::Tenant(Scope::Read), Body::None);
    let (needs_stores, handler, refuse) = (true, handler!(tail), reply::refuse_plainly);
    LokiRoute { methods, path, access, body, needs_stores, handler, refuse, about }
}

pub(super) static ROUTES: &[LokiRoute] = &[
    tailing("/loki/api/v1/tail", "New lines, over a websocket"),
    tailing("/loki/loki/api/v1/tail", "The same under its prefix"),
    tailing("/api/prom/tail", "The same in its old shape"),
    tailing("/loki/api/prom/tail", "The same in its old shape, under its prefix"),
];

/// The longest `delay_for`, in seconds.
const DELAY_MAX: u64 = 5;

/// How many clients follow each tenant.
pub(super) type Following = Mutex<HashMap<TenantId, usize>>;

async fn tail(loki: Arc<Loki>, mut call: Call) -> Response {
    let upgrade = call.upgrade.take();
    run_here(loki, call, move |context: &Context| begin(context, upgrade)).await
}

fn begin(context: &Context, upgrade: Option<Upgrade>) -> Result<Response, LokiError> {
    let upgrade = upgrade.ok_or_else(|| {
        LokiError::bad(
            "this is for websockets: send `Connection: Upgrade` and `Upgrade: websocket`",
        )
    })?;
    let accept = websocket::accept(&context.call.headers).map_err(LokiError::bad)?;
    let session = session(context)?;
    let mut response = upgrade.accept("websocket", |accepted| session.run(accepted));
    response.headers_mut().insert(HeaderName::from_static("sec-websocket-accept"), accept);
    Ok(response)
}

fn session(context: &Context) -> Result<Session, LokiError> {
    let services = context.services();
    let query = context.parameters.text("query").to_owned();
    let options = services.logql.clone();
    let most = options.limits.entries_max;
    let limit = context.limit()?;
    if limit > most {
        return Err(LokiError::bad(format!(
            "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {most})"
        )));
    }
    let (start_ns, now_ns) = (context.default_range_ns()?.0, context.now_ns());
    let follow = Follow::new(&query, options, now_ns, &mut RegexBudget::default())?;
    let slot = Slot::take(&context.api, &context.call.tenant, services.log_options.tails_max)?;
    let notify = Arc::new(Notify::new());
    let waker = Arc::clone(&notify);
    let tail: Tail =
        context.logs()?.store.follow(&context.call.tenant, Box::new(move || waker.notify_one()))?;
    let lines = Lines {
        loki: Arc::clone(&context.api),
        tenant: context.call.tenant.clone(),
        query,
        follow,
        past_ns: (start_ns, now_ns.saturating_add(1)),
        limit,
        shape: Shape::asked_by(context),
        tail,
    };
    let (delay, longest) = (delay(context)?, services.log_options.tail_max);
    Ok(Session { lines: Arc::new(lines), delay, longest, notify, slot })
}

/// How long to wait for lines that come late.
fn delay(context: &Context) -> Result<Duration, LokiError> {
    let text = context.parameters.text("delay_for");
    let seconds = if text.is_empty() { Some(0) } else { text.parse().ok() };
    let is_allowed = |seconds: &u64| *seconds <= DELAY_MAX;
    seconds.filter(is_allowed).map(Duration::from_secs).ok_or_else(|| {
        LokiError::bad(format!(
            "delay_for can't be greater than {DELAY_MAX}: send whole seconds, not {text:?}"
        ))
    })
}

/// A client's place among those that follow its tenant; given back when dropped.
pub(super) struct Slot {
    loki: Arc<Loki>,
    tenant: TenantId,
}

impl Slot {
    fn take(loki: &Arc<Loki>, tenant: &TenantId, most: usize) -> Result<Self, LokiError> {
        let mut following = loki.following.lock().unwrap_or_else(PoisonError::into_inner);
        let count = following.entry(tenant.clone()).or_default();
        if *count >= most {
            let asked = *count + 1;
            return Err(LokiError::bad(format!(
                "max concurrent tail requests limit exceeded, count > limit ({asked} > {most}): close \
                 another one, or raise logs.max_concurrent_tail_requests"
            )));
        }
        *count += 1;
        Ok(Self { loki: Arc::clone(loki), tenant: tenant.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut following = self.loki.following.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = following.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                following.remove(&self.tenant);
            }
        }
    }
}
