//! The committer: the one thread that writes segments. It takes all waiting batches, appends them
//! with one write, syncs once and answers each of them.

use crate::WalError;
use crate::chain::Chain;
use crate::log::{LogOptions, Shared, State, SyncPolicy};
use crate::segment::{HEADER_BYTES, Header};
use crate::telemetry::{
    BATCHES, FAILURES, LogFailed, LogRecovered, PAYLOAD_BYTES, REFUSED, SYNC_SECONDS, SYNCS,
    WRITTEN_BYTES,
};
use crate::writer::{Failure, OrFailure, SegmentWriter};
use model::WalPosition;
use observe::emit;
use platform::{Clock, Disk, Moment, Random};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// After a full disk, the committer begins a new segment only when this many bytes are free, or as
/// many as the failed group needs, whichever is less: otherwise the next write would fail again.
const NEEDED_BYTES_MAX: u64 = 4 << 20;

/// A batch that waits to be written: an empty frame header followed by the batch's bytes.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) frame: Vec<u8>,
    pub(crate) payload_bytes: usize,
    pub(crate) done: Done,
}

type Callback = Box<dyn FnOnce(Result<WalPosition, WalError>) + Send>;

/// The callback of one append. It is called exactly once, also when the thread that holds it
/// panics.
pub(crate) struct Done(Option<Callback>);

impl Done {
    pub(crate) fn new(
        callback: impl FnOnce(Result<WalPosition, WalError>) + Send + 'static,
    ) -> Self {
        Self(Some(Box::new(callback)))
    }

    pub(crate) fn answer(mut self, result: Result<WalPosition, WalError>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<WalPosition, WalError>) {
        if let Some(callback) = self.0.take() {
            if let Err(error) = &result {
                REFUSED.increment(&[error.kind().as_str()]);
            }
            callback(result);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.call(Err(WalError::Stopped));
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}

#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: LogOptions,
    pub(crate) chain: Arc<Chain>,
    /// A new segment gets this number or a higher one.
    pub(crate) next_sequence: u64,
    /// The newest segment that stays; a new one is linked to it. 0 for none.
    pub(crate) previous: u64,
    /// `None` after a failure, until a new segment is open.
    pub(crate) segment: Option<SegmentWriter>,
    pub(crate) progress: Working,
}

/// What the committer keeps from one round to the next.
#[derive(Debug, Default)]
pub(crate) struct Working {
    /// The batches taken from the queue, oldest first.
    group: Vec<Pending>,
    buffer: Vec<u8>,
    last_sync: Option<Moment>,
    failed_at: Option<Moment>,
    needed_bytes: u64,
}

enum Work {
    Commit,
    Sync,
    Reopen,
    /// Begin a new segment; the caller waits until the sender is dropped.
    Rotate(SyncSender<()>),
    Stop,
}

impl Committer {
    pub(crate) fn run(mut self) {
        loop {
            match self.next_work() {
                Work::Commit => self.commit(),
                Work::Sync => self.sync_late(),
                Work::Reopen => self.reopen(),
                Work::Rotate(_asked) => self.rotate_early(),
                Work::Stop => return self.stop(),
            }
        }
    }

    fn next_work(&mut self) -> Work {
        let shared = Arc::clone(&self.shared);
        let state = shared.lock();
        if self.segment.is_none() {
            return self.wait_to_reopen(&shared.work, state);
        }
        let mut state = self.wait_for_batches(&shared.work, state);
        if state.queue.is_empty() {
            let asked = state.rotate.take();
            return match asked {
                _ if state.stop => Work::Stop,
                Some(asked) => Work::Rotate(asked),
                None => Work::Sync,
            };
        }
        std::mem::swap(&mut state.queue, &mut self.progress.group);
        Work::Commit
    }

    fn wait_to_reopen(&self, work: &Condvar, state: MutexGuard<'_, State>) -> Work {
        let patient = |state: &mut State| !state.stop && !state.retry_now;
        let waited = work.wait_timeout_while(state, self.options.retry, patient);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.retry_now = false;
        if state.stop { Work::Stop } else { Work::Reopen }
    }

