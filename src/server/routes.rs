//! The table of everything that is served, and who may call it.

use crate::app::{App, VERSION};
use crate::http::{Access, Body, Route, listener};
use crate::pages::{admin, front, health, objects, own_metrics};
use crate::probe;
use crate::reload;
use crate::rules;
use crate::web_ui;
use axum::Router;
use axum::http::Method;
use catalog::Scope;
use observe::Registry;
use platform::RealClock;
use protocols::{Cors, Handler, Host, Protocol, ProtocolSettings, Refuse, Services, handler};
use std::collections::BTreeSet;
use std::sync::Arc;

const READ: Access = Access::Tenant(Scope::Read);
const WRITE: Access = Access::Tenant(Scope::Write);
const ADMIN: Access = Access::Tenant(Scope::Admin);
/// What the server tells of itself.
const OF_SERVER: Access = Access::Server(Scope::Read);
const SERVER_ADMIN: Access = Access::Server(Scope::Admin);
const REFUSE: Refuse = protocols::reply::refuse;

const fn page(
    path: &'static str,
    access: Access,
    handler: Handler<App>,
    about: &'static str,
) -> Route {
    let methods = &[Method::GET];
    let (body, needs_stores, refuse) = (Body::None, false, REFUSE);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

const fn action(
    methods: &'static [Method],
    path: &'static str,
    access: Access,
    body: Body,
    handler: Handler<App>,
    about: &'static str,
) -> Route {
    let (needs_stores, refuse) = (true, REFUSE);
    Route { methods, path, access, body, needs_stores, handler, refuse, about }
}

pub static ROUTES: &[Route] = &[
    page(
        "/",
        READ,
        handler!(front::root),
        "The front page; browsers are sent to the web UI, `/ui/`",
    ),
    page("/front", READ, handler!(front::front), "The front page, in English or Korean"),
    page("/front.css", Access::Public, handler!(front::style), "Its style"),
    page("/ui", Access::Public, handler!(web_ui::to_folder), "To `/ui/`"),
    page("/ui/", Access::Public, handler!(web_ui::serve), "The web UI ([ui.md](ui.md))"),
    page(
        "/ui/{name}",
        Access::Public,
        handler!(web_ui::serve),
        "A file of the web UI, or its page, which shows the screen of that name",
    ),
    page(
        "/healthy",
        Access::Public,
        handler!(health::healthy),
        "200 while the process lives; the body says what is degraded",
    ),
    page(
        "/-/healthy",
        Access::Public,
        handler!(health::healthy),
        "The same under Prometheus' name",
    ),
    page(
        "/health",
        Access::Public,
        handler!(health::healthy),
        "The same under VictoriaMetrics' name",
    ),
    page(
        "/ready",
        Access::Public,
        handler!(health::ready),
        "200 when requests are served, 503 with the progress while starting",
    ),
    page("/-/ready", Access::Public, handler!(health::ready), "The same under Prometheus' name"),
    page("/version", Access::Public, handler!(health::version), "Name and version"),
    page(
        "/metrics",
        OF_SERVER,
        handler!(own_metrics::page),
        "The server's own metrics, Prometheus text or OpenMetrics",
    ),
    page(
        "/objects",
        OF_SERVER,
        handler!(objects::page),
        "Objects of the Prometheus Operator (`kubernetes.objects`), and what became of each",
    ),
    page("/api/ui/v1/objects", OF_SERVER, handler!(objects::api), "The same as JSON"),
    action(
        &[Method::POST, Method::PUT],
        "/-/reload",
        SERVER_ADMIN,
        Body::None,
        handler!(reload::request),
        "Reads the configurations of Prometheus and of Alertmanager, the rule files and the folder of objects again; what is wrong changes nothing",
    ),
    action(
        &[Method::GET],
        "/api/admin/rules/backfill",
        ADMIN,
        Body::None,
        handler!(rules::show_backfill),
        "How far the last backfill of recording rules is",
    ),
    action(
        &[Method::POST],
        "/api/admin/rules/backfill",
        ADMIN,
        Body::Json,
        handler!(rules::start_backfill),
        "Evaluates recording rules over the past: `start_ms`, `end_ms`, `groups`",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/rules/backfill",
        ADMIN,
        Body::None,
        handler!(rules::stop_backfill),
        "Stops it",
    ),
    action(
        &[Method::POST],
        "/-/flush",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::flush),
        "Writes everything in memory to parts; answers when done",
    ),
    action(
        &[Method::POST],
        "/-/merge",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::merge),
        "Flushes, then merges each day into one part; answers when done",
    ),
    action(
        &[Method::POST],
        "/internal/force_flush",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::flush),
        "`/-/flush` under VictoriaMetrics' name",
    ),
    action(
        &[Method::POST],
        "/internal/force_merge",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::merge),
        "`/-/merge` under VictoriaMetrics' name",
    ),
    action(
        &[Method::GET],
        "/api/admin/snapshots",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::list_snapshots),
        "Names of snapshots",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/snapshots/{name}",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::remove_snapshot),
        "Removes a snapshot",
    ),
    action(
        &[Method::GET],
        "/api/admin/refused",
        ADMIN,
        Body::None,
        handler!(admin::list_refused),
        "Batches that are kept in the write-ahead log because they could not be taken back, and what else answers lack",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/refused/{signal}/{tenant}",
        ADMIN,
        Body::None,
        handler!(admin::forget_refused),
        "Gives them up, so that the write-ahead log need not keep them, and ends the warnings in answers",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/catalog-damage",
        SERVER_ADMIN,
        Body::None,
        handler!(admin::acknowledge_damage),
        "What `/healthy` says of a damaged catalog has been seen to: it is not said any more",
    ),
    action(
        &[Method::GET],
        "/api/admin/tokens",
        Access::Grants,
        Body::None,
        handler!(admin::list_tokens),
        "API tokens, without their secrets",
    ),
    action(
        &[Method::POST],
        "/api/admin/tokens",
        Access::Grants,
        Body::Json,
        handler!(admin::create_token),
        "Creates a token; its secret is in this answer and nowhere else",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/tokens/{id}",
        Access::Grants,
        Body::None,
        handler!(admin::revoke_token),
        "Revokes a token",
    ),
    action(
        &[Method::GET],
        "/api/admin/users",
        Access::Grants,
        Body::None,
        handler!(admin::list_users),
        "Users with passwords, without them",
    ),
    action(
        &[Method::PUT],
        "/api/admin/users/{name}",
        Access::Grants,
        Body::Json,
        handler!(admin::set_user),
        "Creates a user or changes password, scopes and tenants",
    ),
    action(
        &[Method::DELETE],
        "/api/admin/users/{name}",
        Access::Grants,
        Body::None,
        handler!(admin::remove_user),
        "Removes a user",
    ),
    action(
        &[Method::GET],
        "/-/probe",
        READ,
        Body::None,
        handler!(probe::read),
        "Testing only: the stored probe records, one a line",
    ),
    action(
        &[Method::POST],
        "/-/probe",
        WRITE,
        Body::Whole,
        handler!(probe::write),
        "Testing only: stores probe records, one a line: `ID TEXT`",
    ),
];

