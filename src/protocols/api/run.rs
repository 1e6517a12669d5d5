//! Running an endpoint, only as long as its client waits for the answer: queries in the query pool,
//! changes on a worker thread, and what is known at once on the thread that asks.
//!
//! Invariants: a query runs only in a turn of the query pool. On a thread that serves sockets it gets
//! two milliseconds, and there is always another such thread.

use super::context::{Api, ApiState, Context};
use super::gzip::{self, Packing};
use super::quick::{Key, LENGTH_MAX};
use super::stream::{Head, Pieces, stream};
use crate::Call;
use crate::own_spans;
use crate::services::ServiceError;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use model::ErrorKind;
use query::CancelFlag;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// An endpoint whose answer is sent while it is written.
pub(crate) struct StreamedEndpoint<A: Api> {
    pub(crate) content_type: fn(&Call) -> &'static str,
    pub(crate) write: Write<A, <A as Api>::Error>,
}

type Write<A, E> = fn(&Context<A>, &mut Pieces<E>) -> Result<(), E>;

/// Raises the flag when the client goes away, because then the future that holds it is dropped.
pub(crate) struct CancelOnDrop(pub(crate) CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// How long a query may take on the thread that read it: twice what is expected of one that was quick,
/// so that few attempts are in vain.
const ATTEMPT: Duration = Duration::from_millis(2);

/// A request with what its endpoint's run needs.
struct Asked<A> {
    api: Arc<A>,
    call: Call,
    cancel: CancelFlag,
}

impl<A: Api> Asked<A> {
    /// The endpoint's answer as it is sent.
    fn answer(self, endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error>) -> Response {
        self.answer_and_call(endpoint).0
    }

    /// The request comes back as well, unless it can't be read.
    fn answer_and_call(
        self,
        endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error>,
    ) -> (Response, Option<Call>) {
        let Self { api, call, cancel } = self;
        let accepted = Packing::accepted(&call.headers);
        let (answered, call) = match Context::new(api, call, cancel.clone()) {
            Ok(context) => (evaluated(&context, endpoint), Some(context.call)),
            Err(error) => (Err(error.into()), None),
        };
        let response = answered.unwrap_or_else(|error| A::failure(&error));
        (gzip::packed(response, accepted, &cancel), call)
    }
}

fn evaluated<A: Api>(
    context: &Context<A>,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error>,
) -> Result<Response, A::Error> {
    if context.call.span.is_none() {
        return endpoint(context);
    }
    let clock = &context.services().clock;
    let began = clock.now();
    let answer = endpoint(context);
    own_spans::step(&context.call, "evaluate", (began, clock.now()));
    answer
}

/// Runs an endpoint that reads on a thread of the query pool, when its tenant's turn comes. One that
/// was quick before and need not wait is attempted on the thread that read the request, because to
/// hand it over and back costs more than it takes.
pub(crate) async fn run_query<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl Fn(&Context<A>) -> Result<Response, A::Error> + Clone + Send + 'static,
) -> Response {
    let key = Key::of(&call, api.state().services.clock.wall_ms());
    let was_quick = key.is_some_and(|key| api.state().quick.is_quick(key));
    let timed = move |context: &Context<A>| {
        let ApiState { services, quick, .. } = context.api.state();
        let started = services.clock.now();
        let answer = endpoint(context);
        if let Some(key) = key {
            quick.learn(key, services.clock.now().since(started));
        }
        answer
    };
    match was_quick {
        true => attempt(api, call, timed).await,
        false => run_in_pool(api, call, timed).await,
    }
}

/// Runs an endpoint on this thread for two milliseconds at most; if it takes longer, it begins anew in
/// the query pool. The turn that it needs is one of fewer than there are threads that serve sockets.
async fn attempt<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl Fn(&Context<A>) -> Result<Response, A::Error> + Clone + Send + 'static,
) -> Response {
    let services = Arc::clone(&api.state().services);
    let Some(turn) = services.query_pool.turn_now() else {
        return run_in_pool(api, call, endpoint).await;
    };
    let cancel = CancelFlag::expiring(&services.clock, ATTEMPT);
    let asked = Asked { api: Arc::clone(&api), call, cancel: cancel.clone() };
    let (response, call) = asked.answer_and_call(&endpoint);
    drop(turn);
    match call {
        Some(call) if cancel.is_cancelled() => run_in_pool(api, call, endpoint).await,
        _ => response,
    }
}

/// Runs an endpoint that needs next to no time, on this thread; a request that takes time to be read,
/// in the query pool.
pub(crate) async fn run_here<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error> + Send + 'static,
) -> Response {
    match call.query.len() + call.body.len() <= LENGTH_MAX {
        true => Asked { api, call, cancel: CancelFlag::new() }.answer(endpoint),
        false => run_in_pool(api, call, endpoint).await,
    }
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
    let tenant = call.tenant.clone();
    let (tell, told) = oneshot::channel();
    let asked = Asked { api: Arc::clone(&api), call, cancel: cancel.clone() };
    let clock = Arc::clone(&api.state().services.clock);
    let began = clock.now();
    let work = move || {
        own_spans::step(&asked.call, "wait for a query thread", (began, clock.now()));
        // Its client may be gone: then nobody is told.
        drop(tell.send(asked.answer(endpoint)));
    };
    match api.state().services.query_pool.submit(&tenant, cancel, work) {
        // Without an answer when the endpoint panicked.
        Ok(()) => told.await.unwrap_or_else(|_| A::failure(&ServiceError::mistake().into())),
        Err(full) => A::failure(&ServiceError::new(full.kind(), full.to_string()).into()),
    }
}

/// Runs an endpoint that changes something on a worker thread, which may block for long.
pub(crate) async fn run<A: Api>(
    api: Arc<A>,
    call: Call,
    endpoint: impl FnOnce(&Context<A>) -> Result<Response, A::Error> + Send + 'static,
) -> Response {
    let cancel = CancelFlag::new();
    let _guard = CancelOnDrop(cancel.clone());
    let asked = Asked { api, call, cancel };
    let answered = tokio::task::spawn_blocking(move || asked.answer(endpoint)).await;
    answered.unwrap_or_else(|_| A::failure(&ServiceError::mistake().into()))
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
    response
}

/// Sends what `write` writes, without any header beside those of `head`.
pub(crate) async fn stream_to<A: Api>(
    api: Arc<A>,
    call: Call,
    head: Head,
    write: impl FnOnce(&Context<A>, &mut Pieces<A::Error>) -> Result<(), A::Error> + Send + 'static,
) -> Response {
    let (cancel, tenant) = (CancelFlag::new(), call.tenant.clone());
    let fail = |error: Option<A::Error>| {
        A::failure(&error.unwrap_or_else(|| ServiceError::mistake().into()))
    };
    let write = {
        let cancel = cancel.clone();
        move |pieces: &mut Pieces<A::Error>| write(&Context::new(api, call, cancel)?, pieces)
    };
    let sent = stream(&tenant, head, cancel, write, fail).await;
    let busy = |busy: super::stream::Busy| {
        A::failure(&ServiceError::new(ErrorKind::Overloaded, busy.to_string()).into())
    };
    sent.unwrap_or_else(busy)
}
