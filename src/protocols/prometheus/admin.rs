//! `admin/tsdb/…`: deleting series, cleaning up, snapshots. A setting switches them on.

use super::envelope::{ApiError, Context, Data, ErrorType, succeeded};
use super::selectors::series_query;
use crate::api::json;
use crate::reply;
use crate::services::MetricServices;
use axum::http::StatusCode;
use axum::response::Response;
use model::Matcher;
use tokio::runtime::Handle;

fn switched_on(context: &Context) -> Result<(), ApiError> {
    let message = "admin APIs disabled: prometheus.admin_api switches them on".to_owned();
    let disabled = || ApiError { kind: ErrorType::SwitchedOff, message };
    context.api.settings.admin_api.then_some(()).ok_or_else(disabled)
}

pub(super) fn delete_series(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    let query = series_query(&context.parameters)?;
    let (metrics, tenant) = (context.metrics()?, &context.call.tenant);
    if query.is_empty() {
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    let MetricServices { store, gateway, .. } = metrics;
    let resolve =
        |matchers: &Vec<Matcher>| store.resolve_delete(tenant, matchers, query.time()).transpose();
    let resolved = query.selectors.iter().filter_map(resolve).collect::<Result<Vec<_>, _>>()?;
    let runtime = Handle::current();
    store.delete(tenant, &resolved, |cut| runtime.block_on(gateway.barrier(cut)))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn clean_tombstones(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    context.metrics()?.store.erase_deleted(&context.call.tenant)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn snapshot(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    let skip_head = match context.parameters.text("skip_head") {
        "" | "false" | "0" => false,
        "true" | "1" => true,
        _ => return Err(ApiError::parameter("skip_head", "must be true or false")),
    };
    let name = context.metrics()?.snapshots.take(skip_head)?;
    let mut data = Data::of("{\"name\":");
    json::text(&mut data.json, &name);
    data.json.push(b'}');
    Ok(succeeded(data))
}
