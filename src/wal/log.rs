//! The log as its users hold it.

use crate::batch::{BATCH_HEADER_BYTES, check_size};
use crate::committer::{Committer, Done, Pending, Working};
use crate::reader::{Opened, SegmentReader};
use crate::segment::{FRAME_BYTES, parse_segment_name, segment_name};
use crate::telemetry::{HEALTHY, QUEUE_BYTES, SEGMENTS, SIZE_BYTES, UncleanStop};
use crate::{Batch, PAYLOAD_BYTES_MAX, Packing, Replay, WalError};
use codec::ByteWriter;
use model::WalPosition;
use observe::emit;
use platform::threads::Worker;
use platform::{Clock, Disk, Random};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// When what was written is synced, and so what an acknowledgement is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before the acknowledgement: it survives a power cut.
    Always,
    /// In the background, this long after the sync before: a power cut may take that much, the end
    /// of the process takes nothing.
    Interval(Duration),
    /// When a segment is full and when the log is shut down.
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    pub folder: String,
    pub sync: SyncPolicy,
    /// How long a batch waits for company. The sync before it is company enough on most disks.
    pub window: Duration,
    pub packing: Packing,
    /// A batch that would make a segment longer goes to a new one.
    pub segment_bytes: u64,
    /// What may wait for the disk; a single batch may always.
    pub queue_bytes: usize,
    /// The largest payload, at most [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes_max: usize,
    /// A new segment is only begun while more than this is free on the disk: what the engines need
    /// to write their heads out, after which the log can be truncated. Without it a full disk could
    /// hold nothing but a log that nobody can empty.
    pub reserve_bytes: u64,
    /// How often a failed log tries to begin a new segment.
    pub retry: Duration,
    /// The lowest number a new segment may have. Whoever keeps positions elsewhere passes one
    /// above theirs, so that positions go on rising should the log's folder be emptied by hand.
    pub first_segment: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            folder: "wal".to_owned(),
            sync: SyncPolicy::Always,
            window: Duration::ZERO,
            packing: Packing::Lz4,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            reserve_bytes: 0,
            retry: Duration::from_secs(1),
            first_segment: 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    /// Appends are refused; a new segment is tried again and again.
    Failed {
        /// Milliseconds since 1970.
        since_ms: i64,
        reason: Arc<str>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    pub sequence: u64,
    pub bytes: u64,
}

/// What callers and the committer share. No lock is held during I/O or a callback.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Told when the committer may have something to do.
    pub(crate) work: Condvar,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) queue: Vec<Pending>,
    /// Bytes in the queue and in the committer's hands.
    pub(crate) queue_bytes: usize,
    pub(crate) health: Health,
    pub(crate) stop: bool,
    pub(crate) retry_now: bool,
    /// Somebody waits for a new segment to begin.
    pub(crate) rotate: Option<mpsc::SyncSender<()>>,
    segments: BTreeMap<u64, u64>,
    end: WalPosition,
}

