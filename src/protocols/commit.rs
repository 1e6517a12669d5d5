//! The way of a metric batch into the store, the same for every protocol that writes metrics.

use crate::Call;
use crate::services::{ServiceError, Services};
use metric_store::{MetricBatch, Written};
use wire::Rejections;

/// How much of a batch was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    /// What the tenant's limits kept out.
    pub(crate) rejected: Rejections,
}

impl From<Written> for Committed {
    fn from(written: Written) -> Self {
        let Written { samples, histograms, exemplars, refused } = written;
        let mut committed =
            Self { samples, histograms, exemplars, rejected: Rejections::default() };
        if let Some(refused) = refused {
            committed.rejected.count = refused.counts.samples + refused.counts.histograms;
            committed.rejected.reasons.push(refused.error.to_string());
        }
        committed
    }
}

/// Bytes that a batch takes for each byte of the request that it is made of, before it is known: labels
/// are as long as on the wire, a sample of ten bytes takes twenty-four.
const BATCH_PER_BYTE: usize = 2;

/// Fills a batch when it is the request's turn, and commits it. A client that goes away before the
/// gateway has the batch takes it back; later it changes nothing, because the gateway ends what it
/// began.
pub(crate) async fn commit<T: Send + 'static>(
    services: &Services,
    call: Call,
    fill: impl FnOnce(&Call, &mut MetricBatch) -> Result<T, ServiceError> + Send + 'static,
) -> Result<(T, Committed), ServiceError> {
    let metrics = services.metrics()?;
    let mut batch = metrics.batch(&call.tenant);
    let filling = move || {
        let beside = fill(&call, &mut batch)?;
        // The body is not needed any more: only the batch waits for the write-ahead log.
        call.held.settle(batch.bytes())?;
        Ok::<_, ServiceError>((batch, beside, call.held))
    };
    let (batch, beside, _held) = services.work_turns.run(filling).await??;
    Ok((beside, metrics.gateway.commit(batch).await?.into()))
}

/// Asks for the memory that the batch of a request of this length may take.
pub(crate) fn room_for_batch(call: &Call, plain: usize) -> Result<(), ServiceError> {
    Ok(call.held.take(plain.saturating_mul(BATCH_PER_BYTE))?)
}