    /// Returns when a batch waits, a sync is due, or a rotation or the shutdown was requested.
    fn wait_for_batches<'s>(
        &self,
        work: &Condvar,
        state: MutexGuard<'s, State>,
    ) -> MutexGuard<'s, State> {
        let idle =
            |state: &mut State| state.queue.is_empty() && !state.stop && state.rotate.is_none();
        let state = match self.sync_due_in() {
            None => work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = work.wait_timeout_while(state, left, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if self.options.window.is_zero() || state.queue.is_empty() || state.stop {
            return state;
        }
        let gathering = |state: &mut State| !state.stop;
        let waited = work.wait_timeout_while(state, self.options.window, gathering);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// `None` when no background sync is due.
    fn sync_due_in(&self) -> Option<Duration> {
        let SyncPolicy::Interval(interval) = self.options.sync else { return None };
        self.segment.as_ref().filter(|segment| segment.dirty)?;
        let last = self.progress.last_sync?;
        Some(interval.saturating_sub(self.clock.now().since(last)))
    }

    fn commit(&mut self) {
        while !self.progress.group.is_empty() {
            if let Err(failure) = self.commit_some() {
                return self.fail(failure);
            }
        }
        if self.sync_due_in().is_some_and(|left| left.is_zero()) {
            self.sync_late();
        }
    }

    /// Commits the batches that fit into the segment; begins a new segment if none fits.
    fn commit_some(&mut self) -> Result<(), Failure> {
        let Working { group, buffer, .. } = &mut self.progress;
        let segment = self.segment.as_mut().expect("a segment is open");
        let count = segment.fitting(group, self.options.segment_bytes);
        if count == 0 {
            return self.rotate();
        }
        let start = WalPosition { segment: segment.sequence(), offset: segment.end };
        segment.write(&mut group[..count], buffer).or_failure("write to the write-ahead log")?;
        if self.options.sync == SyncPolicy::Always {
            self.sync()?;
        }
        self.progress.last_sync.get_or_insert_with(|| self.clock.now());
        self.answer(start, count);
        Ok(())
    }

    fn answer(&mut self, start: WalPosition, count: usize) {
        let segment = self.segment.as_mut().expect("the batches were written to it");
        segment.acknowledged = true;
        let end = WalPosition { offset: segment.end, ..start };
        let (mut position, mut payload_bytes) = (start, 0);
        for Pending { frame, payload_bytes: bytes, done } in self.progress.group.drain(..count) {
            payload_bytes += bytes;
            done.answer(Ok(position));
            position.offset += frame.len() as u64;
        }
        debug_assert_eq!(position, end, "every frame is at the offset written into it");
        BATCHES.add(count as u64);
        PAYLOAD_BYTES.add(payload_bytes as u64);
        WRITTEN_BYTES.add(end.offset - start.offset);
        let mut state = self.shared.lock();
        state.queue_bytes -= (end.offset - start.offset) as usize;
        state.set_end(end);
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let segment = self.segment.as_mut().expect("a segment is open");
        let start = self.clock.now();
        segment.sync().or_failure("sync the write-ahead log")?;
        let end = self.clock.now();
        SYNCS.increment();
        SYNC_SECONDS.observe(end.since(start).as_secs_f64());
        self.progress.last_sync = Some(end);
        Ok(())
    }

    /// Syncs batches that were acknowledged before their sync.
    fn sync_late(&mut self) {
        if let Err(failure) = self.sync() {
            self.fail(failure);
        }
    }

    fn rotate(&mut self) -> Result<(), Failure> {
        if self.segment.as_ref().is_some_and(|segment| segment.dirty) {
            self.sync()?;
        }
        self.open_segment()
    }

    /// Does nothing while the segment is empty: it would serve as well as a new one.
    fn rotate_early(&mut self) {
        if self.segment.as_ref().is_some_and(|segment| segment.acknowledged)
            && let Err(failure) = self.rotate()
        {
            self.fail(failure);
        }
    }

    fn open_segment(&mut self) -> Result<(), Failure> {
        self.check_space()?;
        let segment = loop {
            let header = Header {
                sequence: self.next_sequence,
                previous: self.previous,
                salt: self.random.next_u64(),
                created_ns: self.clock.wall_ns(),
            };
            match SegmentWriter::create(&*self.disk, &self.options.folder, header) {
                // An earlier try created this file, failed, and could not remove it.
                Err(failure) if failure.error.kind() == ErrorKind::AlreadyExists => {
                    self.next_sequence += 1;
                }
                created => break created?,
            }
        };
        let start = WalPosition { segment: segment.sequence(), offset: segment.end };
        self.next_sequence = start.segment + 1;
        self.previous = start.segment;
        self.chain.extend(start.segment);
        self.segment = Some(segment);
        self.progress.last_sync = Some(self.clock.now());
        self.shared.lock().set_end(start);
        Ok(())
    }

    /// Where the file system does not report free space, the write itself finds out.
    fn check_space(&self) -> Result<(), Failure> {
        let free = self.disk.space().map_or(u64::MAX, |space| space.free);
        let needed = self.options.reserve_bytes + self.progress.needed_bytes;
        if free >= needed {
            return Ok(());
        }
        let text = format!("{free} bytes are free, {needed} are needed");
        let error = io::Error::new(ErrorKind::StorageFull, text);
        Err(Failure { action: "begin a segment of the write-ahead log", error })
    }

    /// Abandons the segment and answers every waiting batch with the failure. The segment takes no
    /// more writes: after a failed sync it is unknown which of its bytes reached the disk.
    fn fail(&mut self, failure: Failure) {
        let reason: Arc<str> = format!("could not {}: {}", failure.action, failure.error).into();
        let first = self.progress.failed_at.is_none();
        self.progress.failed_at.get_or_insert_with(|| self.clock.now());
        self.note_needed_bytes(failure.error.kind());
        self.give_up_segment();
        let since_ms = self.clock.wall_ms();
        let mut group = std::mem::take(&mut self.progress.group);
        {
            let mut state = self.shared.lock();
            state.set_failed(since_ms, Arc::clone(&reason));
            group.append(&mut state.queue);
            state.set_queue_bytes(0);
        }
        FAILURES.increment();
        if first {
            emit(&LogFailed { reason: &reason, refused: group.len() });
        }
        for pending in group {
            pending.done.answer(Err(WalError::Unavailable { reason: Arc::clone(&reason) }));
        }
    }

    /// When a segment can't even be begun there is no group, so the size of the first failed group
    /// stays.
    fn note_needed_bytes(&mut self, kind: ErrorKind) {
        let group: u64 = self.progress.group.iter().map(|p| p.frame.len() as u64).sum();
        let needed = HEADER_BYTES as u64 + group.min(NEEDED_BYTES_MAX);
        self.progress.needed_bytes = match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                self.progress.needed_bytes.max(needed)
            }
            _ => 0,
        };
    }

