//! Turns for work on bodies: unpacking them, decoding them, filling batches. It takes the time of a
//! processor, so more of it at once than there are processors would only take more memory.

use crate::services::ServiceError;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Turns for each processor: some work waits, for a lock or a page of memory.
const PER_PROCESSOR: usize = 2;

#[derive(Debug)]
pub struct WorkTurns(Arc<Semaphore>);

impl WorkTurns {
    pub fn new(processors: usize) -> Self {
        Self(Arc::new(Semaphore::new((processors * PER_PROCESSOR).max(2))))
    }

    /// Runs `work` on a thread that may block, when it is its turn. A client that goes away before
    /// that gives its place back; later the work goes on to its end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let turn =
            Arc::clone(&self.0).acquire_owned().await.map_err(|_| ServiceError::mistake())?;
        let in_turn = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(in_turn).await.map_err(|_| ServiceError::mistake())
    }
}
