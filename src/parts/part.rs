//! Reads a part. Opening takes one read, or two if the footer is large; each page takes one.

use crate::compression::{Codec, decompress};
use crate::directory::{Directory, PageEntry};
use crate::footer::{HEADER_LENGTH, PartMeta, TAIL_LENGTH, Tail, check_header, decode_footer};
use crate::{PartError, telemetry};
use codec::{DecodeError, crc32c};
use platform::{Blobs, ReadFile};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// How much is read from the end on opening: contains the footer of most parts.
const OPEN_READ_BYTES: usize = 64 << 10;

/// How many times larger a decoded footer with its directory is in memory than in the file.
const DECODED_FOOTER_SIZE: usize = 5;

/// Adjacent pages are read together, up to this many bytes.
const SPAN_BYTES: u64 = 1 << 20;

/// An open part. Cheap to share; every method may be called from any thread.
#[derive(Debug)]
pub struct Part {
    key: String,
    file: Arc<dyn ReadFile>,
    bytes: u64,
    meta: PartMeta,
    footer: Vec<u8>,
    /// Where the encoded directory begins in the footer.
    directory_offset: usize,
    directory: OnceLock<Result<Directory, DecodeError>>,
}

/// A buffer for reading pages, reused from page to page.
#[derive(Debug, Default)]
pub struct PageBuffer {
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl Part {
    pub fn open(blobs: &dyn Blobs, key: &str) -> Result<Self, PartError> {
        Self::from_file(blobs.open(key).map_err(PartError::io(key))?, key)
    }

    /// `name` is for error messages.
    pub fn from_file(file: Arc<dyn ReadFile>, name: &str) -> Result<Self, PartError> {
        let bytes = file.len().map_err(PartError::io(name))?;
        let footer = read_footer(file.as_ref(), name, bytes)?;
        let (meta, directory_offset) = decode_footer(&footer).map_err(PartError::decode(name))?;
        let key = name.to_owned();
        let directory = OnceLock::new();
        Ok(Self { key, file, bytes, meta, footer, directory_offset, directory })
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn meta(&self) -> &PartMeta {
        &self.meta
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Roughly the memory that the footer takes once its directory is decoded.
    pub(crate) fn footer_bytes(&self) -> usize {
        self.footer.len() * DECODED_FOOTER_SIZE
    }

    pub fn page_count(&self) -> Result<u32, PartError> {
        Ok(self.directory()?.len() as u32)
    }

    pub fn entry(&self, index: u32) -> Result<PageEntry, PartError> {
        let directory = self.directory()?;
        let count = directory.len() as u32;
        let missing = || PartError::NoSuchPage { key: self.key.clone(), index, count };
        directory.entry(index).ok_or_else(missing)
    }

    /// The numbers of all pages of a kind, in the order of writing.
    pub fn pages_of(&self, kind: u16) -> Result<&[u32], PartError> {
        Ok(self.directory()?.pages_of(kind))
    }

    /// The first page of the kind with this key.
    pub fn find(&self, kind: u16, key: u64) -> Result<Option<u32>, PartError> {
        Ok(self.directory()?.find(kind, key))
    }

    /// The last page of a kind whose key is not above this one.
    pub fn find_at_most(&self, kind: u16, key: u64) -> Result<Option<u32>, PartError> {
        Ok(self.directory()?.find_at_most(kind, key))
    }

    /// One page, in a buffer of its own.
    pub fn page(&self, index: u32) -> Result<Vec<u8>, PartError> {
        let mut buffer = PageBuffer::default();
        let raw = self.entry(index)?.codec != Codec::None;
        self.page_into(index, &mut buffer)?;
        Ok(if raw { buffer.raw } else { buffer.stored })
    }

    /// One page, read into the caller's buffer.
    pub fn page_into<'b>(
        &self,
        index: u32,
        buffer: &'b mut PageBuffer,
    ) -> Result<&'b [u8], PartError> {
        let entry = self.entry(index)?;
        self.read_stored(entry.offset, u64::from(entry.stored_length), &mut buffer.stored)?;
        self.unpack(index, &entry, &buffer.stored, &mut buffer.raw)
    }

    /// Many pages, in order, with few reads: adjacent pages are read together.
    pub fn pages(
        &self,
        range: Range<u32>,
        buffer: &mut PageBuffer,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), PartError>,
    ) -> Result<(), PartError> {
        let mut next = range.start;
        while next < range.end {
            let end = self.span_end(next, range.end)?;
            let (first, last) = (self.entry(next)?, self.entry(end - 1)?);
            let length = last.offset + u64::from(last.stored_length) - first.offset;
            self.read_stored(first.offset, length, &mut buffer.stored)?;
            for index in next..end {
                let entry = self.entry(index)?;
                let start = (entry.offset - first.offset) as usize;
                let stored = &buffer.stored[start..start + entry.stored_length as usize];
                each(index, self.unpack(index, &entry, stored, &mut buffer.raw)?)?;
            }
            next = end;
        }
        Ok(())
    }

