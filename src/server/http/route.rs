//! Routes: the table of what is served, and the one way from a request to its handler.
//!
//! A request passes, in this order: the phase of the server (is it ready for this?), the caller's
//! identity and rights, the tenant, the body with its limits. A handler that is reached may rely
//! on all of it.

use super::auth::{self, Principal};
use super::listener::Peer;
use super::reply;
use crate::app::App;
use crate::config::LimitSettings;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header, request::Parts};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use catalog::Scope;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::{ErrorKind, TenantId};
use observe::{CounterFamily, Histogram, LATENCY_SECONDS, Metric};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
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
    /// Everybody, even where authentication is on: nothing of a tenant is in the answer.
    Public,
    /// Callers with this scope.
    Needs(Scope),
}

/// What a route does with a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// It is ignored.
    None,
    /// It is read whole, unpacked, and bounded by the settings.
    Whole,
}

/// A request that may be answered.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub peer: Option<SocketAddr>,
    pub principal: Principal,
    pub tenant: TenantId,
    /// Unpacked.
    pub body: Bytes,
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

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub methods: &'static [Method],
    /// In axum's form: `/items/{id}`.
    pub path: &'static str,
    pub access: Access,
    pub body: Body,
    /// Whether the stores must be open.
    pub needs_stores: bool,
    pub handler: fn(Arc<App>, Call) -> Answer,
    /// For docs/protocols.md.
    pub about: &'static str,
}

/// A router that knows the table and nothing else: what is not in the table is not served.
pub fn router(app: &Arc<App>, routes: &'static [Route]) -> Router {
    let mut router = Router::new();
    for route in routes {
        for method in route.methods {
            let filter = MethodFilter::try_from(method.clone()).expect("a method with a filter");
            let app = Arc::clone(app);
            let handler = move |request: Request| answer(Arc::clone(&app), route, request);
            router = router.route(route.path, on(filter, handler));
        }
    }
    router.fallback(not_found)
}

async fn not_found(request: Request) -> Response {
    REQUESTS.increment(&["other", method_name(request.method()), "404"]);
    reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn answer(app: Arc<App>, route: &'static Route, request: Request) -> Response {
    let started = app.clock.now();
    let method = request.method().clone();
    let response = match admit(&app, route, request).await {
        Ok(call) => CatchPanic { route, inner: (route.handler)(Arc::clone(&app), call) }.await,
        Err(refusal) => *refusal,
    };
    SECONDS.observe(app.clock.now().since(started).as_secs_f64());
    REQUESTS.increment(&[route.path, method_name(&method), response.status().as_str()]);
    response
}

/// Methods are the client's to choose: only known ones become label values.
fn method_name(method: &Method) -> &str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// From a request to a call that may be answered, or to the refusal.
async fn admit(app: &App, route: &Route, request: Request) -> Result<Call, Box<Response>> {
    let (parts, body) = request.into_parts();
    if route.needs_stores
        && let Some(reason) = app.lifecycle.unavailable()
    {
        return Err(Box::new(reply::error(ErrorKind::Overloaded, &reason)));
    }
    let principal = identify(app, route, &parts).await?;
    let tenant = auth::tenant(&principal, &parts.headers)
        .map_err(|refusal| Box::new(reply::error(refusal.kind(), &refusal.to_string())))?;
    let body = match route.body {
        Body::None => Bytes::new(),
        Body::Whole => read_body(&app.config.limits, &parts.headers, body).await?,
    };
    Ok(Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or("").to_owned(),
        headers: parts.headers,
        peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
        principal,
        tenant,
        body,
    })
}

async fn identify(app: &App, route: &Route, parts: &Parts) -> Result<Principal, Box<Response>> {
    let Access::Needs(scope) = route.access else {
        return Ok(Principal::nobody());
    };
    let refuse =
        |refusal: auth::Refusal| Box::new(reply::error(refusal.kind(), &refusal.to_string()));
    let principal = auth::identify(app, parts).await.map_err(refuse)?;
    principal.may(scope).map_err(refuse)?;
    Ok(principal)
}

async fn read_body(
    limits: &LimitSettings,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Bytes, Box<Response>> {
    let refuse = |kind, message: &str| Err(Box::new(reply::error(kind, message)));
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok(""), |value| value.to_str());
    let Some(encoding) = encoding.ok().and_then(Encoding::from_header) else {
        let message = "unknown Content-Encoding: send identity, gzip, deflate, zstd or snappy";
        return Err(Box::new(reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)));
    };
    let most = limits.body_size.length();
    let collected = Limited::new(body, most).collect();
    let packed = match tokio::time::timeout(limits.body_timeout.0, collected).await {
        Err(_) => {
            return refuse(ErrorKind::Cancelled, "the body took longer than limits.body_timeout");
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than limits.body_size ({most} bytes)");
            return refuse(ErrorKind::Limit, &message);
        }
        Ok(Err(_)) => return refuse(ErrorKind::Invalid, "the body ended before it was complete"),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    if encoding == Encoding::Identity {
        return Ok(packed);
    }
    match wire::decompress(encoding, &packed, limits.decompressed_size.length()) {
        Ok(plain) => Ok(plain.into()),
        Err(error) => refuse(error.kind(), &error.to_string()),
    }
}

/// `+` is a space and `%41` an `A`; what is no escape stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
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
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A panic answers 500 and is counted; the connection and the server live on.
struct CatchPanic {
    route: &'static Route,
    inner: Answer,
}

impl Future for CatchPanic {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let inner = self.inner.as_mut();
        match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(poll) => poll,
            Err(_) => {
                PANICS.increment(&[self.route.path]);
                let message = "a mistake in this program; its log says more";
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
    }
}
