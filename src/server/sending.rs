//! Sending samples on as the configuration of Prometheus says (`remote_write`): begun when the stores are
//! open, ended before they close.

use crate::app::App;
use crate::config::Config;
use crate::stores::{Machine, Stores};
use ::sending::{Destination, MetadataSettings, QueueSettings, SendError, Senders, Source};
use observe::Notice;
use platform::{Disk, RealDisk};
use protocols::MetricServices;
use scrape::config::{Global, RemoteWrite};
use std::sync::Arc;
use std::time::Duration;

/// A stop waits no longer for other servers; what they have not taken is sent after the next start.
pub(crate) const GRACE_MAX: Duration = Duration::from_secs(10);

/// Bytes of the write-ahead log that are kept for a destination.
pub(crate) fn backlog_max(config: &Config, disk: &RealDisk) -> u64 {
    let total = || disk.space().ok().map(|space| space.total);
    config.protocols.prometheus.remote_write_backlog.bytes(total).unwrap_or(u64::MAX)
}

/// Begins to send, where the configuration says so. Needs a runtime.
pub(crate) async fn start(
    app: &App,
    stores: &Stores,
    metrics: &MetricServices,
    machine: &Machine,
) -> Result<Arc<Senders>, SendError> {
    let senders = Arc::new(Senders::new(Source {
        wal: Arc::clone(metrics.gateway.wal()),
        store: metrics.store.clone(),
        tenant: model::TenantId::default_tenant(),
        disk: machine.disk.clone(),
        clock: Arc::clone(&machine.clock),
        runtime: tokio::runtime::Handle::current(),
        backlog_max: backlog_max(&app.config, &machine.disk),
    }));
    senders.apply(destinations(app)).await?;
    // From here on each destination holds what it needs.
    stores.release_wal();
    app.services.open_sending(Arc::clone(&senders));
    Ok(senders)
}

/// Takes over what has changed.
pub(crate) async fn reload(app: &App) -> Result<(), String> {
    let Some(senders) = app.services.sending() else { return Ok(()) };
    senders.apply(destinations(app)).await.map_err(|error| {
        Notice::error("not everything of remote_write is taken over", &[("error", &error)]);
        error.to_string()
    })
}

fn destinations(app: &App) -> Vec<Destination> {
    let scraping = app.services.scraping();
    let Some(config) = scraping.and_then(|scraping| scraping.config()) else { return Vec::new() };
    config.remote_write.iter().map(|section| destination(section, &config.global)).collect()
}

fn destination(section: &RemoteWrite, global: &Global) -> Destination {
    let (queue, metadata) = (section.queue, section.metadata);
    let age = queue.sample_age_limit;
    Destination {
        name: section.name.clone(),
        url: section.url.clone(),
        version: section.version,
        timeout: section.timeout.std(),
        headers: section.headers.clone().into_iter().collect(),
        external_labels: global.external_labels.clone(),
        relabel: section.relabel.clone(),
        send_exemplars: section.send_exemplars,
        send_native_histograms: section.send_native_histograms,
        queue: QueueSettings {
            capacity: queue.capacity,
            shards_min: queue.min_shards,
            shards_max: queue.max_shards,
            samples_per_send: queue.max_samples_per_send,
            send_deadline: queue.batch_send_deadline.std(),
            backoff_min: queue.min_backoff.std(),
            backoff_max: queue.max_backoff.std(),
            retry_on_429: queue.retry_on_http_429,
            sample_age_max: (age.ms > 0).then(|| age.std()),
        },
        metadata: MetadataSettings {
            send: metadata.send,
            interval: metadata.send_interval.std(),
            per_send: metadata.max_samples_per_send,
        },
        http: section.http.clone(),
    }
}
