//! The running server as its handlers see it.

use crate::alert_sink::ToAlertmanagers;
use crate::config::{self, Config};
use crate::http::attempts::Attempts;
use crate::http::names::HostNames;
use crate::lifecycle::{Lifecycle, Phase};
use crate::objects::ObjectsFolder;
use crate::routes;
use crate::rules::Rules;
use crate::stores::Stores;
use observe::Registry;
use platform::{Clock, OsRandom};
use protocols::settings::SizeLimit;
use protocols::{ActiveSpans, Machine, OwnSpans, Protocol, RequestMemory, Services, WorkTurns};
use query::{Budget, Pool};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub registry: Registry,
    pub lifecycle: Lifecycle,
    pub addresses: Vec<SocketAddr>,
    /// What requests may call this server.
    pub(crate) names: HostNames,
    /// Passwords that were wrong.
    pub(crate) attempts: Attempts,
    pub is_tls: bool,
    pub started_ms: i64,
    /// What the protocols see.
    pub services: Arc<Services>,
    pub protocols: Vec<Protocol>,
    pub(crate) objects: Arc<ObjectsFolder>,
    /// Held while the operator's files are read again.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    stores: OnceLock<Arc<Stores>>,
    rules: OnceLock<Rules>,
    alert_sink: OnceLock<Arc<ToAlertmanagers>>,
}

impl App {
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        (services, protocols): (Arc<Services>, Vec<Protocol>),
        addresses: Vec<SocketAddr>,
    ) -> Self {
        Self {
            is_tls: !config.tls.cert_file.as_os_str().is_empty(),
            registry: routes::registry(&protocols),
            attempts: Attempts::default(),
            names: HostNames::new(&config, &addresses),
            services,
            protocols,
            objects: Arc::new(ObjectsFolder::new(&config)),
            reloading: tokio::sync::Mutex::default(),
            config,
            started_ms: clock.wall_ms(),
            clock,
            lifecycle: Lifecycle::default(),
            addresses,
            stores: OnceLock::new(),
            rules: OnceLock::new(),
            alert_sink: OnceLock::new(),
        }
    }

    /// The stores are open: from now on requests are served.
    pub fn open(&self, stores: Arc<Stores>) {
        assert!(self.stores.set(stores).is_ok(), "stores are opened once");
        self.lifecycle.enter(Phase::Ready);
    }

    /// `None` while starting. Behind a route that needs stores it is always there.
    pub fn stores(&self) -> Option<&Arc<Stores>> {
        self.stores.get()
    }

    /// Called once, before the rules are evaluated.
    pub(crate) fn open_alert_sink(&self, sink: Arc<ToAlertmanagers>) {
        assert!(self.alert_sink.set(sink).is_ok(), "alerts have one way out");
    }

    pub(crate) fn alert_sink(&self) -> Option<&Arc<ToAlertmanagers>> {
        self.alert_sink.get()
    }

    /// Called once, when the rules may be evaluated.
    pub(crate) fn open_rules(&self, rules: Rules) {
        self.services.open_rules(rules.services());
        assert!(self.rules.set(rules).is_ok(), "rules are opened once");
    }

    /// `None` while starting.
    pub(crate) fn rules(&self) -> Option<&Rules> {
        self.rules.get()
    }

    /// Where a browser finds the front page.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        let address =
            self.addresses.first().map_or(self.config.listen.address.clone(), |address| {
                match address.ip().is_unspecified() {
                    true => format!("127.0.0.1:{}", address.port()),
                    false => address.to_string(),
                }
            });
        format!("{scheme}://{address}/")
    }
}

/// The protocols, and what they see of the server.
pub fn protocols(
    config: &Config,
    clock: &Arc<dyn Clock>,
    pool: Arc<Pool>,
) -> (Arc<Services>, Vec<Protocol>) {
    let services = Arc::new(services(config, clock, pool));
    let protocols = protocols::all(&config.protocols, &services);
    (services, protocols)
}

fn share_of_memory(limit: SizeLimit) -> usize {
    let bytes = limit.bytes(platform::memory_bytes);
    bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn services(config: &Config, clock: &Arc<dyn Clock>, pool: Arc<Pool>) -> Services {
    // A query runs on its own thread and on those that help it: one for each core.
    let threads = pool.helpers().width();
    let mut services = Services::new(Arc::clone(clock), VERSION);
    let query_memory = share_of_memory(config.limits.query_memory);
    services.query_memory = Arc::new(Budget::new(query_memory));
    let mut engine = config.promql.engine_options(pool.helpers().clone());
    services.query_pool = pool;
    let request_memory = share_of_memory(config.limits.request_memory);
    services.request_memory = RequestMemory::new(request_memory, Arc::clone(clock));
    services.work_turns = WorkTurns::new(threads);
    // A query that could not have more memory even if it ran alone must not be told to try again.
    engine.memory_max = engine.memory_max.min(query_memory);
    services.metric_options = config.protocols.prometheus.metric_options(engine);
    services.log_options = config.protocols.logs.options();
    services.logql = config.protocols.logs.engine_options(services.query_pool.helpers().clone());
    services.logql.limits.memory_max = services.logql.limits.memory_max.min(query_memory);
    services.metric_retention = config.metric_retention();
    services.log_retention = config.log_retention();
    services.log_rules = config.log_rules();
    services.trace_options = config.protocols.traces.options();
    let active = config.protocols.traces.active_options();
    services.active = ActiveSpans::new(active, Arc::clone(clock));
    services.traceql =
        config.protocols.traces.engine_options(services.query_pool.helpers().clone());
    services.traceql.limits.memory_max = services.traceql.limits.memory_max.min(query_memory);
    services.trace_retention = config.trace_retention();
    services.own_spans = OwnSpans::new(config.protocols.traces.store_own_requests.0, &OsRandom);
    services.machine =
        Machine { host_name: platform::host_name(), working_dir: platform::working_dir(), threads };
    services.settings = config.flat();
    let settings = serde_json::to_value(config).expect("settings are plain values");
    services.config_text = config::yaml(&settings);
    services
}
