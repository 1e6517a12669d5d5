//! Running an endpoint: on a worker thread, and only as long as its client waits for the answer.

use super::context::{Api, ApiState, Context};
use super::gzip;
use super::quick::Key;
use super::stream::{Head, Pieces, stream};
use crate::Call;
use crate::services::ServiceError;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use model::ErrorKind;
use query::CancelFlag;
use std::sync::Arc;

/// An endpoint whose answer is sent while it is written.
pub(crate) struct StreamedEndpoint<A: Api> {
    pub(crate) content_type: fn(&Call) -> &'static str,
    pub(crate) write: Write<A, <A as Api>::Error>,
}

type Write<A, E> = fn(&Context<A>, &mut Pieces<E>) -> Result<(), E>;

/// Raises the flag when the client goes away, because then the future that holds it is dropped.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What the client is told when a worker thread panicked.
pub(crate) fn mistake() -> ServiceError {
    ServiceError::new(ErrorKind::Bug, "a mistake in this program; its log says more")
}

/// Runs an endpoint that reads: on this thread when its query is known to be quick, and on a worker
/// thread otherwise.
pub(crate) async fn run_query<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error> + Send + 'static,
) -> Response {
    let key = Key::of(&call);
    let is_quick = key.is_some_and(|key| api.state().quick.is_quick(key));
    let timed = move |context: &Context<A>| {
        let ApiState { services, quick, .. } = context.api.state();
        let started = services.clock.now();
        let answer = endpoint(context);
        if let Some(key) = key {
            quick.learn(key, services.clock.now().since(started));
        }
        answer
    };
    if !is_quick {
        return run(api, call, timed).await;
    }
    let accepts_gzip = gzip::is_accepted(&call.headers);
    let response = answer(Arc::clone(&api), call, CancelFlag::new(), timed);
    finish(&*api, response, accepts_gzip).await
}

/// Runs an endpoint on a worker thread, which may block.
pub(crate) async fn run<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let _guard = CancelOnDrop(cancel.clone());
    let accepts_gzip = gzip::is_accepted(&call.headers);
    let work = {
        let api = Arc::clone(&api);
        move || answer(api, call, cancel, endpoint)
    };
    let answered = tokio::task::spawn_blocking(work).await;
    let response = answered.unwrap_or_else(|_| A::failure(&mistake().into()));
    finish(&*api, response, accepts_gzip).await
}

fn answer<A: Api>(
    api: Arc<A>,
    call: Call,
    cancel: CancelFlag,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error>,
) -> Response {
    endpoint(&Context::new(api, call, cancel)).unwrap_or_else(|error| A::failure(&error))
}

async fn finish<A: Api>(api: &A, response: Response, accepts_gzip: bool) -> Response {
    api.state().cors.apply(gzip::packed(response, accepts_gzip).await)
}

/// Runs an endpoint whose answer is sent while it is written.
pub(crate) async fn run_streamed<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: StreamedEndpoint<A>,
) -> Response {
    let is_gzip = gzip::is_accepted(&call.headers);
    let head = Head { content_type: (endpoint.content_type)(&call), is_gzip };
    let mut response = stream_to(Arc::clone(&api), call, head, endpoint.write).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    api.state().cors.apply(response)
}

/// Sends what `write` writes, without any header beside those of `head`.
pub(crate) async fn stream_to<A: Api>(
    api: Arc<A>,
    call: Call,
    head: Head,
    write: impl FnOnce(&Context<A>, &mut Pieces<A::Error>) -> Result<(), A::Error> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let context = Context::new(api, call, cancel.clone());
    let fail = |error: Option<A::Error>| A::failure(&error.unwrap_or_else(|| mistake().into()));
    let sent = stream(head, cancel, move |pieces| write(&context, pieces), fail).await;
    let busy = |busy: super::stream::Busy| {
        A::failure(&ServiceError::new(ErrorKind::Overloaded, busy.to_string()).into())
    };
    sent.unwrap_or_else(busy)
}
