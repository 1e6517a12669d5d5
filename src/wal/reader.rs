//! Walks one segment, frame by frame, through a window of its bytes.
//!
//! 1. Where a frame is expected, check its header; if it is valid, check its batch.
//! 2. A valid header with a damaged batch: the length can be trusted, so skip the frame.
//! 3. An invalid header: search the next marker and try there. The bytes between are a gap.
//! 4. A gap followed by a valid frame is corruption; a gap that reaches the end is a torn tail.

use crate::WalError;
use crate::batch::{BATCH_BYTES_MAX, BATCH_HEADER_BYTES};
use crate::segment::{FRAME_BYTES, HEADER_BYTES, Header, find_marker, read_frame};
use codec::crc32c;
use platform::{Disk, ReadFile};
use std::io;
use std::sync::Arc;

/// Large enough to make few reads, small enough to stay in the processor's cache.
const WINDOW_BYTES: u64 = 1 << 20;

/// The next item of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch of `length` bytes with a valid checksum.
    Batch {
        offset: u64,
        length: usize,
    },
    Seal {
        offset: u64,
    },
    Corrupt {
        offset: u64,
        bytes: u64,
    },
    TornTail {
        offset: u64,
        bytes: u64,
    },
    End,
}

/// What the start of a segment tells.
#[derive(Debug)]
pub(crate) enum Opened {
    Segment(SegmentReader),
    /// The segment's creation was interrupted: no frame was ever in it.
    Unborn {
        bytes: u64,
    },
    /// The header is damaged, so no frame can be verified.
    Unreadable {
        bytes: u64,
    },
}

#[derive(Debug)]
pub(crate) struct SegmentReader {
    pub(crate) header: Header,
    window: Window,
    /// Where the next frame is expected.
    next: u64,
    /// Where a range without a valid frame began.
    gap: Option<u64>,
}

enum Probe {
    Batch(usize),
    Seal,
    /// A valid frame header in front of a damaged batch.
    BadBatch(usize),
    Nothing,
    End,
}

impl SegmentReader {
    /// `sequence` is the number in the file's name, if the name has one.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &str,
        sequence: Option<u64>,
    ) -> Result<Opened, WalError> {
        let failed = |error| WalError::io("read", path, error);
        let file = disk.open(path).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let mut start = [0; HEADER_BYTES];
        if bytes >= HEADER_BYTES as u64 {
            file.read_exact_at(&mut start, 0).map_err(failed)?;
        }
        let header = Header::decode(&start)?;
        let rightful = |header: &Header| sequence.is_none_or(|named| named == header.sequence);
        Ok(match header.filter(rightful) {
            Some(header) => Opened::Segment(Self {
                header,
                window: Window { file, file_bytes: bytes, start: 0, bytes: Vec::new() },
                next: HEADER_BYTES as u64,
                gap: None,
            }),
            None if bytes <= HEADER_BYTES as u64 => Opened::Unborn { bytes },
            None => Opened::Unreadable { bytes },
        })
    }

    pub(crate) fn next_offset(&self) -> u64 {
        self.next
    }

    /// Continues at a frame; the header is never one.
    pub(crate) fn begin_at(&mut self, offset: u64) {
        self.next = offset.max(HEADER_BYTES as u64);
    }

    /// Reads no further than this, of a file that grows.
    pub(crate) fn set_end(&mut self, end: u64) {
        self.window.file_bytes = end;
    }

    /// Whether the segment ends with a seal. Reads only the end of the file.
    pub(crate) fn is_sealed(&mut self) -> io::Result<bool> {
        let offset = self.window.file_bytes - FRAME_BYTES as u64;
        if offset < HEADER_BYTES as u64 {
            return Ok(false);
        }
        let salt = self.header.salt;
        Ok(read_frame(self.window.view(offset, FRAME_BYTES as u64)?, salt, offset) == Some(0))
    }

    pub(crate) fn step(&mut self) -> io::Result<Step> {
        loop {
            let offset = self.next;
            let probe = self.probe(offset)?;
            if matches!(probe, Probe::Batch(_) | Probe::Seal)
                && let Some(start) = self.gap.take()
            {
                return Ok(Step::Corrupt { offset: start, bytes: offset - start });
            }
            match probe {
                Probe::Batch(length) => {
                    self.next += (FRAME_BYTES + length) as u64;
                    return Ok(Step::Batch { offset, length });
                }
                Probe::Seal => {
                    self.next += FRAME_BYTES as u64;
                    return Ok(Step::Seal { offset });
                }
                Probe::BadBatch(length) => {
                    self.gap.get_or_insert(offset);
                    self.next += (FRAME_BYTES + length) as u64;
                }
                Probe::Nothing => {
                    self.gap.get_or_insert(offset);
                    self.next = self.window.find_marker(offset + 1)?;
                }
                Probe::End => return Ok(self.end()),
            }
        }
    }

    fn end(&mut self) -> Step {
        let end = self.window.file_bytes;
        match self.gap.take() {
            Some(offset) => Step::TornTail { offset, bytes: end - offset },
            None => Step::End,
        }
    }

    fn probe(&mut self, offset: u64) -> io::Result<Probe> {
        let rest = self.window.file_bytes.saturating_sub(offset);
        if rest == 0 {
            return Ok(Probe::End);
        }
        let start = self.window.view(offset, rest.min(FRAME_BYTES as u64 + 4))?;
        let Some(length) = read_frame(start, self.header.salt, offset) else {
            return Ok(Probe::Nothing);
        };
        let length = length as usize;
        if length == 0 {
            return Ok(Probe::Seal);
        }
        if !(BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&length)
            || (FRAME_BYTES + length) as u64 > rest
        {
            return Ok(Probe::Nothing);
        }
        let batch = self.batch(offset, length)?;
        let (crc, signed) = batch.split_at(4);
        let whole = crc32c(signed).to_le_bytes() == crc;
        Ok(if whole { Probe::Batch(length) } else { Probe::BadBatch(length) })
    }

    /// The bytes of a batch that `step` has returned.
    pub(crate) fn batch(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        Ok(&self.window.view(offset, (FRAME_BYTES + length) as u64)?[FRAME_BYTES..])
    }
}

/// The part of the file that is in memory.
#[derive(Debug)]
struct Window {
    file: Arc<dyn ReadFile>,
    file_bytes: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Reads the range into the window if it is not there. The range must lie within the file.
    fn view(&mut self, offset: u64, length: u64) -> io::Result<&[u8]> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if offset < held.start || offset + length > held.end {
            let count = length.max(WINDOW_BYTES).min(self.file_bytes - offset);
            self.bytes.resize(count as usize, 0);
            self.start = offset;
            if let Err(error) = self.file.read_exact_at(&mut self.bytes, offset) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + length as usize])
    }

    /// The first offset at or after `offset` where a frame could begin, or the file's end.
    fn find_marker(&mut self, mut offset: u64) -> io::Result<u64> {
        while offset < self.file_bytes {
            self.view(offset, 1)?;
            let held = &self.bytes[(offset - self.start) as usize..];
            if let Some(found) = find_marker(held) {
                return Ok(offset + found as u64);
            }
            offset += held.len() as u64;
        }
        Ok(self.file_bytes)
    }
}
