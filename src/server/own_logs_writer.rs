//! Writes the server's own log lines into its own store, so that a newcomer's first query of logs has an
//! answer: `{service_name="mirador"}`.

use crate::app::App;
use chrono::DateTime;
use model::{Labels, TenantId, TimeUnit};
use protocols::LogServices;
use std::sync::Arc;
use std::time::Duration;
use wire::LogSink;

const INTERVAL: Duration = Duration::from_secs(1);

/// Stores what was logged since the last time; ends when its task is dropped.
pub(crate) async fn keep_writing(app: Arc<App>, services: LogServices) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let instance = app.addresses.first().map(ToString::to_string).unwrap_or_default();
    let stream = Labels::from_pairs([("service_name", "mirador"), ("instance", instance.as_str())]);
    loop {
        tick.tick().await;
        let lines = observe::take_lines();
        if lines.is_empty() {
            continue;
        }
        let mut batch = services.batch(&TenantId::default_tenant());
        batch.stream(stream.as_bytes());
        for line in lines {
            let time = DateTime::parse_from_rfc3339(&line.time).ok();
            let time_ns = time.and_then(|time| time.timestamp_nanos_opt());
            let now_ns = || TimeUnit::Nanos.of_ms(app.clock.wall_ms());
            let fields = [("detected_level", line.level.as_str())];
            batch.line(time_ns.unwrap_or_else(now_ns), line.text.as_bytes(), &fields);
        }
        // The write-ahead log reports its own failures. What it does not take stays on standard error.
        let _ = services.gateway.commit(batch).await;
    }
}
