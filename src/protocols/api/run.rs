//! Running an endpoint, only as long as its client waits for the answer: queries on the threads of the
//! query pool, changes on a worker thread, and what is known at once on the thread that asks.

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
use tokio::sync::oneshot;

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
    ServiceError::new(ErrorKind::Bug, "a mistake in this program; the server's log says more")
}

/// Runs an endpoint that reads: on this thread when its query is known to be quick, and in the query
/// pool otherwise.
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
    match is_quick {
        true => run_here(api, call, timed).await,
        false => run_in_pool(api, call, timed).await,
    }
}

/// Runs an endpoint that needs next to no time, on this thread.
pub(crate) async fn run_here<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error>,
) -> Response {
    let accepts_gzip = gzip::is_accepted(&call.headers);
    let response = answer(Arc::clone(&api), call, CancelFlag::new(), endpoint);
    finish(&*api, response, accepts_gzip).await
}

/// Runs an endpoint on a thread of the query pool, when its tenant's turn comes. A client that goes
/// away before that gives its place in the queue back.
pub(crate) async fn run_in_pool<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let _guard = CancelOnDrop(cancel.clone());
    let accepts_gzip = gzip::is_accepted(&call.headers);
    let tenant = call.tenant.clone();
    let (tell, told) = oneshot::channel();
    let work = {
        let (api, cancel) = (Arc::clone(&api), cancel.clone());
        // Its client may be gone: then nobody is told.
        move || drop(tell.send(answer(api, call, cancel, endpoint)))
    };
    let response = match api.state().services.query_pool.submit(&tenant, cancel, work) {
        // Without an answer when the endpoint panicked.
        Ok(()) => told.await.unwrap_or_else(|_| A::failure(&mistake().into())),
        Err(full) => A::failure(&ServiceError::new(full.kind(), full.to_string()).into()),
    };
    finish(&*api, response, accepts_gzip).await
}

/// Runs an endpoint that changes something on a worker thread, which may block for long.
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
