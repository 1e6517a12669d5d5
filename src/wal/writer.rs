//! The segment that is being written.

use crate::committer::Pending;
use crate::segment::{HEADER_BYTES, Header, place_frame, seal, segment_name};
use platform::{AppendFile, Disk};
use std::io;

/// Larger batches are written from their own buffers. Smaller ones are first copied together,
/// because each write costs a system call.
const COPIED_BYTES_MAX: usize = 128 << 10;

/// The capacity that the copy buffer keeps between groups.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

/// The action that failed, and its error.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) action: &'static str,
    pub(crate) error: io::Error,
}

pub(crate) trait OrFailure<T> {
    fn or_failure(self, action: &'static str) -> Result<T, Failure>;
}

impl<T> OrFailure<T> for io::Result<T> {
    fn or_failure(self, action: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { action, error })
    }
}

#[derive(Debug)]
pub(crate) struct SegmentWriter {
    file: Box<dyn AppendFile>,
    header: Header,
    pub(crate) path: String,
    /// The offset of the next frame.
    pub(crate) end: u64,
    /// Whether bytes were written since the last sync.
    pub(crate) dirty: bool,
    /// Whether a batch of this segment was acknowledged.
    pub(crate) acknowledged: bool,
}

impl SegmentWriter {
    /// The file, its header and its name are durable when this returns.
    pub(crate) fn create(disk: &dyn Disk, folder: &str, header: Header) -> Result<Self, Failure> {
        let path = format!("{folder}/{}", segment_name(header.sequence));
        let mut file = disk.create(&path).or_failure("create a segment of the write-ahead log")?;
        let mut begin = || {
            file.append(&header.encode())?;
            file.sync()?;
            disk.sync_dir(folder)
        };
        if let Err(error) = begin() {
            // If the file stays, replay finds a segment without frames.
            let _ = disk.remove(&path);
            return Err(Failure { action: "begin a segment of the write-ahead log", error });
        }
        let end = HEADER_BYTES as u64;
        Ok(Self { file, header, path, end, dirty: false, acknowledged: false })
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.header.sequence
    }

    pub(crate) fn previous(&self) -> u64 {
        self.header.previous
    }

    /// How many of the batches fit below the size limit. A batch that is larger than the limit gets
    /// a segment of its own.
    pub(crate) fn fitting(&self, group: &[Pending], segment_bytes: u64) -> usize {
        let mut end = self.end;
        let fits = |pending: &&Pending| {
            end += pending.frame.len() as u64;
            end <= segment_bytes
        };
        let count = group.iter().take_while(fits).count();
        if count == 0 && self.end == HEADER_BYTES as u64 { 1 } else { count }
    }

    /// Writes the frames, with one system call if all are small.
    pub(crate) fn write(&mut self, group: &mut [Pending], buffer: &mut Vec<u8>) -> io::Result<()> {
        self.dirty = true;
        buffer.clear();
        for Pending { frame, .. } in group {
            place_frame(frame, self.header.salt, self.end);
            self.end += frame.len() as u64;
            if frame.len() > COPIED_BYTES_MAX {
                self.flush(buffer)?;
                self.file.append(frame)?;
            } else {
                buffer.extend_from_slice(frame);
            }
        }
        self.flush(buffer)?;
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    fn flush(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        if !buffer.is_empty() {
            self.file.append(buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.dirty = false;
        Ok(())
    }

    /// Ends the segment with a frame that says that nothing follows.
    pub(crate) fn seal(mut self) -> Result<u64, Failure> {
        let frame = seal(self.header.salt, self.end);
        self.file.append(&frame).or_failure("seal the write-ahead log")?;
        self.file.sync().or_failure("seal the write-ahead log")?;
        Ok(self.end + frame.len() as u64)
    }
}
