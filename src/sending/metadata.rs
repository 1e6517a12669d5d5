//! What metrics mean. Version 1 sends it apart, every now and then; version 2 with its series.

use crate::item::Tally;
use crate::manager::Source;
use crate::retry::{Backoff, Outcome};
use crate::shard::{Shared, lock};
use crate::telemetry::{REFUSED, SENT};
use model::{MetricMetadata, Unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wire::{MetadataRef, MetricSink, WriteEncoder, WriteVersion};

/// How often version 2 looks whether metrics were added.
const LOOK_EACH: Duration = Duration::from_secs(1);

/// Metadata came in: version 2 is to know it soon.
pub(crate) fn note_change(shared: &Shared) {
    shared.figures.metadata_changed.store(true, Relaxed);
}

/// Ends with its task.
pub(crate) async fn keep_sending(shared: Arc<Shared>, source: Source) {
    let settings = shared.destination.metadata;
    match shared.destination.version {
        WriteVersion::V2 => loop {
            if let Some(found) = read(&source).await {
                *lock(&shared.metadata) = Arc::new(found);
            }
            while !shared.figures.metadata_changed.swap(false, Relaxed) {
                tokio::time::sleep(LOOK_EACH).await;
            }
            tokio::time::sleep(LOOK_EACH).await;
        },
        WriteVersion::V1 if settings.send => loop {
            if let Some(found) = read(&source).await {
                let all: Vec<(String, MetricMetadata)> = found.into_iter().collect();
                for some in all.chunks(settings.per_send.max(1)) {
                    send(&shared, some).await;
                }
            }
            tokio::time::sleep(settings.interval.max(LOOK_EACH)).await;
        },
        WriteVersion::V1 => {}
    }
}

async fn read(source: &Source) -> Option<BTreeMap<String, MetricMetadata>> {
    let (store, tenant) = (source.store.clone(), source.tenant.clone());
    let reading = move || store.metadata(&tenant, &mut Unbounded).ok();
    tokio::task::spawn_blocking(reading).await.ok()?
}

/// Sends until it is taken or refused, or until it is time for the next round.
async fn send(shared: &Shared, metadata: &[(String, MetricMetadata)]) {
    let settings = shared.destination.metadata;
    let mut encoder = WriteEncoder::new(WriteVersion::V1);
    for (metric, MetricMetadata { kind, unit, help }) in metadata {
        encoder.metadata(metric, MetadataRef { kind: *kind, unit, help });
    }
    let body = encoder.finish();
    let (name, count) = (&shared.destination.name, metadata.len() as u64);
    let mut backoff = Backoff::new(&shared.destination.queue);
    let begun = shared.clock.now();
    loop {
        match shared.post(body.clone(), Tally::default(), backoff.attempts).await {
            Outcome::Taken(_) => return SENT.add(&[name, "metadata"], count),
            Outcome::Refused { why, .. } => {
                REFUSED.add(&[name, "metadata"], count);
                let text = "a destination of remote_write refuses metadata";
                return shared.tell(text, Tally::default(), &why);
            }
            Outcome::Failed(_, after) => {
                let is_over = shared.clock.now().since(begun) >= settings.interval;
                if is_over || !shared.pause(backoff.wait(after)).await {
                    return;
                }
            }
        }
    }
}
