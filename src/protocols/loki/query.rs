//! `query` and `query_range`.

use super::answer;
use super::envelope::{Context, LokiError, json};
use axum::response::Response;
use logql::{Engine, QueryTimes, Request, TenantLogs};
use query::RegexBudget;
use std::sync::Arc;

pub(super) fn instant(context: &Context) -> Result<Response, LokiError> {
    let time_ns = context.time_ns("time")?.unwrap_or_else(|| context.now_ns());
    evaluate(context, QueryTimes::Instant { time_ns })
}

pub(super) fn range(context: &Context) -> Result<Response, LokiError> {
    let (start_ns, end_ns) = context.default_range_ns()?;
    let step_ns = context.step_ns(start_ns, end_ns)?;
    let interval_ns = context.duration_ns("interval")?.unwrap_or(0);
    if interval_ns < 0 {
        return Err(LokiError::bad("interval must be >= 0"));
    }
    evaluate(context, QueryTimes::Range { start_ns, end_ns, step_ns, interval_ns })
}

fn evaluate(context: &Context, times: QueryTimes) -> Result<Response, LokiError> {
    let services = context.services();
    let engine = Engine::new(services.logql.clone());
    let storage = TenantLogs { store: &context.logs()?.store, tenant: &context.call.tenant };
    let query = context.parameters.text("query");
    let request = Request {
        query,
        times,
        limit: context.limit()?,
        direction: context.direction()?,
        cancel: context.cancel.clone(),
        memory: Some(Arc::clone(&services.query_memory)),
        regexes: RegexBudget::default(),
    };
    let clock = &*services.clock;
    let started = clock.now();
    let result = engine.run(&storage, clock, &request)?;
    let took = clock.now().since(started);
    let is_categorized = answer::asks_for_categories(context);
    Ok(json(answer::write(&result, is_categorized, took, &context.cancel)?))
}
