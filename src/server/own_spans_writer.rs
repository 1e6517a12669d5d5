//! Writes spans of the server's own requests into its own store, so that a newcomer's first query of
//! traces has an answer: `{ resource.service.name = "mirador" }`.
//!
//! It writes without a request, so that nothing is recorded of the writing.

use crate::app::{App, VERSION};
use model::TenantId;
use protocols::{OwnSpan, OwnSpans, TraceServices};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use wire::SpanSink;
use wire::otlp::{AnyValue, Attribute};

const INTERVAL: Duration = Duration::from_secs(1);

/// Stores the spans that ended since the last time; ends when its task is dropped.
pub(crate) async fn keep_writing(app: Arc<App>, services: TraceServices) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let instance = app.addresses.first().map(ToString::to_string).unwrap_or_default();
    let resource = [
        ("service.name", "mirador"),
        ("service.instance.id", instance.as_str()),
        ("service.version", VERSION),
        ("host.name", app.services.machine.host_name.as_str()),
    ];
    let resource = resource.map(|(key, value)| Attribute {
        key: Cow::Borrowed(key),
        value: AnyValue::Text(Cow::Borrowed(value)),
    });
    loop {
        tick.tick().await;
        let spans = app.services.own_spans.take();
        if spans.is_empty() {
            continue;
        }
        let mut batch = services.batch(&TenantId::default_tenant());
        batch.resource(&resource);
        batch.scope("mirador", VERSION, &[]);
        spans.iter().for_each(|span| span.write(&mut batch));
        // The write-ahead log reports its own failures.
        if services.gateway.commit(batch).await.is_err() {
            OwnSpans::lost(spans.iter().map(OwnSpan::count).sum());
        }
    }
}
