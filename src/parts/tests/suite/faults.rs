//! Blobs that fail after a given number of operations.

use platform::{BlobInfo, BlobWriter, Blobs, ReadFile};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

/// Lets `fuse` operations pass, then fails. The first failing operation either does nothing or does
/// its work and still reports failure; later ones do nothing.
#[derive(Debug)]
pub(crate) struct FaultyBlobs {
    inner: Arc<dyn Blobs>,
    fuse: Arc<Fuse>,
}

#[derive(Debug)]
pub(crate) struct Fuse {
    left: AtomicI64,
    last_one_happens: bool,
    /// How many operations fail; after them the disk works again.
    failures: i64,
}

enum Verdict {
    Pass,
    HappenAndFail,
    Fail,
}

impl FaultyBlobs {
    pub(crate) fn new(
        inner: Arc<dyn Blobs>,
        fuse: i64,
        last_one_happens: bool,
        failures: i64,
    ) -> Arc<Self> {
        let fuse = Fuse { left: AtomicI64::new(fuse), last_one_happens, failures };
        Arc::new(Self { inner, fuse: Arc::new(fuse) })
    }

    /// Whether an operation has failed.
    pub(crate) fn burnt(&self) -> bool {
        self.fuse.left.load(SeqCst) < 0
    }
}

impl Fuse {
    fn run<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.verdict() {
            Verdict::Pass => operation(),
            Verdict::HappenAndFail => {
                let _ = operation();
                Err(io::Error::other("the disk failed after the operation"))
            }
            Verdict::Fail => Err(io::Error::other("the disk failed")),
        }
    }

    fn verdict(&self) -> Verdict {
        match self.left.fetch_sub(1, SeqCst) {
            1.. => Verdict::Pass,
            0 if self.last_one_happens => Verdict::HappenAndFail,
            left if -left < self.failures => Verdict::Fail,
            _ => Verdict::Pass,
        }
    }
}

impl Blobs for FaultyBlobs {
    fn create(&self, key: &str) -> io::Result<Box<dyn BlobWriter>> {
        let inner = self.fuse.run(|| self.inner.create(key))?;
        Ok(Box::new(FaultyWriter { inner, fuse: Arc::clone(&self.fuse) }))
    }

    fn open(&self, key: &str) -> io::Result<Arc<dyn ReadFile>> {
        self.fuse.run(|| self.inner.open(key))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>> {
        self.fuse.run(|| self.inner.list(prefix))
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        self.fuse.run(|| self.inner.delete(key))
    }
}

#[derive(Debug)]
struct FaultyWriter {
    inner: Box<dyn BlobWriter>,
    fuse: Arc<Fuse>,
}

impl BlobWriter for FaultyWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.fuse.run(|| self.inner.append(bytes))
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        let Self { inner, fuse } = *self;
        fuse.run(|| inner.commit())
    }
}
