//! Spans of the server's own requests: which are recorded, and what of them.
//!
//! Lives here: the choice (a share of the requests, and those whose client traces them), a request's span
//! with what happened within it, the queue of finished spans.
//! Not here: writing them into the store (server), which goes past this layer, so that nothing is
//! recorded of it.
//! Invariants: a request that is not chosen costs a look at one header and an addition. The queue is
//! bounded: what finds no place is counted. A `traceparent` of a request that was refused, or that
//! everybody may send, is not followed, so that no stranger has spans recorded.

use crate::Call;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use http_body::Body as _;
use model::TenantId;
use observe::{Counter, Metric};
use platform::{Clock, Moment, Random};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::otlp::{AnyValue, Attribute};
use wire::{SpanRef, SpanSink};

static DROPPED: Counter = Counter::new(
    "mirador_own_spans_dropped_total",
    "Spans of the server's own requests that were lost: those that found no place in the queue, and those \
     that the store did not take.",
);
pub(crate) static METRICS: &[&dyn Metric] = &[&DROPPED];

/// Requests whose spans wait to be written.
const WAITING_MAX: usize = 4_096;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The choice of requests, and the queue of those that ended.
#[derive(Debug, Default)]
pub struct OwnSpans {
    /// Numbers up to here choose a request; 0: none is recorded.
    chosen_max: u64,
    state: AtomicU64,
    ended: Mutex<Vec<OwnSpan>>,
}

