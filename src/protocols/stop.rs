//! How the server's wish to stop reaches those that hold connections.
//!
//! Stopping has two steps. First it is requested: whoever holds a [`Stop`] should end what it does
//! and begin nothing new. Later it is enforced: what has not ended by then is dropped.

use std::time::Duration;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Running,
    Requested,
    Enforced,
}

/// The side of the server, which stops others.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Step>);

/// The side of a listener or a connection, which is stopped.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Step>);

impl Stopper {
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(Step::Running);
        (Self(sender), Stop(receiver))
    }

    pub fn request(&self) {
        self.enter(Step::Requested);
    }

    pub fn enforce(&self) {
        self.enter(Step::Enforced);
    }

    /// Waits until nobody holds a [`Stop`] any more; answers whether that came true in time.
    pub async fn ended(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.0.closed()).await.is_ok()
    }

    fn enter(&self, step: Step) {
        self.0.send_modify(|current| *current = step.max(*current));
    }
}

impl Stop {
    pub async fn requested(&self) {
        self.reached(Step::Requested).await;
    }

    /// Runs `work` until it ends or the stop is enforced.
    pub async fn enforced_on(self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.reached(Step::Enforced) => {}
        }
    }

    async fn reached(&self, step: Step) {
        // An error means that the server itself is gone.
        let _ = self.0.clone().wait_for(|current| *current >= step).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn work_may_end_after_the_request_and_is_dropped_when_it_is_enforced() {
        let (stopper, stop) = Stopper::new();
        let polite = {
            let seen = stop.clone();
            tokio::spawn(stop.clone().enforced_on(async move { seen.requested().await }))
        };
        let stubborn = tokio::spawn(stop.enforced_on(pending()));
        assert!(!stopper.ended(SHORT).await, "nobody was told to stop");
        stopper.request();
        polite.await.unwrap();
        assert!(!stopper.ended(SHORT).await, "one does not end by itself");
        stopper.enforce();
        assert!(stopper.ended(LONG).await);
        stubborn.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_is_gone_has_stopped() {
        let (stopper, stop) = Stopper::new();
        drop(stopper);
        stop.requested().await;
        stop.enforced_on(pending()).await;
    }
}
