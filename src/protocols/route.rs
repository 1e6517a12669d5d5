//! Routes: the tables of what is served, and the one way from a request to its handler.
//!
//! Before a handler is called, these are checked in this order: whether the server is ready, that the
//! request does not come from a page that may not send it, who the caller is and what it may do, for
//! which tenant it acts, and that the body is within its limits.

use crate::bounds::{self, Held};
use crate::cors::{Cors, Page};
use crate::grpc;
use crate::own_spans::{self, RequestSpan};
use crate::principal::{self, Principal, Refusal};
use crate::reply;
use crate::services::Services;
use crate::sockets::{Session, Upgrade};
use crate::stop::Stop;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use catalog::Scope;
use hyper::upgrade::OnUpgrade;
use model::{ErrorKind, TenantId};
use observe::{CounterFamily, Histogram, LATENCY_SECONDS, Metric};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use wire::Encoding;

static REQUESTS: CounterFamily = CounterFamily::new(
    "mirador_http_requests_total",
    "Requests that were answered, by route, method and status.",
    &["route", "method", "status"],
);
static SECONDS: Histogram = Histogram::new(
    "mirador_http_request_seconds",
    "Time from a request's headers to its answer.",
    LATENCY_SECONDS,
);
static PANICS: CounterFamily = CounterFamily::new(
    "mirador_http_panics_total",
    "Handlers that panicked: each is a mistake in this program.",
    &["route"],
);
pub(crate) static METRICS: &[&dyn Metric] = &[&REQUESTS, &SECONDS, &PANICS];

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, even when authentication is on, because the answer holds nothing of any tenant.
    Public,
    /// It concerns the tenant that the call is for: callers with this scope for that tenant.
    Tenant(Scope),
    /// It concerns the server, and so every tenant: callers with this scope for all tenants.
    Server(Scope),
    /// It concerns tokens and users: callers with the scope `admin` who proved who they are. They see
    /// what is bound to their tenants, and give what they hold.
    Grants,
}

impl Access {
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Public => None,
            Self::Tenant(scope) | Self::Server(scope) => Some(scope),
            Self::Grants => Some(Scope::Admin),
        }
    }

    /// Whether a call may change something. What is read may be asked for with `POST` as well, because
    /// queries are long.
    fn is_change(self, method: &Method) -> bool {
        let only_reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        !only_reads && !matches!(self.scope(), None | Some(Scope::Read))
    }
}

/// What a route does with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It is ignored.
    None,
    /// It is read whole, unpacked, and bounded by the settings.
    Whole,
    /// As `Whole`, and it must be announced as JSON, which a page of another site can't do without
    /// asking first.
    Json,
    /// It is read whole and bounded, but left as it was sent: the handler unpacks it.
    AsSent,
    /// The handler reads it while it comes in, and bounds what it takes: for gRPC methods whose
    /// client streams.
    Streamed,
}

pub type Identified<'a> = Pin<Box<dyn Future<Output = Result<Principal, Refusal>> + Send + 'a>>;

/// Bounds of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    pub timeout: Duration,
    pub size_max: usize,
    pub decompressed_max: usize,
}

/// Marks a request whose connection is one of the few beyond the limit: only pages that need no
/// stores answer it.
#[derive(Clone, Copy, Debug)]
pub struct FromReserve;

/// The server around the routes, which is asked before a handler is called.
pub trait Host: Send + Sync + 'static {
    fn services(&self) -> &Arc<Services>;

    /// Why the stores can't be used now, if they can't.
    fn unavailable(&self) -> Option<String>;

    /// Whether the request is addressed to this server, where that is checked.
    fn admits_host(&self, parts: &Parts) -> Result<(), Refusal>;

    /// Who sends this request.
    fn identify<'a>(&'a self, parts: &'a Parts) -> Identified<'a>;

    fn body_limits(&self) -> BodyLimits;

    fn peer(&self, parts: &Parts) -> Option<SocketAddr>;
}

