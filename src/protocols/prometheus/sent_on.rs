//! `status/remote_write`: the servers that samples are sent on to, and how that goes. Mirador's own: of
//! Prometheus, only metrics tell it.
//!
//! What is sent on belongs to one tenant: others see nothing.

use super::envelope::{ApiError, Context, Data};
use chrono::{DateTime, SecondsFormat};
use sending::DestinationView;
use serde_json::{Value, json};
use wire::WriteVersion;

pub(super) fn remote_write(context: &Context) -> Result<Data, ApiError> {
    let senders = context.services().sending();
    let senders = senders.filter(|senders| *senders.tenant() == context.call.tenant);
    let views = senders.map(|senders| senders.views()).unwrap_or_default();
    let all: Vec<Value> = views.iter().map(view).collect();
    Ok(Data::of(json!(all).to_string().as_bytes()))
}

fn view(view: &DestinationView) -> Value {
    let message = match view.version {
        WriteVersion::V1 => "prometheus.WriteRequest",
        WriteVersion::V2 => "io.prometheus.write.v2.Request",
    };
    let failure =
        view.failure.as_ref().map(|(at_ms, why)| json!({ "at": time(*at_ms), "error": why }));
    json!({
        "name": view.name,
        "url": view.url,
        "protobufMessage": message,
        "shards": view.shards,
        "pendingSamples": view.pending,
        "behindBytes": view.behind_bytes,
        "highestSentTimestamp": time(view.highest_sent_ms),
        "lastTaken": time(view.taken_ms),
        "lastFailure": failure,
    })
}

/// `None` for what has not been yet.
fn time(at_ms: i64) -> Option<String> {
    let at = DateTime::from_timestamp_millis(at_ms).filter(|_| at_ms != 0)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}
