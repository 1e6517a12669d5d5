//! Named threads with an owner that joins them.
#![expect(clippy::disallowed_methods, reason = "this is where threads are started")]

use std::io;
use std::thread::{Builder, JoinHandle};

/// A thread that is joined when its owner drops it. The owner must first have told it to stop.
#[derive(Debug)]
pub struct Worker {
    handle: Option<JoinHandle<()>>,
}

impl Worker {
    /// The name shows in `top` and in panics; the kernel keeps its first 15 bytes.
    pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let handle = Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { handle: Some(handle) })
    }

    /// Waits for the thread's end. `Err` when it panicked.
    pub fn join(mut self) -> std::thread::Result<()> {
        self.handle.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // A panic was already reported by the hook; there is nobody to give it to here.
            let _ = handle.join();
        }
    }
}