/// A request that has passed all checks.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub peer: Option<SocketAddr>,
    pub principal: Principal,
    pub tenant: TenantId,
    /// Unpacked, unless the route takes it as it was sent.
    pub body: Bytes,
    /// The size that the handler may unpack the body to.
    pub decompressed_max: usize,
    /// The body of a route with [`Body::Streamed`]; of other routes it is empty.
    pub stream: StreamedBody,
    /// The connection, where the request asks to use it for something else than HTTP.
    pub upgrade: Option<Upgrade>,
    /// Tells answers without an end that the server stops.
    pub stop: Option<Stop>,
    /// The memory that the body takes. What the handler makes of it is asked for here.
    pub held: Held,
    /// What is recorded of the request, where it is.
    pub span: Option<Arc<RequestSpan>>,
}

/// A body that is not read yet. The lock makes a call `Sync`, which a body alone is not; nobody ever
/// waits for it.
#[derive(Debug)]
pub struct StreamedBody(Mutex<axum::body::Body>);

impl StreamedBody {
    fn new(body: axum::body::Body) -> Self {
        Self(Mutex::new(body))
    }

    pub fn into_inner(self) -> axum::body::Body {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    /// The value of a query parameter, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| percent_decode(value))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

pub type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// One line of a table: what is served under a path, and to whom. A protocol's table is a constant
/// whose handlers are functions of the protocol's state ([`Handler`]); what is served has the state
/// bound to it ([`Bound`]).
#[derive(Clone, Copy)]
pub struct Route<H> {
    pub methods: &'static [Method],
    /// In axum's form: `/items/{id}`.
    pub path: &'static str,
    pub access: Access,
    pub body: Body,
    /// Whether the stores must be open.
    pub needs_stores: bool,
    pub handler: H,
    /// How a request is answered that may not reach the handler.
    pub refuse: Refuse,
    /// For docs/protocols.md.
    pub about: &'static str,
}

/// A function of a state: the whole server's, or a protocol's.
pub type Handler<S> = fn(Arc<S>, Call) -> Answer;

/// A handler with its state.
pub type Bound = Arc<dyn Fn(Call) -> Answer + Send + Sync>;

/// A refusal in the words of a protocol, for the request with these headers. The server's own words:
/// [`reply::refuse`].
pub type Refuse = fn(&HeaderMap, ErrorKind, &str) -> Response;

impl<H> fmt::Debug for Route<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({:?})", self.methods, self.path, self.access)
    }
}

/// A function as a [`Route`] holds it.
#[macro_export]
macro_rules! handler {
    ($handler:path) => {
        |state, call| -> $crate::Answer { Box::pin($handler(state, call)) }
    };
}

/// A table with the state that its handlers work on.
pub fn bind<S: Send + Sync + 'static>(
    state: &Arc<S>,
    routes: &[Route<Handler<S>>],
) -> Vec<Route<Bound>> {
    let bind = |route: &Route<Handler<S>>| {
        let (state, handler) = (Arc::clone(state), route.handler);
        let Route { methods, path, access, body, needs_stores, refuse, about, .. } = *route;
        let handler: Bound = Arc::new(move |call| handler(Arc::clone(&state), call));
        Route { methods, path, access, body, needs_stores, handler, refuse, about }
    };
    routes.iter().map(bind).collect()
}

/// A router that serves these routes and nothing else; see [`not_found`]. The sites of `cors` may call
/// the paths that answer a preflight.
pub fn router(host: &Arc<dyn Host>, routes: &[Route<Bound>], cors: &Cors) -> Router {
    let is_preflight = |route: &&Route<Bound>| route.methods.contains(&Method::OPTIONS);
    let open: BTreeSet<&str> = routes.iter().filter(is_preflight).map(|route| route.path).collect();
    let mut router = Router::new();
    for route in routes {
        let cors = if open.contains(route.path) { cors.clone() } else { Cors::closed() };
        let tenant_at = route.path.split('/').position(|segment| segment == TENANT_SEGMENT);
        let served = Arc::new(Served { route: route.clone(), cors, tenant_at });
        for method in route.methods {
            let filter = MethodFilter::try_from(method.clone()).expect("a method with a filter");
            let (host, served) = (Arc::clone(host), Arc::clone(&served));
            let handler =
                move |request: Request| answer(Arc::clone(&host), Arc::clone(&served), request);
            router = router.route(route.path, on(filter, handler));
        }
    }
    router.method_not_allowed_fallback(async || {
        reply::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
    })
}

