//! The nodes of a map: calls of one operation of a service by one caller are a node, and so is what one
//! caller asks of one database, queue or other system.

use super::critical::CriticalPath;
use super::spans::TraceSpans;
use super::target::{NodeKind, Targets};
use std::collections::HashMap;
use trace_store::StoreError;

/// A map has no more nodes: further calls are counted in their callers.
const NODES_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) count: u64,
    pub(super) nanos: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Of a service its name, else the system.
    pub(super) service: String,
    /// Of a service the operation, else which database, queue or peer.
    pub(super) name: String,
    pub(super) parent: Option<u32>,
    /// The row of its first span.
    pub(super) first: u32,
    /// From the first start to the last end.
    pub(super) start: u64,
    pub(super) end: u64,
    /// The durations of its calls.
    pub(super) total_ns: u64,
    /// Its time without that of what its spans called.
    pub(super) self_ns: u64,
    pub(super) critical_ns: u64,
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) spans: u64,
    /// What its spans asked of databases, and over HTTP.
    pub(super) sql: Calls,
    pub(super) http: Calls,
}

/// The caller, the kind, the service or system, the name.
type NodeKey = (Option<u32>, NodeKind, String, String);

pub(super) struct Nodes {
    pub(super) list: Vec<Node>,
    /// The node of each span.
    pub(super) of_row: Vec<u32>,
    places: HashMap<NodeKey, u32>,
    left_out: u64,
}

impl Nodes {
    pub(super) fn of(spans: &TraceSpans<'_>, path: &CriticalPath) -> Result<Self, StoreError> {
        let targets = Targets::read(spans)?;
        let mut nodes = Self {
            list: Vec::new(),
            of_row: Vec::with_capacity(spans.len()),
            places: HashMap::new(),
            left_out: 0,
        };
        let calls_a_service = callers(spans);
        let own = own_times(spans);
        for row in 0..spans.len() {
            let place = match nodes.key(spans, &targets, row, calls_a_service[row])? {
                Some(key) => nodes.enter(key, spans, row),
                None => nodes.caller(spans, row).unwrap_or_default(),
            };
            nodes.of_row.push(place);
            nodes.count(spans, &targets, row, own[row]);
        }
        for piece in &path.pieces {
            let node = nodes.of_row[piece.row as usize];
            nodes.list[node as usize].critical_ns += piece.to - piece.from;
        }
        Ok(nodes)
    }

    /// What the reader should know.
    pub(super) fn warning(&self) -> Option<String> {
        let left_out = self.left_out;
        (left_out > 0).then(|| {
            format!("the map has {NODES_MAX} nodes: {left_out} further calls are counted in their callers")
        })
    }

    /// The node of a span's parent.
    fn caller(&self, spans: &TraceSpans<'_>, row: usize) -> Option<u32> {
        spans.parent(row).map(|parent| self.of_row[parent])
    }

    /// Which node a span is a call of; `None` if it is part of its parent's.
    fn key(
        &self,
        spans: &TraceSpans<'_>,
        targets: &Targets,
        row: usize,
        calls_a_service: bool,
    ) -> Result<Option<NodeKey>, StoreError> {
        let caller = self.caller(spans, row);
        if spans.is_entry(row) {
            let (service, name) = (spans.service(row).to_owned(), spans.name(row)?.into_owned());
            return Ok(Some((caller, NodeKind::Service, service, name)));
        }
        let of_service = |caller: &u32| self.list[*caller as usize].kind == NodeKind::Service;
        if calls_a_service || !caller.as_ref().is_some_and(of_service) {
            return Ok(None);
        }
        let target = targets.of(row);
        Ok(target.map(|(kind, system, name)| (caller, kind, system.into(), name.into())))
    }

    /// Counts a call of a node, which is made if it is the first.
    fn enter(&mut self, key: NodeKey, spans: &TraceSpans<'_>, row: usize) -> u32 {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.list.len() >= NODES_MAX => {
                self.left_out += 1;
                return key.0.unwrap_or_default();
            }
            None => {
                let place = self.list.len() as u32;
                self.list.push(Node::new(&key, spans, row));
                self.places.insert(key, place);
                place
            }
        };
        let node = &mut self.list[place as usize];
        node.calls += 1;
        node.errors += u64::from(spans.is_error(row));
        node.total_ns += spans.duration(row);
        place
    }

    /// Counts a span in its node, and what it asks in that of its service.
    fn count(&mut self, spans: &TraceSpans<'_>, targets: &Targets, row: usize, own_ns: u64) {
        let node = &mut self.list[self.of_row[row] as usize];
        node.spans += 1;
        node.self_ns += own_ns;
        node.start = node.start.min(spans.starts[row]);
        node.end = node.end.max(spans.end_of(row));
        let of_service = match (node.kind, node.parent) {
            (NodeKind::Service, _) | (_, None) => self.of_row[row],
            (_, Some(caller)) => caller,
        };
        if spans.is_receiver(row) {
            return;
        }
        let service = &mut self.list[of_service as usize];
        let calls = match (targets.is_statement(row), targets.is_http(row)) {
            (true, _) => &mut service.sql,
            (_, true) => &mut service.http,
            _ => return,
        };
        calls.count += 1;
        calls.nanos += spans.duration(row);
    }
}

impl Node {
    fn new(key: &NodeKey, spans: &TraceSpans<'_>, row: usize) -> Self {
        let (parent, kind, service, name) = key.clone();
        Self {
            kind,
            service,
            name,
            parent,
            first: row as u32,
            start: spans.starts[row],
            end: spans.end_of(row),
            total_ns: 0,
            self_ns: 0,
            critical_ns: 0,
            calls: 0,
            errors: 0,
            spans: 0,
            sql: Calls::default(),
            http: Calls::default(),
        }
    }
}

/// For each span whether a child of it is an entry of a service.
fn callers(spans: &TraceSpans<'_>) -> Vec<bool> {
    let mut found = vec![false; spans.len()];
    for row in 0..spans.len() {
        if let Some(parent) = spans.parent(row).filter(|_| spans.is_entry(row)) {
            found[parent] = true;
        }
    }
    found
}

/// The time of each span in which none of its children ran.
fn own_times(spans: &TraceSpans<'_>) -> Vec<u64> {
    let mut own: Vec<u64> = (0..spans.len()).map(|row| spans.duration(row)).collect();
    // Until when the children so far have run: they come in the order of their start.
    let mut covered: Vec<u64> = spans.starts.to_vec();
    for row in 0..spans.len() {
        let Some(parent) = spans.parent(row) else { continue };
        let from = spans.starts[row].max(covered[parent]);
        let to = spans.end_of(row).min(spans.end_of(parent));
        own[parent] = own[parent].saturating_sub(to.saturating_sub(from));
        covered[parent] = covered[parent].max(to);
    }
    own
}
