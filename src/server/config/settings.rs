//! Every setting of the server. The doc comments are what an operator reads in docs/config.md.

use super::kubernetes::KubernetesSettings;
use super::rules::RuleSettings;
use super::stream_retention::StreamRetention;
use log_store::StreamRules;
use metric_store::Limits;
use model::TenantId;
use platform::threads::Helpers;
use promql::{EngineOptions, ParseOptions};
use protocols::ProtocolSettings;
use protocols::section;
use protocols::settings::{ByTenant, ByteSize, HumanDuration, SectionDoc, SettingDoc, SizeLimit};
use protocols::{Kept, PerTenant};
use query::PoolSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Whether requests must say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    Off,
    On,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormatSetting {
    Auto,
    Human,
    Json,
}

/// When the write-ahead log is synced: `"always"`, an interval such as `"1s"`, or `"off"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    Always,
    Interval(HumanDuration),
    Off,
}

impl<'de> Deserialize<'de> for WalSync {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "always" => Ok(Self::Always),
            "off" => Ok(Self::Off),
            other => other.parse().map(Self::Interval).map_err(|_| {
                serde::de::Error::custom(format!(
                    "{other:?} is no sync policy: write \"always\", \"off\" or an interval such as \"1s\""
                ))
            }),
        }
    }
}

impl Serialize for WalSync {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Always => serializer.serialize_str("always"),
            Self::Off => serializer.serialize_str("off"),
            Self::Interval(interval) => serializer.collect_str(interval),
        }
    }
}

section! {
    /// Where data lives and how the server stops.
    ServerSettings as "server" {
        /// The data folder. One server per folder; it is created where it is missing.
        data: PathBuf = PathBuf::from("mirador-data"),
        /// How long requests in flight may take to end after SIGTERM.
        shutdown_grace: HumanDuration = HumanDuration::from_secs(10),
        /// How long `/ready` answers 503 before the server stops taking connections, so that a
        /// load balancer sees it first.
        shutdown_delay: HumanDuration = HumanDuration::from_secs(0),
    }
}

section! {
    /// Where the server listens. Every listener speaks HTTP/1.1, HTTP/2 and gRPC.
    ListenSettings as "listen" {
        /// The main address. Anything but a loopback address needs `auth.mode = "on"` or the flag
        /// `--insecure-listen`.
        address: String = "127.0.0.1:9640".to_owned(),
        /// Further addresses; `":4317"` takes the host of the main address. One that is already
        /// taken by somebody else is a warning, not a failure.
        also: Vec<String> = vec![":4317".to_owned(), ":4318".to_owned()],
        /// Listen on the ports of the systems that Mirador stands for as well, at the host of the main address:
        /// 3100 (Loki), 3200 (Tempo), 9093 (Alertmanager), 9200 (Elasticsearch), 9411 (Zipkin), 16686 and 16685 (Jaeger's queries,
        /// over HTTP and gRPC), 17271 (Jaeger's storage), 5778 (what Jaeger's clients ask before they send),
        /// 14268 and 14250 (Jaeger's spans, over HTTP and gRPC); 24224 (Fluentd), 5140 (syslog, over UDP and
        /// TCP), 6831 and 6832 (Jaeger, over UDP). These last know no callers: whoever reaches them may send.
        /// One that is already taken by somebody else is a warning, not a failure.
        compat: bool = false,
        /// Names that requests may call this server by, beside addresses and names without a dot. They are
        /// checked while authentication is off: always on a server that only listens on loopback, on
        /// others if names are listed here. A web page that points a name of its own at the server is
        /// refused by that.
        host_names: Vec<String> = Vec::new(),
        /// Listen on any address without authentication. Also `--insecure-listen`.
        insecure: bool = false,
    }
}

section! {
    /// Encryption on all listeners. Both files or none.
    TlsSettings as "tls" {
        /// The certificate chain, PEM. Empty: no TLS.
        cert_file: PathBuf = PathBuf::new(),
        /// The private key, PEM.
        key_file: PathBuf = PathBuf::new(),
    }
}

