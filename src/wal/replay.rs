//! Reads the whole write-ahead log back, batch by batch, in the order of writing.

use crate::batch::StoredBatch;
use crate::chain::Gap;
use crate::log::SegmentInfo;
use crate::reader::{Opened, SegmentReader, Step};
use crate::segment::{FRAME_BYTES, segment_name};
use crate::telemetry::{Corruption, Missing, REPLAYED, TornTail};
use crate::{Batch, Packing, WalError};
use model::{Signal, TenantId, WalPosition};
use observe::emit;
use platform::Disk;
use std::collections::VecDeque;
use std::sync::Arc;

/// The batches that the write-ahead log held when it was opened. Keeps one window of one segment
/// and one unpacked batch in memory, however long the write-ahead log is.
#[derive(Debug)]
pub struct Replay {
    disk: Arc<dyn Disk>,
    folder: String,
    waiting: VecDeque<SegmentInfo>,
    current: Option<Current>,
    from: WalPosition,
    tenant: TenantId,
    buffer: Vec<u8>,
    progress: Progress,
    summary: ReplaySummary,
}

#[derive(Debug)]
struct Current {
    info: SegmentInfo,
    path: String,
    reader: SegmentReader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed<'a> {
    pub position: WalPosition,
    pub batch: Batch<'a>,
}

/// How far the replay has come, in bytes of all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// What was found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplaySummary {
    /// Whether the last stop was orderly. True for an empty folder.
    pub clean_stop: bool,
    pub batches: u64,
    pub payload_bytes: u64,
    pub torn_tails: u64,
    pub torn_bytes: u64,
    /// Damaged ranges before a valid frame, unreadable segments, and batches that did not unpack.
    pub corrupt_ranges: u64,
    pub corrupt_bytes: u64,
    /// Places where at least one segment is missing.
    pub gaps: u64,
    /// Where acknowledged batches may be missing; `None` if nothing was damaged.
    pub loss: Option<Loss>,
}

/// From the beginning of the first to the end of the last range that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub from: WalPosition,
    pub end: WalPosition,
}

/// A batch without its bytes, which can only be borrowed once the search is over.
struct Found {
    position: WalPosition,
    length: usize,
    signal: Signal,
    schema: u16,
    packing: Packing,
    payload_length: usize,
}

