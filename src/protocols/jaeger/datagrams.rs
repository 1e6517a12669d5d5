//! The datagrams that clients send to an agent: each is a batch of spans of one process.

use super::{DATAGRAMS, DROPPED, Jaeger};
use crate::bounds::Held;
use crate::datagrams::{DatagramSink, MessageBatch, receive, store_patiently};
use crate::services::ServiceError;
use crate::traces::{Guard, commit_held, room_for_spans};
use crate::{Stop, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::{DecodeError, JaegerDatagram, Rejections, decode_jaeger_datagram};

pub(super) fn transport(jaeger: &Arc<Jaeger>, encoding: JaegerDatagram) -> Transport {
    let agent = Arc::new(Agent { jaeger: Arc::clone(jaeger), encoding });
    Transport::Udp(Arc::new(move |socket, stop| {
        Box::pin(receive(Arc::clone(&agent), socket, stop))
    }))
}

/// What receives datagrams of one encoding.
struct Agent {
    jaeger: Arc<Jaeger>,
    encoding: JaegerDatagram,
}

impl DatagramSink for Agent {
    fn buffer(&self) -> (usize, &'static str) {
        (self.jaeger.settings.udp_buffer.length(), "jaeger.udp_buffer")
    }

    fn count_arrived(&self, count: u64) {
        let encoding = match self.encoding {
            JaegerDatagram::Compact => "compact",
            JaegerDatagram::Binary => "binary",
        };
        DATAGRAMS.add(&[encoding], count);
    }

    fn count_dropped(&self, reason: &'static str, count: u64) {
        DROPPED.add(&[reason], count);
    }

    async fn store(self: Arc<Self>, batch: MessageBatch, stop: Stop) {
        let batch = Arc::new(batch);
        let count = ("jaeger", batch.len());
        let malformed = Arc::new(AtomicU64::new(0));
        let attempt = || self.attempt(&batch, &malformed);
        if store_patiently(&self.jaeger.services, count, &stop, attempt).await {
            self.count_dropped("malformed", malformed.load(Ordering::Relaxed));
        } else {
            self.count_dropped("store", batch.len() as u64);
        }
    }
}

impl Agent {
    /// `malformed`: how many datagrams are no batches, to be set by each attempt.
    async fn attempt(
        &self,
        batch: &Arc<MessageBatch>,
        malformed: &Arc<AtomicU64>,
    ) -> Result<(), ServiceError> {
        let Jaeger { services, settings } = &*self.jaeger;
        let (batch, malformed, encoding) =
            (Arc::clone(batch), Arc::clone(malformed), self.encoding);
        let held = services.request_memory.hold();
        let fill = move |held: &Held, guard: &mut Guard<'_>| {
            room_for_spans(held, batch.size())?;
            let (mut rejected, mut bad) = (Rejections::default(), 0);
            for (datagram, _) in batch.iter() {
                // The spans before a mistake are stored.
                match decode_jaeger_datagram(datagram, encoding, &mut &*held, guard) {
                    Ok(decoded) => rejected.merge(decoded.rejected),
                    Err(error @ DecodeError::NoRoom(_)) => return Err(error.into()),
                    Err(_) => bad += 1,
                }
            }
            malformed.store(bad, Ordering::Relaxed);
            Ok(rejected)
        };
        commit_held(services, &settings.tenant.0, held, fill).await.map(drop)
    }
}
