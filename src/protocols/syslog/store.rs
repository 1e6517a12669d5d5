//! The way of a batch of messages into the store.

use super::lines::Lines;
use super::{DROPPED, Syslog};
use crate::Stop;
use crate::bounds::Held;
use crate::logs::{Guard, commit_held, room_for_lines};
use crate::services::ServiceError;
use observe::{Event, Fields, Level, Seldom};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::{Rejections, SyslogClock};

/// Messages that are stored together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where each message ends, and who sent it.
    messages: Vec<(usize, Option<IpAddr>)>,
}

impl Batch {
    pub(super) fn push(&mut self, message: &[u8], peer: Option<IpAddr>) {
        if !message.trim_ascii().is_empty() {
            self.bytes.extend_from_slice(message);
            self.messages.push((self.bytes.len(), peer));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.messages.len() * size_of::<(usize, Option<IpAddr>)>()
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], Option<IpAddr>)> {
        let starts = std::iter::once(0).chain(self.messages.iter().map(|(end, _)| *end));
        let spans = starts.zip(&self.messages);
        spans.map(|(start, (end, peer))| (self.bytes.get(start..*end).unwrap_or_default(), *peer))
    }
}

/// How long the store is given before it is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Logs once a minute at most.
static SAID: Seldom = Seldom::new(60_000);

/// Messages were lost.
struct MessagesLost<'a> {
    count: usize,
    reason: &'a str,
}

impl Event for MessagesLost<'_> {
    const LEVEL: Level = Level::Warn;
    const MESSAGE: &'static str = "messages of syslog were lost";

    fn fields(&self, fields: &mut Fields<'_>) {
        fields.integer("messages", self.count as u64);
        fields.text("reason", self.reason);
    }
}

/// Stores a batch, and tries again while the store can't take it: syslog's senders don't. Gives up
/// when the server stops.
pub(super) async fn store(syslog: &Arc<Syslog>, batch: Batch, stop: &Stop) {
    let batch = Arc::new(batch);
    loop {
        let Err(error) = attempt(syslog, &batch).await else { return };
        let stopping = async {
            tokio::select! {
                () = stop.requested() => true,
                () = tokio::time::sleep(PAUSE) => false,
            }
        };
        if !error.kind.is_retryable() || stopping.await {
            DROPPED.add(&["store"], batch.len() as u64);
            if SAID.admits(syslog.services.clock.wall_ms()).is_some() {
                observe::emit(&MessagesLost { count: batch.len(), reason: &error.message });
            }
            return;
        }
    }
}

async fn attempt(syslog: &Arc<Syslog>, batch: &Arc<Batch>) -> Result<(), ServiceError> {
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