/// HTTP and gRPC on one router.
pub fn router(app: &Arc<App>) -> Router {
    let (_, health) = tonic_health::server::health_reporter();
    let grpc = tonic::service::Routes::new(health).prepare().into_axum_router();
    // tonic's fallback is not ours: merge its routes under our table's.
    let host: Arc<dyn Host> = app.clone();
    let own = protocols::bind(app, ROUTES);
    let mut router = protocols::router(&host, &own, &Cors::closed()).merge(grpc.reset_fallback());
    for protocol in &app.protocols {
        router = router.merge(protocols::router(&host, &protocol.routes, &protocol.cors));
    }
    router.fallback(protocols::not_found)
}

/// Every instrument of every crate.
pub fn registry(protocols: &[Protocol]) -> Registry {
    let mut registry = Registry::default();
    for metrics in [
        wal::METRICS,
        parts::METRICS,
        catalog::METRICS,
        metric_store::METRICS,
        log_store::METRICS,
        trace_store::METRICS,
        ingest::METRICS,
        scrape::METRICS,
        ::sending::METRICS,
        ::rules::METRICS,
        ::alerting::METRICS,
        outbound::METRICS,
        listener::METRICS,
        own_metrics::METRICS,
    ] {
        registry.add(metrics);
    }
    protocols::METRICS.iter().for_each(|metrics| registry.add(metrics));
    protocols.iter().for_each(|protocol| registry.add(protocol.instruments));
    registry
}

