//! The way of a metric batch into the store, the same for every protocol that writes metrics.

use crate::api::mistake;
use crate::services::{ServiceError, Services};
use metric_store::{MetricBatch, Written};
use model::TenantId;
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

/// Fills a batch on a worker thread and commits it. A client that goes away before the gateway has
/// the batch takes it back; later it changes nothing, because the gateway ends what it began.
pub(crate) async fn commit<T: Send + 'static>(
    services: &Services,
    tenant: &TenantId,
    fill: impl FnOnce(&mut MetricBatch) -> Result<T, ServiceError> + Send + 'static,
) -> Result<(T, Committed), ServiceError> {
    let metrics = services.metrics()?;
    let mut batch = metrics.batch(tenant);
    let filling = move || fill(&mut batch).map(|beside| (batch, beside));
    let filled = tokio::task::spawn_blocking(filling).await;
    let (batch, beside) = filled.map_err(|_| mistake())??;
    Ok((beside, metrics.gateway.commit(batch).await?.into()))
}