section! {
    /// Who may do what. Tokens: `mirador token`; passwords: `mirador user`.
    AuthSettings as "auth" {
        /// `"on"`: every request but `/healthy`, `/ready` and `/version` needs a token or a
        /// password. `"off"`: everybody may do everything but give rights, which is only accepted on
        /// loopback or with `listen.insecure`. Tokens and users are then made on the machine alone
        /// (`mirador token`, `mirador user`).
        mode: AuthMode = AuthMode::Off,
    }
}

section! {
    /// Bounds that keep one client from harming the others.
    LimitSettings as "limits" {
        /// Open connections over all listeners. Where all are taken, an idle one makes room; where
        /// none is idle, further ones get the pages of the server itself (health, metrics), and 503
        /// for everything else.
        connections: usize = 512,
        /// How long a connection may stay open between requests. When all connections are taken,
        /// the one that has been idle longest makes room before that.
        idle_timeout: HumanDuration = HumanDuration::from_secs(300),
        /// Time for a request's headers to arrive.
        header_timeout: HumanDuration = HumanDuration::from_secs(10),
        /// Size of a request's headers.
        header_size: ByteSize = ByteSize::kib(32),
        /// Time for a request's body to arrive.
        body_timeout: HumanDuration = HumanDuration::from_secs(60),
        /// How long an answer may wait for a client that reads nothing of it.
        answer_timeout: HumanDuration = HumanDuration::from_secs(60),
        /// Size of a request's body as it arrives.
        body_size: ByteSize = ByteSize::mib(32),
        /// Size of a request's body after decompression.
        decompressed_size: ByteSize = ByteSize::mib(64),
        /// What all requests together may hold of the memory beside what queries hold: bodies as they
        /// arrive, what is made of them, answers until their clients have read them. A share of the
        /// machine's memory, or of the container's, a size, or `"off"`. One request may take
        /// half of it. Where it ends, bodies and answers of the slowest clients are cut off.
        request_memory: SizeLimit = SizeLimit::Percent(15),
        /// What all queries together may hold of the memory: a share of the machine's, or of the
        /// container's (`"20%"`), a size, or `"off"`. Beyond it queries are told to try again.
        query_memory: SizeLimit = SizeLimit::Percent(20),
        /// Queries that may wait for a thread, of all tenants together; there are as many threads as
        /// processors. Further ones are answered 503 and told to try again.
        queries_waiting: usize = 1_000,
        /// Queries of one tenant that may wait. Tenants take turns, so the queries of one delay those
        /// of another by one query at most for each thread.
        tenant_queries_waiting: usize = 500,
    }
}

section! {
    /// The write-ahead log, which makes acknowledged data durable.
    WalSettings as "wal" {
        /// `"always"`: a success answer means synced to disk. An interval such as `"1s"`: the
        /// answer comes after the write, the sync within the interval; a power cut may lose that
        /// much, a crash of the server nothing. `"off"`: the system syncs when it likes.
        sync: WalSync = WalSync::Always,
        /// How long a sync waits for further batches to share it. 0: it starts as soon as the one
        /// before it is done, which already groups whatever arrived meanwhile. A minute at most.
        window: HumanDuration = HumanDuration::from_millis(0),
        /// Size of one file of the write-ahead log.
        segment_size: ByteSize = ByteSize::mib(64),
        /// Memory for batches that wait for their sync; when it is full the server answers 503.
        queue_size: ByteSize = ByteSize::mib(64),
    }
}

section! {
    /// How data moves from memory to parts. Each tenant of each signal has its own schedule.
    StorageSettings as "storage" {
        /// The longest that data stays in memory and the write-ahead log alone before it is written to
        /// parts.
        flush_interval: HumanDuration = HumanDuration::from_secs(300),
        /// A tenant is written to parts earlier when the write-ahead log behind its oldest row that
        /// is only in memory has grown to this, or to 192 bytes for each series with samples in memory
        /// where that is more.
        flush_size: ByteSize = ByteSize::mib(256),
        /// The largest tenants of a signal are written to parts earlier when what is in memory alone
        /// takes this much, over all tenants of the signal; with very many series at 48 bytes each.
        head_size: ByteSize = ByteSize::mib(48),
        /// What heads may take of the memory with the labels of their series and the indexes over
        /// them: a share of the machine's, or of the container's (`"35%"`), a size, or `"off"`.
        /// Beyond it, batches with new series are answered 503 and told to try again, and beyond a
        /// quarter more all batches.
        head_memory: SizeLimit = SizeLimit::Percent(35),
        /// Tenants of a signal. A batch for a further one is refused with 403; those that exist, and
        /// what was acknowledged, stay. Each tenant has files and a schedule of its own: to write a
        /// thousand to parts takes about four seconds.
        tenants: usize = 1_000,
        /// How often merging and retention are considered.
        merge_interval: HumanDuration = HumanDuration::from_secs(30),
    }
}

