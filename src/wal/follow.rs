//! Reads the write-ahead log behind its writer: what was answered, in order, once per follower.
//!
//! Lives here: going from segment to segment, up to the last answered batch. Not here: what a payload
//! means, how far a follower has come with what it read (it says so by its [`Hold`]).
//! Invariants: nothing is returned before it was answered; what a follower can't read any more is told
//! with its bytes, and reading goes on behind it.

use crate::hold::{Held, Hold};
use crate::reader::{Opened, SegmentReader, Step};
use crate::replay::{Replayed, unpack_for};
use crate::segment::{FRAME_BYTES, segment_name};
use crate::{Batch, Log, WalError};
use model::{Signal, TenantId, WalPosition};
use std::io::ErrorKind;
use std::sync::Arc;

/// One reader. It keeps one window of one segment and one unpacked batch in memory.
#[derive(Debug)]
pub struct Follower {
    log: Arc<Log>,
    hold: Arc<Hold>,
    signal: Signal,
    tenant: TenantId,
    next: WalPosition,
    current: Option<SegmentReader>,
    buffer: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed<'a> {
    Batch(Replayed<'a>),
    /// At most so many bytes can't be read any more: they were deleted in spite of the hold, or are
    /// damaged. 0: unknown how many.
    Lost {
        bytes: u64,
    },
}

impl Follower {
    /// Reads batches of this signal and tenant from a position on. At most `held_max` bytes are kept
    /// for it.
    pub fn new(
        log: &Arc<Log>,
        (signal, tenant): (Signal, TenantId),
        (from, unsent_from): (WalPosition, WalPosition),
        held_max: u64,
    ) -> Self {
        let is_gone = from != WalPosition::START && unsent_from.segment < log.oldest();
        let lost = is_gone.then_some(0);
        let held = Held { keep_from: from, unsent_from, bytes_max: held_max, lost };
        let hold = Arc::new(log.hold_with(held));
        let (log, buffer) = (Arc::clone(log), Vec::new());
        Self { log, hold, signal, tenant, next: from, current: None, buffer }
    }

    pub fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    /// The place behind what was returned last.
    pub fn position(&self) -> WalPosition {
        self.next
    }

    /// Whether something may be there to read.
    pub fn is_behind(&self) -> bool {
        self.next < self.log.end()
    }

    /// `None` at the end of what was answered; later there may be more.
    pub fn next_batch(&mut self) -> Result<Option<Followed<'_>>, WalError> {
        if let Some(bytes) = self.hold.take_lost() {
            let oldest = WalPosition { segment: self.log.oldest(), offset: 0 };
            if self.next < oldest {
                self.go_to(oldest);
            }
            return Ok(Some(Followed::Lost { bytes }));
        }
        loop {
            let Some((sequence, bytes, is_last)) = self.log.segment_from(self.next.segment) else {
                return Ok(None);
            };
            if sequence > self.next.segment {
                self.go_to(WalPosition { segment: sequence, offset: 0 });
            }
            match self.step(bytes)? {
                Step::Batch { offset, length } => {
                    self.next.offset = offset + (FRAME_BYTES + length) as u64;
                    if let Some(found) = self.find(offset, length)? {
                        return self.give(found).map(Some);
                    }
                }
                Step::Corrupt { offset, bytes } => {
                    self.next.offset = self.next.offset.max(offset + bytes);
                    return Ok(Some(Followed::Lost { bytes }));
                }
                Step::Seal { .. } => {}
                Step::End if is_last => {
                    self.next.offset = self.next.offset.max(bytes);
                    return Ok(None);
                }
                Step::TornTail { .. } if is_last => return Ok(None),
                Step::TornTail { .. } | Step::End => {
                    self.go_to(WalPosition { segment: self.next.segment + 1, offset: 0 });
                }
            }
        }
    }

    fn go_to(&mut self, position: WalPosition) {
        self.next = position;
        self.current = None;
    }

    /// The next frame of the segment, which is readable up to `end`.
    fn step(&mut self, end: u64) -> Result<Step, WalError> {
        let path = self.path();
        let failed = |error| WalError::io("read", &path, error);
        if self.current.is_none() {
            match SegmentReader::open(self.log.disk(), &path, Some(self.next.segment)) {
                Ok(Opened::Segment(mut reader)) => {
                    reader.begin_at(self.next.offset);
                    self.current = Some(reader);
                }
                Ok(Opened::Unborn { .. }) => return Ok(Step::End),
                Ok(Opened::Unreadable { bytes }) if self.next.offset < bytes => {
                    return Ok(Step::Corrupt { offset: self.next.offset, bytes });
                }
                Ok(Opened::Unreadable { .. }) => return Ok(Step::End),
                // Deleted in between: the hold says so.
                Err(WalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    return Ok(Step::End);
                }
                Err(error) => return Err(error),
            }
        }
        let Some(reader) = &mut self.current else { return Ok(Step::End) };
        reader.set_end(end);
        reader.step().map_err(failed)
    }

    /// The batch, if it is one that is wanted.
    fn find(&mut self, offset: u64, length: usize) -> Result<Option<Found>, WalError> {
        let path = self.path();
        let Some(reader) = &mut self.current else { return Ok(None) };
        let bytes = reader.batch(offset, length).map_err(|e| WalError::io("read", &path, e))?;
        let wanted = (self.signal, self.tenant.as_str());
        match unpack_for(wanted, bytes, &mut self.buffer) {
            Ok(Some((schema, payload_length))) => {
                let position = WalPosition { offset, ..self.next };
                Ok(Some(Found::Batch { position, schema, payload_length }))
            }
            Ok(None) => Ok(None),
            Err(error @ WalError::Newer { .. }) => Err(error),
            Err(_) => Ok(Some(Found::Damaged { bytes: (FRAME_BYTES + length) as u64 })),
        }
    }

    fn give(&self, found: Found) -> Result<Followed<'_>, WalError> {
        Ok(match found {
            Found::Damaged { bytes } => Followed::Lost { bytes },
            Found::Batch { position, schema, payload_length } => {
                let payload = &self.buffer[..payload_length];
                let batch = Batch { tenant: &self.tenant, signal: self.signal, schema, payload };
                Followed::Batch(Replayed { position, batch })
            }
        })
    }

    fn path(&self) -> String {
        format!("{}/{}", self.log.folder(), segment_name(self.next.segment))
    }
}

enum Found {
    Batch { position: WalPosition, schema: u16, payload_length: usize },
    Damaged { bytes: u64 },
}