impl Shared {
    fn new(found: &[SegmentInfo]) -> Self {
        let last = found.last().copied().unwrap_or(SegmentInfo { sequence: 0, bytes: 0 });
        let state = State {
            queue: Vec::new(),
            queue_bytes: 0,
            health: Health::Healthy,
            stop: false,
            retry_now: false,
            rotate: None,
            segments: found.iter().map(|segment| (segment.sequence, segment.bytes)).collect(),
            end: WalPosition { segment: last.sequence, offset: last.bytes },
        };
        Self { state: Mutex::new(state), work: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn set_end(&mut self, end: WalPosition) {
        self.end = end;
        self.segments.insert(end.segment, end.offset);
        QUEUE_BYTES.set(self.queue_bytes as f64);
        self.count_segments();
    }

    pub(crate) fn forget_segment(&mut self, sequence: u64) {
        self.segments.remove(&sequence);
        self.count_segments();
    }

    pub(crate) fn set_queue_bytes(&mut self, bytes: usize) {
        self.queue_bytes = bytes;
        QUEUE_BYTES.set(bytes as f64);
    }

    pub(crate) fn set_healthy(&mut self) {
        self.health = Health::Healthy;
        HEALTHY.set(1.0);
    }

    /// Keeps the time of the first of several failures in a row.
    pub(crate) fn set_failed(&mut self, now_ms: i64, reason: Arc<str>) {
        let since_ms = match self.health {
            Health::Failed { since_ms, .. } => since_ms,
            Health::Healthy => now_ms,
        };
        self.health = Health::Failed { since_ms, reason };
        // Whatever was asked before was not asked of this failure.
        self.retry_now = false;
        HEALTHY.set(0.0);
    }

    fn count_segments(&self) {
        SEGMENTS.set(self.segments.len() as f64);
        SIZE_BYTES.set(self.segments.values().sum::<u64>() as f64);
    }

    /// Why a frame of this length can't be taken now.
    fn refusal(&self, length: usize, queue_bytes_max: usize) -> Option<WalError> {
        if self.stop {
            return Some(WalError::Stopped);
        }
        if let Health::Failed { reason, .. } = &self.health {
            return Some(WalError::Unavailable { reason: Arc::clone(reason) });
        }
        let full = self.queue_bytes > 0 && self.queue_bytes + length > queue_bytes_max;
        full.then_some(WalError::Overloaded)
    }
}

/// A committer that is busy for longer has batches to write, which begin new segments anyway.
const ROTATE_PATIENCE: Duration = Duration::from_secs(5);

/// The log. Dropping it is an orderly shutdown.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    options: LogOptions,
    committer: Mutex<Option<Worker>>,
}

impl Log {
    /// Opens the log's folder, begins a new segment, and answers what stood there before. Where the
    /// new segment can't be begun (a full disk, say) the log opens all the same, failed, and goes
    /// on trying.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: LogOptions,
    ) -> Result<(Self, Replay), WalError> {
        let folder = &options.folder;
        disk.create_dirs(folder).map_err(|error| WalError::io("create", folder, error))?;
        let found = list_segments(&*disk, folder)?;
        let clean_stop = check_segments(&*disk, folder, &found)?;
        let last = found.last().map_or(0, |segment| segment.sequence);
        if !clean_stop {
            emit(&UncleanStop { segment: last });
        }
        let shared = Arc::new(Shared::new(&found));
        let replay = Replay::new(Arc::clone(&disk), folder, found, clean_stop);
        let mut committer = Committer {
            shared: Arc::clone(&shared),
            disk: Arc::clone(&disk),
            clock,
            random,
            options: options.clone(),
            next_sequence: (last + 1).max(options.first_segment),
            segment: None,
            progress: Working::default(),
        };
        committer.reopen();
        let committer = Worker::start("wal", move || committer.run())
            .map_err(|error| WalError::io("start the thread of", &options.folder, error))?;
        let committer = Mutex::new(Some(committer));
        Ok((Self { shared, disk, options, committer }, replay))
    }

    /// Writes a batch. `on_done` is called exactly once: with the batch's position when it is as
    /// safe as the sync policy says, or with an error. It runs on the log's own thread (here, where
    /// the batch is refused at once), in the order of the positions, so it must be short and must
    /// neither wait for the log nor own it: send on a channel.
    ///
    /// Packing and checksums are done here, on the caller's thread.
    pub fn append(
        &self,
        batch: &Batch<'_>,
        on_done: impl FnOnce(Result<WalPosition, WalError>) + Send + 'static,
    ) {
        let done = Done::new(on_done);
        match self.encode(batch) {
            Ok(frame) => self.enqueue(Pending { frame, payload_bytes: batch.payload.len(), done }),
            Err(error) => done.answer(Err(error)),
        }
    }