section! {
    /// How long data is kept.
    RetentionSettings as "retention" {
        /// Metrics older than this are dropped, and samples that arrive older are refused. `"0s"`
        /// keeps everything.
        metrics: HumanDuration = HumanDuration::from_secs(30 * 86_400),
        /// Log lines older than this are dropped, and lines that arrive older are refused. `"0s"`
        /// keeps everything.
        logs: HumanDuration = HumanDuration::from_secs(30 * 86_400),
        /// Instead of `logs` for single streams, as with Loki's `retention_stream`:
        /// `[{ selector = '{app="debug"}', period = "1d", priority = 1 }]`. Of entries that match a stream the one with
        /// the highest priority counts, and of those the first; `tenant = "team-a"` limits an entry to a
        /// tenant. Lines go within an eighth of their period, an hour to a day, after it.
        logs_streams: Vec<StreamRetention> = Vec::new(),
        /// Traces that began earlier than this are dropped. `"0s"` keeps everything.
        traces: HumanDuration = HumanDuration::from_secs(14 * 86_400),
        /// The oldest days of all signals and tenants are dropped when the data folder (parts,
        /// quarantined ones too, the write-ahead log, snapshots) passes this size: a share of the
        /// disk, a size, or `"off"`.
        size: SizeLimit = SizeLimit::Percent(80),
    }
}

section! {
    /// What single tenants have instead of what holds for all. Each setting is a table of tenants.
    TenantSettings as "tenants" {
        /// Instead of `retention.metrics`: `{ team-a = "7d" }`.
        retention_metrics: ByTenant<HumanDuration> = ByTenant::default(),
        /// Instead of `retention.logs`: `{ team-a = "7d" }`.
        retention_logs: ByTenant<HumanDuration> = ByTenant::default(),
        /// Instead of `retention.traces`: `{ team-a = "7d" }`.
        retention_traces: ByTenant<HumanDuration> = ByTenant::default(),
        /// Instead of `metrics.active_series_max`: `{ team-a = 100000 }`.
        active_series_max: ByTenant<u64> = ByTenant::default(),
    }
}

section! {
    /// The store of metrics.
    MetricSettings as "metrics" {
        /// Series that a tenant may have in memory at once; samples of further ones are refused,
        /// by name of this limit, until a flush lets old ones go.
        active_series_max: u64 = 5_000_000,
        /// Memory for what queries decoded.
        cache_size: ByteSize = ByteSize::mib(32),
        /// How often the server writes its own metrics into its own store (`job="mirador"`).
        /// `"0s"`: never.
        self_interval: HumanDuration = HumanDuration::from_secs(10),
    }
}

section! {
    /// The language of metrics. The defaults are those of Prometheus.
    PromqlSettings as "promql" {
        /// Functions and modifiers that Prometheus has behind a flag.
        experimental: bool = false,
        /// Drop metric names at the end of a query rather than in every operation.
        delayed_name_removal: bool = false,
        /// Let counters begin where their start timestamps say.
        start_timestamps: bool = false,
        /// How old a sample may be and still stand for now.
        lookback: HumanDuration = HumanDuration::from_secs(300),
        /// Samples that one query may hold at once.
        max_samples: usize = 50_000_000,
        /// Memory that one query may hold at once, samples or not.
        max_memory: ByteSize = ByteSize::mib(1_024),
        /// How long one query may take.
        timeout: HumanDuration = HumanDuration::from_secs(120),
    }
}

