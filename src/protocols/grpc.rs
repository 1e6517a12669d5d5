//! gRPC on the table of routes: a method is a route like any other, with the same authentication and
//! tenant.
//!
//! Methods whose client sends one message are framed here: a message is a byte that says whether it is
//! packed, its length in four bytes, and itself; the status comes in trailers, behind the answer, which
//! may be of many messages ([`answers`]). Methods whose client streams are served by what tonic generates
//! ([`serve`]).

use crate::api::{Api, Context, run_query};
use crate::bounds::unpack;
use crate::services::{ServiceError, Services};
use crate::{Call, Principal, reply};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, header};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, Full};
use model::{ErrorKind, TenantId};
use std::convert::Infallible;
use std::sync::Arc;
use tower::{BoxError, Service, ServiceExt as _};
use wire::Encoding;
use wire::otlp::{OtlpEncoding, StatusCode, status_body};

/// A refusal, as a route names it.
pub(crate) fn refuse(_: &HeaderMap, kind: ErrorKind, message: &str) -> Response {
    failure(kind, message)
}

/// The HTTP status is 200, as always in gRPC. Because no message follows, the status of the call
/// stands in the headers rather than in trailers.
pub(crate) fn failure(kind: ErrorKind, message: &str) -> Response {
    let code = StatusCode::from_kind(kind);
    let details = status_body(OtlpEncoding::Protobuf, code, message, retry_after(code));
    let details = HeaderValue::from_str(&BASE64.encode(details));
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(code as i32, message);
    response.headers_mut().insert(DETAILS, details.expect("base64 is printable"));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    reply::with_kind(response, kind)
}

/// Whether a request is a call of gRPC.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.starts_with("application/grpc"))
}