/// Where a path of an API leads that ends in a slash: to the same without it. Other paths are left
/// alone, so that nobody can make this server send browsers to another site (`//elsewhere/`).
fn without_slash(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let shorter = path.trim_end_matches('/');
    let is_api = ["/api/", "/prometheus/api/"].iter().any(|root| shorter.starts_with(root));
    if !is_api || shorter == path {
        return None;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{shorter}{query}")).ok()?;
    // A permanent redirect that keeps the method, and with it the form that was posted.
    let mut response = reply::empty(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// The segment of a route's path that names the tenant that the call is for.
const TENANT_SEGMENT: &str = "{tenant}";

/// A route with what follows from its table.
struct Served {
    route: Route<Bound>,
    /// The sites whose pages may call it.
    cors: Cors,
    /// The segment of the path that names the tenant.
    tenant_at: Option<usize>,
}

/// The fallback of the router that all tables are merged into.
pub async fn not_found(request: Request) -> Response {
    if let Some(redirect) = without_slash(&request) {
        REQUESTS.increment(&["other", method_name(request.method()), "308"]);
        return redirect;
    }
    if grpc::is_call(request.headers()) {
        REQUESTS.increment(&["other", method_name(request.method()), "200"]);
        return grpc::unimplemented();
    }
    REQUESTS.increment(&["other", method_name(request.method()), "404"]);
    reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn answer(host: Arc<dyn Host>, served: Arc<Served>, request: Request) -> Response {
    let services = host.services();
    let started = services.clock.now();
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let span = services.own_spans.begin(&*services.clock, request.headers());
    let mut recorded = span.as_ref().map(|_| recorded(&served, &request));
    let route = &served.route;
    let mut response = match admit(&*host, &served, request).await {
        Ok(mut call) => {
            if let Some(recorded) = &mut recorded
                && route.access != Access::Public
            {
                recorded.tenant = Some(call.tenant.clone());
            }
            call.span.clone_from(&span);
            handle(services, route, call).await
        }
        Err(refusal) => *refusal,
    };
    if let Some((span, recorded)) = span.zip(recorded) {
        services.own_spans.end(&span, services.clock.now(), recorded, &response);
    }
    served.cors.apply(origin.as_ref(), &mut response);
    SECONDS.observe(services.clock.now().since(started).as_secs_f64());
    REQUESTS.increment(&[route.path, method_name(&method), response.status().as_str()]);
    response
}

/// What is known of a request before it is read.
fn recorded(served: &Served, request: &Request) -> own_spans::Request {
    let size = request.headers().get(header::CONTENT_LENGTH);
    own_spans::Request {
        route: served.route.path,
        method: method_name(request.method()),
        tenant: None,
        size: size.and_then(|size| size.to_str().ok()?.parse().ok()),
    }
}

async fn handle(services: &Services, route: &Route<Bound>, call: Call) -> Response {
    let content_type = call.headers.get(header::CONTENT_TYPE).cloned();
    let response = CatchPanic { path: route.path, inner: (route.handler)(call) }.await;
    let leaving = bounds::leave(&services.request_memory, response).await;
    leaving.unwrap_or_else(|error| {
        let headers = content_type.map(|value| (header::CONTENT_TYPE, value));
        (route.refuse)(&headers.into_iter().collect(), error.kind(), &error.to_string())
    })
}

/// Only known methods become label values, because clients may send any word as a method.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// Checks a request; answers the call that its handler gets, or the refusal.
async fn admit(host: &dyn Host, served: &Served, request: Request) -> Result<Call, Box<Response>> {
    let route = &served.route;
    let (mut parts, body) = request.into_parts();
    let stop = parts.extensions.get::<Session>().map(|session| session.stop.clone());
    let upgrade = upgrade(host, &mut parts);
    let refuse = |no: Refused| match no {
        Refused::Kind(kind, message) => Box::new((route.refuse)(&parts.headers, kind, &message)),
        Refused::Media(message) => {
            Box::new(reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
        }
    };
    let is_page = !route.needs_stores && upgrade.is_none();
    if !is_page && parts.extensions.get::<FromReserve>().is_some() {
        let message = "all connections are taken: try again later, or raise limits.connections";
        return Err(refuse(Refused::Kind(ErrorKind::Overloaded, message.to_owned())));
    }
    if route.needs_stores
        && let Some(reason) = host.unavailable()
    {
        return Err(refuse(Refused::Kind(ErrorKind::Overloaded, reason)));
    }
    let is_upgrade = upgrade.is_some();
    check_page(host, served, &parts, is_upgrade).map_err(|no| refuse(no.into()))?;
    let principal = identify(host, route.access, &parts).await.map_err(|no| refuse(no.into()))?;
    let in_path = served.tenant_in(parts.uri.path());
    let tenant = principal::tenant(route.access, &principal, &parts.headers, in_path.as_deref());
    let tenant = tenant.map_err(|no| refuse(no.into()))?;
    let (services, limits) = (host.services(), host.body_limits());
    let mut stream = axum::body::Body::empty();
    let (body, held) = match route.body {
        Body::None => (Bytes::new(), services.request_memory.hold()),
        Body::Streamed => {
            stream = body;
            (Bytes::new(), services.request_memory.hold())
        }
        Body::Whole | Body::Json => {
            check_media(route.body, &parts.headers).map_err(refuse)?;
            let read = read_body(services, &limits, &parts, body).await.map_err(refuse)?;
            unpack(services, &limits, &parts.headers, read).await.map_err(refuse)?
        }
        Body::AsSent => read_body(services, &limits, &parts, body).await.map_err(refuse)?,
    };
    Ok(Call {
        peer: host.peer(&parts),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        headers: parts.headers,
        principal,
        tenant,
        body,
        decompressed_max: limits.decompressed_max,
        stream: StreamedBody::new(stream),
        upgrade,
        stop,
        held,
        span: None,
    })
}

fn upgrade(host: &dyn Host, parts: &mut Parts) -> Option<Upgrade> {
    let on = parts.extensions.remove::<OnUpgrade>()?;
    let session = parts.extensions.remove::<Session>()?;
    Some(Upgrade { on, session, peer: host.peer(parts) })
}

/// Why a request does not reach its handler.
enum Refused {
    Kind(ErrorKind, String),
    /// 415, which is the status of no error kind.
    Media(&'static str),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Kind(refusal.kind(), refusal.to_string())
    }
}

impl Served {
    /// The tenant that the path names.
    fn tenant_in(&self, path: &str) -> Option<String> {
        let segment = path.split('/').nth(self.tenant_at?)?;
        Some(percent_decode_segment(segment))
    }
}

/// Refuses what a page of another site has a browser send: everything that is addressed to a name that
/// is not the server's, and changes and upgrades by pages that the protocol does not list.
fn check_page(
    host: &dyn Host,
    served: &Served,
    parts: &Parts,
    is_upgrade: bool,
) -> Result<(), Refusal> {
    host.admits_host(parts)?;
    if !is_upgrade && !served.route.access.is_change(&parts.method) {
        return Ok(());
    }
    match Page(parts).foreign_origin() {
        Some(origin) if !served.cors.admits(origin) => {
            Err(Refusal::Site { origin: origin.chars().take(ORIGIN_SHOWN_MAX).collect() })
        }
        _ => Ok(()),
    }
}

/// Characters of an origin that a refusal shows.
const ORIGIN_SHOWN_MAX: usize = 200;

fn check_media(body: Body, headers: &HeaderMap) -> Result<(), Refused> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("");
    if body == Body::Json && !media.trim().eq_ignore_ascii_case("application/json") {
        return Err(Refused::Media("send the body with Content-Type: application/json"));
    }
    Ok(())
}

async fn identify(host: &dyn Host, access: Access, parts: &Parts) -> Result<Principal, Refusal> {
    if access == Access::Public {
        return Ok(Principal::nobody());
    }
    let principal = host.identify(parts).await?;
    principal.may(access)?;
    Ok(principal)
}

async fn read_body(
    services: &Services,
    limits: &BodyLimits,
    parts: &Parts,
    body: axum::body::Body,
) -> Result<(Bytes, Held), Refused> {
    let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let beside = parts.uri.path().len() + parts.headers.iter().map(header).sum::<usize>();
    let memory = &services.request_memory;
    let read = bounds::read_body(memory, body, limits.size_max, limits.timeout, beside).await;
    read.map_err(|error| Refused::Kind(error.kind(), error.to_string()))
}

/// Unpacks a body, off the threads that serve sockets.
async fn unpack(
    services: &Services,
    limits: &BodyLimits,
    headers: &HeaderMap,
    (packed, held): (Bytes, Held),
) -> Result<(Bytes, Held), Refused> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok(""), |value| value.to_str());
    let Some(encoding) = encoding.ok().and_then(Encoding::from_header) else {
        let message = "unknown Content-Encoding: send identity, gzip, deflate, zstd or snappy";
        return Err(Refused::Media(message));
    };
    if encoding == Encoding::Identity {
        return Ok((packed, held));
    }
    let most = limits.decompressed_max;
    let work = move || {
        let mut plain = Vec::new();
        wire::decompress_into(encoding, &packed, most, &mut &held, &mut plain)?;
        Ok((plain.into(), held))
    };
    let unpacked = services.work_turns.run(work).await;
    let unpacked = unpacked.map_err(|error| Refused::Kind(error.kind, error.message))?;
    unpacked.map_err(|error: wire::DecompressError| Refused::Kind(error.kind(), error.to_string()))
}

/// `+` becomes a space and `%41` an `A`; a `%` without two hexadecimal digits stays as it is.
pub fn percent_decode(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode_bytes(text)).into_owned()
}

/// What need not be text.
pub fn percent_decode_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let code =
            escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (code, first) {
            (Some(code), _) => {
                bytes.push(code);
                rest = &tail[2..];
                continue;
            }
            (None, b'+') => bytes.push(b' '),
            (None, other) => bytes.push(*other),
        }
        rest = tail;
    }
    bytes
}

/// Decodes a segment of a path, in which a plus is not a space.
pub fn percent_decode_segment(encoded: &str) -> String {
    percent_decode(&encoded.replace('+', "%2b"))
}

/// A value of a query string, from which [`percent_decode`] reads it back.
pub(crate) fn percent_encode_value(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Turns a panic of the handler into an answer with 500, and counts it.
struct CatchPanic {
    path: &'static str,
    inner: Answer,
}

impl Future for CatchPanic {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let inner = self.inner.as_mut();
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll,
            Err(_) => {
                PANICS.increment(&[self.path]);
                let message = "a mistake in this program; the server's log says more";
                Poll::Ready(reply::error(ErrorKind::Bug, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_nonsense_kept() {
        for (text, expected) in [
            ("a+b", "a b"),
            ("%41%2b", "A+"),
            ("%zz%4", "%zz%4"),
            ("%ed%95%9c", "한"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(percent_decode(text), expected);
        }
        let text = "{ .a =~ \"한+|b&c%41\" }\0";
        assert_eq!(percent_decode(&percent_encode_value(text)), text);
    }
}
