//! Calls between services.
//!
//! A call is counted at one span, in the slot in which that started:
//! - the span of a server or consumer whose parent is the span of a client or producer;
//! - the span of a client that names a database, whether or not that has spans of its own;
//! - the span of a client that names its peer, of which no span came;
//! - the span of a server or consumer that names no parent: it was called from outside.
//!
//! Any other span whose parent is one of another service is an *untold* call: its spans do not say that
//! they are the two sides of one.
//! Spans of resources without a service are no side of a call.

use super::peers::Peers;
use super::{
    Buckets, Cells, Kept, MeasureKey, Measures, each_row, hash_numbers, services, slot_of,
};
use crate::error::StoreError;
use crate::part::page;
use crate::piece::Piece;
use crate::tree::{ORPHAN, ROOT};
use crate::{RowSet, Table};
use codec::{ByteReader, ByteWriter, DecodeError};
use model::{TimeRange, TimeUnit};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The buckets of durations, of which the last has no end.
pub const EDGE_BUCKETS: usize = 9;

const FIRST_NS: u64 = 100_000_000;

const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;
const ERROR: u8 = 2;

/// Where a bucket ends, its end included; `None` for the last.
pub fn edge_bound_ns(bucket: usize) -> Option<u64> {
    (bucket + 1 < EDGE_BUCKETS).then(|| FIRST_NS << bucket)
}

/// The amounts of an [`EdgeKey`]. The numbers stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeField;

impl EdgeField {
    /// The fields below are how many calls each bucket has, by the duration of the called side; where that
    /// has no span, by that of the caller.
    pub const SERVER_BUCKETS: std::ops::Range<u8> = 0..EDGE_BUCKETS as u8;
    /// Nanoseconds of the same.
    pub const SERVER_DURATION: u8 = EDGE_BUCKETS as u8;
    /// The same by the duration of the caller, for the kinds of calls that have both sides.
    pub const CLIENT_BUCKETS: std::ops::Range<u8> =
        Self::SERVER_DURATION + 1..Self::SERVER_DURATION + 1 + EDGE_BUCKETS as u8;
    pub const CLIENT_DURATION: u8 = Self::CLIENT_BUCKETS.end;
    /// Calls of which one side failed.
    pub const FAILED: u8 = Self::CLIENT_DURATION + 1;
    /// Calls of which the side failed at which they are counted.
    pub const ERRORS: u8 = Self::FAILED + 1;
}

const SERVER_BUCKETS: Buckets =
    Buckets { field: EdgeField::SERVER_BUCKETS.start, count: EDGE_BUCKETS, first_ns: FIRST_NS };
const CLIENT_BUCKETS: Buckets =
    Buckets { field: EdgeField::CLIENT_BUCKETS.start, ..SERVER_BUCKETS };

/// What a call is known by. The numbers stand in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EdgeKind {
    /// Client and server.
    Call = 0,
    /// Producer or consumer.
    Messaging = 1,
    Database = 2,
    /// One side has no span.
    Virtual = 3,
    Untold = 4,
}

impl EdgeKind {
    const ALL: [Self; 5] =
        [Self::Call, Self::Messaging, Self::Database, Self::Virtual, Self::Untold];

    /// Whether the durations of both sides are counted.
    pub fn has_both_sides(self) -> bool {
        matches!(self, Self::Call | Self::Messaging)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeKey {
    /// The place of the caller's name among the texts; `None` where it has no spans.
    pub client: Option<u32>,
    pub server: u32,
    pub kind: EdgeKind,
}

impl Hash for EdgeKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let client = self.client.map_or(0, |client| client + 1);
        hash_numbers([self.server, client, self.kind as u32], state);
    }
}

impl MeasureKey for EdgeKey {
    const FIELDS: usize = EdgeField::ERRORS as usize + 1;
    const PAGE: u16 = page::EDGE_MEASURES;

    fn kept(kept: &Kept) -> &OnceLock<Arc<Measures<Self>>> {
        &kept.edges
    }

    fn count(piece: &Piece, time: TimeRange, cells: &mut Cells<Self>) -> Result<(), StoreError> {
        let services = services(piece, |name| cells.text(name))?;
        let sides = Sides::of(piece, &services)?;
        let peers = Peers::of(piece)?;
        let mut is_answered = RowSet::none(piece.rows());
        each_row(piece, TimeUnit::Nanos.everything(), |row| {
            if let Some(client) = sides.caller(row) {
                is_answered.insert(client);
            }
        })?;
        let mut name = Vec::new();
        each_row(piece, time, |row| {
            let Some(service) = sides.service(row) else { return };
            if sides.is_client(row) {
                let kind = peers.name(row, !is_answered.contains(row), &mut name);
                if let Some(kind) = kind {
                    let key = Self { client: Some(service), server: cells.text(&name), kind };
                    sides.count(cells, key, row, None);
                }
            }
            if let Some((key, client)) = sides.call_of(row, service, &peers) {
                sides.count(cells, key, row, client);
            }
        })
    }

