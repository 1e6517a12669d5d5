//! Events for browsers (`text/event-stream`): what an endpoint answers, again and again, until its client
//! goes away or the server stops.
//!
//! Invariants: each event is made in a turn of the query pool. A client that takes nothing for [`PATIENCE`]
//! is given up; one that is slow misses events, and none waits in memory but the last.

use super::context::{Api, Context};
use super::places::Places;
use super::run::CancelOnDrop;
use crate::services::ServiceError;
use crate::stop::Stop;
use crate::{Call, reply};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body::Frame;
use model::ErrorKind;
use query::CancelFlag;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Clients that are sent events, of all tenants and of one.
static CLIENTS: Places = Places::new(512, 128);

/// A client that reads nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent again and again.
pub(crate) struct Events<A: Api> {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    /// Writes one event's data, without line breaks. It takes nothing of the call's memory, which is given
    /// back only when the client leaves.
    pub(crate) write: Write<A, <A as Api>::Error>,
}

type Write<A, E> = fn(&Context<A>) -> Result<Vec<u8>, E>;

/// Whether a request asks for events.
pub(crate) fn are_asked_for(call: &Call) -> bool {
    call.header("accept").contains("text/event-stream")
}

/// Sends events until nobody wants them. Where the first one can't be made, its error is the answer.
pub(crate) async fn send<A: Api>(api: Arc<A>, mut call: Call, events: Events<A>) -> Response {
    let stop = call.stop.take();
    let place = match CLIENTS.take(&call.tenant) {
        Ok(place) => place,
        Err(full) => {
            let message = format!("{} clients follow already: close another one", full.limit);
            return A::failure(&ServiceError::new(ErrorKind::Overloaded, message).into());
        }
    };
    let cancel = CancelFlag::new();
    let guard = CancelOnDrop(cancel.clone());
    let context = match Context::new(api, call, cancel) {
        Ok(context) => Arc::new(context),
        Err(error) => return A::failure(&error.into()),
    };
    let first = match events.event(&context).await {
        Ok(first) => first,
        Err(error) => return A::failure(&error),
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _place = place;
        let work = feed(&context, &events, first, &sender);
        tokio::select! {
            () = work => {}
            () = sender.closed() => {}
            () = requested(stop) => {}
        }
    });
    let body = Body::new(Sending { receiver, _cancel: guard });
    let mut response = reply::of(StatusCode::OK, "text/event-stream", body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Asks proxies of nginx' kind not to wait for more.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}

async fn requested(stop: Option<Stop>) {
    match stop {
        Some(stop) => stop.requested().await,
        None => std::future::pending().await,
    }
}

async fn feed<A: Api>(
    context: &Arc<Context<A>>,
    events: &Events<A>,
    first: Bytes,
    sender: &mpsc::Sender<Bytes>,
) {
    let mut ticks = interval(events.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once.
    ticks.tick().await;
    let mut event = first;
    loop {
        if !matches!(timeout(PATIENCE, sender.send(event)).await, Ok(Ok(()))) {
            return;
        }
        ticks.tick().await;
        event = match events.event(context).await {
            Ok(event) => event,
            // The client connects again, and is told why by the status.
            Err(_) => return,
        };
    }
}

impl<A: Api> Events<A> {
    /// One event, made when it is the tenant's turn among queries.
    async fn event(&self, context: &Arc<Context<A>>) -> Result<Bytes, A::Error> {
        let (tell, told) = oneshot::channel();
        let (write, of) = (self.write, Arc::clone(context));
        // The client may be gone: then nobody is told.
        let work = move || drop(tell.send(write(&of)));
        let services = &context.api.state().services;
        let full = |full: query::QueueFull| ServiceError::new(full.kind(), full.to_string());
        let (tenant, cancel) = (&context.call.tenant, context.cancel.clone());
        services.query_pool.submit(tenant, cancel, work).map_err(full)?;
        // Without an answer when the work panicked.
        let data = told.await.unwrap_or_else(|_| Err(ServiceError::mistake().into()))?;
        let mut event = format!("event: {}\ndata: ", self.name).into_bytes();
        event.extend_from_slice(data.trim_ascii_end());
        event.extend_from_slice(b"\n\n");
        Ok(event.into())
    }
}

struct Sending {
    receiver: mpsc::Receiver<Bytes>,
    _cancel: CancelOnDrop,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