    /// A segment without an acknowledged batch is removed: it is useless and takes space that a
    /// full disk lacks.
    fn give_up_segment(&mut self) {
        if let Some(segment) = self.segment.take()
            && !segment.acknowledged
            && self.chain.retract(segment.previous()).is_ok()
            && self.disk.remove(&segment.path).is_ok()
        {
            self.previous = segment.previous();
            self.shared.lock().forget_segment(segment.sequence());
        }
    }

    /// Tries to begin a new segment: at start, and again after each failure.
    pub(crate) fn reopen(&mut self) {
        if let Err(failure) = self.open_segment() {
            return self.fail(failure);
        }
        self.progress.needed_bytes = 0;
        self.shared.lock().set_healthy();
        if let Some(since) = self.progress.failed_at.take() {
            let after_seconds = self.clock.now().since(since).as_secs_f64();
            emit(&LogRecovered { segment: self.next_sequence - 1, after_seconds });
        }
    }

    fn stop(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        let sequence = segment.sequence();
        match segment.seal() {
            Ok(offset) => self.shared.lock().set_end(WalPosition { segment: sequence, offset }),
            Err(failure) => self.fail(failure),
        }
    }
}

/// When the thread ends, even by a panic, dropping a `Done` answers each batch that still waits.
impl Drop for Committer {
    fn drop(&mut self) {
        let left = {
            let mut state = self.shared.lock();
            state.stop = true;
            if std::thread::panicking() {
                state.set_failed(self.clock.wall_ms(), "its thread panicked".into());
            }
            std::mem::take(&mut state.queue)
        };
        drop(left);
    }
}
