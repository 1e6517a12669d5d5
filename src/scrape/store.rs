//! Where samples go: the store's batches, through the gateway.

use ingest::Gateway;
use metric_store::{Limits, MetricBatch, MetricStore};
use model::TenantId;
use std::sync::Arc;
use wire::LabelLimits;

/// The tenant that scrapes belong to, and the way to its store.
#[derive(Clone, Debug)]
pub struct Destination {
    pub store: MetricStore,
    pub gateway: Arc<Gateway>,
    pub tenant: TenantId,
    pub limits: Limits,
    /// Labels that a series may have.
    pub labels: LabelLimits,
}

impl Destination {
    pub(crate) fn batch(&self) -> MetricBatch {
        self.store.batch(&self.tenant, self.limits)
    }

    /// Stores a batch; says what the tenant's limits refused, or why nothing was stored.
    pub(crate) async fn commit(&self, batch: MetricBatch) -> Result<Option<String>, String> {
        match self.gateway.commit(batch).await {
            Ok(written) => Ok(written.refused.map(|refused| refused.error.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }
}