section! {
    /// The web UI, `/ui/`.
    UiSettings as "ui" {
        /// The folder of its files, for people who work on it: `web/dist` of a checkout, read at each request.
        /// Also `--ui-dir DIR`. Empty: those in the binary.
        dir: PathBuf = PathBuf::new(),
    }
}

section! {
    /// The Alertmanager inside the server.
    AlertingSettings as "alerting" {
        /// Alertmanager's configuration, `alertmanager.yml`: who is told of which alerts. Also
        /// `--alertmanager-config FILE`. Empty: alerts are kept and shown, and nobody is told. Read again at
        /// SIGHUP and at `POST /alertmanager/-/reload`.
        alertmanager_config: PathBuf = PathBuf::new(),
        /// The address under which people reach this Alertmanager, for links in notifications. Empty: the
        /// main address, with `/alertmanager`.
        external_url: String = String::new(),
        /// The name of an alert of the default tenant that always fires, usually `"Watchdog"`. When it stops
        /// coming, an alert `WatchdogMissing` is raised, which takes the routes like any other. Empty:
        /// nothing is watched.
        watchdog_alert: String = String::new(),
        /// How long that alert may stay away.
        watchdog_timeout: HumanDuration = HumanDuration::from_secs(600),
    }
}

section! {
    /// The server's own log, on standard error.
    LogSettings as "log" {
        /// `"debug"`, `"info"`, `"warn"` or `"error"`.
        level: LogLevel = LogLevel::Info,
        /// `"human"`, `"json"`, or `"auto"`: human on a terminal, JSON elsewhere.
        format: LogFormatSetting = LogFormatSetting::Auto,
    }
}

section! {
    /// For durability tests; leave it off.
    TestingSettings as "testing" {
        /// Serve `/-/probe`, which stores opaque records through the write-ahead log and parts like any
        /// signal.
        probe: bool = false,
    }
}

/// What holds for all tenants and for single ones, with the settings that say so.
fn kept(
    of_all: HumanDuration,
    of_tenants: &ByTenant<HumanDuration>,
    [all, own]: [&'static str; 2],
) -> PerTenant<Kept> {
    let of_tenant = |(tenant, age): (&TenantId, &HumanDuration)| {
        (tenant.clone(), Kept { age_ms: age_ms(*age), setting: own })
    };
    let default = Kept { age_ms: age_ms(of_all), setting: all };
    PerTenant { default, own: of_tenants.0.iter().map(of_tenant).collect() }
}

/// `None` where everything is kept.
fn age_ms(age: HumanDuration) -> Option<i64> {
    (!age.0.is_zero()).then(|| i64::try_from(age.0.as_millis()).unwrap_or(i64::MAX))
}

impl LimitSettings {
    pub fn pool_settings(&self, threads: usize) -> PoolSettings {
        PoolSettings {
            threads,
            waiting_max: self.queries_waiting,
            tenant_waiting_max: self.tenant_queries_waiting,
        }
    }
}

impl PromqlSettings {
    pub fn engine_options(&self, helpers: Helpers) -> EngineOptions {
        EngineOptions {
            parse: ParseOptions { experimental_functions: self.experimental },
            delayed_name_removal: self.delayed_name_removal,
            start_timestamps: self.start_timestamps,
            lookback_ms: self.lookback.0.as_millis() as i64,
            samples_max: self.max_samples,
            memory_max: self.max_memory.length(),
            timeout_ms: self.timeout.0.as_millis() as i64,
            helpers,
            ..EngineOptions::default()
        }
    }
}

/// All sections. Unknown ones are refused while the file is read (load.rs), because serde can't do so
/// beside `flatten`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    pub server: ServerSettings,
    pub listen: ListenSettings,
    pub tls: TlsSettings,
    pub auth: AuthSettings,
    pub limits: LimitSettings,
    pub wal: WalSettings,
    pub storage: StorageSettings,
    pub retention: RetentionSettings,
    pub tenants: TenantSettings,
    pub metrics: MetricSettings,
    pub promql: PromqlSettings,
    pub rules: RuleSettings,
    #[serde(flatten)]
    pub protocols: ProtocolSettings,
    pub alerting: AlertingSettings,
    pub kubernetes: KubernetesSettings,
    pub ui: UiSettings,
    pub log: LogSettings,
    pub testing: TestingSettings,
}

