//! Syslog over UDP, TCP and TLS.
//!
//! Lives here: `lines` (from a message to a line), `connections` (how messages arrive in a stream),
//! `store` (the way of a batch into the store).
//! Not here: parsing (wire), receiving datagrams (`datagrams`).
//! Invariants: nothing is read from a connection while its messages wait for the store, so that a
//! sender is slowed down rather than its messages lost; datagrams that can't be kept are counted.

mod connections;
mod lines;
mod settings;
mod store;
#[cfg(test)]
mod tests;

pub use settings::SyslogSettings;

use crate::datagrams::receive;
use crate::{Listener, Native, Protocol, Services, Transport};
use observe::{CounterFamily, Metric};
use std::sync::Arc;

static MESSAGES: CounterFamily = CounterFamily::new(
    "mirador_syslog_messages_total",
    "Messages of syslog that arrived, by how.",
    &["transport"],
);
static DROPPED: CounterFamily = CounterFamily::new(
    "mirador_syslog_dropped_total",
    "Messages of syslog that were lost: datagrams that the kernel threw away before they were read, \
     those for which there was no memory, messages that are too long, and those that the store did not \
     take.",
    &["reason"],
);
static INSTRUMENTS: &[&dyn Metric] = &[&MESSAGES, &DROPPED];

#[derive(Debug)]
pub(crate) struct Syslog {
    services: Arc<Services>,
    settings: SyslogSettings,
}

pub(crate) fn protocol(settings: &SyslogSettings, services: &Arc<Services>) -> Protocol {
    let syslog = Arc::new(Syslog { services: Arc::clone(services), settings: settings.clone() });
    let connections = |transport: &'static str| -> crate::ServeConnection {
        let syslog = Arc::clone(&syslog);
        Arc::new(move |accepted| {
            Box::pin(connections::serve(Arc::clone(&syslog), transport, accepted))
        })
    };
    let datagrams: crate::ServeDatagrams = {
        let syslog = Arc::clone(&syslog);
        Arc::new(move |socket, stop| Box::pin(receive(Arc::clone(&syslog), socket, stop)))
    };
    let planned = [
        ("syslog.udp_address", &settings.udp_address, Transport::Udp(datagrams)),
        ("syslog.tcp_address", &settings.tcp_address, Transport::Tcp(connections("tcp"))),
        ("syslog.tls_address", &settings.tls_address, Transport::Tls(connections("tls"))),
    ];
    let (mut listeners, mut native) = (Vec::new(), Native::default());
    for (setting, address, transport) in planned {
        let is_tls = matches!(transport, Transport::Tls(_));
        let listener = |address: &str| Listener { setting, address: address.to_owned(), transport };
        match address.is_empty() {
            false => listeners.push(listener(address)),
            // There is no usual port for encrypted messages above the reserved ones.
            true if is_tls => {}
            true => native.listeners.push(listener(NATIVE_ADDRESS)),
        }
    }
    Protocol { listeners, native, instruments: INSTRUMENTS, ..Protocol::new("syslog") }
}

/// The port that Promtail and Alloy use in the place of 514, which only the root user may open.
const NATIVE_ADDRESS: &str = ":5140";
