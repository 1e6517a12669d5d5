//! The way of a metric batch into the store, the same for every protocol that writes metrics.

use crate::api::mistake;
use crate::services::{Committed, MetricBatch, ServiceError};

/// Fills a batch on a worker thread and commits it. This runs as a task of its own, because a client
/// that goes away must not leave a batch in the write-ahead log that no store has applied.
pub(crate) async fn commit<T: Send + 'static>(
    fill: impl FnOnce() -> Result<(Box<dyn MetricBatch>, T), ServiceError> + Send + 'static,
) -> Result<(T, Committed), ServiceError> {
    let done = tokio::spawn(async move {
        let (batch, beside) = tokio::task::spawn_blocking(fill).await.map_err(|_| mistake())??;
        Ok((beside, batch.commit().await?))
    });
    done.await.unwrap_or_else(|_| Err(mistake()))
}