/// The protocols with their default settings. No setting changes which routes there are.
pub fn default_protocols() -> Vec<Protocol> {
    let services = Arc::new(Services::new(Arc::new(RealClock::new()), VERSION));
    protocols::all(&ProtocolSettings::default(), &services)
}

/// docs/protocols.md.
pub fn reference_page() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Routes\n\nGenerated from the tables in `src/server/routes.rs` and `src/protocols`; a test keeps it fresh. Every \
         listener serves all of them, and gRPC's `grpc.health.v1.Health` beside them. With \
         `auth.mode = \"off\"` everybody may call everything but the routes of tokens and users.\n\n\
         The second column says who may call a route: everybody; callers with a scope for the tenant that \
         they ask about (*tenant*); callers with a scope for all tenants, because the route concerns the whole \
         server (*server*); or callers with the scope `admin` who proved who they are, and who see and give \
         only what they hold (*grants*). [security.md](security.md) explains them.\n\n\
         What is marked with † is served below `/prometheus` too. Browsers of other sites may ask for \
         what is below `/api/v1` and needs the scope `read`, as `prometheus.cors_origins` says: each \
         such path answers `OPTIONS` to everybody.\n\n\
         | route | who | what it does |\n| --- | --- | --- |\n",
    );
    for Line { route, is_twin, access, about } in lines() {
        let (mark, who) = (if is_twin { " †" } else { "" }, who(access));
        let _ = writeln!(page, "| `{route}`{mark} | {who} | {about} |");
    }
    page
}

/// The routes of docs/security.md: those that take more than a scope for one tenant.
pub fn rights_table() -> String {
    use std::fmt::Write as _;
    let mut table = String::from("| route | who |\n| --- | --- |\n");
    for Line { route, access, .. } in lines() {
        if matches!(access, Access::Public | Access::Server(_) | Access::Grants) {
            let _ = writeln!(table, "| `{route}` | {} |", who(access));
        }
    }
    table
}

fn who(access: Access) -> String {
    match access {
        Access::Public => "everybody".to_owned(),
        Access::Tenant(scope) => format!("`{}`, tenant", scope.as_str()),
        Access::Server(scope) => format!("`{}`, server", scope.as_str()),
        Access::Grants => "`admin`, grants".to_owned(),
    }
}

/// A line of the tables in the docs.
struct Line {
    /// Methods and path.
    route: String,
    /// It is served below `/prometheus` too.
    is_twin: bool,
    access: Access,
    about: &'static str,
}

/// Every route, without preflights and without those that only repeat another one below a prefix.
fn lines() -> Vec<Line> {
    let own = ROUTES.iter().map(|r| (r.methods, r.path, r.access, r.about));
    let protocols = default_protocols();
    let of_protocols = || protocols.iter().flat_map(|protocol| &protocol.routes);
    let twins: BTreeSet<&str> =
        of_protocols().filter_map(|route| route.path.strip_prefix("/prometheus")).collect();
    let of_protocols = of_protocols().map(|r| (r.methods, r.path, r.access, r.about));
    let repeats =
        |path: &str| path.strip_prefix("/prometheus").is_some_and(|path| twins.contains(path));
    let listed = own.chain(of_protocols);
    let listed =
        listed.filter(|(methods, path, ..)| !repeats(path) && *methods != [Method::OPTIONS]);
    let line = |(methods, path, access, about): (&[Method], &str, Access, &'static str)| {
        let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let route = format!("{} {path}", methods.join(", "));
        Line { route, is_twin: twins.contains(path), access, about }
    };
    listed.map(line).collect()
}