    /// As [`append`](Self::append), for those who have a thread to spare.
    pub fn append_wait(&self, batch: &Batch<'_>) -> Result<WalPosition, WalError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.append(batch, move |result| {
            // The receiver waits below.
            let _ = sender.send(result);
        });
        receiver.recv().unwrap_or(Err(WalError::Stopped))
    }

    /// An empty frame header and the batch. A full queue is noticed before the work.
    fn encode(&self, batch: &Batch<'_>) -> Result<Vec<u8>, WalError> {
        check_size(batch.payload.len(), self.options.payload_bytes_max.min(PAYLOAD_BYTES_MAX))?;
        if let Some(error) = self.shared.lock().refusal(0, self.options.queue_bytes) {
            return Err(error);
        }
        let tenant_length = batch.tenant.as_str().len();
        let capacity = FRAME_BYTES + BATCH_HEADER_BYTES + tenant_length + batch.payload.len();
        let mut frame = ByteWriter::with_capacity(capacity);
        frame.raw(&[0; FRAME_BYTES]);
        batch.encode(self.options.packing, &mut frame)?;
        // The queue is bounded by what it holds, so it must not hold more than it seems to.
        if frame.bytes.capacity() > frame.len() + frame.len() / 2 {
            frame.bytes.shrink_to_fit();
        }
        Ok(frame.bytes)
    }

    fn enqueue(&self, pending: Pending) {
        let mut state = self.shared.lock();
        let length = pending.frame.len();
        if let Some(error) = state.refusal(length, self.options.queue_bytes) {
            drop(state);
            return pending.done.answer(Err(error));
        }
        let waking = state.queue.is_empty();
        let queue_bytes = state.queue_bytes + length;
        state.set_queue_bytes(queue_bytes);
        state.queue.push(pending);
        drop(state);
        if waking {
            self.shared.work.notify_one();
        }
    }

    pub fn health(&self) -> Health {
        self.shared.lock().health.clone()
    }

    /// Does not wait for the next of the tries that a failed log makes.
    pub fn retry_now(&self) {
        self.shared.lock().retry_now = true;
        self.shared.work.notify_one();
    }

    /// Begins a new segment now, unless the one that is written is empty, so that truncation can
    /// let go of what stands in it. Waits for it; a log that has failed is left alone.
    pub fn rotate(&self) {
        let (sender, receiver) = mpsc::sync_channel(0);
        {
            let mut state = self.shared.lock();
            if state.stop || state.health != Health::Healthy {
                return;
            }
            state.rotate = Some(sender);
        }
        self.shared.work.notify_one();
        // Nothing is sent: the sender goes when it is done, or when the log goes.
        let _ = receiver.recv_timeout(ROTATE_PATIENCE);
    }

    /// No batch that is still to be answered lies below this position; every one that lies below
    /// was answered. It moves after the answers of a group were given.
    pub fn end(&self) -> WalPosition {
        self.shared.lock().end
    }

    /// Deletes the segments that lie wholly below `position`, never the one that is written.
    /// Answers how many.
    pub fn truncate_before(&self, position: WalPosition) -> Result<usize, WalError> {
        let below: Vec<u64> = {
            let state = self.shared.lock();
            let bound = position.segment.min(state.end.segment);
            state.segments.range(..bound).map(|(sequence, _)| *sequence).collect()
        };
        for sequence in &below {
            let path = format!("{}/{}", self.options.folder, segment_name(*sequence));
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(WalError::io("remove", &path, error));
                }
                _ => self.shared.lock().forget_segment(*sequence),
            }
        }
        if !below.is_empty() {
            let folder = &self.options.folder;
            self.disk.sync_dir(folder).map_err(|error| WalError::io("sync", folder, error))?;
            // There may be room now.
            self.retry_now();
        }
        Ok(below.len())
    }

    /// Oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let info =
            |(sequence, bytes): (&u64, &u64)| SegmentInfo { sequence: *sequence, bytes: *bytes };
        self.shared.lock().segments.iter().map(info).collect()
    }

    pub fn size_bytes(&self) -> u64 {
        self.shared.lock().segments.values().sum()
    }

    /// How many bytes stand at or behind a position.
    pub fn bytes_from(&self, position: WalPosition) -> u64 {
        let state = self.shared.lock();
        let segments = state.segments.range(position.segment..);
        let behind = |(sequence, bytes): (&u64, &u64)| {
            let before = if *sequence == position.segment { position.offset } else { 0 };
            bytes.saturating_sub(before)
        };
        segments.map(behind).sum()
    }

    /// Takes no more batches, writes and answers those that wait, and seals the log, so that the
    /// next start knows that this stop was an orderly one. Answers when all is done.
    pub fn shutdown(&self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_one();
        let worker = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Joined on drop. A panic was already reported by the hook.
        drop(worker);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Whatever else lies in the folder is left alone.
fn list_segments(disk: &dyn Disk, folder: &str) -> Result<Vec<SegmentInfo>, WalError> {
    let entries = disk.list(folder).map_err(|error| WalError::io("list", folder, error))?;
    let segment = |entry: platform::DiskEntry| {
        let sequence = parse_segment_name(&entry.name).filter(|_| !entry.is_dir)?;
        Some(SegmentInfo { sequence, bytes: entry.len })
    };
    // Names of equal length sort as their numbers do.
    Ok(entries.into_iter().filter_map(segment).collect())
}

/// Refuses a log that a newer version wrote, before anything is written. Answers whether the last
/// stop was clean.
fn check_segments(
    disk: &dyn Disk,
    folder: &str,
    segments: &[SegmentInfo],
) -> Result<bool, WalError> {
    let mut clean = true;
    for SegmentInfo { sequence, .. } in segments {
        let path = format!("{folder}/{}", segment_name(*sequence));
        clean = match SegmentReader::open(disk, &path, Some(*sequence))? {
            Opened::Segment(mut reader) => {
                reader.is_sealed().map_err(|error| WalError::io("read", &path, error))?
            }
            Opened::Unborn { .. } | Opened::Unreadable { .. } => false,
        };
    }
    Ok(clean)
}
