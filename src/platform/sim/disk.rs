//! The simulated disk, as [`Disk`] and as the test that drives it sees it.

use super::SimClock;
use super::crash::CrashPolicy;
use super::faults::{Fault, Operation, Verdict, gone};
use super::state::{Dir, File, NameChange, Node, NodeId, State};
use crate::{AppendFile, Clock, Disk, DiskEntry, DiskLock, ReadFile, Space, check_path};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SimClock::new()))
    }

    /// With modification times from this clock.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::new(Mutex::new(State::new())), clock }
    }

    /// Ends this disk (every later call fails) and returns the disk that a restart would find. Faults
    /// that were requested are forgotten, the capacity stays.
    pub fn crash(&self, policy: CrashPolicy) -> Self {
        let mut old = self.lock_state();
        let mut state = std::mem::replace(&mut *old, State::new());
        old.faults.cut_power();
        state.faults = Default::default();
        state.survive(policy);
        Self { state: Arc::new(Mutex::new(state)), clock: Arc::clone(&self.clock) }
    }

    /// The number of operations begun so far, which is the index of the next one.
    pub fn operations(&self) -> u64 {
        self.lock_state().faults.count()
    }

    pub fn fail_at(&self, index: u64, fault: Fault) {
        self.lock_state().faults.fail_at(index, fault);
    }

    /// The next operation of the kind fails. Called twice, the next two fail.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.lock_state().faults.fail_next(operation, fault);
    }

    /// All operations of the kind fail until [`heal`](Self::heal).
    pub fn keep_failing(&self, operation: Operation, fault: Fault) {
        self.lock_state().faults.keep_failing(operation, fault);
    }

    pub fn heal(&self) {
        self.lock_state().faults.heal();
    }

    /// The power is cut during this operation: it may have its effect, but it and all later ones
    /// fail. [`crash`](Self::crash) then says what survived.
    pub fn crash_at(&self, index: u64) {
        self.lock_state().faults.crash_at(index);
    }

    pub fn set_capacity(&self, bytes: u64) {
        self.lock_state().capacity = bytes;
    }

    /// Reads of this path fail with an input/output error while this is set.
    pub fn set_unreadable(&self, path: &str, unreadable: bool) {
        let mut state = self.lock_state();
        match unreadable {
            true => state.unreadable.insert(path.to_owned()),
            false => state.unreadable.remove(path),
        };
    }

    /// The whole file as programs see it.
    pub fn contents(&self, path: &str) -> io::Result<Vec<u8>> {
        let state = self.lock_state();
        Ok(state.file(state.find(path)?)?.bytes.clone())
    }

    /// Replaces or creates a file, durably, without counting as an operation.
    pub fn overwrite(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock_state();
        let (dir, name) = state.place(path)?;
        let node = state.add_node(Node::File(File {
            bytes: bytes.to_vec(),
            synced: bytes.len(),
            modified_ms: self.clock.wall_ms(),
            ..File::default()
        }));
        state.apply(NameChange(vec![(dir, name.to_owned(), Some(node))]));
        state.sync_dir(dir);
        Ok(())
    }

    /// Flips one bit of a file; bit 0 is the lowest of the first byte.
    pub fn flip_bit(&self, path: &str, bit: u64) -> io::Result<()> {
        let mut state = self.lock_state();
        let id = state.find(path)?;
        let file = state.file_mut(id)?;
        let byte = file.bytes.get_mut((bit / 8) as usize).ok_or(ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit % 8);
        Ok(())
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looking(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock_state();
        state.faults.check_power()?;
        Ok(state)
    }

    /// Runs an operation that changes names, unless it is to fail.
    fn change<T>(
        &self,
        operation: Operation,
        run: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock_state();
        match state.faults.begin(operation)? {
            Verdict::Go => run(&mut state),
            Verdict::Fail(fault) => Err(fault.error()),
            Verdict::Crash => {
                let _ = run(&mut state);
                Err(gone())
            }
        }
    }

    fn read_file(&self, node: NodeId, path: &str) -> Arc<dyn ReadFile> {
        Arc::new(SimReadFile { disk: self.clone(), node, path: path.to_owned() })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &str) -> io::Result<Box<dyn AppendFile>> {
        let node = self.change(Operation::Create, |state| {
            let (dir, name) = state.place(path)?;
            if state.child(dir, name)?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            Ok(add_file(state, dir, name, self.clock.wall_ms()))
        })?;
        Ok(Box::new(SimAppendFile { disk: self.clone(), node }))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn ReadFile>> {
        let state = self.looking()?;
        let node = state.find(path)?;
        state.file(node)?;
        Ok(self.read_file(node, path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Operation::Rename, |state| move_name(state, from, to, true))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(Operation::RenameNew, |state| move_name(state, from, to, false))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change(Operation::Remove, |state| {
            let (dir, name) = state.place(path)?;
            state.file(state.child(dir, name)?.ok_or(ErrorKind::NotFound)?)?;
            state.apply(NameChange(vec![(dir, name.to_owned(), None)]));
            Ok(())
        })
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DiskEntry>> {
        let state = self.looking()?;
        let id = match state.find(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            id => id?,
        };
        let describe = |(name, id): (&String, &NodeId)| describe(name, &state.nodes[*id]);
        Ok(state.dir(id)?.live.iter().map(describe).collect())
    }

    fn create_dirs(&self, dir: &str) -> io::Result<()> {
        self.change(Operation::CreateDirs, |state| {
            let mut made = String::new();
            for name in dir.split('/').filter(|name| !name.is_empty()) {
                made.push_str(if made.is_empty() { "" } else { "/" });
                made.push_str(name);
                let (at, name) = state.place(&made)?;
                if state.child(at, name)?.is_none() {
                    let node = state.add_node(Node::Dir(Dir::default()));
                    state.apply(NameChange(vec![(at, name.to_owned(), Some(node))]));
                    state.sync_dir(at);
                }
            }
            Ok(())
        })
    }

    fn remove_empty_dir(&self, dir: &str) -> io::Result<()> {
        self.change(Operation::Remove, |state| {
            let (at, name) = state.place(dir)?;
            let node = state.child(at, name)?.ok_or(ErrorKind::NotFound)?;
            if !state.dir(node)?.live.is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            state.apply(NameChange(vec![(at, name.to_owned(), None)]));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.lock_state();
        match state.faults.begin(Operation::SyncDir)? {
            Verdict::Go => {
                let id = state.find(dir)?;
                state.dir(id)?;
                state.sync_dir(id);
                Ok(())
            }
            Verdict::Fail(fault) => Err(fault.error()),
            Verdict::Crash => Err(gone()),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.looking()?;
        Ok(Space { total: state.capacity, free: state.capacity.saturating_sub(state.used) })
    }

    fn lock(&self, path: &str) -> io::Result<Option<DiskLock>> {
        let mut state = self.looking()?;
        let (dir, name) = state.place(path)?;
        let node = match state.child(dir, name)? {
            Some(node) => node,
            None => add_file(&mut state, dir, name, self.clock.wall_ms()),
        };
        if !state.locks.insert(node) {
            return Ok(None);
        }
        Ok(Some(DiskLock { _held: Box::new(HeldLock { disk: self.clone(), node }) }))
    }
}

fn add_file(state: &mut State, dir: NodeId, name: &str, modified_ms: i64) -> NodeId {
    let node = state.add_node(Node::File(File { modified_ms, ..File::default() }));
    state.apply(NameChange(vec![(dir, name.to_owned(), Some(node))]));
    node
}

fn move_name(state: &mut State, from: &str, to: &str, replace: bool) -> io::Result<()> {
    check_path(from)?;
    check_path(to)?;
    let (from_dir, from_name) = state.place(from)?;
    let node = state.child(from_dir, from_name)?.ok_or(ErrorKind::NotFound)?;
    let (to_dir, to_name) = state.place(to)?;
    if format!("{to}/").starts_with(&format!("{from}/")) && from != to {
        return Err(ErrorKind::InvalidInput.into());
    }
    if let Some(there) = state.child(to_dir, to_name)? {
        if !replace {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if there == node {
            return Ok(());
        }
        // No crate replaces a folder: only files are replaced.
        state.file(there)?;
        state.file(node)?;
    }
    state.apply(NameChange(vec![
        (from_dir, from_name.to_owned(), None),
        (to_dir, to_name.to_owned(), Some(node)),
    ]));
    Ok(())
}

fn describe(name: &str, node: &Node) -> DiskEntry {
    let name = name.to_owned();
    match node {
        Node::Dir(_) => DiskEntry { name, is_dir: true, len: 0, modified_ms: 0 },
        Node::File(File { bytes, modified_ms, .. }) => {
            DiskEntry { name, is_dir: false, len: bytes.len() as u64, modified_ms: *modified_ms }
        }
    }
}

#[derive(Debug)]
struct HeldLock {
    disk: SimDisk,
    node: NodeId,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.disk.lock_state().locks.remove(&self.node);
    }
}

#[derive(Debug)]
struct SimAppendFile {
    disk: SimDisk,
    node: NodeId,
}

impl AppendFile for SimAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let now_ms = self.disk.clock.wall_ms();
        let mut state = self.disk.lock_state();
        match state.faults.begin(Operation::Append)? {
            Verdict::Go => state.append(self.node, bytes, now_ms),
            Verdict::Fail(fault) => {
                if let Fault::ShortWrite(count) = fault {
                    state.append(self.node, &bytes[..count.min(bytes.len())], now_ms)?;
                }
                Err(fault.error())
            }
            Verdict::Crash => {
                let _ = state.append(self.node, bytes, now_ms);
                Err(gone())
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        match state.faults.begin(Operation::Sync)? {
            Verdict::Go => {
                state.file_mut(self.node)?.sync();
                Ok(())
            }
            Verdict::Fail(fault) => {
                state.file_mut(self.node)?.fail_sync();
                Err(fault.error())
            }
            Verdict::Crash => Err(gone()),
        }
    }
}

#[derive(Debug)]
struct SimReadFile {
    disk: SimDisk,
    node: NodeId,
    path: String,
}

impl ReadFile for SimReadFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.looking()?;
        Ok(state.file(self.node)?.bytes.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.looking()?;
        if state.unreadable.contains(&self.path) {
            return Err(Fault::Eio.error());
        }
        let bytes = &state.file(self.node)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(bytes.get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
