//! Where the server is in its life, and what that means for requests.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The stores are being opened and the write-ahead log replayed.
    Starting = 0,
    Ready = 1,
    /// Told to stop: what is in flight ends, nothing new should come.
    Stopping = 2,
}

#[derive(Debug)]
pub struct Lifecycle {
    phase: AtomicU8,
    replayed_bytes: AtomicU64,
    log_bytes: AtomicU64,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            replayed_bytes: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
        }
    }
}

impl Lifecycle {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }

    /// Phases only go forward: a server that was told to stop does not become ready.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
    }

    pub fn replaying(&self, done: u64, total: u64) {
        self.replayed_bytes.store(done, Relaxed);
        self.log_bytes.store(total, Relaxed);
    }

    /// Bytes of the write-ahead log: replayed so far, and in total.
    pub fn progress(&self) -> (u64, u64) {
        (self.replayed_bytes.load(Relaxed), self.log_bytes.load(Relaxed))
    }

    /// Why the stores can't be used now; `None` when they can.
    pub fn unavailable(&self) -> Option<String> {
        if self.phase() != Phase::Starting {
            return None;
        }
        let (done, total) = self.progress();
        Some(format!(
            "the server is starting: {done} of {total} bytes of the write-ahead log are replayed"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_go_forward() {
        let lifecycle = Lifecycle::default();
        lifecycle.replaying(3, 10);
        assert!(lifecycle.unavailable().unwrap().contains("3 of 10"));
        lifecycle.enter(Phase::Stopping);
        lifecycle.enter(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Stopping);
        assert_eq!(lifecycle.unavailable(), None);
    }
}
