//! `drilldown-limits` and `config/tenant/v1/limits`: what a client may ask for, under Loki's names.

use super::envelope::{Context, LokiError, json};
use super::listing::LOKI_VERSION;
use crate::reply;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

/// The settings of logs, which have Loki's names. A value is JSON where it can be read as that.
fn limits(context: &Context) -> Map<String, Value> {
    let services = context.services();
    let of_logs = |(name, text): &(String, String)| {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
        Some((name.strip_prefix("logs.")?.to_owned(), value))
    };
    let mut limits: Map<String, Value> = services.settings.iter().filter_map(of_logs).collect();
    let age_ms = services.log_retention.of(&context.call.tenant).age_ms.unwrap_or(0);
    limits.insert("retention_period".to_owned(), model::format_duration(age_ms).into());
    limits.insert("volume_enabled".to_owned(), true.into());
    limits
}

/// What Logs Drilldown looks at before it asks for anything.
pub(super) fn drilldown(context: &Context) -> Result<Response, LokiError> {
    let answer = serde_json::json!({
        "limits": limits(context),
        "pattern_ingester_enabled": true,
        "version": LOKI_VERSION,
    });
    Ok(json(answer.to_string().into_bytes()))
}

/// In YAML, of which JSON values are a part.
pub(super) fn of_tenant(context: &Context) -> Result<Response, LokiError> {
    let line = |(name, value): (&String, &Value)| format!("{name}: {value}\n");
    let text: String = limits(context).iter().map(line).collect();
    Ok(reply::of(StatusCode::OK, "application/yaml", text.into_bytes()))
}