    /// Reads the whole file and checks every checksum.
    pub fn verify(&self) -> Result<(), PartError> {
        let mut bytes = [0; HEADER_LENGTH];
        self.file.read_exact_at(&mut bytes, 0).map_err(PartError::io(&self.key))?;
        check_header(&self.key, &bytes)?;
        self.pages(0..self.page_count()?, &mut PageBuffer::default(), |_, _| Ok(()))
    }

    /// The end of the next read: at least one page, more while they fit into a span.
    fn span_end(&self, first: u32, end: u32) -> Result<u32, PartError> {
        let start = self.entry(first)?.offset;
        let mut reached = first + 1;
        while reached < end {
            let entry = self.entry(reached)?;
            if entry.offset + u64::from(entry.stored_length) - start > SPAN_BYTES {
                break;
            }
            reached += 1;
        }
        Ok(reached)
    }

    fn read_stored(&self, offset: u64, length: u64, into: &mut Vec<u8>) -> Result<(), PartError> {
        // The directory was checked against the file's length, so the file has this many bytes.
        into.resize(length as usize, 0);
        self.file.read_exact_at(into, offset).map_err(PartError::io(&self.key))
    }

    /// Checks the checksum, then decompresses.
    fn unpack<'b>(
        &self,
        index: u32,
        entry: &PageEntry,
        stored: &'b [u8],
        raw: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], PartError> {
        if crc32c(stored) != entry.crc {
            return Err(self.bad_page(index, "its checksum does not match"));
        }
        if entry.codec == Codec::None {
            return Ok(stored);
        }
        decompress(entry.codec, stored, entry.raw_length as usize, raw)
            .map_err(|what| self.bad_page(index, what))?;
        Ok(raw)
    }

    fn bad_page(&self, index: u32, what: &str) -> PartError {
        telemetry::PAGES_CORRUPT.increment();
        PartError::corrupt(&self.key, format!("page {index}: {what}"))
    }

    fn directory(&self) -> Result<&Directory, PartError> {
        let decode = || {
            let end = self.bytes - (self.footer.len() + TAIL_LENGTH) as u64;
            let encoded = &self.footer[self.directory_offset..];
            Directory::decode(encoded, HEADER_LENGTH as u64, end)
        };
        match self.directory.get_or_init(decode) {
            Ok(directory) => Ok(directory),
            Err(error) => Err(PartError::decode(&self.key)(*error)),
        }
    }
}

fn read_footer(file: &dyn ReadFile, key: &str, bytes: u64) -> Result<Vec<u8>, PartError> {
    if bytes < (HEADER_LENGTH + TAIL_LENGTH) as u64 {
        return Err(PartError::corrupt(key, "it is shorter than any part"));
    }
    let mut end = vec![0; OPEN_READ_BYTES.min(bytes as usize)];
    let start = bytes - end.len() as u64;
    file.read_exact_at(&mut end, start).map_err(PartError::io(key))?;
    let tail = end.last_chunk().expect("at least a tail was read");
    let tail = Tail::decode(key, tail)?;
    let framed = tail.footer_length + TAIL_LENGTH;
    if (framed + HEADER_LENGTH) as u64 > bytes {
        return Err(PartError::corrupt(key, "its footer is longer than the file"));
    }
    if framed > end.len() {
        end.resize(framed, 0);
        file.read_exact_at(&mut end, bytes - framed as u64).map_err(PartError::io(key))?;
    }
    end.drain(..end.len() - framed);
    end.truncate(tail.footer_length);
    tail.check(key, &end)?;
    Ok(end)
}
