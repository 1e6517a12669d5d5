//! Where alerts go.

use model::{Alert, TenantId};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Takes alerts that fire, again and again as long as they do, and those that have ended. It must not
/// block.
pub trait AlertSink: Debug + Send + Sync {
    fn send(&self, tenant: &TenantId, alerts: Vec<Alert>);
}

/// Counts alerts and does nothing else, where nobody is to be told.
#[derive(Debug, Default)]
pub struct CountingSink {
    sent: AtomicU64,
}

impl CountingSink {
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

impl AlertSink for CountingSink {
    fn send(&self, _: &TenantId, alerts: Vec<Alert>) {
        self.sent.fetch_add(alerts.len() as u64, Relaxed);
    }
}
