//! The way of a batch of lines into the store, the same for every protocol of logs.

use super::guard::{LogGuard, LogWindow};
use crate::Call;
use crate::bounds::Held;
use crate::services::{ServiceError, Services};
use log_store::LogBatch;
use model::{ErrorKind, TenantId};
use std::sync::Arc;
use wire::Rejections;

/// What lines are written into.
pub(crate) type Guard<'g> = LogGuard<'g, LogBatch>;

/// How much of a request was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedLogs {
    pub(crate) lines: u64,
    /// The lines that were left out.
    pub(crate) rejected: Rejections,
}

/// Bytes that a batch takes for each byte of the plain request that it is made of, before it is known.
const BATCH_PER_BYTE: usize = 2;

/// Asks for the memory that the batch of a request of this length may take.
pub(crate) fn room_for_lines(held: &Held, plain: usize) -> Result<(), ServiceError> {
    Ok(held.take(plain.saturating_mul(BATCH_PER_BYTE))?)
}

/// What a record takes for each of its bytes while it is read: its text, and where its fields end.
const RECORD_PER_BYTE: usize = 6;

/// The memory of the record that is being read: that of the longest one so far.
#[derive(Debug, Default)]
pub(crate) struct RecordRoom {
    longest: usize,
}

impl RecordRoom {
    /// To be asked before a record of this length is read.
    pub(crate) fn ask(&mut self, held: &Held, length: usize) -> Result<(), ServiceError> {
        if length > self.longest {
            held.take((length - self.longest).saturating_mul(RECORD_PER_BYTE))?;
            self.longest = length;
        }
        Ok(())
    }
}

/// Fills a batch when it is the request's turn, and commits it. `fill` answers what its client needs
/// beside, and what the decoder refused. A client that goes away before the gateway has the batch takes
/// it back; later it changes nothing.
pub(crate) async fn commit<T: Send + 'static>(
    services: &Arc<Services>,
    call: Call,
    fill: impl FnOnce(&Call, &mut Guard<'_>) -> Result<(T, Rejections), ServiceError> + Send + 'static,
) -> Result<(T, CommittedLogs), ServiceError> {
    let tenant = call.tenant.clone();
    let filling = move |guard: &mut Guard<'_>| {
        let (beside, refused) = fill(&call, guard)?;
        Ok((beside, refused, call.held))
    };
    // A client that misses the answer sends the request again.
    run(services, &tenant, Some(Vec::new()), filling).await
}

/// The same for what no request of HTTP brought. `origin` is the name by which a sender knows the batch
/// when it sends it again; without one it counts as often as it arrives.
pub(crate) async fn commit_held(
    services: &Arc<Services>,
    tenant: &TenantId,
    held: Held,
    origin: Option<Vec<u8>>,
    fill: impl FnOnce(&Held, &mut Guard<'_>) -> Result<Rejections, ServiceError> + Send + 'static,
) -> Result<CommittedLogs, ServiceError> {
    let filling = move |guard: &mut Guard<'_>| {
        let refused = fill(&held, guard)?;
        Ok(((), refused, held))
    };
    run(services, tenant, origin, filling).await.map(|((), committed)| committed)
}

async fn run<T: Send + 'static>(
    services: &Arc<Services>,
    tenant: &TenantId,
    origin: Option<Vec<u8>>,
    fill: impl FnOnce(&mut Guard<'_>) -> Result<(T, Rejections, Held), ServiceError> + Send + 'static,
) -> Result<(T, CommittedLogs), ServiceError> {
    let logs = services.logs()?;
    let mut batch = logs.batch(tenant);
    if let Some(origin) = origin {
        batch.count_once(origin);
    }
    let age_ms = services.log_retention.of(tenant).age_ms;
    let window = LogWindow::new(logs.retention_clock.range_ms(), age_ms, &services.log_options)
        .with_rules(services.log_rules.of(tenant));
    let filling = {
        let services = Arc::clone(services);
        move || {
            let mut guard = LogGuard::new(&mut batch, &services.log_options, window);
            let (beside, refused, held) = fill(&mut guard)?;
            let lines = guard.passed();
            let rejected = guard.finish(refused);
            // The body is not needed any more: only the batch waits for the write-ahead log.
            held.settle(batch.bytes())?;
            Ok::<_, ServiceError>((batch, beside, CommittedLogs { lines, rejected }, held))
        }
    };
    let (batch, beside, committed, _held) = services.work_turns.run(filling).await??;
    if !batch.is_empty() {
        logs.gateway.commit(batch).await.map_err(|error| {
            // Limits of the store are of what it holds at the moment: after the next flush there is room.
            let kind = match error.kind() {
                ErrorKind::Limit => ErrorKind::Overloaded,
                kind => kind,
            };
            ServiceError::new(kind, error.to_string())
        })?;
    }
    Ok((beside, committed))
}
