//! The list of protocols, and what a protocol is to the server.
//!
//! A protocol is made once, at start, from its own settings and from what all protocols share. It
//! holds its settings and its state; the server sees only the [`Protocol`] that comes of it. To add
//! one, add `mod` to lib.rs, and here a line in [`all`] and, if it has settings, in
//! [`ProtocolSettings`] (docs/how-to/add-a-protocol.md).

use crate::elasticsearch::{self, ElasticsearchSettings};
use crate::fluent::{self, FluentSettings};
use crate::jaeger::{self, JaegerSettings};
use crate::logs::LogsSettings;
use crate::otlp::{self, OtlpSettings};
use crate::prometheus::{self, PrometheusSettings};
use crate::pushgateway::{self, PushgatewaySettings};
use crate::route::{Bound, Route};
use crate::syslog::{self, SyslogSettings};
use crate::traces::TracesSettings;
use crate::{Cors, Listener, Services, Stop, Work, sections};
use observe::Metric;
use platform::Disk;
use std::fmt;
use std::sync::Arc;

sections! {
    /// The settings of all protocols.
    ProtocolSettings {
        prometheus: PrometheusSettings,
        otlp: OtlpSettings,
        logs: LogsSettings,
        traces: TracesSettings,
        elasticsearch: ElasticsearchSettings,
        syslog: SyslogSettings,
        fluent: FluentSettings,
        jaeger: JaegerSettings,
        pushgateway: PushgatewaySettings,
    }
}

/// Makes every protocol.
pub fn all(settings: &ProtocolSettings, services: &Arc<Services>) -> Vec<Protocol> {
    vec![
        otlp::protocol(&settings.otlp, services),
        prometheus::protocol(&settings.prometheus, services),
        crate::loki::protocol(services),
        crate::tempo::protocol(services),
        elasticsearch::protocol(&settings.elasticsearch, services),
        crate::jsonline::protocol(services),
        syslog::protocol(&settings.syslog, services),
        fluent::protocol(&settings.fluent, services),
        jaeger::protocol(&settings.jaeger, services),
        crate::zipkin::protocol(services),
        crate::ruler::protocol(services),
        crate::alertmanager::protocol(services),
        crate::ui::protocol(services),
        pushgateway::protocol(&settings.pushgateway, services),
    ]
}

/// A protocol, as the server sees it.
pub struct Protocol {
    /// The name of its file or folder.
    pub name: &'static str,
    pub routes: Vec<Route<Bound>>,
    pub instruments: &'static [&'static dyn Metric],
    /// Listeners of its own, those that its settings switch on.
    pub listeners: Vec<Listener>,
    /// The sites whose pages may call it from browsers.
    pub cors: Cors,
    /// What it serves where `listen.compat` is on.
    pub native: Native,
    /// Work of its own.
    pub keeper: Option<Keeper>,
}

/// Work that a protocol does by itself, from the moment at which the stores are open until the server
/// stops. It may keep files of its own on the disk of the data folder.
pub type Keeper = Arc<dyn Fn(Arc<dyn Disk>, Stop) -> Work + Send + Sync>;

/// A protocol on the ports of the system that it stands for, so that users change a host name and
/// nothing else.
#[derive(Debug, Default)]
pub struct Native {
    /// Ports of HTTP and gRPC, and the prefix under which the requests of each are answered: what that
    /// system serves at the root may belong to another here.
    pub http: Vec<(u16, &'static str)>,
    /// Listeners in the place of those that no setting switches on.
    pub listeners: Vec<Listener>,
}

impl Protocol {
    /// A protocol without anything but a name.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: Vec::new(),
            instruments: &[],
            listeners: Vec::new(),
            cors: Cors::closed(),
            native: Native::default(),
            keeper: None,
        }
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
    use std::path::Path;

    /// Files and folders here that are the mechanism rather than a protocol.
    const MECHANISM: [&str; 22] = [
        "Cargo.toml",
        "api",
        "bounds",
        "commit",
        "cors",
        "datagrams",
        "fixtures",
        "grpc",
        "guard",
        "lib",
        "logs",
        "own_spans",
        "principal",
        "protocol",
        "reply",
        "route",
        "services",
        "settings",
        "sockets",
        "stop",
        "testing",
        "traces",
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

    /// The names of the sections that are declared below a folder.
    #[expect(clippy::disallowed_methods, reason = "looks at the source tree")]
    fn sections_below(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sections_below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let heads = text.lines().filter_map(|line| line.split_once("Settings as \""));
                found.extend(
                    heads.filter_map(|(_, rest)| Some(rest.split_once("\" {")?.0.to_owned())),
                );
            }
        }
    }

    #[test]
    fn every_section_is_listed() {
        let mut declared = BTreeSet::new();
        sections_below(Path::new(env!("CARGO_MANIFEST_DIR")), &mut declared);
        let listed = ProtocolSettings::SECTIONS.iter().map(|section| section.name.to_owned());
        assert_eq!(declared, listed.collect());
        let fields = serde_json::to_value(ProtocolSettings::default()).unwrap();
        let fields = fields.as_object().unwrap().keys().cloned();
        assert_eq!(declared, fields.collect(), "a field has the name of its section");
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
