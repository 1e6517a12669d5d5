//! The write-ahead log as its callers see it.

use crate::batch::{BATCH_HEADER_BYTES, check_size};
use crate::chain::{Chain, gaps};
use crate::committer::{Committer, Done, Pending, Working};
use crate::floor::Floor;
use crate::hold::{Held, Hold, Holds};
use crate::reader::{Opened, SegmentReader};
use crate::segment::{FRAME_BYTES, SegmentLinks, parse_segment_name, segment_name};
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

/// When a write is synced, which decides what an acknowledgement guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Sync before the acknowledgement: an acknowledged batch survives a power cut.
    Always,
    /// Sync in the background, this long after the sync before. A power cut can lose that much; a
    /// crash of the process loses nothing.
    Interval(Duration),
    /// Sync only when a segment is full and at shutdown.
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    pub folder: String,
    pub sync: SyncPolicy,
    /// How long the committer waits for further batches before it writes a group. Zero is right on
    /// most disks: while one sync runs, the batches that arrive already gather.
    pub window: Duration,
    pub packing: Packing,
    /// A batch that would make a segment longer than this goes into a new one.
    pub segment_bytes: u64,
    /// The most bytes that may wait for the disk. A batch is always accepted when nothing waits.
    pub queue_bytes: usize,
    /// The largest payload, at most [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes_max: usize,
    /// A new segment is begun only while more than this is free on the disk. The engines need that
    /// space to write their heads, after which the write-ahead log can be truncated. Without the
    /// reserve, the write-ahead log could fill a disk and nothing could be flushed to empty it.
    pub reserve_bytes: u64,
    /// How often a new segment is tried after a failure.
    pub retry: Duration,
    /// The lowest number that a new segment may have. A caller that stores positions passes one
    /// more than its highest segment, so that positions keep growing even after the folder was
    /// emptied by hand.
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
    /// Appends are refused; a new segment is tried again every `LogOptions::retry`.
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

/// What callers and the committer share. The lock is never held during I/O or a callback.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Notified when there may be work for the committer.
    pub(crate) work: Condvar,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) queue: Vec<Pending>,
    /// Bytes in the queue and in the group that the committer writes.
    pub(crate) queue_bytes: usize,
    pub(crate) health: Health,
    pub(crate) stop: bool,
    pub(crate) retry_now: bool,
    /// A caller waits for the committer to begin a new segment.
    pub(crate) rotate: Option<mpsc::SyncSender<()>>,
    segments: BTreeMap<u64, u64>,
    end: WalPosition,
    /// Segments below it were deleted.
    oldest: u64,
    pub(crate) holds: Holds,
}