impl Config {
    /// How long each tenant's metrics are kept.
    pub fn metric_retention(&self) -> PerTenant<Kept> {
        let settings = ["retention.metrics", "tenants.retention_metrics"];
        kept(self.retention.metrics, &self.tenants.retention_metrics, settings)
    }

    /// How long each tenant's logs are kept.
    pub fn log_retention(&self) -> PerTenant<Kept> {
        let settings = ["retention.logs", "tenants.retention_logs"];
        kept(self.retention.logs, &self.tenants.retention_logs, settings)
    }

    /// How long each tenant's traces are kept.
    pub fn trace_retention(&self) -> PerTenant<Kept> {
        let settings = ["retention.traces", "tenants.retention_traces"];
        kept(self.retention.traces, &self.tenants.retention_traces, settings)
    }

    /// The same for single streams of each tenant.
    pub fn log_rules(&self) -> PerTenant<Arc<StreamRules>> {
        let kept = self.log_retention();
        let mut entries: Vec<_> = self.retention.logs_streams.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.priority));
        let rules_of = |tenant: Option<&TenantId>, kept: &Kept| {
            let is_of = |entry: &&&StreamRetention| {
                entry.tenant.as_ref().is_none_or(|of| Some(&of.0) == tenant)
            };
            let rules = entries.iter().filter(is_of).map(|entry| entry.rule(age_ms(entry.period)));
            Arc::new(StreamRules { rules: rules.collect(), rest_ms: kept.age_ms })
        };
        let named = entries.iter().filter_map(|entry| entry.tenant.as_ref().map(|of| of.0.clone()));
        let own: BTreeSet<TenantId> = named.chain(kept.own.keys().cloned()).collect();
        let of_tenant = |tenant: TenantId| {
            let rules = rules_of(Some(&tenant), kept.of(&tenant));
            (tenant, rules)
        };
        let default = rules_of(None, &kept.default);
        PerTenant { default, own: own.into_iter().map(of_tenant).collect() }
    }

    /// What each tenant may have of metrics.
    pub fn metric_limits(&self) -> PerTenant<Limits> {
        let limits = |active_series_max, setting| Limits { active_series_max, setting };
        let default = limits(self.metrics.active_series_max, "metrics.active_series_max");
        let own = |(tenant, most): (&TenantId, &u64)| {
            (tenant.clone(), limits(*most, "tenants.active_series_max"))
        };
        PerTenant { default, own: self.tenants.active_series_max.0.iter().map(own).collect() }
    }

    /// In the order of the file.
    pub fn sections() -> impl Iterator<Item = &'static SectionDoc> + Clone {
        Self::FIRST.iter().chain(ProtocolSettings::SECTIONS).chain(Self::LAST)
    }

    /// The sections before those of the protocols.
    const FIRST: &[SectionDoc] = &[
        ServerSettings::DOC,
        ListenSettings::DOC,
        TlsSettings::DOC,
        AuthSettings::DOC,
        LimitSettings::DOC,
        WalSettings::DOC,
        StorageSettings::DOC,
        RetentionSettings::DOC,
        TenantSettings::DOC,
        MetricSettings::DOC,
        PromqlSettings::DOC,
        RuleSettings::DOC,
    ];

    /// The sections behind them.
    const LAST: &[SectionDoc] = &[
        AlertingSettings::DOC,
        KubernetesSettings::DOC,
        UiSettings::DOC,
        LogSettings::DOC,
        TestingSettings::DOC,
    ];

    /// Every setting with its value, as `section.name` and as it would stand in the file.
    pub fn flat(&self) -> Vec<(String, String)> {
        let sections = toml::Table::try_from(self).expect("settings are plain values");
        let mut flat = Vec::new();
        for (section, settings) in &sections {
            for (name, value) in settings.as_table().into_iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                flat.push((format!("{section}.{name}"), value));
            }
        }
        flat
    }

    pub fn section(name: &str) -> Option<&'static SectionDoc> {
        Self::sections().find(|section| section.name == name)
    }

    pub fn setting(section: &str, name: &str) -> Option<&'static SettingDoc> {
        Self::section(section)?.settings.iter().find(|setting| setting.name == name)
    }
}