impl Replay {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: &str,
        segments: Vec<SegmentInfo>,
        clean_stop: bool,
    ) -> Self {
        let total_bytes = segments.iter().map(|segment| segment.bytes).sum();
        Self {
            disk,
            folder: folder.to_owned(),
            waiting: segments.into(),
            current: None,
            from: WalPosition::default(),
            tenant: TenantId::default_tenant(),
            buffer: Vec::new(),
            progress: Progress { done_bytes: 0, total_bytes },
            summary: ReplaySummary { clean_stop, ..ReplaySummary::default() },
        }
    }

    pub(crate) fn note_gaps(&mut self, gaps: &[Gap]) {
        for Gap { from, end } in gaps.iter().copied() {
            self.summary.gaps += 1;
            self.lost(from, end);
            emit(&Missing { from, end });
        }
    }

    fn lost(&mut self, from: WalPosition, end: WalPosition) {
        let before = self.summary.loss.unwrap_or(Loss { from, end });
        self.summary.loss = Some(Loss { from: before.from.min(from), end: before.end.max(end) });
    }

    /// Skips every batch below `position`; segments wholly below it are not even read. Call it
    /// before the first batch is taken.
    pub fn start_at(&mut self, position: WalPosition) {
        self.from = position;
        while let Some(info) = self.waiting.front().filter(|info| info.sequence < position.segment)
        {
            self.progress.done_bytes += info.bytes;
            self.waiting.pop_front();
        }
    }

    pub fn progress(&self) -> Progress {
        let here = self.current.as_ref().map_or(0, |current| current.reader.next_offset());
        Progress { done_bytes: self.progress.done_bytes + here, ..self.progress }
    }

    pub fn summary(&self) -> ReplaySummary {
        self.summary
    }

    /// The next batch, or `None` after the last. Damage is counted, reported and skipped. An error
    /// means that the write-ahead log can't be read now (the disk failed, or a newer Mirador wrote
    /// it); to go on would lose acknowledged batches.
    pub fn next_batch(&mut self) -> Result<Option<Replayed<'_>>, WalError> {
        let found = loop {
            let Some((position, length)) = self.next_frame()? else { return Ok(None) };
            if position >= self.from
                && let Some(found) = self.decode_batch(position, length)?
            {
                break found;
            }
        };
        self.summary.batches += 1;
        self.summary.payload_bytes += found.payload_length as u64;
        REPLAYED.increment();
        let payload = match found.packing {
            Packing::Lz4 => &self.buffer[..found.payload_length],
            Packing::Plain => {
                let current = self.current.as_mut().expect("the batch was found in it");
                let bytes = current.batch(found.position.offset, found.length)?;
                &bytes[bytes.len() - found.payload_length..]
            }
        };
        let Found { position, signal, schema, .. } = found;
        let batch = Batch { tenant: &self.tenant, signal, schema, payload };
        Ok(Some(Replayed { position, batch }))
    }

    /// Decodes and unpacks a batch. A batch that can't be decoded is counted as corrupt, and `None`
    /// returned.
    fn decode_batch(
        &mut self,
        position: WalPosition,
        length: usize,
    ) -> Result<Option<Found>, WalError> {
        let current = self.current.as_mut().expect("the frame was found in it");
        let bytes = current.batch(position.offset, length)?;
        match decode_batch(bytes, &mut self.tenant, &mut self.buffer) {
            Ok(stored) => Ok(Some(Found {
                position,
                length,
                signal: stored.signal,
                schema: stored.schema,
                packing: stored.packing,
                payload_length: stored.payload_length,
            })),
            Err(error @ WalError::Newer { .. }) => Err(error),
            Err(_) => {
                self.corrupt(position, (FRAME_BYTES + length) as u64);
                Ok(None)
            }
        }
    }

    /// Finds the next batch with a valid checksum.
    fn next_frame(&mut self) -> Result<Option<(WalPosition, usize)>, WalError> {
        loop {
            if self.current.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { continue };
            let sequence = current.info.sequence;
            let at = |offset| WalPosition { segment: sequence, offset };
            let failed = |error| WalError::io("read", &current.path, error);
            match current.reader.step().map_err(failed)? {
                Step::Batch { offset, length } => return Ok(Some((at(offset), length))),
                Step::Seal { .. } => {}
                Step::Corrupt { offset, bytes } => self.corrupt(at(offset), bytes),
                Step::TornTail { offset, bytes } => self.torn(at(offset), bytes),
                Step::End => {
                    self.progress.done_bytes += current.info.bytes;
                    self.current = None;
                }
            }
        }
    }

    /// False after the last segment.
    fn open_next(&mut self) -> Result<bool, WalError> {
        let Some(info) = self.waiting.front().copied() else { return Ok(false) };
        let path = format!("{}/{}", self.folder, segment_name(info.sequence));
        let start = WalPosition { segment: info.sequence, offset: 0 };
        match SegmentReader::open(&*self.disk, &path, Some(info.sequence))? {
            Opened::Segment(reader) => self.current = Some(Current { info, path, reader }),
            Opened::Unborn { bytes } => self.pass_over(info, |replay| replay.torn(start, bytes)),
            Opened::Unreadable { bytes } => {
                self.pass_over(info, |replay| replay.corrupt(start, bytes));
            }
        }
        self.waiting.pop_front();
        Ok(true)
    }

    fn pass_over(&mut self, info: SegmentInfo, count: impl FnOnce(&mut Self)) {
        count(self);
        self.progress.done_bytes += info.bytes;
    }

    fn torn(&mut self, position: WalPosition, bytes: u64) {
        self.summary.torn_tails += 1;
        self.summary.torn_bytes += bytes;
        emit(&TornTail { position, bytes });
    }

    fn corrupt(&mut self, position: WalPosition, bytes: u64) {
        self.summary.corrupt_ranges += 1;
        self.summary.corrupt_bytes += bytes;
        self.lost(position, WalPosition { offset: position.offset + bytes, ..position });
        emit(&Corruption { position, bytes });
    }
}

impl Current {
    fn batch(&mut self, offset: u64, length: usize) -> Result<&[u8], WalError> {
        self.reader.batch(offset, length).map_err(|error| WalError::io("read", &self.path, error))
    }
}

/// Unpacks a batch of this signal and tenant into `buffer`: its schema, and how many bytes its payload
/// has. `None` for another one.
pub(crate) fn unpack_for(
    (signal, tenant): (Signal, &str),
    bytes: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<Option<(u16, usize)>, WalError> {
    let stored = StoredBatch::decode(bytes)?;
    if stored.signal != signal || stored.tenant != tenant {
        return Ok(None);
    }
    if stored.packing == Packing::Plain {
        buffer.clear();
        buffer.extend_from_slice(stored.stored);
    } else {
        stored.unpack(buffer)?;
    }
    Ok(Some((stored.schema, stored.payload_length)))
}

/// Checks everything about a batch that can be wrong: its layout, its tenant, its packing.
pub(crate) fn decode_batch<'a>(
    bytes: &'a [u8],
    tenant: &mut TenantId,
    buffer: &mut Vec<u8>,
) -> Result<StoredBatch<'a>, WalError> {
    let stored = StoredBatch::decode(bytes)?;
    stored.unpack(buffer)?;
    if tenant.as_str() != stored.tenant {
        *tenant = TenantId::new(stored.tenant)
            .map_err(|_| WalError::Corrupt { what: "its tenant is not allowed" })?;
    }
    Ok(stored)
}