impl Shared {
    fn new(found: &[SegmentInfo], oldest: u64) -> Self {
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
            oldest,
            holds: Holds::default(),
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

    /// Keeps the time of the first of several consecutive failures.
    pub(crate) fn set_failed(&mut self, now_ms: i64, reason: Arc<str>) {
        let since_ms = match self.health {
            Health::Failed { since_ms, .. } => since_ms,
            Health::Healthy => now_ms,
        };
        self.health = Health::Failed { since_ms, reason };
        // A retry that was requested earlier does not apply to this failure.
        self.retry_now = false;
        HEALTHY.set(0.0);
    }

    fn count_segments(&self) {
        SEGMENTS.set(self.segments.len() as f64);
        SIZE_BYTES.set(self.segments.values().sum::<u64>() as f64);
    }

    /// Why a frame of this length can't be accepted now.
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

/// How long `rotate` waits. A committer that is busy for longer is writing batches, which begin new
/// segments anyway.
const ROTATE_PATIENCE: Duration = Duration::from_secs(5);

/// The write-ahead log. Dropping it is an orderly shutdown.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    chain: Arc<Chain>,
    floor: Floor,
    disk: Arc<dyn Disk>,
    options: LogOptions,
    committer: Mutex<Option<Worker>>,
}

impl Log {
    /// Opens the folder, begins a new segment, and returns a replay of the batches found. If the
    /// new segment can't be begun (because the disk is full, say), the write-ahead log still opens,
    /// refuses appends, and retries.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: LogOptions,
    ) -> Result<(Self, Replay), WalError> {
        let folder = &options.folder;
        disk.create_dirs(folder).map_err(|error| WalError::io("create", folder, error))?;
        let found = list_segments(&*disk, folder)?;
        let (clean_stop, links) = check_segments(&*disk, folder, &found)?;
        let chain = Chain::open(Arc::clone(&disk), folder);
        let chain = Arc::new(chain.map_err(|error| WalError::io("list", folder, error))?);
        let floor = Floor::open(Arc::clone(&disk), folder);
        let floor = floor.map_err(|error| WalError::io("list", folder, error))?;
        let gaps = gaps(chain.ends(), &links);
        let last = found.last().map_or(0, |segment| segment.sequence);
        let expected = chain.ends().map_or(0, |ends| ends.newest);
        if !clean_stop {
            emit(&UncleanStop { segment: last });
        }
        let oldest = chain.ends().map_or(0, |ends| ends.oldest);
        let shared = Arc::new(Shared::new(&found, oldest));
        let mut replay = Replay::new(Arc::clone(&disk), folder, found, clean_stop);
        replay.note_gaps(&gaps);
        replay.start_at(WalPosition { segment: floor.sequence(), offset: 0 });
        let mut committer = Committer {
            shared: Arc::clone(&shared),
            disk: Arc::clone(&disk),
            clock,
            random,
            options: options.clone(),
            chain: Arc::clone(&chain),
            next_sequence: (last.max(expected) + 1).max(options.first_segment),
            previous: last,
            segment: None,
            progress: Working::default(),
        };
        committer.reopen();
        let committer = Worker::start("wal", move || committer.run())
            .map_err(|error| WalError::io("start the thread of", &options.folder, error))?;
        let committer = Mutex::new(Some(committer));
        Ok((Self { shared, chain, floor, disk, options, committer }, replay))
    }

    /// Writes a batch. `on_done` is called exactly once: with the batch's position when the batch
    /// is as durable as the sync policy says, or with an error. It is called in the order of the
    /// positions, on the committer's thread, or on the caller's if the batch is refused at once. So
    /// it must be short, and must neither wait for the write-ahead log nor own it: send on a
    /// channel.
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

