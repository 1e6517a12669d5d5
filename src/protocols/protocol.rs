//! The list of protocols, and what a protocol is to the server.
//!
//! A protocol is made once, at start, from its own settings and from what all protocols share. It
//! holds its settings and its state; the server sees only the [`Protocol`] that comes of it. To add
//! one, add `mod` to lib.rs, and here a line in [`all`] and, if it has settings, in
//! [`ProtocolSettings`] (docs/how-to/add-a-protocol.md).

use crate::otlp::{self, OtlpSettings};
use crate::prometheus::{self, PrometheusSettings};
use crate::route::{Bound, Route};
use crate::{Services, sections};
use observe::Metric;
use std::fmt;
use std::sync::Arc;

sections! {
    /// The settings of all protocols.
    ProtocolSettings {
        prometheus: PrometheusSettings,
        otlp: OtlpSettings,
    }
}

/// Makes every protocol.
pub fn all(settings: &ProtocolSettings, services: &Arc<Services>) -> Vec<Protocol> {
    vec![
        otlp::protocol(&settings.otlp, services),
        prometheus::protocol(&settings.prometheus, services),
    ]
}

/// A protocol, as the server sees it.
pub struct Protocol {
    /// The name of its file or folder.
    pub name: &'static str,
    pub routes: Vec<Route<Bound>>,
    pub instruments: &'static [&'static dyn Metric],
}

impl Protocol {
    /// A protocol without anything but a name.
    pub fn new(name: &'static str) -> Self {
        Self { name, routes: Vec::new(), instruments: &[] }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;
    use std::collections::BTreeSet;

    /// Files and folders here that are the mechanism rather than a protocol.
    const MECHANISM: [&str; 14] = [
        "Cargo.toml",
        "api",
        "commit",
        "fixtures",
        "grpc",
        "guard",
        "lib",
        "principal",
        "protocol",
        "reply",
        "route",
        "services",
        "settings",
        "testing",
    ];

    fn protocols() -> Vec<Protocol> {
        TestServer::new(|_| {}).protocols
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "looks at the source tree")]
    fn every_protocol_is_listed() {
        let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found: BTreeSet<String> = names
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .filter(|name| !MECHANISM.contains(&name.as_str()))
            .collect();
        let listed: BTreeSet<String> = protocols().iter().map(|one| one.name.to_owned()).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn no_route_is_there_twice() {
        let mut seen = BTreeSet::new();
        for route in protocols().iter().flat_map(|protocol| &protocol.routes) {
            for method in route.methods {
                assert!(seen.insert((route.path, method.as_str())), "{route:?}");
            }
        }
    }
}