/// The answer to a call of a method that is not there, which tells clients to do without it.
pub(crate) fn unimplemented() -> Response {
    const UNIMPLEMENTED: i32 = 12;
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(UNIMPLEMENTED, "this server has no such method");
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// After how many seconds a client may try again; `None`: never.
pub(crate) fn retry_after(code: StatusCode) -> Option<u32> {
    code.is_retryable().then_some(reply::RETRY_AFTER_SECONDS)
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// The whole `google.rpc.Status`, for clients that read details.
const DETAILS: &str = "grpc-status-details-bin";

/// The one message of a unary request, unpacked.
pub(crate) fn message(call: &Call) -> Result<Vec<u8>, ServiceError> {
    let invalid = |message: &str| ServiceError::new(ErrorKind::Invalid, message);
    let Some((&[packed, a, b, c, d], message)) = call.body.split_first_chunk::<5>() else {
        return Err(invalid("the request has no gRPC message"));
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(invalid("the request is not one whole gRPC message"));
    }
    let encoding = match packed {
        0 => Encoding::Identity,
        _ => Encoding::from_header(call.header("grpc-encoding"))
            .ok_or_else(|| invalid("unknown grpc-encoding: send identity, gzip or zstd"))?,
    };
    unpack(call, encoding, message)
}

/// A successful answer to a unary request.
pub(crate) fn answer(message: &[u8]) -> Response {
    framed(frame(message))
}

/// A successful answer of several messages, each with its frame already ([`push_frame`]).
pub(crate) fn answers(frames: Vec<u8>) -> Response {
    framed(frames.into())
}

fn framed(frames: Bytes) -> Response {
    let trailers = trailers(0, "");
    let body = Full::new(frames);
    let body = body.with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// Who calls a method of a generated service, and for which tenant: in the extensions of its request.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    pub tenant: TenantId,
}

/// Answers a call of a route with [`Body::Streamed`](crate::Body::Streamed) by a service that tonic
/// generated. The caller was checked before, as for every route; the service bounds the messages
/// that it reads (`max_decoding_message_size`). The route's path is `/package.Service/{method}`.
pub async fn serve<S, B>(service: S, call: Call) -> Response
where
    S: Service<Request<Body>, Response = axum::http::Response<B>, Error = Infallible>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let Call { method, path, headers, principal, tenant, stream, .. } = call;
    let mut request = Request::new(stream.into_inner());
    let Ok(uri) = path.parse() else { return failure(ErrorKind::Invalid, "not a path") };
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Caller { principal, tenant });
    match service.oneshot(request).await {
        Ok(response) => response.map(Body::new),
    }
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("answers are small");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

/// Adds a message to an answer of several.
pub(crate) fn push_frame(frames: &mut Vec<u8>, message: &impl prost::Message) {
    let length = u32::try_from(message.encoded_len()).expect("messages are small");
    frames.push(0);
    frames.extend_from_slice(&length.to_be_bytes());
    message.encode(frames).expect("memory takes everything");
}

/// As much as a message of an answer holds, so that clients, which take four times as much, can read it.
/// A single item that is larger is a message of its own.
const MESSAGE_SIZE: usize = 1 << 20;

/// Adds items in as few messages as may be, at least one. `message` makes one of some items, and is told
/// whether they are the last.
pub(crate) fn push_items<T: prost::Message, M: prost::Message>(
    frames: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut message: impl FnMut(Vec<T>, bool) -> M,
) {
    let (mut waiting, mut size) = (Vec::new(), 0);
    for item in items {
        let length = item.encoded_len();
        if size + length > MESSAGE_SIZE && !waiting.is_empty() {
            push_frame(frames, &message(std::mem::take(&mut waiting), false));
            size = 0;
        }
        size += length;
        waiting.push(item);
    }
    push_frame(frames, &message(waiting, true));
}

/// A query is at most an eighth of this.
const REQUEST_MAX: usize = 1 << 20;
/// Shorter messages that are not packed are decoded on the thread that read them.
const QUICK_MAX: usize = 16 << 10;

/// A message that asks for something.
pub(crate) trait Question: prost::Message + Default + Clone + 'static {}

impl<M: prost::Message + Default + Clone + 'static> Question for M {}

/// What writes the messages of an answer.
type Endpoint<A, M, E> = fn(&Context<A>, &M, &mut Vec<u8>) -> Result<(), E>;

/// Answers a question in the query pool, or at once where it was quick before.
pub(crate) async fn run_question<A: Api, M: Question>(
    api: Arc<A>,
    call: Call,
    endpoint: Endpoint<A, M, A::Error>,
) -> Response {
    run_prepared(api, call, |_, _| {}, endpoint).await
}

/// As [`run_question`], where the call is changed by what is asked.
pub(crate) async fn run_prepared<A: Api, M: Question>(
    api: Arc<A>,
    call: Call,
    prepare: impl FnOnce(&M, &mut Call),
    endpoint: Endpoint<A, M, A::Error>,
) -> Response {
    let (question, mut call) = match question::<M>(&api.state().services, call).await {
        Ok(read) => read,
        Err(error) => return failure(error.kind, &error.message),
    };
    // Messages may be packed one by one, and an answer never as a whole.
    call.headers.remove(header::ACCEPT_ENCODING);
    prepare(&question, &mut call);
    run_query(api, call, move |context: &Context<A>| {
        let mut frames = Vec::new();
        endpoint(context, &question, &mut frames)?;
        Ok(answers(frames))
    })
    .await
}

/// The one message of a request, decoded.
async fn question<M: Question>(services: &Services, call: Call) -> Result<(M, Call), ServiceError> {
    let is_quick = call.body.len() <= QUICK_MAX && call.body.first() == Some(&0);
    let read = |call: Call| {
        let bytes = message(&call)?;
        if bytes.len() > REQUEST_MAX {
            let text = format!("the request is larger than {REQUEST_MAX} bytes: ask for less");
            return Err(ServiceError::new(ErrorKind::Limit, text));
        }
        let wrong = |error: prost::DecodeError| {
            ServiceError::new(ErrorKind::Invalid, format!("the message can't be read: {error}"))
        };
        Ok((M::decode(&*bytes).map_err(wrong)?, call))
    };
    match is_quick {
        true => read(call),
        false => services.work_turns.run(move || read(call)).await?,
    }
}

fn trailers(code: i32, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if !message.is_empty() {
        let encoded = HeaderValue::from_str(&percent_encode(message));
        trailers.insert("grpc-message", encoded.expect("only printable ASCII is left"));
    }
    trailers
}

/// What is not printable ASCII, and the percent sign itself, as `%XX`.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::bind;
    use crate::testing::{Setup, TestServer};
    use crate::{Access, Handler, Protocol, Route, handler};
    use axum::http::Method;
    use catalog::Scope;
    use tonic_health::pb::health_server::{Health, HealthServer};
    use tonic_health::server::{HealthReporter, HealthService};

    const PATH: &str = "/grpc.health.v1.Health/{method}";

    /// A service with a unary method and one that streams.
    struct Watched(HealthServer<WithCaller>);

    static ROUTES: &[Route<Handler<Watched>>] = &[Route {
        methods: &[Method::POST],
        path: PATH,
        access: Access::Tenant(Scope::Read),
        body: crate::Body::Streamed,
        needs_stores: false,
        handler: handler!(health),
        refuse,
        about: "",
    }];

    async fn health(watched: Arc<Watched>, call: Call) -> Response {
        serve(watched.0.clone(), call).await
    }

    /// tonic's own service, which sees the callers.
    struct WithCaller(HealthService);

    type Request<T> = tonic::Request<T>;
    type Answer<T> = Result<tonic::Response<T>, tonic::Status>;
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

    fn check_caller<T>(request: &Request<T>) {
        let caller = request.extensions().get::<Caller>().unwrap();
        assert_eq!((caller.tenant.as_str(), &*caller.principal.name), ("blue", "tester"));
    }

    #[tonic::async_trait]
    impl Health for WithCaller {
        type WatchStream = <HealthService as Health>::WatchStream;

        async fn check(&self, request: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
            check_caller(&request);
            self.0.check(request).await
        }

        async fn watch(&self, request: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
            check_caller(&request);
            self.0.watch(request).await
        }
    }

    fn server() -> TestServer {
        let service = HealthService::from_health_reporter(HealthReporter::new());
        let watched = Arc::new(Watched(HealthServer::new(WithCaller(service))));
        let protocol = Protocol { routes: bind(&watched, ROUTES), ..Protocol::new("health") };
        TestServer::with(|_: &mut Setup| {}, vec![protocol])
    }

    const HEADERS: [(&str, &str); 3] =
        [("content-type", "application/grpc"), ("te", "trailers"), ("x-scope-orgid", "blue")];
    const EMPTY: &[u8] = &[0; 5];
    /// SERVING.
    const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

    #[test]
    fn generated_services_are_routes() {
        let server = server();
        let answer = server.send("POST /grpc.health.v1.Health/Check", &HEADERS, EMPTY);
        assert_eq!(answer.body, SERVING);
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
        let first = server.first_piece("POST /grpc.health.v1.Health/Watch", &HEADERS, EMPTY);
        assert_eq!(first, SERVING);
        let unknown = server.send("POST /grpc.health.v1.Health/Other", &HEADERS, EMPTY);
        assert_eq!(unknown.header("grpc-status"), "12");
    }

    #[test]
    fn items_are_packed_into_messages_that_clients_take() {
        let sizes = |items: Vec<String>| {
            let mut frames = Vec::new();
            push_items(&mut frames, items, |items, is_last| {
                items.iter().map(String::len).sum::<usize>().to_string()
                    + if is_last { "." } else { "" }
            });
            let (mut rest, mut found) = (&frames[..], Vec::new());
            while let [0, 0, 0, 0, length, tail @ ..] = rest {
                let (message, after) = tail.split_at(usize::from(*length));
                found.push(<String as prost::Message>::decode(message).unwrap());
                rest = after;
            }
            found
        };
        let text = |length: usize| "x".repeat(length);
        assert_eq!(sizes(vec![]), ["0."]);
        assert_eq!(sizes(vec![text(10), text(20)]), ["30."]);
        let (half, large) = (MESSAGE_SIZE / 2, MESSAGE_SIZE + 1);
        let items = vec![text(half), text(half), text(5), text(large), text(7)];
        let expected =
            [half.to_string(), (half + 5).to_string(), large.to_string(), "7.".to_owned()];
        assert_eq!(sizes(items), expected);
    }

    #[test]
    fn a_method_that_is_not_there_is_unimplemented() {
        let answer = server().send("POST /some.Service/Method", &HEADERS, EMPTY);
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "12"));
        assert_eq!(answer.body, b"");
    }

    #[test]
    fn generated_services_see_only_callers_that_may() {
        let refused = [HEADERS[0], HEADERS[1], HEADERS[2], ("x-test-refuse", "missing")];
        let answer = server().send("POST /grpc.health.v1.Health/Check", &refused, EMPTY);
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "16"));
    }
}
