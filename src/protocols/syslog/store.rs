//! The way of a batch of messages into the store.

use super::lines::Lines;
use super::{DROPPED, MESSAGES, Syslog};
use crate::Stop;
use crate::bounds::Held;
use crate::datagrams::{DatagramSink, MessageBatch, store_patiently};
use crate::logs::{Guard, commit_held, room_for_lines};
use crate::services::ServiceError;
use std::sync::Arc;
use wire::{Rejections, SyslogClock};

impl DatagramSink for Syslog {
    fn buffer(&self) -> (usize, &'static str) {
        (self.settings.udp_buffer.length(), "syslog.udp_buffer")
    }

    fn count_arrived(&self, count: u64) {
        MESSAGES.add(&["udp"], count);
    }

    fn count_dropped(&self, reason: &'static str, count: u64) {
        DROPPED.add(&[reason], count);
    }

    async fn store(self: Arc<Self>, batch: MessageBatch, stop: Stop) {
        store(&self, batch, &stop).await;
    }
}

/// Stores a batch, and tries again while the store can't take it: syslog's senders don't. Gives up
/// when the server stops.
pub(super) async fn store(syslog: &Arc<Syslog>, batch: MessageBatch, stop: &Stop) {
    let batch = Arc::new(batch);
    let count = ("syslog", batch.len());
    let attempt = || attempt(syslog, &batch);
    if !store_patiently(&syslog.services, count, stop, attempt).await {
        DROPPED.add(&["store"], batch.len() as u64);
    }
}

async fn attempt(syslog: &Arc<Syslog>, batch: &Arc<MessageBatch>) -> Result<(), ServiceError> {
    let Syslog { services, settings } = &**syslog;
    let clock = SyslogClock {
        now_ns: services.clock.wall_ms().saturating_mul(1_000_000),
        offset_s: settings.utc_offset.seconds,
    };
    let batch = Arc::clone(batch);
    let held = services.request_memory.hold();
    let fill = move |held: &Held, guard: &mut Guard<'_>| {
        room_for_lines(held, 2 * batch.size())?;
        let (mut lines, mut rejected) = (Lines::default(), Rejections::default());
        for (message, peer) in batch.iter() {
            if let Err(reason) = lines.write(message, peer, clock, guard) {
                rejected.add(wire::LABELS_KIND, || reason);
            }
        }
        Ok(rejected)
    };
    commit_held(services, &settings.tenant.0, held, None, fill).await.map(drop)
}
