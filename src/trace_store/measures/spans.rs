//! Spans by service, name, kind and status.

use super::{
    Buckets, Cells, Kept, MeasureKey, Measures, each_row, hash_numbers, services, slot_of,
};
use crate::error::StoreError;
use crate::part::page;
use crate::piece::Piece;
use crate::{ABSENT, KIND_MAX, STATUS_MAX, Table};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::TimeRange;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The buckets of durations, of which the last has no end.
pub const LATENCY_BUCKETS: usize = 15;

const FIRST_NS: u64 = 2_000_000;

const BUCKETS: Buckets = Buckets { field: 0, count: LATENCY_BUCKETS, first_ns: FIRST_NS };

/// Where a bucket ends, its end included; `None` for the last.
pub fn latency_bound_ns(bucket: usize) -> Option<u64> {
    (bucket + 1 < LATENCY_BUCKETS).then(|| FIRST_NS << bucket)
}

/// The amounts of a [`SpanKey`]. The numbers stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanField;

impl SpanField {
    /// The fields below are how many spans each bucket has.
    pub const BUCKETS: std::ops::Range<u8> = 0..LATENCY_BUCKETS as u8;
    /// Nanoseconds that the spans took together.
    pub const DURATION: u8 = LATENCY_BUCKETS as u8;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey {
    /// The place of the service's name among the texts; `None` where the resource has none.
    pub service: Option<u32>,
    pub name: u32,
    pub kind: u8,
    pub status: u8,
}

impl Hash for SpanKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let service = self.service.map_or(0, |service| service + 1);
        let code = u32::from(self.kind) << 8 | u32::from(self.status);
        hash_numbers([self.name, service, code], state);
    }
}

impl MeasureKey for SpanKey {
    const FIELDS: usize = LATENCY_BUCKETS + 1;
    const PAGE: u16 = page::SPAN_MEASURES;

    fn kept(kept: &Kept) -> &OnceLock<Arc<Measures<Self>>> {
        &kept.spans
    }

    fn count(piece: &Piece, time: TimeRange, cells: &mut Cells<Self>) -> Result<(), StoreError> {
        let services = services(piece, |name| cells.text(name))?;
        let names = piece.names()?;
        let numbers: Vec<u32> = names.values.iter().map(|name| cells.text(name)).collect();
        let nameless = cells.text(b"");
        let number = |code: u32| if code == ABSENT { nameless } else { numbers[code as usize] };
        let (kinds, statuses) = (piece.kinds()?, piece.statuses()?);
        let (starts, durations) = (piece.starts()?, piece.durations()?);
        let resources = piece.entities(Table::Resource)?;
        each_row(piece, time, |row| {
            let key = Self {
                service: services[resources[row] as usize],
                name: number(names.codes[row]),
                kind: kinds[row],
                status: statuses[row],
            };
            cells.took((key, slot_of(starts[row])), &BUCKETS, (row, durations[row]));
        })
    }

    fn renumber(self, number: &mut dyn FnMut(u32) -> u32) -> Self {
        Self { service: self.service.map(&mut *number), name: number(self.name), ..self }
    }

    fn encode(self, writer: &mut ByteWriter) {
        writer.varint(self.service.map_or(0, |service| u64::from(service) + 1));
        writer.varint(u64::from(self.name));
        writer.u8(self.kind << 4 | self.status);
    }

    fn decode(reader: &mut ByteReader<'_>, texts: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("not a key of spans");
        let service = reader.length(texts)?.checked_sub(1).map(|service| service as u32);
        let name = reader.length(texts.checked_sub(1).ok_or(wrong)?)? as u32;
        let code = reader.u8()?;
        let (kind, status) = (code >> 4, code & 0xf);
        if kind > KIND_MAX || status > STATUS_MAX {
            return Err(wrong);
        }
        Ok(Self { service, name, kind, status })
    }
}
