//! The way of a batch of spans into the store, the same for every protocol of traces.

use super::active::Lifecycles;
use super::guard::{SpanGuard, SpanWindow, count_refused};
use crate::Call;
use crate::bounds::Held;
use crate::services::{ServiceError, Services};
use model::{ErrorKind, TenantId};
use std::sync::Arc;
use trace_store::SpanBatch;
use wire::Rejections;

/// What spans are written into.
pub(crate) type Guard<'g> = SpanGuard<'g, SpanBatch>;

/// How much of a request was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedSpans {
    pub(crate) spans: u64,
    /// The spans that were left out.
    pub(crate) rejected: Rejections,
}

/// What protocols answer that have no other word for spans that were left out: an error, at which their
/// clients drop what they sent.
pub(crate) fn taken(committed: CommittedSpans) -> Result<(), ServiceError> {
    let CommittedSpans { spans, rejected } = committed;
    if rejected.is_empty() {
        return Ok(());
    }
    let summary = rejected.summary();
    let message = format!("{summary}; stored: {spans}, refused: {}", rejected.count);
    Err(ServiceError::new(ErrorKind::Invalid, message))
}

/// Bytes that a batch takes for each byte of the plain request that it is made of, before it is known.
const BATCH_PER_BYTE: usize = 2;

/// Asks for the memory that the batch of a request of this length may take.
pub(crate) fn room_for_spans(held: &Held, plain: usize) -> Result<(), ServiceError> {
    Ok(held.take(plain.saturating_mul(BATCH_PER_BYTE))?)
}

/// Fills a batch when it is the request's turn, and commits it. `fill` answers what the decoder refused.
/// A client that goes away before the gateway has the batch takes it back; later it changes nothing.
pub(crate) async fn commit(
    services: &Arc<Services>,
    call: Call,
    fill: impl FnOnce(&Call, &mut Guard<'_>) -> Result<Rejections, ServiceError> + Send + 'static,
) -> Result<CommittedSpans, ServiceError> {
    let tenant = call.tenant.clone();
    let filling = move |guard: &mut Guard<'_>| {
        let refused = fill(&call, guard)?;
        Ok((refused, call.held))
    };
    run(services, &tenant, filling).await
}

/// The same for what no request of HTTP brought.
pub(crate) async fn commit_held(
    services: &Arc<Services>,
    tenant: &TenantId,
    held: Held,
    fill: impl FnOnce(&Held, &mut Guard<'_>) -> Result<Rejections, ServiceError> + Send + 'static,
) -> Result<CommittedSpans, ServiceError> {
    let filling = move |guard: &mut Guard<'_>| {
        let refused = fill(&held, guard)?;
        Ok((refused, held))
    };
    run(services, tenant, filling).await
}

async fn run(
    services: &Arc<Services>,
    tenant: &TenantId,
    fill: impl FnOnce(&mut Guard<'_>) -> Result<(Rejections, Held), ServiceError> + Send + 'static,
) -> Result<CommittedSpans, ServiceError> {
    let traces = services.traces()?;
    let mut batch = traces.batch(tenant);
    // A client that misses the answer sends the request again.
    batch.count_once();
    let age_ms = services.trace_retention.of(tenant).age_ms;
    let window =
        SpanWindow::new(traces.retention_clock.range_ms(), age_ms, &services.trace_options);
    let lifecycles = Lifecycles::new(services.active.are_any(tenant));
    let filling = move || {
        let mut guard = SpanGuard::new(&mut batch, window, lifecycles);
        let (rejected, held) = fill(&mut guard)?;
        let spans = guard.passed();
        let changes = guard.into_changes();
        count_refused(&rejected);
        // The body is not needed any more: only the batch waits for the write-ahead log.
        held.settle(batch.bytes())?;
        Ok::<_, ServiceError>((batch, CommittedSpans { spans, rejected }, changes, held))
    };
    let (batch, committed, changes, _held) = services.work_turns.run(filling).await??;
    if !batch.is_empty() {
        traces.gateway.commit(batch).await.map_err(|error| {
            // Limits of the store are of what it holds at the moment: after the next flush there is room.
            let kind = match error.kind() {
                ErrorKind::Limit => ErrorKind::Overloaded,
                kind => kind,
            };
            ServiceError::new(kind, error.to_string())
        })?;
    }
    services.active.apply(tenant, changes);
    Ok(committed)
}
