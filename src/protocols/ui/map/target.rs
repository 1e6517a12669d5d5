//! What a span of a client asks: a database, a queue, or something else that sends no spans itself.

use super::spans::{TraceSpans, text_of};
use std::borrow::Cow;
use std::sync::Arc;
use trace_store::{Column, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NodeKind {
    Service,
    Database,
    Queue,
    External,
}

impl NodeKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::External => "external",
        }
    }
}

/// The attributes of a thing, the newer names first.
struct Names<const N: usize>([Arc<[Column]>; N]);

impl<const N: usize> Names<N> {
    fn read(spans: &TraceSpans<'_>, names: [&str; N]) -> Result<Self, StoreError> {
        let mut columns: [Arc<[Column]>; N] = std::array::from_fn(|_| Vec::new().into());
        for (columns, name) in columns.iter_mut().zip(names) {
            *columns = spans.attribute(name)?;
        }
        Ok(Self(columns))
    }

    fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        let texts = self.0.iter().filter_map(|columns| text_of(columns, row));
        texts.into_iter().find(|text| !text.is_empty())
    }

    fn has(&self, row: usize) -> bool {
        self.0.iter().any(|columns| columns.iter().any(|column| column.has(row)))
    }
}

/// The attributes by which targets are known.
pub(super) struct Targets {
    databases: Names<2>,
    database_names: Names<2>,
    statements: Names<2>,
    queues: Names<1>,
    destinations: Names<2>,
    methods: Names<2>,
    calls: Names<1>,
    peers: Names<4>,
}

impl Targets {
    pub(super) fn read(spans: &TraceSpans<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            databases: Names::read(spans, ["db.system.name", "db.system"])?,
            database_names: Names::read(spans, ["db.namespace", "db.name"])?,
            statements: Names::read(spans, ["db.query.text", "db.statement"])?,
            queues: Names::read(spans, ["messaging.system"])?,
            destinations: Names::read(
                spans,
                ["messaging.destination.name", "messaging.destination"],
            )?,
            methods: Names::read(spans, ["http.request.method", "http.method"])?,
            calls: Names::read(spans, ["rpc.system"])?,
            peers: Names::read(
                spans,
                ["peer.service", "server.address", "net.peer.name", "http.host"],
            )?,
        })
    }

    /// What a span asks: its kind, the system, and which one of those; `None` where it says nothing of the
    /// kind.
    pub(super) fn of(&self, row: usize) -> Option<(NodeKind, Cow<'_, str>, Cow<'_, str>)> {
        let peer = || self.peers.text(row);
        if let Some(system) = self.databases.text(row) {
            let name = self.database_names.text(row).or_else(peer).unwrap_or_default();
            return Some((NodeKind::Database, system, name));
        }
        if let Some(system) = self.queues.text(row) {
            let name = self.destinations.text(row).or_else(peer).unwrap_or_default();
            return Some((NodeKind::Queue, system, name));
        }
        let is_call = self.is_http(row) || self.calls.has(row);
        let system =
            if self.is_http(row) { Some(Cow::Borrowed("http")) } else { self.calls.text(row) };
        match peer() {
            Some(peer) => Some((NodeKind::External, system.unwrap_or_default(), peer)),
            None if is_call => {
                Some((NodeKind::External, system.unwrap_or_default(), Cow::default()))
            }
            None => None,
        }
    }

    /// Whether a span asks a database something in words.
    pub(super) fn is_statement(&self, row: usize) -> bool {
        self.databases.has(row) || self.statements.has(row)
    }

    pub(super) fn is_http(&self, row: usize) -> bool {
        self.methods.has(row)
    }
}
