//! Files and folders as numbered nodes, each with what programs see and what the disk has.

use super::faults::{Faults, full};
use crate::check_path;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::ops::Range;

pub(super) type NodeId = usize;

pub(super) const ROOT: NodeId = 0;

pub(super) type Names = BTreeMap<String, NodeId>;

#[derive(Debug)]
pub(super) enum Node {
    Dir(Dir),
    File(File),
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    /// What programs see.
    pub(super) live: Names,
    /// What a power cut leaves.
    pub(super) durable: Names,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// The bytes below this are durable, but for those that were `lost`.
    pub(super) synced: usize,
    /// Ranges that a failed sync gave up.
    pub(super) lost: Vec<Range<usize>>,
    pub(super) modified_ms: i64,
    pub(super) linked: bool,
}

/// A change of names that a crash keeps or drops as a whole: which name in which folder stands for
/// what from now on.
#[derive(Debug)]
pub(super) struct NameChange(pub(super) Vec<(NodeId, String, Option<NodeId>)>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    /// Changes of names that no `sync_dir` has made durable, oldest first.
    pub(super) pending: Vec<NameChange>,
    pub(super) faults: Faults,
    pub(super) locks: BTreeSet<NodeId>,
    pub(super) unreadable: BTreeSet<String>,
    pub(super) capacity: u64,
    /// Bytes of all files that have a name.
    pub(super) used: u64,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::Dir(Dir::default())],
            pending: Vec::new(),
            faults: Faults::default(),
            locks: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            capacity: u64::MAX,
            used: 0,
        }
    }

    pub(super) fn dir(&self, id: NodeId) -> io::Result<&Dir> {
        match &self.nodes[id] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn dir_mut(&mut self, id: NodeId) -> &mut Dir {
        match &mut self.nodes[id] {
            Node::Dir(dir) => dir,
            Node::File(_) => panic!("name changes are made in folders"),
        }
    }

    pub(super) fn file(&self, id: NodeId) -> io::Result<&File> {
        match &self.nodes[id] {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut File> {
        match &mut self.nodes[id] {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// `""` names the root.
    pub(super) fn find(&self, path: &str) -> io::Result<NodeId> {
        if path.is_empty() {
            return Ok(ROOT);
        }
        check_path(path)?;
        path.split('/').try_fold(ROOT, |id, name| {
            self.dir(id)?.live.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    /// The folder of a path, which must exist, and the path's last name.
    pub(super) fn place<'a>(&self, path: &'a str) -> io::Result<(NodeId, &'a str)> {
        check_path(path)?;
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let id = self.find(dir)?;
        self.dir(id)?;
        Ok((id, name))
    }

    pub(super) fn child(&self, dir: NodeId, name: &str) -> io::Result<Option<NodeId>> {
        Ok(self.dir(dir)?.live.get(name).copied())
    }

    pub(super) fn add_node(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Programs see the change at once.
    pub(super) fn apply(&mut self, change: NameChange) {
        for (dir, name, node) in &change.0 {
            let old = self.dir(*dir).ok().and_then(|dir| dir.live.get(name).copied());
            put(&mut self.dir_mut(*dir).live, name, *node);
            old.into_iter().for_each(|old| self.link(old, false));
            node.iter().for_each(|node| self.link(*node, true));
        }
        self.pending.push(change);
    }

    /// Keeps the count of used bytes.
    fn link(&mut self, id: NodeId, linked: bool) {
        if let Node::File(file) = &mut self.nodes[id]
            && file.linked != linked
        {
            file.linked = linked;
            let length = file.bytes.len() as u64;
            self.used = if linked { self.used + length } else { self.used - length };
        }
    }

    /// Makes the changes in a folder durable, and with them whatever older changes they build on:
    /// a rename out of another folder takes that name's history along.
    pub(super) fn sync_dir(&mut self, dir: NodeId) {
        let mut needed: BTreeSet<(NodeId, String)> = BTreeSet::new();
        let mut keep = vec![false; self.pending.len()];
        for (index, NameChange(sets)) in self.pending.iter().enumerate().rev() {
            let touches = |(at, name, _): &(NodeId, String, Option<NodeId>)| {
                *at == dir || needed.contains(&(*at, name.clone()))
            };
            keep[index] = !sets.iter().any(touches);
            if !keep[index] {
                needed.extend(sets.iter().map(|(at, name, _)| (*at, name.clone())));
            }
        }
        for (index, change) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match keep[index] {
                true => self.pending.push(change),
                false => self.make_durable(&change),
            }
        }
    }

    pub(super) fn make_durable(&mut self, change: &NameChange) {
        for (dir, name, node) in &change.0 {
            put(&mut self.dir_mut(*dir).durable, name, *node);
        }
    }

    /// Writes as many of the bytes as the disk has room for.
    pub(super) fn append(&mut self, id: NodeId, bytes: &[u8], now_ms: i64) -> io::Result<()> {
        let room = usize::try_from(self.capacity.saturating_sub(self.used)).unwrap_or(usize::MAX);
        let taken = bytes.len().min(room);
        let file = self.file_mut(id)?;
        file.bytes.extend_from_slice(&bytes[..taken]);
        file.modified_ms = now_ms;
        if file.linked {
            self.used += taken as u64;
        }
        if taken < bytes.len() { Err(full()) } else { Ok(()) }
    }
}

fn put(names: &mut Names, name: &str, node: Option<NodeId>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}

impl File {
    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
    }

    /// Bytes that are not durable yet never will be, even when a later sync succeeds.
    pub(super) fn fail_sync(&mut self) {
        if self.synced < self.bytes.len() {
            self.lost.push(self.synced..self.bytes.len());
        }
        self.synced = self.bytes.len();
    }
}
