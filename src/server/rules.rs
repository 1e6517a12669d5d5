//! Recording and alerting rules: what they get of the server, and when their files are read.

use crate::app::App;
use crate::config::Config;
use crate::http::{Call, reply};
use crate::stores::Stores;
use axum::http::StatusCode;
use axum::response::Response;
use kubernetes::Derived;
use model::{ErrorKind, TenantId};
use observe::Notice;
use protocols::{MetricServices, RuleServices};
use rules::{
    AlertSink, BackfillProgress, BackfillRange, BookError, FilesError, Group, Language, Languages,
    RuleBook, RuleFiles, Service,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rules of this server, and the files that they come from.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) service: Arc<Service>,
    book: Arc<RuleBook>,
    tenant: TenantId,
    files: RuleFiles,
}

/// The rule files of a configuration of Prometheus, with what it says to them.
fn files_of(config: &scrape::config::Config) -> RuleFiles {
    RuleFiles {
        globs: config.rule_files.iter().map(|path| path.display().to_string()).collect(),
        given: Vec::new(),
        interval_ms: config.global.evaluation_interval.ms,
        query_offset_ms: config.global.rule_query_offset.ms,
        external_labels: config.global.external_labels.clone(),
    }
}

impl Rules {
    pub(crate) fn new(
        app: &App,
        stores: &Stores,
        metrics: &MetricServices,
        sink: Arc<dyn AlertSink>,
    ) -> Self {
        let settings = &app.config.rules;
        let options = settings.options(&app.services.metric_options.engine.parse, &app.url());
        let backend = Arc::new(sources(app, stores, metrics));
        let catalog = Arc::clone(&stores.access.catalog);
        Self {
            book: Arc::new(RuleBook::new(catalog, options.languages.clone())),
            service: Service::new(options, backend, sink),
            tenant: settings.tenant.0.clone(),
            files: settings.rule_files(),
        }
    }

    /// What the protocols need of the rules.
    pub(crate) fn services(&self) -> RuleServices {
        RuleServices {
            service: Arc::clone(&self.service),
            book: Arc::clone(&self.book),
            configured: self.files.clone(),
        }
    }

    /// Runs the groups that came through the API.
    pub(crate) async fn load_book(&self) -> Result<(), BookError> {
        let configured = self.services().configured;
        for language in [Language::Promql, Language::Logql] {
            self.service.load_book(&self.book, language, &configured).await?;
        }
        Ok(())
    }

    /// Reads the files again, also those that the configuration of Prometheus names, and takes over the
    /// groups of objects. Where a file is wrong the rules stay as they are.
    pub(crate) async fn reload(
        &self,
        config: &Config,
        prometheus: Option<&scrape::config::Config>,
        of_objects: Vec<(String, Vec<Group>)>,
    ) -> Result<usize, FilesError> {
        let mut files = vec![self.files.clone()];
        // Without a file, the settings say how often groups of objects are evaluated.
        if !config.protocols.prometheus.config_file.as_os_str().is_empty() {
            files.extend(prometheus.map(files_of));
        }
        if let Some(last) = files.last_mut() {
            last.given = of_objects;
        }
        let loaded = self.service.load(&self.tenant, files).await;
        match &loaded {
            Ok(groups) => Notice::info("rule files are loaded", &[("groups", groups)]),
            Err(error) => {
                let text = "rule files are wrong: the rules stay as they are";
                Notice::error(text, &[("error", error)]);
            }
        }
        loaded
    }
}

fn languages(config: &Config) -> Languages {
    let promql = config.promql.engine_options(platform::threads::Helpers::none()).parse;
    config.rules.options(&promql, "").languages
}

/// Says what is wrong with the rule files, before anything is opened.
pub(crate) fn check(
    config: &Config,
    prometheus: Option<&scrape::config::Config>,
) -> Result<(), FilesError> {
    let of_prometheus = prometheus.map(|config| files_of(config).globs).unwrap_or_default();
    let all = [config.rules.files.clone(), of_prometheus].concat();
    rules::load_files(&all, &languages(config)).map(|_| ())
}

/// The groups of objects, by the objects' names.
pub(crate) fn of_objects(config: &Config, derived: &mut Derived) -> Vec<(String, Vec<Group>)> {
    let (languages, mut groups) = (languages(config), Vec::new());
    for piece in derived.rules.clone() {
        match rules::read_groups_of(&piece.node, &languages) {
            Ok(found) => groups.push((piece.name, found)),
            Err(errors) => {
                let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
                derived.refuse(piece.of, &why.join("; "));
            }
        }
    }
    groups
}

fn sources(app: &App, stores: &Stores, metrics: &MetricServices) -> rules::Stores {
    let services = &app.services;
    let metrics = metrics.clone();
    rules::Stores {
        clock: Arc::clone(&app.clock),
        pool: Arc::clone(&services.query_pool),
        memory: Arc::clone(&services.query_memory),
        gateway: Arc::clone(&stores.gateway),
        metrics: metrics.store.clone(),
        logs: stores.log_services().store,
        traces: stores.trace_services().store,
        span_metrics: app.config.protocols.prometheus.span_metrics,
        promql: services.metric_options.engine.clone(),
        logql: services.logql.clone(),
        traceql: services.traceql.clone(),
        batch: Arc::new(move |tenant| metrics.batch(tenant)),
    }
}

/// What `POST /api/admin/rules/backfill` takes. Times are milliseconds since 1970.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackfillRequest {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// Names of groups; none: all of the tenant.
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
}

fn progress(progress: &BackfillProgress) -> Response {
    let BackfillProgress { state, groups, slots_done, slots, failures, last_error } = progress;
    let body = serde_json::json!({
        "state": state.as_str(),
        "groups": groups,
        "slots_done": slots_done,
        "slots": slots,
        "failures": failures,
        "last_error": last_error,
    });
    reply::json(StatusCode::OK, &body)
}

fn answered(found: Option<BackfillProgress>) -> Response {
    match found {
        Some(found) => progress(&found),
        None => reply::error(ErrorKind::NotFound, "there was no backfill since the start"),
    }
}

/// `POST /api/admin/rules/backfill`
pub(crate) async fn start_backfill(app: Arc<App>, call: Call) -> Response {
    let request: BackfillRequest = match serde_json::from_slice(&call.body) {
        Ok(request) => request,
        Err(error) => return reply::error(ErrorKind::Invalid, &format!("the body: {error}")),
    };
    let Some(rules) = app.rules() else {
        return reply::error(ErrorKind::Overloaded, "the server is starting");
    };
    let range = BackfillRange { start_ms: request.start_ms, end_ms: request.end_ms };
    match rules.service.start_backfill(&call.tenant, range, &request.groups) {
        Ok(begun) => progress(&begun),
        Err(message) => reply::error(ErrorKind::Invalid, &message),
    }
}

/// `GET /api/admin/rules/backfill`
pub(crate) async fn show_backfill(app: Arc<App>, _: Call) -> Response {
    answered(app.rules().and_then(|rules| rules.service.backfill()))
}

/// `DELETE /api/admin/rules/backfill`
pub(crate) async fn stop_backfill(app: Arc<App>, _: Call) -> Response {
    answered(app.rules().and_then(|rules| rules.service.stop_backfill()))
}
