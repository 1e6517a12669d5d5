//! Start, run, stop: the server's life from top to bottom.

use crate::alert_sink::ToAlertmanagers;
use crate::alerting::{self, AlertingStartError};
use crate::app::{self, App, VERSION};
use crate::config::{Config, LogFormatSetting, LogLevel};
use crate::control;
use crate::http::connection::Connections;
use crate::http::listener::{ListenError, Listeners};
use crate::lifecycle::Phase;
use crate::objects::ObjectsFolder;
use crate::operator_files::{OperatorFiles, OperatorFilesError};
use crate::reload::{self, ReadConfig};
use crate::routes;
use crate::rules::Rules;
use crate::stores::{self, LOCK_FILE, Machine, OpenError, Stores};
use crate::{own_logs_writer, own_metrics_writer, own_spans_writer, scraping, sending};
use ::alerting::service::{Alertmanagers, Loaded};
use ::rules::{AlertSink, BookError, FilesError, Group};
use observe::{Level, LogFormat, Notice};
use platform::{Clock, Disk, OsRandom, RealClock, RealDisk};
use protocols::{LogServices, MetricServices, Stopper, TraceServices};
use query::Pool;
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Files(#[from] OperatorFilesError),
    #[error("the configuration of Prometheus can't be used (prometheus.config_file)")]
    Scrape(#[from] scrape::ApplyError),
    #[error("samples can't be sent on")]
    Sending(#[from] ::sending::SendError),
    #[error(transparent)]
    Alerting(#[from] AlertingStartError),
    #[error("can't start the runtime")]
    Runtime(#[source] io::Error),
    #[error("rule files are wrong:\n{0}")]
    Rules(#[from] FilesError),
    #[error("the rule groups of the API can't be read")]
    RuleBook(#[from] BookError),
    #[error("the listeners ended without being told to: a mistake in this program")]
    Deaf,
}

impl ServeError {
    /// 3 where another process holds the address or the data folder, 2 for wrong files of the operator,
    /// 1 otherwise.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Open(OpenError::InUse { .. }) | Self::Listen(_) => 3,
            Self::Files(_) | Self::Rules(_) => 2,
            _ => 1,
        }
    }
}

/// How long cancelled work may take to end. Work that takes longer, such as a merge, ends with the
/// process as in a crash, which every file format withstands.
const LET_GO: Duration = Duration::from_secs(1);

/// With a single processor a long query would hold up all others.
const QUERY_THREADS_MIN: usize = 2;

fn query_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(QUERY_THREADS_MIN)
}

/// Runs until SIGTERM or SIGINT. `read` reads the settings again, for SIGHUP.
pub(crate) fn run(config: Config, read: ReadConfig) -> Result<(), ServeError> {
    init_log(&config);
    // What is wrong with these files is said before anything is opened.
    OperatorFiles::read(&config, &ObjectsFolder::new(&config))?;
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let folder = config.server.data.display().to_string();
    let unusable = |source| OpenError::Folder { folder: folder.clone(), source };
    let disk = Arc::new(RealDisk::open(&config.server.data).map_err(unusable)?);
    make_private(&disk);
    let lock = disk.lock(LOCK_FILE).map_err(unusable)?;
    let lock = lock.ok_or_else(|| OpenError::InUse { folder: folder.clone() })?;
    // The lock is released by the end of the process, after the last thread that may still write.
    let _lock = ManuallyDrop::new(lock);
    let machine = Machine { disk, clock, random: Arc::new(OsRandom) };
    // Queries may be attempted on these threads, as many at once as there are query threads: one more
    // always serves sockets.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(query_threads() + 1)
        .thread_name("mirador-io")
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let outcome = runtime.block_on(serve(config, read, machine));
    runtime.shutdown_timeout(LET_GO);
    outcome
}

/// A data folder that an earlier version made, or somebody else, may be open to other users of the
/// machine. One that belongs to another user (a volume of a container) can't be closed from here.
fn make_private(disk: &RealDisk) {
    let folder = disk.root().display();
    match disk.make_private("") {
        Ok(false) => {}
        Ok(true) => {
            let text = "the data folder was open to other users of the machine: it is closed now";
            Notice::warn(text, &[("folder", &folder)]);
        }
        Err(error) => {
            let text = "the data folder is open to other users of the machine: chmod 700 it";
            Notice::warn(text, &[("folder", &folder), ("error", &error)]);
        }
    }
}

async fn serve(config: Config, read: ReadConfig, machine: Machine) -> Result<(), ServeError> {
    let mut signals = StopSignals::catch();
    let hangup = signal(SignalKind::hangup()).expect("SIGHUP can be caught");
    let clock = Arc::clone(&machine.clock);
    let pool = Pool::start(config.limits.pool_settings(query_threads()));
    let pool = Arc::new(pool.map_err(ServeError::Runtime)?);
    // Its threads end with the process: a query that looks at its cancel flag too late must not hold
    // the stop up.
    let _pool = ManuallyDrop::new(Arc::clone(&pool));
    let (services, protocols) = app::protocols(&config, &clock, pool);
    let mut listeners = Listeners::bind(&config, &protocols).await?;
    let certificate = listeners.certificate.take();
    let addresses = listeners.addresses();
    let app = Arc::new(App::new(config.clone(), clock, (services, protocols), addresses));
    // Dropping the set ends the task.
    let mut reloading = JoinSet::new();
    reloading.spawn(reload::on_hangup(hangup, Arc::clone(&app), certificate, read));
    let router = routes::router(&app);
    let operators = operators_door(&machine, &router);
    let (stopper, stop) = Stopper::new();
    let grace = config.server.shutdown_grace.0;
    let limits = config.limits.clone();
    let connections = Arc::new(Connections::new(&limits, Arc::clone(&app.clock)));
    let of_protocols = std::mem::take(&mut listeners.of_protocols);
    let mut serving = tokio::spawn({
        let (connections, stop) = (Arc::clone(&connections), stop.clone());
        async move { listeners.serve(router, &limits, connections, stop, grace).await }
    });

    let disk = Arc::clone(&machine.disk);
    let opened = tokio::select! {
        opened = open_stores(&app, machine.clone()) => opened,
        signal = signals.next() => {
            Notice::info("stopping before the stores are open", &[("signal", &signal)]);
            return Ok(());
        }
    };
    let stores = opened?;
    let metrics = stores.metric_services(&config);
    app.services.open_metrics(metrics.clone());
    app.services.open_logs(stores.log_services());
    app.services.open_traces(stores.trace_services());
    let OperatorFiles { prometheus, alerting, objects } = operator_files(&app).await?;
    let alertmanagers = open_alerting(&app, machine.clone(), alerting).await?;
    if let (Some(local), Some(inventory)) = (app.objects.local(), objects.inventory) {
        local.replace(inventory);
    }
    let scraping = scraping::start(&app.services, &metrics, &app.clock, prometheus).await?;
    let senders = sending::start(&app, &stores, &metrics, &machine).await?;
    start_rules(&app, &stores, &metrics, &alertmanagers, objects.groups).await?;
    app.objects.take(objects.reading, objects.derived, Vec::new());
    let own_logs = own_logs(&app, stores.log_services());
    let own_spans = own_spans(&app, stores.trace_services());
    let own_metrics = own_metrics(&app, metrics);
    let keeper = tokio::spawn(stores::keep(Arc::clone(&stores), config.storage.merge_interval.0));
    of_protocols.serve(&connections, &stop);
    let disk: Arc<dyn Disk> = disk;
    for keeper in app.protocols.iter().filter_map(|protocol| protocol.keeper.as_ref()) {
        let keeping = keeper(Arc::clone(&disk), stop.clone());
        tokio::spawn(stop.clone().enforced_on(keeping));
    }
    drop(stop);
    announce(&app);

    let deaf = tokio::select! {
        signal = signals.next() => {
            Notice::info("stopping", &[("signal", &signal)]);
            app.lifecycle.enter(Phase::Stopping);
            let times = (config.server.shutdown_delay.0, grace);
            drain(times, &stopper, &mut serving, &mut signals).await;
            false
        }
        // Serving ends by itself only when it fails: no stop was requested.
        _ = &mut serving => true,
    };
    if let Some(scraping) = scraping {
        scraping.stop().await;
    }
    if let Some(rules) = app.rules() {
        rules.service.shut();
    }
    if let Some(sink) = app.alert_sink() {
        sink.stop(grace).await;
    }
    alertmanagers.stop(grace).await;
    senders.stop(grace.min(sending::GRACE_MAX)).await;
    keeper.abort();
    let _ = keeper.await;
    drop(own_metrics);
    drop(own_logs);
    drop(own_spans);
    drop(operators);
    // The panic hook has reported a panic in `close`; there is nothing left to stop.
    let _ = tokio::task::spawn_blocking(move || stores.close()).await;
    Notice::info("stopped", &[]);
    if deaf { Err(ServeError::Deaf) } else { Ok(()) }
}

/// Lets what is in flight end, unless a second signal says not to wait.
async fn drain(
    (delay, grace): (Duration, Duration),
    stopper: &Stopper,
    serving: &mut JoinHandle<bool>,
    signals: &mut StopSignals,
) {
    let drained = async {
        tokio::time::sleep(delay).await;
        stopper.request();
        let (served, ended) = tokio::join!(serving, stopper.ended(grace));
        served.unwrap_or(false) && ended
    };
    tokio::select! {
        drained = drained => if !drained {
            Notice::warn("requests were still in flight after server.shutdown_grace", &[]);
        },
        signal = signals.next() => {
            Notice::warn("not waiting for requests: a second signal", &[("signal", &signal)]);
            stopper.request();
        }
    }
    stopper.enforce();
}

/// Serves the control socket. Without it the server works, but `mirador token` can't reach it.
fn operators_door(machine: &Machine, router: &axum::Router) -> Option<JoinHandle<()>> {
    match control::bind(machine.disk.root()) {
        Ok(listener) => Some(tokio::spawn(control::serve(listener, router.clone()))),
        Err(error) => {
            Notice::warn("no control socket in the data folder", &[("error", &error)]);
            None
        }
    }
}

/// Alerts of rules go to the Alertmanager of this server, and to those that the configuration of
/// Prometheus names.
async fn start_rules(
    app: &App,
    stores: &Stores,
    metrics: &MetricServices,
    alertmanagers: &Alertmanagers,
    of_objects: Vec<(String, Vec<Group>)>,
) -> Result<(), ServeError> {
    let sink = ToAlertmanagers::new(app, alertmanagers.clone());
    let rules = Rules::new(app, stores, metrics, Arc::clone(&sink) as Arc<dyn AlertSink>);
    sink.configure(app.services.scraping().and_then(|scraping| scraping.config()).as_deref());
    app.open_alert_sink(sink);
    let scraped = app.services.scraping().and_then(|scraping| scraping.config());
    rules.reload(&app.config, scraped.as_deref(), of_objects).await?;
    rules.load_book().await?;
    app.open_rules(rules);
    Ok(())
}

fn own_metrics(app: &Arc<App>, services: MetricServices) -> Option<JoinSet<()>> {
    let interval = app.config.metrics.self_interval.0;
    if interval.is_zero() {
        return None;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(own_metrics_writer::keep_writing(Arc::clone(app), services, interval));
    // Dropping the set ends its tasks.
    Some(tasks)
}

fn own_logs(app: &Arc<App>, services: LogServices) -> Option<JoinSet<()>> {
    if !app.config.protocols.logs.store_own_lines {
        return None;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(own_logs_writer::keep_writing(Arc::clone(app), services));
    // Dropping the set ends its tasks.
    Some(tasks)
}

fn own_spans(app: &Arc<App>, services: TraceServices) -> Option<JoinSet<()>> {
    if app.config.protocols.traces.store_own_requests.0 == 0.0 {
        return None;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(own_spans_writer::keep_writing(Arc::clone(app), services));
    // Dropping the set ends its tasks.
    Some(tasks)
}

/// The operator's files as they are now.
async fn operator_files(app: &Arc<App>) -> Result<OperatorFiles, ServeError> {
    let reading = Arc::clone(app);
    let read = move || OperatorFiles::read(&reading.config, &reading.objects);
    let panicked = |error| AlertingStartError::Open(io::Error::other(error));
    Ok(tokio::task::spawn_blocking(read).await.map_err(panicked)??)
}

/// Begins what tells people of alerts.
async fn open_alerting(
    app: &Arc<App>,
    machine: Machine,
    loaded: Loaded,
) -> Result<Alertmanagers, ServeError> {
    let (opening, runtime) = (Arc::clone(app), Handle::current());
    let open = move || alerting::open(&opening, &machine, runtime, loaded);
    let opened = tokio::task::spawn_blocking(open);
    let panicked = |error| AlertingStartError::Open(io::Error::other(error));
    let opened = opened.await.map_err(panicked)??;
    let managers = opened.managers.clone();
    app.services.open_alerting(opened);
    Ok(managers)
}

async fn open_stores(app: &Arc<App>, machine: Machine) -> Result<Arc<Stores>, ServeError> {
    let opening = {
        let app = Arc::clone(app);
        move || {
            let progress = |done, total| app.lifecycle.replaying(done, total);
            Stores::open(&app.config, &machine, progress)
        }
    };
    let opened = tokio::task::spawn_blocking(opening).await;
    let panicked = |error: tokio::task::JoinError| {
        OpenError::Parts(format!("opening the stores failed: {error}").into())
    };
    let stores = Arc::new(opened.map_err(panicked)??);
    app.open(Arc::clone(&stores));
    Ok(stores)
}

/// SIGTERM and SIGINT, from the moment on that they are caught.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn catch() -> Self {
        Self {
            terminate: signal(SignalKind::terminate()).expect("SIGTERM can be caught"),
            interrupt: signal(SignalKind::interrupt()).expect("SIGINT can be caught"),
        }
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn init_log(config: &Config) {
    let level = match config.log.level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
    };
    let format = match config.log.format {
        LogFormatSetting::Human => LogFormat::Human,
        LogFormatSetting::Json => LogFormat::Json,
        LogFormatSetting::Auto if io::stderr().is_terminal() => LogFormat::Human,
        LogFormatSetting::Auto => LogFormat::Json,
    };
    if config.protocols.logs.store_own_lines {
        observe::keep_lines();
    }
    observe::init_log(observe::LogSettings { level, format, timestamp: rfc3339_now });
}

fn rfc3339_now() -> String {
    let now = chrono::DateTime::from_timestamp_nanos(RealClock::new().wall_ns());
    now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The few lines that a person who starts the server reads.
fn announce(app: &App) {
    let url = app.url();
    let took = app.clock.now().0.as_millis();
    Notice::info("ready", &[("version", &VERSION), ("url", &url), ("start_ms", &took)]);
    let also: Vec<String> = app.addresses.iter().skip(1).map(ToString::to_string).collect();
    let also = if also.is_empty() { "nowhere else".to_owned() } else { also.join(", ") };
    let data = app.config.server.data.display();
    let text = format!(
        "\nMirador {VERSION} is ready after {took} ms.\n\
         \x20 look      {url}\n\
         \x20 also on   {also}\n\
         \x20 data      {data}\n\
         \x20 try       curl {url}ready\n\
         \x20 settings  mirador --help, docs/config.md\n\
         \x20 stop      Ctrl-C\n\n"
    );
    // A closed standard output is no reason not to serve.
    let _ = io::stdout().write_all(text.as_bytes());
}