    /// Like [`append`](Self::append), but blocks the caller's thread.
    pub fn append_wait(&self, batch: &Batch<'_>) -> Result<WalPosition, WalError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.append(batch, move |result| {
            // The receiver waits below.
            let _ = sender.send(result);
        });
        receiver.recv().unwrap_or(Err(WalError::Stopped))
    }

    /// An empty frame header and the batch. A full queue is detected before the batch is packed.
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
        // The queue is bounded by the frames' lengths, so a frame's capacity must not be much
        // larger.
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

    /// Makes a failed write-ahead log try a new segment now instead of at the next retry.
    pub fn retry_now(&self) {
        self.shared.lock().retry_now = true;
        self.shared.work.notify_one();
    }

    /// Begins a new segment unless the current one is empty, so that truncation can delete what the
    /// current one holds. Waits until it is done; does nothing while the write-ahead log is failed.
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
        // Nothing is ever sent: the receiver returns when the sender is dropped, by a finished
        // rotation or by the end of the committer.
        let _ = receiver.recv_timeout(ROTATE_PATIENCE);
    }

    /// Every batch below this position was answered, and every later answer is for a batch at or
    /// above it. It moves after the answers of a group were given.
    pub fn end(&self) -> WalPosition {
        self.shared.lock().end
    }

    /// Keeps everything from a position on, at most `bytes_max` bytes of it.
    pub fn hold(&self, from: WalPosition, bytes_max: u64) -> Hold {
        self.hold_with(Held { keep_from: from, unsent_from: from, bytes_max, lost: None })
    }

    pub(crate) fn hold_with(&self, held: Held) -> Hold {
        Hold::new(Arc::clone(&self.shared), held)
    }

    /// Segments below it were deleted.
    pub(crate) fn oldest(&self) -> u64 {
        self.shared.lock().oldest
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(crate) fn folder(&self) -> &str {
        &self.options.folder
    }

    /// The first segment from this number on, up to where it may be read, and whether it is the one
    /// that is written.
    pub(crate) fn segment_from(&self, sequence: u64) -> Option<(u64, u64, bool)> {
        let state = self.shared.lock();
        let (sequence, bytes) = state.segments.range(sequence..).next()?;
        Some((*sequence, *bytes, *sequence >= state.end.segment))
    }

    /// Deletes the segments that lie wholly below `position`, except the one that is written and those
    /// that are held. Returns how many were deleted. What is kept only because it is held is not
    /// replayed at the next start.
    pub fn truncate_before(&self, position: WalPosition) -> Result<usize, WalError> {
        let folder = &self.options.folder;
        let is_short = self.disk.space().is_ok_and(|s| s.free < 2 * self.options.reserve_bytes);
        let (wanted, bound, below) = {
            let state = self.shared.lock();
            let wanted = position.segment.min(state.end.segment);
            let bound = state.holds.bound(wanted, &state.segments, is_short);
            let below = state.segments.range(..bound).map(|(sequence, _)| *sequence);
            (wanted, bound, below.collect::<Vec<u64>>())
        };
        if bound < wanted && self.floor.sequence() < wanted {
            self.floor.raise(wanted).map_err(|e| WalError::io("mark the floor of", folder, e))?;
        }
        if !below.is_empty() {
            let shortened = self.chain.shorten(bound);
            shortened.map_err(|error| WalError::io("rename the chain of", folder, error))?;
            let state = &mut *self.shared.lock();
            state.oldest = state.oldest.max(bound);
            state.holds.note_deleted(bound, &state.segments);
        }
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
            self.disk.sync_dir(folder).map_err(|error| WalError::io("sync", folder, error))?;
            // The deletion may have freed enough space for a new segment.
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

    /// How many bytes of the segments lie at or above a position.
    pub fn bytes_from(&self, position: WalPosition) -> u64 {
        let state = self.shared.lock();
        let segments = state.segments.range(position.segment..);
        let behind = |(sequence, bytes): (&u64, &u64)| {
            let before = if *sequence == position.segment { position.offset } else { 0 };
            bytes.saturating_sub(before)
        };
        segments.map(behind).sum()
    }

    /// Refuses further batches, writes and answers those that wait, and seals the segment, so that
    /// the next start can tell that this stop was orderly. Returns when all is done.
    pub fn shutdown(&self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_one();
        let worker = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The worker is joined on drop. The panic hook already reported a panic.
        drop(worker);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Files with other names are ignored.
fn list_segments(disk: &dyn Disk, folder: &str) -> Result<Vec<SegmentInfo>, WalError> {
    let entries = disk.list(folder).map_err(|error| WalError::io("list", folder, error))?;
    let segment = |entry: platform::DiskEntry| {
        let sequence = parse_segment_name(&entry.name).filter(|_| !entry.is_dir)?;
        Some(SegmentInfo { sequence, bytes: entry.len })
    };
    // Names of equal length sort as their numbers do.
    Ok(entries.into_iter().filter_map(segment).collect())
}

/// Refuses a folder that a newer version wrote, before anything is written. Returns whether the
/// last stop was clean, and how the segments are linked.
fn check_segments(
    disk: &dyn Disk,
    folder: &str,
    segments: &[SegmentInfo],
) -> Result<(bool, Vec<SegmentLinks>), WalError> {
    let (mut clean, mut links) = (true, Vec::new());
    for SegmentInfo { sequence, .. } in segments {
        let path = format!("{folder}/{}", segment_name(*sequence));
        clean = match SegmentReader::open(disk, &path, Some(*sequence))? {
            Opened::Segment(mut reader) => {
                links.push(reader.header.links());
                reader.is_sealed().map_err(|error| WalError::io("read", &path, error))?
            }
            Opened::Unborn { .. } | Opened::Unreadable { .. } => {
                links.push(SegmentLinks { sequence: *sequence, previous: 0 });
                false
            }
        };
    }
    Ok((clean, links))
}
