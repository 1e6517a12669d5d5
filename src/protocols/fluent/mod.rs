//! Fluentd's forward protocol over TCP and TLS.
//!
//! Lives here: `session` (a connection from its handshake to its end), `handshake` (the shared key),
//! `message` (what a message holds), `record` (from a map to fields), `store` (the way into the store).
//! Not here: MessagePack itself (wire).
//! Invariants: a chunk is acknowledged after its records are durable; nothing is read from a
//! connection while its records wait for the store; a message is bounded before it is in memory.

mod handshake;
mod message;
mod record;
mod session;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub use settings::FluentSettings;

use crate::logs::{RecordShape, ShapeNames};
use crate::{Listener, Native, Protocol, ServeConnection, Services, Transport};
use observe::{Counter, CounterFamily, Metric};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

static MESSAGES: Counter =
    Counter::new("mirador_fluent_messages_total", "Messages of Fluentd's forward protocol.");
static DROPPED: CounterFamily = CounterFamily::new(
    "mirador_fluent_dropped_total",
    "Messages of Fluentd's forward protocol that were dropped: those that are malformed or too large, \
     carry metrics or traces, came without the shared key, or that the store did not take.",
    &["reason"],
);
static INSTRUMENTS: &[&dyn Metric] = &[&MESSAGES, &DROPPED];

/// The fields that are the line, in the order in which they count.
const LINE_FIELDS: &[&str] = &["log", "message", "msg", "MESSAGE", "event.original"];

#[derive(Debug)]
pub(crate) struct Fluent {
    services: Arc<Services>,
    settings: FluentSettings,
    shape: RecordShape,
    /// How many connections there were, which makes each nonce another.
    connections: AtomicU64,
}

pub(crate) fn protocol(settings: &FluentSettings, services: &Arc<Services>) -> Protocol {
    let labels = &services.log_options.stream_fields;
    let fluent = Arc::new(Fluent {
        services: Arc::clone(services),
        settings: settings.clone(),
        shape: RecordShape::new(ShapeNames { line: LINE_FIELDS, time: &[], labels }),
        connections: AtomicU64::new(0),
    });
    let serve: ServeConnection =
        Arc::new(move |accepted| Box::pin(session::serve(Arc::clone(&fluent), accepted)));
    let native_serve = Arc::clone(&serve);
    let planned = [
        ("fluent.address", &settings.address, Transport::Tcp(Arc::clone(&serve))),
        ("fluent.tls_address", &settings.tls_address, Transport::Tls(serve)),
    ];
    let mut native = Native::default();
    if settings.address.is_empty() {
        let (setting, transport) = ("fluent.address", Transport::Tcp(native_serve));
        native.listeners.push(Listener { setting, address: ":24224".to_owned(), transport });
    }
    let listeners = planned
        .into_iter()
        .filter(|(_, address, _)| !address.is_empty())
        .map(|(setting, address, transport)| Listener {
            setting,
            address: address.clone(),
            transport,
        })
        .collect();
    Protocol { listeners, native, instruments: INSTRUMENTS, ..Protocol::new("fluent") }
}
