//! Writes a part, page after page, in one pass.

use crate::compression::{Codec, Compression, Compressor};
use crate::directory::{self, PAGE_RAW_MAX, PAGES_MAX, PageEntry};
use crate::footer::{FOOTER_LENGTH_MAX, HEADER_LENGTH, PartMeta, PartSummary};
use crate::footer::{encode_footer, encode_tail, header};
use crate::keys::part_key;
use crate::manifest::PartInfo;
use crate::{PartError, telemetry};
use model::{Signal, TenantId, Ulid};
use platform::{BlobWriter, Blobs};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Small pages are collected into writes of this size, to save system calls.
const WRITE_BYTES: usize = 256 << 10;

/// The manifest repeats the bounds of every part, so they must stay small.
const BOUNDS_LENGTH_MAX: usize = 1_024;

/// A part that is being written. Dropping it deletes its file.
#[derive(Debug)]
pub struct PartWriter {
    id: Ulid,
    tenant: TenantId,
    signal: Signal,
    key: String,
    blob: Box<dyn BlobWriter>,
    buffer: Vec<u8>,
    /// The offset of the next page.
    offset: u64,
    entries: Vec<PageEntry>,
    /// The last key of each kind, to check that keys do not decrease.
    last_keys: BTreeMap<u16, Option<u64>>,
    compressor: Compressor,
    pin: Arc<()>,
}

/// A finished part that no manifest names yet. While this value lives, garbage collection does not
/// take the file for an orphan.
#[derive(Debug)]
pub struct NewPart {
    pub info: PartInfo,
    pub(crate) pin: Arc<()>,
}

impl PartWriter {
    /// For the store, which mints the id and keeps the other half of the pin.
    pub(crate) fn create(
        blobs: &dyn Blobs,
        tenant: &TenantId,
        signal: Signal,
        id: Ulid,
        pin: Arc<()>,
    ) -> Result<Self, PartError> {
        let key = part_key(tenant, signal, id);
        let blob = blobs.create(&key).map_err(PartError::io(&key))?;
        Ok(Self {
            id,
            tenant: tenant.clone(),
            signal,
            key,
            blob,
            buffer: header().to_vec(),
            offset: HEADER_LENGTH as u64,
            entries: Vec::new(),
            last_keys: BTreeMap::new(),
            compressor: Compressor::default(),
            pin,
        })
    }

    pub fn id(&self) -> Ulid {
        self.id
    }

    /// The size of the file so far, without its footer.
    pub fn bytes_written(&self) -> u64 {
        self.offset
    }

    /// Adds a page and returns its number. Either all pages of a kind have keys or none, and keys
    /// must not decrease.
    pub fn page(
        &mut self,
        kind: u16,
        key: Option<u64>,
        raw: &[u8],
        compression: Compression,
    ) -> Result<u32, PartError> {
        limit("a page", "bytes", raw.len(), PAGE_RAW_MAX)?;
        limit("a part", "pages", self.entries.len() + 1, PAGES_MAX)?;
        self.check_key(kind, key)?;
        let (codec, stored) =
            self.compressor.compress(raw, compression).map_err(PartError::io(&self.key))?;
        let entry = describe(kind, key, self.offset, raw.len(), codec, stored);
        self.buffer.extend_from_slice(stored);
        self.offset += stored.len() as u64;
        self.last_keys.insert(kind, key);
        self.entries.push(entry);
        if self.buffer.len() >= WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok((self.entries.len() - 1) as u32)
    }

    /// Ends the file and makes it durable. It is published when a manifest names it.
    pub fn finish(mut self, summary: PartSummary) -> Result<NewPart, PartError> {
        self.check_summary(&summary)?;
        let meta =
            PartMeta { id: self.id, tenant: self.tenant.clone(), signal: self.signal, summary };
        let footer = encode_footer(&meta, &directory::encode(&self.entries));
        limit("the footer of a part", "bytes", footer.len(), FOOTER_LENGTH_MAX)?;
        let tail = encode_tail(&footer);
        let bytes = self.offset + (footer.len() + tail.len()) as u64;
        self.buffer.extend_from_slice(&footer);
        self.buffer.extend_from_slice(&tail);
        self.write_buffer()?;
        self.blob.commit().map_err(PartError::io(&self.key))?;
        telemetry::PARTS_WRITTEN.increment();
        telemetry::BYTES_WRITTEN.add(bytes);
        Ok(NewPart { info: PartInfo::of(&meta, bytes), pin: self.pin })
    }

    fn write_buffer(&mut self) -> Result<(), PartError> {
        self.blob.append(&self.buffer).map_err(PartError::io(&self.key))?;
        self.buffer.clear();
        Ok(())
    }

    fn check_key(&self, kind: u16, key: Option<u64>) -> Result<(), PartError> {
        let rises = match (self.last_keys.get(&kind), key) {
            (None, _) | (Some(None), None) => true,
            (Some(Some(last)), Some(key)) => *last <= key,
            (Some(_), _) => false,
        };
        if rises {
            return Ok(());
        }
        Err(PartError::Refused(format!(
            "pages of kind {kind} must have keys that do not decrease, or no keys"
        )))
    }

    fn check_summary(&self, summary: &PartSummary) -> Result<(), PartError> {
        limit("the bounds of a part", "bytes", summary.bounds.len(), BOUNDS_LENGTH_MAX)?;
        if summary.day.range(self.signal).covers(summary.time) {
            return Ok(());
        }
        Err(PartError::Refused(format!(
            "part {} has rows outside its day {}",
            self.id, summary.day
        )))
    }
}

fn describe(
    kind: u16,
    key: Option<u64>,
    offset: u64,
    raw_length: usize,
    codec: Codec,
    stored: &[u8],
) -> PageEntry {
    PageEntry {
        kind,
        key,
        offset,
        stored_length: stored.len() as u32,
        raw_length: raw_length as u32,
        crc: codec::crc32c(stored),
        codec,
    }
}

fn limit(
    what: &'static str,
    unit: &'static str,
    length: usize,
    most: usize,
) -> Result<(), PartError> {
    if length <= most {
        return Ok(());
    }
    Err(PartError::Limit { what, unit, length: length as u64, limit: most as u64 })
}