    fn renumber(self, number: &mut dyn FnMut(u32) -> u32) -> Self {
        Self { client: self.client.map(&mut *number), server: number(self.server), ..self }
    }

    fn encode(self, writer: &mut ByteWriter) {
        writer.varint(self.client.map_or(0, |client| u64::from(client) + 1));
        writer.varint(u64::from(self.server));
        writer.u8(self.kind as u8);
    }

    fn decode(reader: &mut ByteReader<'_>, texts: usize) -> Result<Self, DecodeError> {
        let wrong = reader.value_error("not a key of calls");
        let client = reader.length(texts)?.checked_sub(1).map(|client| client as u32);
        let server = reader.length(texts.checked_sub(1).ok_or(wrong)?)? as u32;
        let code = reader.u8()?;
        let kind = EdgeKind::ALL.into_iter().find(|kind| *kind as u8 == code).ok_or(wrong)?;
        Ok(Self { client, server, kind })
    }
}

/// The columns of spans that say which of them are sides of a call.
struct Sides<'p> {
    services: &'p [Option<u32>],
    resources: &'p [u32],
    parents: &'p [u32],
    kinds: &'p [u8],
    statuses: &'p [u8],
    starts: &'p [u64],
    durations: &'p [u64],
}

impl<'p> Sides<'p> {
    fn of(piece: &'p Piece, services: &'p [Option<u32>]) -> Result<Self, StoreError> {
        Ok(Self {
            services,
            resources: piece.entities(Table::Resource)?,
            parents: piece.parents()?,
            kinds: piece.kinds()?,
            statuses: piece.statuses()?,
            starts: piece.starts()?,
            durations: piece.durations()?,
        })
    }

    fn service(&self, row: usize) -> Option<u32> {
        self.services[self.resources[row] as usize]
    }

    fn is_client(&self, row: usize) -> bool {
        matches!(self.kinds[row], CLIENT | PRODUCER)
    }

    fn is_server(&self, row: usize) -> bool {
        matches!(self.kinds[row], SERVER | CONSUMER)
    }

    /// The row of the client or producer that a server or consumer was called by.
    fn caller(&self, row: usize) -> Option<usize> {
        let parent = self.parents[row];
        if parent >= ORPHAN || !self.is_server(row) {
            return None;
        }
        let parent = parent as usize;
        let have_services = self.service(row).is_some() && self.service(parent).is_some();
        (self.is_client(parent) && have_services).then_some(parent)
    }

    /// The call that is counted at a row as the called side, and the row of its caller, if that has one.
    fn call_of(&self, row: usize, service: u32, peers: &Peers) -> Option<(EdgeKey, Option<usize>)> {
        let key = |client, kind| EdgeKey { client, server: service, kind };
        if let Some(client) = self.caller(row).filter(|client| !peers.is_database(*client)) {
            return Some((key(self.service(client), self.kind(client, row)), Some(client)));
        }
        match self.parents[row] {
            ROOT => self.is_server(row).then_some((key(None, EdgeKind::Virtual), None)),
            ORPHAN => None,
            parent => {
                let above = self.service(parent as usize).filter(|above| *above != service)?;
                Some((key(Some(above), EdgeKind::Untold), None))
            }
        }
    }

    fn kind(&self, client: usize, server: usize) -> EdgeKind {
        match (self.kinds[client], self.kinds[server]) {
            (CLIENT, SERVER) => EdgeKind::Call,
            _ => EdgeKind::Messaging,
        }
    }

    /// Counts a call at a row. `client`: the other side, where there is one.
    fn count(&self, cells: &mut Cells<EdgeKey>, key: EdgeKey, row: usize, client: Option<usize>) {
        let cell = (key, slot_of(self.starts[row]));
        cells.took(cell, &SERVER_BUCKETS, (row, self.durations[row]));
        if let Some(client) = client {
            cells.took(cell, &CLIENT_BUCKETS, (client, self.durations[client]));
        }
        let has_failed = |row: usize| self.statuses[row] == ERROR;
        let failed = has_failed(row) || client.is_some_and(has_failed);
        let amounts = cells.of(key, cell.1);
        amounts[usize::from(EdgeField::FAILED)] += u64::from(failed);
        amounts[usize::from(EdgeField::ERRORS)] += u64::from(has_failed(row));
    }
}