/// An odd number whose multiples visit all numbers of 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl OwnSpans {
    /// `share`: of the requests that bring no `traceparent`, from 0 (none, and none of the others either)
    /// to 1.
    pub fn new(share: f64, random: &dyn Random) -> Self {
        let chosen_max = (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        Self { chosen_max, state: AtomicU64::new(random.next_u64()), ..Self::default() }
    }

    /// SplitMix64: ids need to be different, not secret.
    fn number(&self) -> u64 {
        let mut mixed = self.state.fetch_add(STEP, Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn span_id(&self) -> [u8; 8] {
        // An id of zeros would be none.
        self.number().max(1).to_be_bytes()
    }

    /// The span of a request that comes in now, if it is chosen.
    pub(crate) fn begin(&self, clock: &dyn Clock, headers: &HeaderMap) -> Option<Arc<RequestSpan>> {
        if self.chosen_max == 0 {
            return None;
        }
        let parent = headers.get(TRACEPARENT).and_then(|value| Parent::read(value.as_bytes()));
        let is_chosen = match &parent {
            Some(parent) => parent.is_sampled,
            None => self.number() <= self.chosen_max,
        };
        is_chosen.then(|| {
            let new_trace = || (u128::from(self.number()) << 64 | u128::from(self.number())).max(1);
            Arc::new(RequestSpan {
                trace_id: parent.as_ref().map_or_else(|| new_trace().to_be_bytes(), |p| p.trace_id),
                parent_id: parent.map(|parent| parent.span_id),
                span_id: self.span_id(),
                start_ns: u64::try_from(clock.wall_ns()).unwrap_or(0),
                started: clock.now(),
                steps: Mutex::default(),
            })
        })
    }

    /// The request ended with this answer.
    pub(crate) fn end(&self, span: &RequestSpan, now: Moment, request: Request, answer: &Response) {
        if request.tenant.is_none() && span.parent_id.is_some() {
            return;
        }
        let ended = OwnSpan {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            start_ns: span.start_ns,
            end_ns: span.at(now),
            steps: std::mem::take(&mut *lock(&span.steps))
                .into_iter()
                .map(|step| (self.span_id(), step))
                .collect(),
            status: answer.status(),
            grpc_status: grpc_status(answer),
            answer_size: answer.body().size_hint().exact(),
            request,
        };
        let mut waiting = lock(&self.ended);
        match waiting.len() < WAITING_MAX {
            true => waiting.push(ended),
            false => DROPPED.increment(),
        }
    }

    /// The spans that ended since the last call.
    pub fn take(&self) -> Vec<OwnSpan> {
        std::mem::take(&mut *lock(&self.ended))
    }

    /// Counts spans that the store did not take.
    pub fn lost(count: u64) {
        DROPPED.add(count);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the status, where it is told in the headers: behind an answer with messages it is 0.
fn grpc_status(answer: &Response) -> Option<i64> {
    answer.headers().get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What W3C's header says of the caller's span.
struct Parent {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    is_sampled: bool,
}

impl Parent {
    /// `00-<trace id>-<span id>-<flags>`; a later version may go on behind that.
    fn read(value: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(value).ok()?.splitn(5, '-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.len() == length && text.bytes().all(is_digit)
        };
        let is_known = match version {
            "00" => parts.next().is_none(),
            version => is_hex(version, 2) && version != "ff",
        };
        if !is_known || !is_hex(trace, 32) || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let is_sampled = flags & 1 == 1;
        Some(Self { trace_id: trace.to_be_bytes(), span_id: span.to_be_bytes(), is_sampled })
    }
}

/// The span of a request that is being answered.
#[derive(Debug)]
pub struct RequestSpan {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    start_ns: u64,
    started: Moment,
    steps: Mutex<Vec<Step>>,
}

/// Something that took time while a request was answered.
#[derive(Debug)]
struct Step {
    name: &'static str,
    start_ns: u64,
    end_ns: u64,
}

/// More of them would be a mistake.
const STEPS_MAX: usize = 16;

impl RequestSpan {
    /// The wall clock may jump meanwhile: only the start is its.
    fn at(&self, moment: Moment) -> u64 {
        let since = moment.since(self.started).as_nanos();
        self.start_ns.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    pub(crate) fn step(&self, name: &'static str, (start, end): (Moment, Moment)) {
        let mut steps = lock(&self.steps);
        if steps.len() < STEPS_MAX {
            steps.push(Step { name, start_ns: self.at(start), end_ns: self.at(end) });
        }
    }
}

/// Adds a step to the request's span, if it has one.
pub(crate) fn step(call: &Call, name: &'static str, times: (Moment, Moment)) {
    if let Some(span) = &call.span {
        span.step(name, times);
    }
}

/// What is recorded of a request.
#[derive(Debug)]
pub(crate) struct Request {
    /// The route's path, which names no tenant and nobody's data.
    pub(crate) route: &'static str,
    pub(crate) method: &'static str,
    /// `None` where the request was refused before it was known, and where everybody may send it.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) size: Option<u64>,
}

/// A request that was answered.
#[derive(Debug)]
pub struct OwnSpan {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent_id: Option<[u8; 8]>,
    start_ns: u64,
    end_ns: u64,
    steps: Vec<([u8; 8], Step)>,
    status: StatusCode,
    grpc_status: Option<i64>,
    answer_size: Option<u64>,
    request: Request,
}

fn text<'a>(key: &'static str, text: impl Into<Cow<'a, str>>) -> Attribute<'a> {
    Attribute { key: Cow::Borrowed(key), value: AnyValue::Text(text.into()) }
}

fn int(key: &'static str, number: impl TryInto<i64>) -> Attribute<'static> {
    let number = number.try_into().unwrap_or(i64::MAX);
    Attribute { key: Cow::Borrowed(key), value: AnyValue::Int(number) }
}

const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const ERROR: u8 = 2;

impl OwnSpan {
    /// How many spans it is.
    pub fn count(&self) -> u64 {
        self.steps.len() as u64 + 1
    }

    /// The method of a service, where the route is one: its path is `/package.Service/Method`.
    fn method_of_service(&self) -> Option<(&'static str, &'static str)> {
        let (service, method) = self.request.route.strip_prefix('/')?.split_once('/')?;
        (service.contains('.') && !method.contains('/')).then_some((service, method))
    }

    /// Numbers by which gRPC blames the server: unknown, out of time, unimplemented, internal,
    /// unavailable, data lost.
    fn is_failure(&self) -> bool {
        let is_grpc_failure = matches!(self.grpc_status, Some(2 | 4 | 12 | 13 | 14 | 15));
        self.status.is_server_error() || is_grpc_failure
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        let request = &self.request;
        let mut all = vec![
            text("http.request.method", request.method),
            text("http.route", request.route),
            int("http.response.status_code", self.status.as_u16()),
        ];
        if let Some((service, method)) = self.method_of_service() {
            all.push(text("rpc.system", "grpc"));
            all.push(text("rpc.service", service));
            all.push(text("rpc.method", method));
            all.push(int("rpc.grpc.status_code", self.grpc_status.unwrap_or(0)));
        }
        all.extend(request.tenant.as_ref().map(|tenant| text("mirador.tenant", tenant.as_str())));
        all.extend(request.size.map(|size| int("http.request.body.size", size)));
        all.extend(self.answer_size.map(|size| int("http.response.body.size", size)));
        all
    }

    /// Writes the request's span and those of its steps. The sink has a resource and a scope already.
    pub fn write(&self, sink: &mut impl SpanSink) {
        let request = &self.request;
        let name = match self.method_of_service() {
            Some(_) => Cow::Borrowed(request.route.trim_start_matches('/')),
            None => Cow::Owned(format!("{} {}", request.method, request.route)),
        };
        let span = SpanRef {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent_id.unwrap_or_default(),
            name: &name,
            kind: SERVER,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            status: if self.is_failure() { ERROR } else { 0 },
            attributes: &self.attributes(),
            ..SpanRef::default()
        };
        sink.span(&span);
        for (span_id, Step { name, start_ns, end_ns }) in &self.steps {
            sink.span(&SpanRef {
                trace_id: self.trace_id,
                span_id: *span_id,
                parent_span_id: self.span_id,
                name,
                kind: INTERNAL,
                start_ns: *start_ns,
                end_ns: *end_ns,
                ..SpanRef::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Setup, TestServer};
    use platform::SeededRandom;

    fn all(setup: &mut Setup) {
        setup.services.own_spans = OwnSpans::new(1.0, &SeededRandom::new(7));
    }

    /// Name, parent, attributes and status of each span.
    #[derive(Default)]
    struct Heard(Vec<([u8; 8], String)>);

    impl SpanSink for Heard {
        fn resource(&mut self, _: &[Attribute<'_>]) {}
        fn scope(&mut self, _: &str, _: &str, _: &[Attribute<'_>]) {}
        fn span(&mut self, span: &SpanRef<'_>) {
            let shown: Vec<String> = span
                .attributes
                .iter()
                .map(|attribute| format!("{}={}", attribute.key, attribute.value.as_text()))
                .collect();
            let SpanRef { name, kind, status, .. } = span;
            assert!(span.start_ns > 0 && span.end_ns >= span.start_ns);
            self.0.push((
                span.parent_span_id,
                format!("{name} kind {kind} status {status} {}", shown.join(" ")),
            ));
        }
    }

    fn heard(server: &TestServer) -> Vec<([u8; 8], String)> {
        let mut heard = Heard::default();
        server.services.own_spans.take().iter().for_each(|span| span.write(&mut heard));
        heard.0
    }

    #[test]
    fn requests_become_spans_with_their_steps() {
        let server = TestServer::new(all);
        let body = "{\"resourceSpans\":[]}";
        let headers = [
            ("content-type", "application/json"),
            ("content-length", "20"),
            ("x-scope-orgid", "blue"),
        ];
        server.send("POST /v1/traces", &headers, body);
        let of_post = "POST /v1/traces kind 2 status 0 http.request.method=POST http.route=/v1/traces \
                       http.response.status_code=200 mirador.tenant=blue http.request.body.size=20 \
                       http.response.body.size=2";
        assert_eq!(heard(&server), [([0; 8], of_post.to_owned())]);
        server.send("GET /tempo/api/v2/traces/abc?start=1", &[], "");
        let names: Vec<String> = heard(&server)
            .into_iter()
            .map(|(_, text)| text.split(" http").next().unwrap().trim().to_owned())
            .collect();
        let expected = [
            "GET /tempo/api/v2/traces/{id} kind 2 status 0",
            "wait for a query thread kind 1 status 0",
            "evaluate kind 1 status 0",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn methods_of_grpc_are_named_by_their_service() {
        let server = TestServer::new(all);
        let headers = [("content-type", "application/grpc"), ("te", "trailers")];
        server.send("POST /tempopb.StreamingQuerier/Search", &headers, "not a message");
        let (_, span) = heard(&server).remove(0);
        assert!(span.starts_with("tempopb.StreamingQuerier/Search kind 2 status 0"), "{span}");
        assert!(span.contains("rpc.method=Search rpc.grpc.status_code=3"), "{span}");
    }

    #[test]
    fn a_traceparent_is_followed() {
        let server = TestServer::new(|setup| {
            // One of a million million.
            setup.services.own_spans = OwnSpans::new(1e-12, &SeededRandom::new(7));
        });
        let ask = |parent: &str, more: &[(&str, &str)]| {
            let headers = [&[("traceparent", parent)], more].concat();
            server.send("GET /tempo/api/echo", &headers, "");
            server.services.own_spans.take()
        };
        let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let found = ask(sampled, &[]);
        let [span] = &found[..] else { panic!("{found:?}") };
        assert_eq!(span.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert_eq!(span.parent_id, Some(0xb7ad_6b71_6920_3331_u64.to_be_bytes()));
        assert!(ask(sampled, &[("x-test-refuse", "missing")]).is_empty(), "not of a stranger");
        server.send("GET /zipkin/health", &[("traceparent", sampled)], "");
        assert!(server.services.own_spans.take().is_empty(), "not of what everybody may ask");
        for parent in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7-b7ad-01",
            "",
        ] {
            assert!(ask(parent, &[]).is_empty(), "{parent}");
        }
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert_eq!(ask(later, &[]).len(), 1);
    }

    #[test]
    fn a_share_is_chosen_and_the_queue_is_bounded() {
        let clock = platform::sim::SimClock::new();
        let spans = OwnSpans::new(0.25, &SeededRandom::new(1));
        let chosen =
            (0..10_000).filter(|_| spans.begin(&clock, &HeaderMap::new()).is_some()).count();
        assert!((2_300..2_700).contains(&chosen), "{chosen}");
        let none = OwnSpans::new(0.0, &SeededRandom::new(1));
        assert!(none.begin(&clock, &HeaderMap::new()).is_none());
        let every = OwnSpans::new(1.0, &SeededRandom::new(1));
        let before = DROPPED.value();
        for _ in 0..WAITING_MAX + 3 {
            let span = every.begin(&clock, &HeaderMap::new()).unwrap();
            let tenant = Some(TenantId::default_tenant());
            let request = Request { route: "/", method: "GET", tenant, size: None };
            every.end(&span, clock.now(), request, &Response::default());
        }
        assert_eq!(DROPPED.value() - before, 3);
        assert_eq!(every.take().len(), WAITING_MAX);
        assert_eq!(every.take().len(), 0);
    }
}
