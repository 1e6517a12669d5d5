//! `admin/tsdb/…`: deleting series, cleaning up, snapshots. A setting switches them on.

use super::envelope::{ApiError, Context, Data, ErrorType, succeeded};
use super::selectors::series_query;
use crate::api::json;
use crate::reply;
use axum::http::StatusCode;
use axum::response::Response;

fn switched_on(context: &Context) -> Result<(), ApiError> {
    let message = "admin APIs disabled: prometheus.admin_api switches them on".to_owned();
    let disabled = || ApiError { kind: ErrorType::Unavailable, message };
    context.api.settings.admin_api.then_some(()).ok_or_else(disabled)
}

pub(super) fn delete_series(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    let query = series_query(&context.parameters)?;
    context.metrics()?.queries.delete(&context.call.tenant, &query)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn clean_tombstones(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    context.metrics()?.queries.clean_tombstones(&context.call.tenant)?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn snapshot(context: &Context) -> Result<Response, ApiError> {
    switched_on(context)?;
    let skip_head = match context.parameters.text("skip_head") {
        "" | "false" | "0" => false,
        "true" | "1" => true,
        _ => return Err(ApiError::parameter("skip_head", "must be true or false")),
    };
    let name = context.metrics()?.queries.snapshot(skip_head)?;
    let mut data = Data::of("{\"name\":");
    json::text(&mut data.json, &name);
    data.json.push(b'}');
    Ok(succeeded(data))
}
